package policygrpc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

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
