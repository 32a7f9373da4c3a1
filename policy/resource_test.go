package policy_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// countingResolver counts its calls.
type countingResolver struct {
	resource policy.Resource
	err      error
	calls    int
}

func (r *countingResolver) Resolve(context.Context) (policy.Resource, error) {
	r.calls++
	return r.resource, r.err
}

func (f *fixture) resolveBy(r policy.Resolver) {
	f.request.Organization, f.request.Project, f.request.Resolver = "", "", r
}

// The handler is given what was judged: the resource and the record behind it.
func TestResolvedResourceIsHandedOn(t *testing.T) {
	type backup struct{ name string }
	f := newFixture(t)
	record := &backup{"nightly"}
	resolver := &countingResolver{resource: policy.Resource{Organization: "acme", Project: "alpha", Value: record}}
	f.resolveBy(resolver)
	for _, d := range []policy.Decision{f.decide(f.source()), f.evaluate()} {
		require.True(t, d.Allowed(), "%v", d)
		require.Equal(t, resolver.resource, d.Resource())
		require.Same(t, record, d.Resource().Value)
		require.Contains(t, d.String(), `organization="acme" project="alpha"`)
	}
	require.Equal(t, 2, resolver.calls, "once for each decision")
}

// The resource of the key is its own organization and no project, whatever else is said.
func TestResourceOfTheKey(t *testing.T) {
	f := newFixture(t)
	f.resolveBy(&countingResolver{resource: policy.Resource{OfKey: true, Organization: "globex", Project: "alpha", Value: "record"}})
	for _, d := range []policy.Decision{f.decide(f.source()), f.evaluate()} {
		require.True(t, d.Allowed(), "%v", d)
		require.Equal(t, policy.Resource{Organization: "acme", Value: "record"}, d.Resource())
	}
	f.resolveBy(&countingResolver{resource: policy.Resource{OfKey: true}, err: errors.New("down")})
	require.Equal(t, policy.Unavailable, f.evaluate().Reason)
}

// A guessed or stolen key causes no call of the resolver: it is asked after line 11.
func TestResolverIsNotAskedForDenialsBefore(t *testing.T) {
	for reason, change := range map[policy.Reason]func(*fixture) policy.Source{
		policy.InvalidRequest:   func(f *fixture) policy.Source { f.request.Client = netip.Addr{}; return f.source() },
		policy.ConsoleForbidden: func(f *fixture) policy.Source { f.request.Console = true; return f.source() },
		policy.Unavailable:      func(*fixture) policy.Source { return &memory{err: errors.New("down")} },
		policy.UnknownKey:       func(*fixture) policy.Source { return &memory{} },
		policy.WrongSecret:      func(f *fixture) policy.Source { _, f.request.Secret = newSecret(t, "key-1"); return f.source() },
		policy.KeyDisabled:      func(f *fixture) policy.Source { f.key.Disabled = true; return f.source() },
		policy.KeyNotYetValid:   func(f *fixture) policy.Source { f.key.NotBefore = noon.Add(1); return f.source() },
		policy.KeyExpired:       func(f *fixture) policy.Source { f.key.Expires = noon; return f.source() },
		policy.AddressNotListed: func(f *fixture) policy.Source { f.request.Client = netip.MustParseAddr("192.0.2.1"); return f.source() },
		policy.OrganizationRequiresAccessList: func(f *fixture) policy.Source {
			f.key.AccessList, f.organization.Requirement = accesslist.List{}, policy.Required
			return f.source()
		},
		policy.EndpointRequiresAccessList: func(f *fixture) policy.Source {
			f.key.AccessList, f.request.Endpoint.RequiresAccessList = accesslist.List{}, true
			return f.source()
		},
	} {
		f := newFixture(t)
		resolver := &countingResolver{resource: policy.Resource{Organization: "acme"}}
		f.resolveBy(resolver)
		source := change(f)
		d := f.decide(source)
		requireDenied(t, d, reason)
		require.Zero(t, resolver.calls, reason)
		require.Equal(t, policy.Resource{}, d.Resource())
	}
}

