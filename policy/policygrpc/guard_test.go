package policygrpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
)

func TestAllowed(t *testing.T) {
	s := newService(t).start()
	s.backups.unary = func(ctx context.Context, name string) (string, error) {
		d, ok := policygrpc.DecisionOf(ctx)
		assert.True(t, ok)
		assert.Equal(t, policy.AddressListed, d.Reason)
		assert.Equal(t, s.key.ID, d.Subject().Key().ID)
		return "restored " + name, nil
	}
	for name, authorization := range map[string]string{
		"Bearer": bearer(s.secret.Reveal()),
		"bearer": "bearer " + s.secret.Reveal(),
		"Basic":  basic(string(s.key.ID), s.secret.Reveal()),
	} {
		answer, err := s.call(restore, "authorization", authorization)
		require.NoError(t, err, name)
		assert.Equal(t, "restored nightly", answer)
		assert.Equal(t, restore, s.last().LogValue().Group()[endpointAt(s.last())].Value.String(), "the endpoint's name is the method's")
		answer, err = s.stream(follow, "authorization", authorization)
		require.NoError(t, err, name)
		assert.Equal(t, "nightly for "+string(s.key.ID), answer)
	}
}

// endpointAt is where a decision's log value has the endpoint.
func endpointAt(d policy.Decision) int {
	for i, a := range d.LogValue().Group() {
		if a.Key == "endpoint" {
			return i
		}
	}
	return 0
}

// A handler's answer passes unchanged.
func TestHandlersError(t *testing.T) {
	s := newService(t).start()
	s.backups.unary = func(context.Context, string) (string, error) {
		return "", status.Error(codes.DataLoss, "the tape is torn")
	}
	_, err := s.call(restore, s.authorized()...)
	require.Equal(t, codes.DataLoss, status.Code(err))
	require.Empty(t, status.Convert(err).Details())
}

