package policygrpc

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/sallyport-go/sallyport/policy"
)

// Details that cannot be encoded do not turn a denial into anything else: the status without
// them is sent. New lets no such domain pass.
func TestStatusWithoutDetails(t *testing.T) {
	g := &Guard{domain: "caf\xe9"}
	s := g.Status(policy.Decision{Reason: policy.UnknownKey})
	require.Equal(t, codes.Unauthenticated, s.Code())
	require.Error(t, s.Err())
	require.Empty(t, s.Details())
}

// Only a decision that allows is OK, whatever its number.
func TestStatusOfEveryReason(t *testing.T) {
	g := new(Guard)
	for reason := range 256 {
		d := policy.Decision{Reason: policy.Reason(reason)}
		require.Equal(t, d.Allowed(), g.Status(d).Err() == nil, "%v", d.Reason)
	}
}
