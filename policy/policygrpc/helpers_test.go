package policygrpc_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// The methods of the service that is guarded. The message is the name of a backup.
const (
	restore = "/backups.v1.Backups/Restore" // unary
	follow  = "/backups.v1.Backups/Follow"  // a stream of what the client sends, back to it
	forgot  = "/backups.v1.Backups/Forgot"  // unary, and not declared to the guard
)

// backups is the service behind the guard. It is as a generated one would be.
type backups struct {
	served atomic.Int64
	unary  func(ctx context.Context, name string) (string, error)
}

func (b *backups) restore(ctx context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	b.served.Add(1)
	if b.unary != nil {
		answer, err := b.unary(ctx, name.Value)
		return wrapperspb.String(answer), err
	}
	return wrapperspb.String("restored " + name.Value), nil
}

func (b *backups) follow(stream grpc.ServerStream) error {
	b.served.Add(1)
	d, ok := policygrpc.DecisionOf(stream.Context())
	if !ok {
		return errors.New("no decision")
	}
	for {
		var got wrapperspb.StringValue
		if err := stream.RecvMsg(&got); err != nil {
			return nil
		}
		if err := stream.SendMsg(wrapperspb.String(got.Value + " for " + string(d.Subject().Key().ID))); err != nil {
			return err
		}
	}
}

// describe returns the service as grpc wants it.
func (b *backups) describe() *grpc.ServiceDesc {
	unary := func(name string) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			var in wrapperspb.StringValue
			if err := decode(&in); err != nil {
				return nil, err
			}
			handler := func(ctx context.Context, in any) (any, error) { return b.restore(ctx, in.(*wrapperspb.StringValue)) }
			if interceptor == nil {
				return handler(ctx, &in)
			}
			return interceptor(ctx, &in, &grpc.UnaryServerInfo{Server: b, FullMethod: "/backups.v1.Backups/" + name}, handler)
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: "backups.v1.Backups", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{unary("Restore"), unary("Forgot")},
		Streams: []grpc.StreamDesc{{
			StreamName: "Follow", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return b.follow(stream) },
		}},
	}
}

// service is a server on loopback with one key of the organization acme, whose list has
// the loopback address. Tests change what they are about, and then call start.
type service struct {
	t            testing.TB
	key          apikey.Key
	secret       apikey.Secret
	organization policy.Organization
	sourceErr    error
	address      policyhttp.ClientAddress
	schemes      []policyhttp.Scheme
	methods      map[string]policygrpc.Method
	options      []grpc.ServerOption

	mutex     sync.Mutex
	asked     []apikey.ID       // every look-up
	decisions []policy.Decision // every decision
	guard     *policygrpc.Guard
	backups   backups
	server    *grpc.Server
	conn      *grpc.ClientConn
}

func newService(t testing.TB) *service {
	t.Helper()
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "reader"})
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	acme := func(context.Context, any) (policy.Resource, error) { return policy.Resource{Organization: "acme"}, nil }
	return &service{
		t: t, key: key, secret: secret, organization: policy.Organization{ID: "acme"},
		methods: map[string]policygrpc.Method{restore: {Resource: acme}, follow: {Resource: acme}},
	}
}

// change changes one method.
func (s *service) change(name string, change func(*policygrpc.Method)) {
	method := s.methods[name]
	change(&method)
	s.methods[name] = method
}

// start serves on a free port of the loopback address until the test ends.
func (s *service) start() *service {
	s.t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(s.t, err)
	return s.startOn(listener, listener.Addr().String())
}

func (s *service) startOn(listener net.Listener, target string) *service {
	s.t.Helper()
	s.guard = s.newGuard()
	s.server = grpc.NewServer(append(s.options, s.guard.ServerOptions()...)...)
	s.server.RegisterService(s.backups.describe(), &s.backups)
	healthpb.RegisterHealthServer(s.server, health.NewServer())
	reflection.Register(s.server)
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(listener) }()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	s.conn = conn
	s.t.Cleanup(func() {
		require.NoError(s.t, conn.Close())
		s.server.Stop()
		require.NoError(s.t, <-done)
	})
	return s
}

func (s *service) newGuard() *policygrpc.Guard {
	s.t.Helper()
	engine := policy.New(source{s}, policy.WithObserver(func(_ context.Context, d policy.Decision) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.decisions = append(s.decisions, d)
	}))
	httpGuard, err := policyhttp.New(policyhttp.Config{Engine: engine, Address: s.address, Schemes: s.schemes})
	require.NoError(s.t, err)
	guard, err := policygrpc.New(policygrpc.Config{Guard: httpGuard, Methods: s.methods, Domain: "backups.example.com"})
	require.NoError(s.t, err)
	return guard
}

// source is the service's key as a policy.ImmediateSource.
type source struct{ *service }

func (s source) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.asked = append(s.asked, apikey.ID(strings.Clone(string(id))))
	if s.sourceErr != nil || id != s.key.ID {
		return policy.Subject{}, false, s.sourceErr
	}
	return policy.NewSubject(&s.key, &s.organization), true, nil
}

func (s source) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return s.LookupNow(id)
}

// last is the operator's side of the latest decision.
func (s *service) last() policy.Decision {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.decisions) == 0 {
		return policy.Decision{}
	}
	return s.decisions[len(s.decisions)-1]
}

func bearer(secret string) string { return "Bearer " + secret }

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// call calls a unary method with this metadata, which comes in pairs.
func (s *service) call(method string, pairs ...string) (answer string, err error) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), pairs...)
	var out wrapperspb.StringValue
	err = s.conn.Invoke(ctx, method, wrapperspb.String("nightly"), &out)
	return out.Value, err
}

// stream opens a stream, sends a message and returns the answer to it.
func (s *service) stream(method string, pairs ...string) (answer string, err error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), pairs...))
	defer cancel()
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return "", err
	}
	_ = stream.SendMsg(wrapperspb.String("nightly")) // io.EOF if it is denied already
	var out wrapperspb.StringValue
	err = stream.RecvMsg(&out)
	return out.Value, err
}

// authorized is the metadata of the service's key.
func (s *service) authorized() []string { return []string{"authorization", bearer(s.secret.Reveal())} }

// both calls a unary method and a stream.
func (s *service) both(pairs ...string) map[string]error {
	_, unary := s.call(restore, pairs...)
	_, stream := s.stream(follow, pairs...)
	return map[string]error{"unary": unary, "stream": stream}
}

// requireDenied checks the answer to a call that was denied.
func requireDenied(t testing.TB, err error, code codes.Code, reason string) *errdetails.ErrorInfo {
	t.Helper()
	require.Error(t, err)
	s := status.Convert(err)
	require.Equal(t, code, s.Code(), s)
	require.NotEmpty(t, s.Message())
	require.Len(t, s.Details(), 1)
	info, ok := s.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok, "%T", s.Details()[0])
	require.Equal(t, reason, info.Reason)
	require.Equal(t, "backups.example.com", info.Domain)
	return info
}

// requireNotServed checks that no handler was reached.
func (s *service) requireNotServed() {
	s.t.Helper()
	require.Zero(s.t, s.backups.served.Load(), "a handler was reached")
}

func loopback() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