func TestResolverThatFailsDenies(t *testing.T) {
	down := errors.New("no connection")
	found := policy.Resource{Organization: "acme"}
	for name, test := range map[string]struct {
		resolver policy.Resolver
		reason   policy.Reason
		cause    string
	}{
		"error": {&countingResolver{resource: found, err: down}, policy.Unavailable, "the resource could not be resolved: no connection"},
		"panic": {policy.ResolverFunc(func(context.Context) (policy.Resource, error) { panic("no record") }),
			policy.Unavailable, "panic while deciding: no record"},
		"nil function":        {policy.ResolverFunc(nil), policy.Unavailable, "panic while deciding"},
		"no organization":     {&countingResolver{}, policy.InvalidRequest, "the resource has no organization"},
		"a project alone":     {&countingResolver{resource: policy.Resource{Project: "alpha"}}, policy.InvalidRequest, "the resource has no organization"},
		"the longest name":    {&countingResolver{resource: policy.Resource{Organization: strings.Repeat("x", 256)}}, policy.WrongOrganization, ""},
		"the longest project": {&countingResolver{resource: policy.Resource{Organization: "acme", Project: strings.Repeat("x", 256)}}, policy.ProjectNotGranted, ""},
		"a long name":         {&countingResolver{resource: policy.Resource{Organization: strings.Repeat("x", 257)}}, policy.InvalidRequest, "more than 256 bytes"},
		"a long project":      {&countingResolver{resource: policy.Resource{Organization: "acme", Project: strings.Repeat("x", 257)}}, policy.InvalidRequest, "more than 256 bytes"},
		"does not exist":      {&countingResolver{resource: policy.Resource{Organization: policy.NoOrganization}}, policy.WrongOrganization, ""},
	} {
		f := newFixture(t)
		f.resolveBy(test.resolver)
		d := f.decide(f.source())
		requireDenied(t, d, test.reason)
		if test.cause == "" {
			require.NoError(t, d.Cause, name)
		} else {
			require.ErrorContains(t, d.Cause, test.cause, name)
		}
	}

	// A caller that gave up while the resource was resolved is not served.
	f := newFixture(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("the caller is gone")
	f.resolveBy(policy.ResolverFunc(func(context.Context) (policy.Resource, error) {
		cancel(gone)
		return found, nil
	}))
	d := policy.New(f.source(), policy.WithClock(atNoon)).Decide(ctx, f.request)
	requireDenied(t, d, policy.Unavailable)
	require.ErrorIs(t, d.Cause, gone)
}

// NoOrganization is no valid name of a record.
func TestNoOrganizationIsNoName(t *testing.T) {
	require.Error(t, policy.Organization{ID: policy.NoOrganization}.Validate())
}

// A source that does not validate its records may have a key of that name. It reaches no
// resource that does not exist.
func TestNoOrganizationIsNobodys(t *testing.T) {
	f := newFixture(t)
	f.key.Organization, f.organization.ID = policy.NoOrganization, policy.NoOrganization
	f.resolveBy(&countingResolver{resource: policy.Resource{Organization: policy.NoOrganization}})
	requireDenied(t, f.decide(f.source()), policy.WrongOrganization)
	requireDenied(t, f.evaluate(), policy.WrongOrganization)
}

// Request.Err: an unreadable request is never allowed, whatever else it has, and the kind
// of its error decides the line.
func TestUnreadableRequestIsNeverAllowed(t *testing.T) {
	other := errors.New("two addresses")
	for _, test := range []struct {
		err          error
		reason       policy.Reason
		status       int
		code         string
		sourceIsRead bool
	}{
		{policy.ErrNoCredentials, policy.InvalidRequest, 401, "API_KEY_REQUIRED", false},
		{policy.ErrMalformedCredentials, policy.InvalidRequest, 400, "INVALID_REQUEST", false},
		{policy.ErrUndeclaredEndpoint, policy.InvalidRequest, 403, "API_KEY_CANNOT_USE_ENDPOINT", false},
		{policy.ErrTooEarly, policy.InvalidRequest, 425, "TOO_EARLY", false},
		{other, policy.InvalidRequest, 400, "INVALID_REQUEST", false},
		{policy.ErrUnavailable, policy.Unavailable, 503, "ACCESS_CONTROL_UNAVAILABLE", false},
		{policy.ErrInvalidCredentials, policy.WrongSecret, 401, "INVALID_API_KEY", true},
	} {
		for _, verifier := range []policy.Verifier{nil, policy.AlreadyVerified{}} {
			f := newFixture(t)
			if verifier != nil {
				f.verifyBy(verifier)
			}
			f.request.Err = test.err
			source := f.source()
			d := f.decide(source)
			requireDenied(t, d, test.reason)
			require.ErrorIs(t, d.Cause, test.err)
			require.Equal(t, test.status, d.Answer().Status)
			require.Equal(t, test.code, d.Answer().Code)
			require.Equal(t, test.sourceIsRead, source.asked == 1)
			require.Empty(t, d.SecretID())
		}
	}

	// Credentials that name no key cause no look-up (rule K2).
	f := newFixture(t)
	f.request.Key, f.request.Err = "", policy.ErrInvalidCredentials
	for _, source := range []*memory{f.source(), {}} {
		for _, s := range []policy.Source{source, source.waiting()} {
			d := f.decide(s)
			requireDenied(t, d, policy.UnknownKey)
			require.ErrorIs(t, d.Cause, policy.ErrInvalidCredentials)
		}
		require.Zero(t, source.asked)
	}
}

// Lines 6 to 8 are those of Key.Status, which shows a key's state to people.
func TestLines6To8AreTheKeysStatus(t *testing.T) {
	reasons := map[apikey.Status]policy.Reason{
		apikey.StatusActive: policy.AddressListed, apikey.StatusDisabled: policy.KeyDisabled,
		apikey.StatusNotYetValid: policy.KeyNotYetValid, apikey.StatusExpired: policy.KeyExpired,
	}
	bounds := []time.Time{{}, noon.Add(-1), noon, noon.Add(1)}
	for _, disabled := range []bool{false, true} {
		for _, notBefore := range bounds {
			for _, expires := range bounds {
				f := newFixture(t)
				f.key.Disabled, f.key.NotBefore, f.key.Expires = disabled, notBefore, expires
				require.Equal(t, reasons[f.key.Status(noon)], f.evaluate().Reason, "%v", f.key)
			}
		}
	}
}

func TestAlreadyVerifiedHolds(t *testing.T) {
	secret, err := policy.AlreadyVerified{}.Verify(apikey.Key{}, noon)
	require.NoError(t, err)
	require.Equal(t, -1, secret)
}