// Every line of the rules that denies, for a unary call and for a stream.
func TestEveryReason(t *testing.T) {
	type answer struct {
		code    codes.Code
		reason  string
		address string // the client's, where the caller is told
	}
	elsewhere := func(s *service) {
		list, err := accesslist.Parse("203.0.113.7")
		require.NoError(s.t, err)
		s.key.AccessList = list
	}
	roles := func(roles ...string) func(*policygrpc.Method) {
		return func(m *policygrpc.Method) { m.Endpoint.Roles = roles }
	}
	_, otherSecret, err := apikey.New("acme")
	require.NoError(t, err)

	for reason, test := range map[policy.Reason]struct {
		change        func(s *service)
		authorization func(s *service) string // nil: the service's key
		want          answer
	}{
		policy.InvalidRequest: {
			change: func(s *service) {
				for name := range s.methods {
					s.change(name, func(m *policygrpc.Method) {
						m.Resource = func(context.Context, any) (policy.Resource, error) { return policy.Resource{Organization: ""}, nil }
					})
				}
			},
			want: answer{codes.InvalidArgument, "INVALID_REQUEST", ""},
		},
		policy.Unavailable: {
			change: func(s *service) { s.sourceErr = errors.New("the disk is gone") },
			want:   answer{codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE", ""},
		},
		policy.UnknownKey: {
			authorization: func(*service) string { return bearer(otherSecret.Reveal()) },
			want:          answer{codes.Unauthenticated, "INVALID_API_KEY", ""},
		},
		policy.WrongSecret: {
			change: func(s *service) {
				rotated, _, err := apikey.Rotate(s.key, 0)
				require.NoError(s.t, err)
				s.key = rotated
			},
			want: answer{codes.Unauthenticated, "INVALID_API_KEY", ""},
		},
		policy.KeyDisabled: {
			change: func(s *service) { s.key.Disabled = true },
			want:   answer{codes.Unauthenticated, "API_KEY_DISABLED", ""},
		},
		policy.KeyNotYetValid: {
			change: func(s *service) { s.key.NotBefore = time.Now().Add(time.Hour) },
			want:   answer{codes.Unauthenticated, "API_KEY_NOT_YET_VALID", ""},
		},
		policy.KeyExpired: {
			change: func(s *service) { s.key.Expires = time.Now().Add(-time.Hour) },
			want:   answer{codes.Unauthenticated, "API_KEY_EXPIRED", ""},
		},
		policy.AddressNotListed: {
			change: elsewhere,
			want:   answer{codes.PermissionDenied, "IP_ADDRESS_NOT_ON_ACCESS_LIST", "127.0.0.1"},
		},
		policy.OrganizationRequiresAccessList: {
			change: func(s *service) { s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.Required },
			want:   answer{codes.PermissionDenied, "ORG_REQUIRES_ACCESS_LIST", "127.0.0.1"},
		},
		policy.EndpointRequiresAccessList: {
			change: func(s *service) {
				s.key.AccessList = accesslist.List{}
				for name := range s.methods {
					s.change(name, func(m *policygrpc.Method) { m.Endpoint.RequiresAccessList = true })
				}
			},
			want: answer{codes.PermissionDenied, "RESOURCE_REQUIRES_ACCESS_LIST", "127.0.0.1"},
		},
		policy.WrongOrganization: {
			change: func(s *service) { s.key.Organization, s.organization.ID = "globex", "globex" },
			want:   answer{codes.PermissionDenied, "API_KEY_NOT_IN_ORGANIZATION", ""},
		},
		policy.ProjectNotGranted: {
			change: func(s *service) {
				for name := range s.methods {
					s.change(name, func(m *policygrpc.Method) {
						m.Resource = func(context.Context, any) (policy.Resource, error) {
							return policy.Resource{Organization: "acme", Project: "alpha"}, nil
						}
					})
				}
			},
			want: answer{codes.PermissionDenied, "API_KEY_NOT_IN_PROJECT", ""},
		},
		policy.RoleMissing: {
			change: func(s *service) {
				for name := range s.methods {
					s.change(name, roles("backup.admin"))
				}
			},
			want: answer{codes.PermissionDenied, "API_KEY_LACKS_ROLE", ""},
		},
	} {
		t.Run(reason.String(), func(t *testing.T) {
			s := newService(t)
			if test.change != nil {
				test.change(s)
			}
			s.start()
			pairs := s.authorized()
			if test.authorization != nil {
				pairs[1] = test.authorization(s)
			}
			for kind, err := range s.both(pairs...) {
				info := requireDenied(t, err, test.want.code, test.want.reason)
				var want map[string]string
				if test.want.address != "" {
					want = map[string]string{"clientAddress": test.want.address}
					assert.Contains(t, status.Convert(err).Message(), test.want.address)
				}
				assert.Equal(t, want, info.GetMetadata(), kind)
				assert.Equal(t, reason, s.last().Reason)
				assert.NotContains(t, err.Error(), "the disk is gone", "the operator's error is not the caller's")
			}
			s.requireNotServed()
		})
	}
}

// Line 16 and line 2 cannot be had in the table above: the one allows, and a guard never
// asks for the console.
func TestOpenList(t *testing.T) {
	s := newService(t)
	s.key.AccessList = accesslist.List{}
	s.start()
	for kind, err := range s.both(s.authorized()...) {
		require.NoError(t, err, kind)
		require.Equal(t, policy.OpenList, s.last().Reason)
	}
}

// Rule D2: before the secret was verified, every failure of it is the same to the byte. It
// takes one look-up (rule K3), and none if it names no key (rule K2).
func TestNothingTellsAnUnknownKeyFromAWrongSecret(t *testing.T) {
	s := newService(t)
	rotated, current, err := apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	old := s.secret
	s.key, s.secret = rotated, current
	_, unknown, err := apikey.New("acme")
	require.NoError(t, err)
	mistyped := current.Reveal()[:len(current.Reveal())-1]
	s.start()

	shown := map[string]string{
		"an unknown key":             bearer(unknown.Reveal()),
		"a wrong secret":             bearer(old.Reveal()),
		"a text that is no secret":   bearer("sp_not_a_secret"),
		"a mistyped secret":          bearer(mistyped),
		"Basic: an unknown key":      basic(string(s.key.ID[1:]), unknown.Reveal()),
		"Basic: a wrong secret":      basic(string(s.key.ID), old.Reveal()),
		"Basic: no secret":           basic(string(s.key.ID), "hunter2"),
		"Basic: the user of another": basic("k3vq7zt2mwc5x4hjp6na", current.Reveal()),
	}
	var wantStatus []byte
	var wantTrailer metadata.MD
	for name, authorization := range shown {
		before, lookups := len(s.asked), 1
		if name == "a text that is no secret" || name == "a mistyped secret" {
			lookups = 0
		}
		var header, trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", authorization)
		err := s.conn.Invoke(ctx, restore, wrapperspb.String("nightly"), new(wrapperspb.StringValue), grpc.Header(&header), grpc.Trailer(&trailer))
		requireDenied(t, err, codes.Unauthenticated, "INVALID_API_KEY")
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(err).Proto())
		require.NoError(t, err)
		if wantStatus == nil {
			wantStatus, wantTrailer = got, trailer
		}
		assert.Equal(t, wantStatus, got, name)
		assert.Equal(t, wantTrailer, trailer, name)
		assert.Empty(t, header, name)
		assert.Len(t, s.asked, before+lookups, "%s: look-ups", name)

		_, err = s.stream(follow, "authorization", authorization)
		got, err = proto.MarshalOptions{Deterministic: true}.Marshal(status.Convert(err).Proto())
		require.NoError(t, err)
		assert.Equal(t, wantStatus, got, "%s, as a stream", name)
	}
	s.requireNotServed()
}

