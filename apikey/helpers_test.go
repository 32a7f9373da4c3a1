package apikey_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// noon is the present of every test that looks at times.
var noon = time.Date(2026, 5, 17, 12, 0, 0, 123456789, time.UTC)

func atNoon() time.Time { return noon }

func newIssuer(t testing.TB, config apikey.IssuerConfig) *apikey.Issuer {
	t.Helper()
	if config.Clock == nil {
		config.Clock = atNoon
	}
	issuer, err := apikey.NewIssuer(config)
	require.NoError(t, err)
	return issuer
}

func newKey(t testing.TB, issuer *apikey.Issuer) (apikey.Key, apikey.Secret) {
	t.Helper()
	key, secret, err := issuer.New("acme", apikey.Grant{Role: "backup.admin"})
	require.NoError(t, err)
	return key, secret
}

func rotate(t testing.TB, issuer *apikey.Issuer, key apikey.Key, overlap time.Duration) (apikey.Key, apikey.Secret) {
	t.Helper()
	key, secret, err := issuer.Rotate(key, overlap)
	require.NoError(t, err)
	return key, secret
}

// serverKeyBytes are the bytes of the server key that serverKey returns under the same ID.
func serverKeyBytes(id string) []byte { return bytes.Repeat([]byte(id+"!"), 32)[:40] }

func serverKey(t testing.TB, id string) apikey.ServerKey {
	t.Helper()
	key, err := apikey.NewServerKey(id, serverKeyBytes(id))
	require.NoError(t, err)
	return key
}

func invalidList(t testing.TB) accesslist.List {
	t.Helper()
	list, err := accesslist.Parse("everyone")
	require.Error(t, err)
	return list
}

// fullKey has something in every field.
func fullKey(t testing.TB) apikey.Key {
	t.Helper()
	issuer := newIssuer(t, apikey.IssuerConfig{
		ServerKeys:  []apikey.ServerKey{serverKey(t, "k1")},
		DigestRealm: "things", DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256},
	})
	key, _ := newKey(t, issuer)
	key, _ = rotate(t, issuer, key, time.Hour)
	list, err := accesslist.Parse("203.0.113.7", "198.51.100.0/24")
	require.NoError(t, err)
	key.ID = "Key_1-b"
	key.Description = "nightly backup <&> für \U0001F512"
	key.Disabled = true
	key.AccessList = list
	key.TrialList, err = accesslist.Parse("203.0.113.0/24")
	require.NoError(t, err)
	key.Grants = []apikey.Grant{
		{Role: "backup.admin"},
		{Role: "backup.viewer", Project: "staging"},
		{Role: "backup.viewer", AllProjects: true},
	}
	key.NotBefore = noon.Add(-time.Hour)
	key.Expires = noon.Add(time.Nanosecond)
	key.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "größer <&>", "archived": ""}, ExternalID: "cus_1"}
	key.Revision = 1<<64 - 1
	return key
}
