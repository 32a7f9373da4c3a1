package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// Each kind is of one error, is an attribute of every form of a decision, and changes
// nothing for the caller.
func TestKindOfADecision(t *testing.T) {
	kinds := map[policy.Kind]struct {
		text   string
		err    error
		reason policy.Reason
	}{
		policy.NoCredentials:        {"no_credentials", policy.ErrNoCredentials, policy.InvalidRequest},
		policy.MalformedCredentials: {"malformed_credentials", policy.ErrMalformedCredentials, policy.InvalidRequest},
		policy.InvalidCredentials:   {"invalid_credentials", policy.ErrInvalidCredentials, policy.UnknownKey},
		policy.UndeclaredEndpoint:   {"undeclared_endpoint", policy.ErrUndeclaredEndpoint, policy.InvalidRequest},
		policy.TooEarly:             {"too_early", policy.ErrTooEarly, policy.InvalidRequest},
		policy.StaleNonce:           {"stale_nonce", policy.ErrStaleNonce, policy.WrongSecret},
		policy.Replayed:             {"replayed", policy.ErrReplayed, policy.WrongSecret},
		policy.CallerGone:           {"caller_gone", policy.ErrCallerGone, policy.Unavailable},
		policy.UnknownClient:        {"unknown_client", policy.ErrUnknownClient, policy.Unavailable},
		policy.PossibleProxy:        {"possible_proxy", policy.ErrPossibleProxy, policy.AddressNotListed},
		policy.RequestExpired:       {"request_expired", policy.ErrRequestExpired, policy.Unavailable},
	}
	for kind := policy.Kind(1); kind < policy.EndOfKinds; kind++ {
		test, known := kinds[kind]
		require.True(t, known, "%v", kind)
		d := policy.Decision{Reason: test.reason, Cause: fmt.Errorf("guard: %w: and more", test.err)}
		require.Equal(t, kind, d.Kind())
		require.Equal(t, test.text, kind.String())
		require.True(t, strings.HasPrefix(d.String(), fmt.Sprintf("deny %s kind=%q ", test.reason, test.text)), d.String())
		require.Equal(t, "kind="+test.text, d.LogValue().Group()[2].String())
		encoded, err := json.Marshal(d)
		require.NoError(t, err)
		require.Contains(t, string(encoded), fmt.Sprintf(`"kind":%q`, test.text))
		answer, err := json.Marshal(d.Answer())
		require.NoError(t, err)
		require.NotContains(t, string(answer), test.text)
		require.NotContains(t, d.Err().Error(), test.text)
	}
	require.Len(t, kinds, int(policy.EndOfKinds)-1)
	require.Equal(t, "kind(200)", policy.Kind(200).String())
	require.Empty(t, policy.Kind(0).String())
}

// Rule D2: the kinds of lines 4 and 5 are the operator's.
func TestD2KindsLookTheSame(t *testing.T) {
	want := policy.Decision{Reason: policy.UnknownKey}.Answer()
	for _, err := range []error{policy.ErrInvalidCredentials, policy.ErrStaleNonce, policy.ErrReplayed} {
		require.Equal(t, want, policy.Decision{Reason: policy.WrongSecret, Cause: err}.Answer())
	}
}

// brokenError panics wherever it is asked.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

func TestDecisionWithoutAKind(t *testing.T) {
	for _, cause := range []error{nil, errors.New("policy: the source failed"), context.Canceled, policy.ErrUnavailable, (*brokenError)(nil)} {
		d := policy.Decision{Reason: policy.Unavailable, Cause: cause}
		require.Zero(t, d.Kind(), "%T", cause)
		require.NotContains(t, d.String(), "kind=")
	}
}