// Missing credentials, and malformed ones.
func TestCredentialsThatAreRefused(t *testing.T) {
	s := newService(t)
	httpDigest, err := digest.New(digest.Config{Algorithms: []apikey.DigestAlgorithm{apikey.DigestSHA256}})
	require.NoError(t, err)
	s.schemes = []policyhttp.Scheme{policyhttp.Bearer(), policyhttp.Basic(), httpDigest}
	s.start()
	good := bearer(s.secret.Reveal())
	const digestText = `username="k", realm="api", nonce="n", uri="/", response="0", qop=auth, nc=00000001, cnonce="c"`
	for name, test := range map[string]struct {
		pairs  []string
		code   codes.Code
		reason string
	}{
		"none":                        {nil, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"under another name":          {[]string{"x-api-key", s.secret.Reveal()}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"of another scheme":           {[]string{"authorization", "Negotiate abc"}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"the secret without a scheme": {[]string{"authorization", s.secret.Reveal()}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"Digest":                      {[]string{"authorization", "Digest " + digestText}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"digest":                      {[]string{"authorization", "dIgEsT " + digestText}, codes.Unauthenticated, "API_KEY_REQUIRED"},
		"empty":                       {[]string{"authorization", ""}, codes.InvalidArgument, "INVALID_REQUEST"},
		"twice":                       {[]string{"authorization", good, "authorization", good}, codes.InvalidArgument, "INVALID_REQUEST"},
		"twice, one of Digest":        {[]string{"authorization", good, "authorization", "Digest " + digestText}, codes.InvalidArgument, "INVALID_REQUEST"},
		"twice, Digest first":         {[]string{"authorization", "Digest " + digestText, "authorization", good}, codes.InvalidArgument, "INVALID_REQUEST"},
		"in one with a comma":         {[]string{"authorization", good + "," + good}, codes.InvalidArgument, "INVALID_REQUEST"},
		"no base64":                   {[]string{"authorization", "Basic %%%"}, codes.InvalidArgument, "INVALID_REQUEST"},
		"no colon":                    {[]string{"authorization", "Basic aGVsbG8="}, codes.InvalidArgument, "INVALID_REQUEST"},
		"too long":                    {[]string{"authorization", "Bearer " + strings.Repeat("a", 5000)}, codes.InvalidArgument, "INVALID_REQUEST"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range s.both(test.pairs...) {
				requireDenied(t, err, test.code, test.reason)
				assert.NotContains(t, err.Error(), s.secret.Reveal())
			}
		})
	}
	s.requireNotServed()
}

// A scheme with a header of its own reads the metadata of that name.
func TestKeyHeader(t *testing.T) {
	s := newService(t)
	s.schemes = []policyhttp.Scheme{policyhttp.KeyHeader("X-API-Key")}
	s.start()
	for what, err := range s.both("x-api-key", s.secret.Reveal()) {
		require.NoError(t, err, what)
	}
	for _, err := range s.both(s.authorized()...) {
		requireDenied(t, err, codes.Unauthenticated, "API_KEY_REQUIRED")
	}
	for _, err := range s.both("x-api-key", s.secret.Reveal(), "x-api-key", s.secret.Reveal()) {
		requireDenied(t, err, codes.InvalidArgument, "INVALID_REQUEST")
	}
}

// A method that the guard does not know is denied to the right key too, and observers hear
// of it under one name, whatever the caller made up.
func TestUndeclaredMethod(t *testing.T) {
	s := newService(t)
	s.options = []grpc.ServerOption{grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		s.backups.served.Add(1)
		return nil
	})}
	s.start()
	for _, method := range []string{forgot, "/made.up/Method", "/made.up/" + strings.Repeat("x", 300)} {
		_, err := s.call(method, s.authorized()...)
		requireDenied(t, err, codes.PermissionDenied, "API_KEY_CANNOT_USE_ENDPOINT")
		d := s.last()
		assert.Equal(t, policy.InvalidRequest, d.Reason)
		assert.ErrorIs(t, d.Cause, policy.ErrUndeclaredEndpoint)
		assert.ErrorContains(t, d.Cause, "undeclared endpoint: the method \""+method[:10])
		assert.Less(t, len(d.Cause.Error()), 400)
		assert.Equal(t, "undeclared method", d.LogValue().Group()[endpointAt(d)].Value.String())

		_, err = s.call(method, "authorization", bearer("sp_not_a_secret"))
		requireDenied(t, err, codes.PermissionDenied, "API_KEY_CANNOT_USE_ENDPOINT") // nothing of the key
		_, err = s.call(method)
		requireDenied(t, err, codes.Unauthenticated, "API_KEY_REQUIRED")
	}
	s.requireNotServed()

	assert.Equal(t, []string{
		forgot,
		"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	}, s.guard.Undeclared(s.server.GetServiceInfo()))
	assert.Len(t, (*policygrpc.Guard)(nil).Undeclared(s.server.GetServiceInfo()), 8)
}

// Health checks and reflection are closed like anything else, and open when they are named.
func TestHealthAndReflection(t *testing.T) {
	const (
		check   = "/grpc.health.v1.Health/Check"
		reflect = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	)
	ask := func(s *service) (healthErr, watchErr, reflectionErr error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, healthErr = healthpb.NewHealthClient(s.conn).Check(ctx, &healthpb.HealthCheckRequest{})
		watch, err := healthpb.NewHealthClient(s.conn).Watch(ctx, &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		_, watchErr = watch.Recv()
		stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
		require.NoError(t, err)
		_ = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		_, reflectionErr = stream.Recv()
		return healthErr, watchErr, reflectionErr
	}
	healthErr, watchErr, reflectionErr := ask(newService(t).start())
	for _, err := range []error{healthErr, watchErr, reflectionErr} {
		requireDenied(t, err, codes.Unauthenticated, "API_KEY_REQUIRED")
	}

	s := newService(t)
	s.methods[check] = policygrpc.Method{Open: true}
	s.methods[reflect] = policygrpc.Method{Open: true}
	s.start()
	healthErr, watchErr, reflectionErr = ask(s)
	require.NoError(t, healthErr)
	require.NoError(t, reflectionErr)
	requireDenied(t, watchErr, codes.Unauthenticated, "API_KEY_REQUIRED") // the method beside an open one
	assert.Len(t, s.decisions, 1, "of an open method there is no decision")
	assert.False(t, s.guard.Check(context.Background(), check, nil).Allowed(), "an open method has nothing to judge")
}

// An open method has no decision in its context, and the one beside it is closed.
func TestOpenMethod(t *testing.T) {
	s := newService(t)
	s.methods[restore] = policygrpc.Method{Open: true}
	s.start()
	s.backups.unary = func(ctx context.Context, _ string) (string, error) {
		_, ok := policygrpc.DecisionOf(ctx)
		assert.False(t, ok)
		return "open", nil
	}
	answer, err := s.call(restore)
	require.NoError(t, err)
	require.Equal(t, "open", answer)
	_, err = s.stream(follow)
	requireDenied(t, err, codes.Unauthenticated, "API_KEY_REQUIRED")
}

// A stream is judged when it begins. It goes on after its key is revoked, unless its handler
// asks.
func TestStreamIsJudgedOnce(t *testing.T) {
	s := newService(t).start()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), s.authorized()...))
	defer cancel()
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, follow)
	require.NoError(t, err)
	exchange := func() error {
		require.NoError(t, stream.SendMsg(wrapperspb.String("nightly")))
		return stream.RecvMsg(new(wrapperspb.StringValue))
	}
	require.NoError(t, exchange())
	s.mutex.Lock()
	s.key.Disabled = true
	s.mutex.Unlock()
	require.NoError(t, exchange())
	require.Len(t, s.decisions, 1)
	require.NoError(t, stream.CloseSend())
	require.ErrorIs(t, stream.RecvMsg(new(wrapperspb.StringValue)), io.EOF)

	_, err = s.stream(follow, s.authorized()...)
	requireDenied(t, err, codes.Unauthenticated, "API_KEY_DISABLED")
}

// Check is what a handler asks while its stream lasts.
func TestCheckAgain(t *testing.T) {
	s := newService(t).start()
	s.backups.unary = func(ctx context.Context, _ string) (string, error) {
		method, _ := grpc.Method(ctx)
		d := s.guard.Check(ctx, method, nil)
		assert.True(t, d.Allowed(), d)
		assert.NoError(t, s.guard.Status(d).Err())
		s.key.Disabled = true
		return "", s.guard.Status(s.guard.Check(ctx, method, nil)).Err()
	}
	_, err := s.call(restore, s.authorized()...)
	requireDenied(t, err, codes.Unauthenticated, "API_KEY_DISABLED")
}

// Whatever the Resource does, it does not open anything.
func TestResourceThatFails(t *testing.T) {
	for name, resource := range map[string]policygrpc.Resource{
		"an error": func(context.Context, any) (policy.Resource, error) {
			return policy.Resource{Organization: "acme"}, errors.New("the disk is gone")
		},
		"a panic": func(context.Context, any) (policy.Resource, error) { panic("the disk is gone") },
		"another message": func(_ context.Context, message any) (policy.Resource, error) {
			return policy.Resource{Organization: message.(*healthpb.HealthCheckRequest).Service}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.methods = map[string]policygrpc.Method{restore: {Resource: resource}, follow: {Resource: resource}}
			s.start()
			for kind, err := range s.both(s.authorized()...) {
				requireDenied(t, err, codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE")
				assert.NotContains(t, err.Error(), "disk", kind)
				assert.Error(t, s.last().Cause)
			}
			s.requireNotServed()
		})
	}
}

// The Resource is given the message of a unary call, and nil for a stream.
func TestResourceSeesTheMessage(t *testing.T) {
	s := newService(t)
	var seen []any
	resource := func(_ context.Context, message any) (policy.Resource, error) {
		seen = append(seen, message)
		return policy.Resource{Organization: "acme"}, nil
	}
	s.methods = map[string]policygrpc.Method{restore: {Resource: resource}, follow: {Resource: resource}}
	s.start()
	_, err := s.call(restore, s.authorized()...)
	require.NoError(t, err)
	_, err = s.stream(follow, s.authorized()...)
	require.NoError(t, err)
	require.Len(t, seen, 2)
	require.Equal(t, "nightly", seen[0].(*wrapperspb.StringValue).Value)
	require.Nil(t, seen[1])
}

// A guessed key, and one from elsewhere, cause no call of the Resource; the handler gets
// the record that it read.
func TestResourceIsCalledOnceAfterTheKeyIsKnown(t *testing.T) {
	type backup struct{ host string }
	s := newService(t)
	calls := 0
	resource := func(context.Context, any) (policy.Resource, error) {
		calls++
		return policy.Resource{Organization: "acme", Value: backup{"db1"}}, nil
	}
	s.backups.unary = func(ctx context.Context, _ string) (string, error) {
		record, ok := policygrpc.ValueOf[backup](ctx)
		require.True(t, ok)
		_, ok = policygrpc.ValueOf[string](ctx)
		require.False(t, ok)
		return record.host, nil
	}
	s.methods = map[string]policygrpc.Method{restore: {Resource: resource}, follow: {Resource: resource}}
	s.start()
	_, guessed, err := apikey.New("acme")
	require.NoError(t, err)
	for _, pairs := range [][]string{{}, {"authorization", "Bearer " + guessed.Reveal()}, {"authorization", "Bearer x"}} {
		for range s.both(pairs...) {
		}
	}
	require.Zero(t, calls)
	answer, err := s.call(restore, s.authorized()...)
	require.NoError(t, err)
	require.Equal(t, "db1", answer)
	require.Equal(t, 1, calls)
	_, ok := policygrpc.ValueOf[backup](context.Background())
	require.False(t, ok)
}

func TestMetadataResource(t *testing.T) {
	s := newService(t)
	s.key.Grants = []apikey.Grant{{Role: "reader", Project: "alpha"}}
	resource := policygrpc.Metadata("x-organization", "X-Project")
	s.methods = map[string]policygrpc.Method{restore: {Resource: resource}, follow: {Resource: resource}}
	s.start()
	for name, test := range map[string]struct {
		pairs  []string
		reason policy.Reason
	}{
		"both":      {[]string{"x-organization", "acme", "x-project", "alpha"}, policy.AddressListed},
		"another":   {[]string{"x-organization", "globex", "x-project", "alpha"}, policy.WrongOrganization},
		"one twice": {[]string{"x-organization", "acme", "x-project", "alpha", "x-project", "beta"}, policy.InvalidRequest},
		"one":       {[]string{"x-organization", "acme"}, policy.InvalidRequest},
		"empty":     {[]string{"x-organization", "acme", "x-project", ""}, policy.InvalidRequest},
		"none":      {nil, policy.InvalidRequest},
	} {
		for kind, err := range s.both(append(test.pairs, s.authorized()...)...) {
			assert.Equal(t, test.reason, s.last().Reason, "%s, %s", name, kind)
			assert.Equal(t, test.reason.Allows(), err == nil)
		}
	}
}

// Names of resources are logged, and so never read from the metadata of credentials.
func TestMetadataOfCredentials(t *testing.T) {
	for _, names := range [][2]string{{"authorization", ""}, {"Authorization", ""}, {"x-organization", "cookie"}, {"proxy-authorization", "x-project"}} {
		s := newService(t)
		s.methods = map[string]policygrpc.Method{restore: {Resource: policygrpc.Metadata(names[0], names[1])}}
		s.start()
		_, err := s.call(restore, append(s.authorized(), "x-organization", "acme", "x-project", "alpha", "cookie", "session=1")...)
		requireDenied(t, err, codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE")
		require.ErrorContains(t, s.last().Cause, "policygrpc: Metadata reads the names of a resource from ")
		require.ErrorContains(t, s.last().Cause, ", and names are logged: want one that the gateway overwrites, such as x-organization")
		require.NotContains(t, s.last().String(), s.secret.Reveal())
	}
	// Another way to the same text.
	s := newService(t)
	s.methods = map[string]policygrpc.Method{restore: {Resource: func(ctx context.Context, _ any) (policy.Resource, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return policy.Resource{Organization: md.Get("authorization")[0]}, nil
	}}}
	s.start()
	_, err := s.call(restore, s.authorized()...)
	requireDenied(t, err, codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE")
	require.ErrorContains(t, s.last().Cause, "a name of the resource is the text of the header Authorization")
}

// A Guard that New did not check may have a method without a Resource: it is denied.
func TestMethodWithoutAResource(t *testing.T) {
	s := newService(t)
	s.methods[restore] = policygrpc.Method{Open: true}
	s.start()
	_, err := s.call(restore)
	require.NoError(t, err, "open to everybody")
	d := s.guard.Check(incoming("127.0.0.1:4711", s.authorized()...), restore, nil)
	require.Equal(t, policy.InvalidRequest, d.Reason, "judged, there is nothing to judge by")
}

// In TLS early data the source address is not proven, and the call may be a replay.
func TestEarlyDataIsNotServed(t *testing.T) {
	s := newService(t).start()
	ctx := incoming("127.0.0.1:4711", s.authorized()...)
	p, _ := peer.FromContext(ctx)
	for name, test := range map[string]struct {
		state tls.ConnectionState
		pairs []string
		early bool
	}{
		"before the handshake": {tls.ConnectionState{}, nil, true},
		"an edge says so":      {tls.ConnectionState{HandshakeComplete: true}, []string{"early-data", "1"}, true},
		"after the handshake":  {tls.ConnectionState{HandshakeComplete: true}, nil, false},
	} {
		ctx := incoming("127.0.0.1:4711", append(s.authorized(), test.pairs...)...)
		ctx = peer.NewContext(ctx, &peer.Peer{Addr: p.Addr, AuthInfo: credentials.TLSInfo{State: test.state}})
		d := s.guard.Check(ctx, restore, nil)
		require.Equal(t, !test.early, d.Allowed(), "%s: %v", name, d)
		if test.early {
			require.ErrorIs(t, d.Cause, policy.ErrTooEarly, name)
			requireDenied(t, s.guard.Status(d).Err(), codes.Unavailable, "TOO_EARLY")
		}
	}
}

func TestMistakesOfTheConfiguration(t *testing.T) {
	resource := policygrpc.Metadata("x-organization", "")
	guard, err := policygrpc.New(policygrpc.Config{
		Domain: "caf\xe9",
		Methods: map[string]policygrpc.Method{
			"":                         {Resource: resource},
			"/":                        {Resource: resource},
			"/service":                 {Resource: resource},
			"/service/":                {Resource: resource},
			"//method":                 {Resource: resource},
			"service/method":           {Resource: resource},
			"/service/method/x":        {Resource: resource},
			"/service/Nothing":         {},
			"/service/OpenAndResource": {Open: true, Resource: resource},
			"/service/OpenAndRoles":    {Open: true, Endpoint: policy.Endpoint{Roles: []string{"reader"}}},
			"/service/OpenAndList":     {Open: true, Endpoint: policy.Endpoint{RequiresAccessList: true}},
			"/service/Right":           {Resource: resource},
			"/service/Open":            {Open: true, Endpoint: policy.Endpoint{Name: "open"}},
		},
	})
	require.Nil(t, guard)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 2+11)
	assert.Equal(t, "policygrpc: Config.Guard is nil: want one that policyhttp.New returned", lines[0])
	assert.Equal(t, `policygrpc: Config.Domain is "caf\xe9": want UTF-8, such as backups.example.com`, lines[1])
	for _, line := range lines[2:] {
		assert.Regexp(t, `^policygrpc: Config\.Methods\["[^"]*"\] (is not the full name of a method|is Open and has conditions on a key|has no Resource): want `, line)
	}
}

// A change of the Config after New does not change the Guard.
func TestConfigIsCopied(t *testing.T) {
	s := newService(t)
	s.change(restore, func(m *policygrpc.Method) {
		m.Endpoint = policy.Endpoint{Name: "restore", Roles: []string{"backup.admin"}}
	})
	methods := s.methods
	s.start()
	methods[restore].Endpoint.Roles[0] = "reader"
	methods[restore] = policygrpc.Method{Open: true}
	_, err := s.call(restore, s.authorized()...)
	requireDenied(t, err, codes.PermissionDenied, "API_KEY_LACKS_ROLE")
	assert.Equal(t, "restore", s.last().LogValue().Group()[endpointAt(s.last())].Value.String())
}

// A nil or zero Guard denies everything, and so does one on a zero policyhttp.Guard.
func TestNotMade(t *testing.T) {
	onZero, err := policygrpc.New(policygrpc.Config{
		Guard:   new(policyhttp.Guard),
		Methods: map[string]policygrpc.Method{restore: {Resource: policygrpc.Metadata("x-organization", "")}},
	})
	require.NoError(t, err)
	for name, guard := range map[string]*policygrpc.Guard{"nil": nil, "zero": {}, "on a zero guard": onZero} {
		t.Run(name, func(t *testing.T) {
			served := false
			_, err := guard.Unary(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: restore}, func(context.Context, any) (any, error) {
				served = true
				return nil, nil
			})
			assert.Equal(t, codes.Unavailable, status.Code(err))
			err = guard.Stream(nil, streamOf{context.Background()}, &grpc.StreamServerInfo{FullMethod: restore}, func(any, grpc.ServerStream) error {
				served = true
				return nil
			})
			assert.Equal(t, codes.Unavailable, status.Code(err))
			assert.False(t, served)
			require.Len(t, status.Convert(err).Details(), 1)
			assert.Contains(t, status.Convert(err).Proto().String(), "sallyport")
		})
	}
}

type streamOf struct{ ctx context.Context }

func (s streamOf) Context() context.Context     { return s.ctx }
func (s streamOf) SetHeader(metadata.MD) error  { return nil }
func (s streamOf) SendHeader(metadata.MD) error { return nil }
func (s streamOf) SetTrailer(metadata.MD)       {}
func (s streamOf) SendMsg(any) error            { return nil }
func (s streamOf) RecvMsg(any) error            { return nil }

func TestContextThatIsNil(t *testing.T) {
	s := newService(t)
	var none context.Context
	d := s.newGuard().Check(none, restore, nil)
	require.Equal(t, policy.Unavailable, d.Reason, "the server lost the peer")
	_, ok := policygrpc.DecisionOf(none)
	require.False(t, ok)
}

// A cancelled call is denied, and so is one past its deadline.
func TestCancelled(t *testing.T) {
	s := newService(t)
	guard := s.newGuard()
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(s.authorized()...))
	ctx, cancel := context.WithCancel(peer.NewContext(ctx, &peer.Peer{Addr: addr{"tcp", "127.0.0.1:4711"}}))
	require.True(t, guard.Check(ctx, restore, nil).Allowed())
	expired, end := context.WithDeadline(ctx, time.Unix(0, 0)) // a caller sets it as it likes
	defer end()
	d := guard.Check(expired, restore, nil)
	require.Equal(t, policy.Unavailable, d.Reason)
	require.Equal(t, policy.RequestExpired, d.Kind())
	cancel()
	d = guard.Check(ctx, restore, nil)
	require.Equal(t, policy.Unavailable, d.Reason)
	require.Equal(t, policy.CallerGone, d.Kind())
}

type addr struct{ network, text string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.text }
