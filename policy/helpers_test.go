package policy_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// noon is when the tests happen.
var noon = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// memory answers every look-up at once with the same three values, which a test may
// change between decisions. asked counts the look-ups.
type memory struct {
	subject policy.Subject
	found   bool
	err     error
	asked   int
}

func (m *memory) LookupNow(apikey.ID) (policy.Subject, bool, error) {
	m.asked++
	return m.subject, m.found, m.err
}

func (m *memory) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return m.LookupNow(id)
}

// waiting is the same source without LookupNow, so that the Engine waits for it.
func (m *memory) waiting() policy.Source { return policy.SourceFunc(m.Lookup) }

// fixture is a key for 203.0.113.7, its organization, and an allowed request. Tests change
// what they are about.
type fixture struct {
	key          apikey.Key
	organization policy.Organization
	secret       apikey.Secret
	request      policy.Request
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "reader"}, apikey.Grant{Role: "reader", Project: "alpha"})
	require.NoError(t, err)
	key.ID = "key-1"
	key.AccessList = list(t, "203.0.113.7")
	return &fixture{
		key:          key,
		organization: policy.Organization{ID: "acme"},
		secret:       secret,
		request: policy.Request{
			Key: "key-1", Secret: secret, Client: netip.MustParseAddr("203.0.113.7"),
			Organization: "acme", Endpoint: &policy.Endpoint{Name: "things.read"},
		},
	}
}

// subject copies the records, so that a test may change the fixture afterwards.
func (f *fixture) subject() policy.Subject {
	key, organization := f.key.Clone(), f.organization
	return policy.NewSubject(&key, &organization)
}

func (f *fixture) source() *memory { return &memory{subject: f.subject(), found: true} }

// verifyBy replaces the secret by another proof.
func (f *fixture) verifyBy(v policy.Verifier) {
	f.request.Secret, f.request.Verifier = apikey.Secret{}, v
}

func (f *fixture) evaluate() policy.Decision { return policy.Evaluate(f.subject(), f.request, noon) }

func (f *fixture) decide(source policy.Source, options ...policy.Option) policy.Decision {
	options = append([]policy.Option{policy.WithClock(atNoon), policy.WithTimeout(time.Minute)}, options...)
	return policy.New(source, options...).Decide(context.Background(), f.request)
}

func list(t testing.TB, texts ...string) accesslist.List {
	t.Helper()
	l, err := accesslist.Parser{AllowIPv6: true}.Parse(texts...)
	require.NoError(t, err)
	return l
}

func expired(t testing.TB, text string, expires time.Time) accesslist.Entry {
	t.Helper()
	e, err := accesslist.ParseEntry(text)
	require.NoError(t, err)
	e.Expires = expires
	return e
}

// newSecret returns another secret of a key.
func newSecret(t testing.TB, id apikey.ID) (apikey.StoredSecret, apikey.Secret) {
	t.Helper()
	key, secret, err := apikey.Issue(apikey.Key{ID: id, Organization: "acme"})
	require.NoError(t, err)
	return key.Secrets[0], secret
}

// requireDenied checks a decision from every side from which a caller might read
// it as an admission.
func requireDenied(t testing.TB, d policy.Decision, reason policy.Reason) {
	t.Helper()
	require.Equal(t, reason.String(), d.Reason.String(), "%v", d)
	require.False(t, d.Allowed())
	require.False(t, d.Reason.Allows())
	_, ok := d.Entry()
	require.False(t, ok, "no entry admitted anybody")
	require.NotEqual(t, 200, d.Answer().Status)
	require.NotEmpty(t, d.Answer().Code)
	require.NotEmpty(t, d.Answer().Message)
	require.True(t, strings.HasPrefix(d.String(), "deny "), d.String())
	require.True(t, strings.HasPrefix(d.Explain(), "deny "), d.Explain())
}

// verifierFunc is a function as a Verifier.
type verifierFunc func(apikey.Key, time.Time) error

func (f verifierFunc) Verify(key apikey.Key, now time.Time) (int, error) { return -1, f(key, now) }
