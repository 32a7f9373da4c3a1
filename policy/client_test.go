package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
)

// doubter counts how often it is asked.
type doubter struct {
	asked int
	err   error
}

func (d *doubter) DoubtClient() error {
	d.asked++
	return d.err
}

// A ClientDoubter is asked after a denial by address only. Its error is the operator's.
func TestClientDoubter(t *testing.T) {
	for reason, change := range map[policy.Reason]func(*fixture){
		policy.InvalidRequest:                 func(f *fixture) { f.request.Organization = "" },
		policy.Unavailable:                    func(f *fixture) { f.request.Err = policy.ErrUnavailable },
		policy.UnknownKey:                     func(f *fixture) { f.request.Key = "" },
		policy.WrongSecret:                    func(f *fixture) { f.key.Secrets = nil },
		policy.KeyDisabled:                    func(f *fixture) { f.key.Disabled = true },
		policy.KeyNotYetValid:                 func(f *fixture) { f.key.NotBefore = noon.Add(1) },
		policy.KeyExpired:                     func(f *fixture) { f.key.Expires = noon },
		policy.AddressNotListed:               func(f *fixture) { f.key.AccessList = list(t, "192.0.2.1") },
		policy.OrganizationRequiresAccessList: func(f *fixture) { f.key.AccessList, f.organization.Requirement = accesslist.List{}, policy.Required },
		policy.EndpointRequiresAccessList:     func(f *fixture) { f.key.AccessList, f.request.Endpoint.RequiresAccessList = accesslist.List{}, true },
		policy.WrongOrganization:              func(f *fixture) { f.request.Organization = "globex" },
		policy.ProjectNotGranted:              func(f *fixture) { f.request.Project = "beta" },
		policy.RoleMissing:                    func(f *fixture) { f.request.Endpoint.Roles = []string{"owner"} },
		policy.AddressListed:                  func(*fixture) {},
		policy.OpenList:                       func(f *fixture) { f.key.AccessList, f.organization.Requirement = accesslist.List{}, policy.ReportOnly },
	} {
		f := newFixture(t)
		change(f)
		if reason == policy.UnknownKey {
			f.request.Err = policy.ErrInvalidCredentials
		}
		subject := f.subject()
		if reason == policy.UnknownKey {
			subject = policy.Subject{}
		}
		without := policy.Evaluate(subject, f.request, noon)
		require.Equal(t, reason.String(), without.Reason.String())

		byAddress := reason >= policy.AddressNotListed && reason <= policy.EndpointRequiresAccessList
		for _, doubt := range []error{nil, fmt.Errorf("guard: %w: it has a header", policy.ErrPossibleProxy)} {
			asked := &doubter{err: doubt}
			f.request.ClientDoubter = asked
			d := policy.Evaluate(subject, f.request, noon)
			require.Equal(t, reason, d.Reason, "nothing else changes")
			require.Equal(t, without.Answer(), d.Answer())
			require.Equal(t, without.WouldDeny, d.WouldDeny)
			require.Equal(t, without.SecretID(), d.SecretID())
			if !byAddress {
				require.Zero(t, asked.asked, reason)
				require.Equal(t, without.Cause, d.Cause)
				continue
			}
			require.Equal(t, 1, asked.asked)
			require.Equal(t, doubt, d.Cause)
			if doubt == nil {
				require.Equal(t, without.Explain(), d.Explain())
				continue
			}
			require.Equal(t, policy.PossibleProxy, d.Kind())
			require.Equal(t, 1, strings.Count(d.Explain(), `; "guard: the client may be a proxy: it has a header"`), d.Explain())
			require.Contains(t, d.Explain(), "verified by secret")
			require.NotContains(t, d.Err().Error(), "proxy")
		}
	}
}

// A doubter that panics denies, as all else does.
type panickingDoubter struct{}

func (panickingDoubter) DoubtClient() error { panic("no header") }

func TestClientDoubterPanics(t *testing.T) {
	f := newFixture(t)
	f.request.ClientDoubter = panickingDoubter{}
	engine := policy.New(f.source(), policy.WithClock(atNoon))
	require.True(t, engine.Decide(t.Context(), f.request).Allowed(), "it is not asked")
	f.key.AccessList = list(t, "192.0.2.1")
	engine = policy.New(f.source(), policy.WithClock(atNoon))
	require.Equal(t, policy.Unavailable, engine.Decide(t.Context(), f.request).Reason)
}

// A client that a proxy's fault hides is no fault of the caller's.
func TestUnknownClientIsUnavailable(t *testing.T) {
	f := newFixture(t)
	f.request.Err = fmt.Errorf("guard: no header: %w", policy.ErrUnknownClient)
	for _, change := range []func(){func() {}, func() { f.request.Client = netip.Addr{} }, func() { f.request.Key = "" }} {
		change()
		d := policy.Evaluate(f.subject(), f.request, noon)
		require.Equal(t, policy.Unavailable, d.Reason)
		require.Equal(t, policy.UnknownClient, d.Kind())
		require.Equal(t, 503, d.Answer().Status)
		require.NotContains(t, d.Answer().Message, "header")
	}
	f.request.Console = true
	require.Equal(t, policy.ConsoleForbidden, policy.Evaluate(f.subject(), f.request, noon).Reason)
}

// Whoever sends malformed credentials reads what right ones look like.
func TestFormOfMalformedCredentials(t *testing.T) {
	const plain = "The credentials are malformed, or there are several."
	inner := fmt.Errorf("guard: %w: 2 headers", policy.ErrMalformedCredentials)
	for form, message := range map[string]string{
		"":                                   plain,
		"Authorization: Bearer YOUR_API_KEY": plain + " Send one header: Authorization: Bearer YOUR_API_KEY.",
	} {
		f := newFixture(t)
		f.request.Err = fmt.Errorf("wrapped: %w", &policy.CredentialsError{Err: inner, Form: form})
		d := policy.Evaluate(f.subject(), f.request, noon)
		require.Equal(t, policy.InvalidRequest, d.Reason)
		require.Equal(t, policy.MalformedCredentials, d.Kind())
		require.Equal(t, policy.Answer{Status: 400, Code: "INVALID_REQUEST", Message: message}, d.Answer())
		require.EqualError(t, d.Cause, "wrapped: guard: malformed credentials: 2 headers")
		require.ErrorIs(t, d.Cause, inner)
		encoded, err := json.Marshal(d)
		require.NoError(t, err)
		require.NotContains(t, string(encoded), "YOUR_API_KEY", "the operator's side has no advice for callers")
	}
	require.Equal(t, plain, policy.Decision{Reason: policy.InvalidRequest, Cause: inner}.Answer().Message)
	require.NotContains(t, policy.Decision{Reason: policy.WrongSecret, Cause: &policy.CredentialsError{Err: errors.New("x"), Form: "y"}}.Answer().Message, "y:")
}
