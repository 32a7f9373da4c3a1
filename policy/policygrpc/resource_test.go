package policygrpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
)

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
