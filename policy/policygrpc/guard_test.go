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
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
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
