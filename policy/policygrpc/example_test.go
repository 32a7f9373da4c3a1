package policygrpc_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// exampleKey puts the organization acme into a store, with one key that may be used from
// the loopback address, and returns the key's secret.
func exampleKey(keys *memory.Store, grants ...apikey.Grant) apikey.Secret {
	ctx := context.Background()
	_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	must(err)
	key, secret, err := apikey.New("acme", grants...)
	must(err)
	key.AccessList, err = accesslist.Parse("127.0.0.1")
	must(err)
	_, err = keys.PutKey(ctx, key)
	must(err)
	return secret
}

// A server with one method for a role in a project, and an open health check. The project
// comes from the backup's own record (rule K7).
func Example() {
	keys := memory.New()
	secret := exampleKey(keys, apikey.Grant{Role: "backup.admin", Project: "alpha"})
	httpGuard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
	must(err)

	type backup struct{ organization, project, host string }
	records := map[string]backup{
		"nightly": {"acme", "alpha", "db1"},
		"foreign": {"globex", "gamma", "db9"},
	}
	guard, err := policygrpc.New(policygrpc.Config{
		Guard:  httpGuard,
		Domain: "backups.example.com",
		Methods: map[string]policygrpc.Method{
			"/backups.v1.Backups/Restore": {
				Endpoint: policy.Endpoint{Roles: []string{"backup.admin"}, RequiresAccessList: true},
				Resource: func(_ context.Context, message any) (policy.Resource, error) {
					record, ok := records[message.(*wrapperspb.StringValue).Value]
					if !ok { // answered like somebody else's
						return policy.Resource{Organization: policy.NoOrganization}, nil
					}
					// The handler gets the record by policygrpc.ValueOf[backup].
					return policy.Resource{Organization: record.organization, Project: record.project, Value: record}, nil
				},
			},
			"/grpc.health.v1.Health/Check": {Open: true},
		},
	})
	must(err)

	server := grpc.NewServer(guard.ServerOptions()...)
	server.RegisterService(new(backups).describe(), nil)
	healthpb.RegisterHealthServer(server, health.NewServer())
	for _, method := range guard.Undeclared(server.GetServiceInfo()) {
		fmt.Println("closed:", method)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	must(err)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	// A real client has TLS, and sends the secret with grpc.WithPerRPCCredentials.
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer func() { _ = conn.Close() }()
	restore := func(ctx context.Context, name string) {
		var answer wrapperspb.StringValue
		err := conn.Invoke(ctx, "/backups.v1.Backups/Restore", wrapperspb.String(name), &answer)
		if err == nil {
			fmt.Println("OK:", answer.Value)
			return
		}
		for _, detail := range status.Convert(err).Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				fmt.Println(status.Code(err), info.Reason)
			}
		}
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+secret.Reveal())
	restore(ctx, "nightly")
	restore(ctx, "foreign")
	restore(ctx, "nonesuch")
	restore(context.Background(), "nightly")
	checked, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	must(err)
	fmt.Println("health:", checked.Status)
	// Output:
	// closed: /backups.v1.Backups/Follow
	// closed: /backups.v1.Backups/Forgot
	// closed: /grpc.health.v1.Health/List
	// closed: /grpc.health.v1.Health/Watch
	// OK: restored nightly
	// PermissionDenied API_KEY_NOT_IN_ORGANIZATION
	// PermissionDenied API_KEY_NOT_IN_ORGANIZATION
	// Unauthenticated API_KEY_REQUIRED
	// health: SERVING
}

// A stream is judged when it begins. This handler asks again for every message, so that a
// stream ends when its key is revoked; one with many messages asks now and then.
func ExampleGuard_Check() {
	var guard *policygrpc.Guard // as New returned it
	follow := func(stream grpc.ServerStream) error {
		ctx := stream.Context()
		method, _ := grpc.Method(ctx)
		for {
			if d := guard.Check(ctx, method, nil); !d.Allowed() {
				return guard.Status(d).Err()
			}
			var message wrapperspb.StringValue
			if err := stream.RecvMsg(&message); err != nil {
				return err
			}
			// ...
		}
	}
	_ = follow
}
