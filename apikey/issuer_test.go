package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

func TestNewIssuerPrefix(t *testing.T) {
	for _, good := range []string{"a", "a1", "a_b", "acme__2", strings.Repeat("a", 32)} {
		key, secret := newKey(t, newIssuer(t, apikey.IssuerConfig{Prefix: good}))
		require.True(t, strings.HasPrefix(secret.Reveal(), good+"_"+string(key.ID)+"_"))
	}
	for _, bad := range []string{"A", "1a", "_a", "a_", "_", "a-b", "a b", "é", "a\x00", strings.Repeat("a", 33)} {
		issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: bad})
		require.Nil(t, issuer)
		require.ErrorContains(t, err, "want 1 to 32 lowercase letters, digits and _")
	}
	require.Equal(t, "sp", apikey.DefaultPrefix)
}

func TestNewIssuerFindsEveryMistake(t *testing.T) {
	key := serverKey(t, "k1")
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{
		Prefix: "Acme", ServerKeys: []apikey.ServerKey{key, {}, key, serverKey(t, "k2")}})
	require.Nil(t, issuer)
	require.EqualError(t, err, `apikey: the prefix "Acme": want 1 to 32 lowercase letters, digits and _, `+
		`a letter first and no _ last, for example "sp"
apikey: ServerKeys[1] is a zero ServerKey: want one from NewServerKey, or Unkeyed
apikey: ServerKeys[2] has the ID "k1" of an earlier one: want an ID never used for another key`)

	_, err = apikey.NewIssuer(apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{apikey.Unkeyed()}})
	require.EqualError(t, err, "apikey: ServerKeys has Unkeyed and no server key: want one beside it, or an empty list")
	_, err = apikey.NewIssuer(apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{apikey.Unkeyed(), key, apikey.Unkeyed()}})
	require.EqualError(t, err, `apikey: ServerKeys[2] has the ID "" of an earlier one: want an ID never used for another key`)
}

func TestNewServerKeyRefusesBadIDsAndShortKeys(t *testing.T) {
	long := serverKeyBytes("k1")
	for id, want := range map[string]string{
		"":                      "apikey: the ID of a server key has 0 bytes: want 1 to 32 of",
		strings.Repeat("k", 33): "apikey: the ID of a server key has 33 bytes: want 1 to 32 of",
		"k.1":                   "apikey: the ID of a server key has the byte '.' at position 2",
	} {
		_, err := apikey.NewServerKey(id, long)
		require.ErrorContains(t, err, want)
	}
	_, err := apikey.NewServerKey("k1", long[:31])
	require.EqualError(t, err, `apikey: the server key "k1" has 31 bytes: want at least 32 random ones`)
	requireNoBytes(t, err.Error(), long, 6)
	_, err = apikey.NewServerKey(strings.Repeat("k", 32), long[:32])
	require.NoError(t, err)
}

func TestNewMakesAnActiveKeyWithAnOpenList(t *testing.T) {
	grants := []apikey.Grant{{Role: "viewer", Project: "p"}, {Role: "viewer", AllProjects: true}}
	key, secret, err := newIssuer(t, apikey.IssuerConfig{}).New("acme", grants...)
	require.NoError(t, err)
	require.NoError(t, key.Validate())
	require.Equal(t, apikey.StatusActive, key.Status(noon))
	require.Zero(t, key.AccessList.Len())
	require.Equal(t, apikey.Key{ID: key.ID, Organization: "acme", Grants: grants, Secrets: key.Secrets, Created: noon}, key)
	requireVerifies(t, secret, key.Secrets, noon, 0)

	grants[0].Role = "owner"
	require.Equal(t, "viewer", key.Grants[0].Role, "the caller's slice is not shared")
}

func TestNewOfTheDefaultIssuerUsesThePresent(t *testing.T) {
	for name, issuer := range map[string]*apikey.Issuer{"nil": nil, "zero": {}} {
		before := time.Now().Round(0)
		key, secret, err := issuer.New("acme")
		require.NoError(t, err, name)
		require.False(t, key.Created.Before(before))
		require.False(t, key.Created.After(time.Now()))
		require.Equal(t, time.UTC, key.Created.Location())
		require.True(t, strings.HasPrefix(secret.Reveal(), "sp_"))
	}
	key, first, err := apikey.New("acme")
	require.NoError(t, err)
	key, second, err := apikey.Rotate(key, time.Hour)
	require.NoError(t, err)
	requireVerifies(t, first, key.Secrets, time.Now(), 0)
	requireVerifies(t, second, key.Secrets, time.Now(), 1)
}

func TestNewRefusesBadNames(t *testing.T) {
	key, secret, err := apikey.New(" acme", apikey.Grant{})
	require.True(t, key.Equal(apikey.Key{}))
	require.True(t, secret.IsZero())
	require.EqualError(t, err, `apikey: the organization " acme" begins or ends with white space: want it without
apikey: the role of Grants[0] is empty: want 1 to 256 bytes`)
}

// A service may have IDs of its own, and may hand out a second secret without ending the first.
func TestIssueAddsASecretAndChangesNothingElse(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	given := apikey.Key{ID: "deploy-7", Organization: "acme", Created: noon.Add(-time.Hour), Description: "from elsewhere"}
	key, first, err := issuer.Issue(given)
	require.NoError(t, err)
	require.Empty(t, given.Secrets, "the key that was given is not changed")
	want := given
	want.Secrets = key.Secrets
	require.Equal(t, want, key)
	requireVerifies(t, first, key.Secrets, noon, 0)

	second, shown, err := issuer.Issue(key)
	require.NoError(t, err)
	require.Len(t, key.Secrets, 1)
	require.Equal(t, key.Secrets[0], second.Secrets[0], "a live secret stays as it is")
	requireVerifies(t, first, second.Secrets, noon, 0)
	requireVerifies(t, shown, second.Secrets, noon, 1)

	_, _, err = issuer.Issue(second)
	require.ErrorIs(t, err, apikey.ErrTwoSecrets)
	second.Secrets[0].Expires = noon
	third, _, err := issuer.Issue(second)
	require.NoError(t, err, "an expired secret makes room")
	require.Equal(t, second.Secrets[1], third.Secrets[0])

	_, secret, err := issuer.Issue(apikey.Key{ID: "a b", Organization: "acme"})
	require.ErrorContains(t, err, "the key ID has the byte ' '")
	require.True(t, secret.IsZero())

	fresh, _, err := apikey.Issue(apikey.Key{Organization: "acme"})
	require.NoError(t, err)
	require.NoError(t, fresh.Validate())
	require.False(t, fresh.Created.IsZero())
}

func TestK4RotationKeepsTheOldSecretForTheOverlap(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	key, first := newKey(t, issuer)
	before := key.Clone()

	rotated, second := rotate(t, issuer, key, time.Hour)
	require.Equal(t, before, key, "the key that was given is not changed")
	require.NotEqual(t, first.Reveal(), second.Reveal())
	require.Len(t, rotated.Secrets, 2)
	require.Equal(t, key.Secrets[0].Sum, rotated.Secrets[0].Sum, "the oldest comes first")
	require.Equal(t, noon.Add(time.Hour), rotated.Secrets[0].Expires)
	require.Equal(t, noon, rotated.Secrets[1].Created)
	require.Zero(t, rotated.Secrets[1].Expires)
	require.NoError(t, rotated.Validate())

	id, _, err := issuer.Parse(second.Reveal())
	require.NoError(t, err)
	require.Equal(t, key.ID, id)

	rotated.Secrets = key.Secrets
	require.Equal(t, before, rotated, "nothing else is changed")
}

func TestK4OverlapOfZeroEndsEveryEarlierSecret(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	key, first := newKey(t, issuer)
	key, second := rotate(t, issuer, key, time.Hour)
	key, third := rotate(t, issuer, key, 0)
	require.Len(t, key.Secrets, 1)
	requireDenied(t, first, key.Secrets, noon, apikey.ErrWrongSecret)
	requireDenied(t, second, key.Secrets, noon, apikey.ErrWrongSecret)
	requireVerifies(t, third, key.Secrets, noon, 0)
}

func TestK4AtMostTwoSecretsLive(t *testing.T) {
	now := noon
	issuer := newIssuer(t, apikey.IssuerConfig{Clock: func() time.Time { return now }})
	key, first := newKey(t, issuer)
	key, second := rotate(t, issuer, key, time.Hour)

	_, secret, err := issuer.Rotate(key, time.Minute)
	require.True(t, secret.IsZero())
	require.ErrorIs(t, err, apikey.ErrTwoSecrets)
	require.EqualError(t, err, `apikey: the key has two live secrets already: key "`+string(key.ID)+
		`", the older until 2026-05-17T13:00:00.123456789Z: want to wait until then, `+
		`or Rotate with an overlap of 0, to end both at once`)

	now = noon.Add(time.Hour) // the older one has expired, and is dropped
	key, third := rotate(t, issuer, key, time.Minute)
	require.Len(t, key.Secrets, 2)
	requireDenied(t, first, key.Secrets, now, apikey.ErrWrongSecret)
	requireVerifies(t, second, key.Secrets, now, 0)
	requireVerifies(t, third, key.Secrets, now, 1)
}

func TestK4TwoSecretsThatDoNotExpire(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	key, _ := newKey(t, issuer)
	key, _ = rotate(t, issuer, key, time.Hour)
	key.Secrets[0].Expires = time.Time{}
	_, _, err := issuer.Rotate(key, time.Hour)
	require.ErrorIs(t, err, apikey.ErrTwoSecrets)
	require.ErrorContains(t, err, "none of them expires: want Rotate with an overlap of 0")

	key.Secrets[1].Expires = noon.Add(time.Minute)
	_, _, err = issuer.Rotate(key, time.Hour)
	require.ErrorContains(t, err, "until 2026-05-17T12:01:00.123456789Z")
}

// A secret that expires during the call must not let the other one live on beyond the
// overlap.
func TestK4RotateReadsTheClockOnce(t *testing.T) {
	now := noon
	issuer := newIssuer(t, apikey.IssuerConfig{Clock: func() time.Time { now = now.Add(time.Hour); return now }})
	key, _ := newKey(t, newIssuer(t, apikey.IssuerConfig{}))
	key, _ = rotate(t, newIssuer(t, apikey.IssuerConfig{}), key, 90*time.Minute)
	_, secret, err := issuer.Rotate(key, time.Minute)
	require.ErrorIs(t, err, apikey.ErrTwoSecrets)
	require.True(t, secret.IsZero())
}

func TestK4OverlapDoesNotProlongASecret(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	for own, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, 2 * time.Hour: time.Hour} {
		key, _ := newKey(t, issuer)
		key.Secrets[0].Expires = noon.Add(own)
		rotated, _ := rotate(t, issuer, key, time.Hour)
		require.Equal(t, noon.Add(want), rotated.Secrets[0].Expires)
		require.Equal(t, noon.Add(own), key.Secrets[0].Expires, "the key that was given is not changed")
	}
}

func TestK4RotateAKeyWithoutSecretsAddsOne(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	for _, overlap := range []time.Duration{0, time.Hour} {
		key, secret := rotate(t, issuer, apikey.Key{ID: "k", Organization: "acme"}, overlap)
		require.Len(t, key.Secrets, 1)
		requireVerifies(t, secret, key.Secrets, noon, 0)
	}
}

func TestK4RotateRefuses(t *testing.T) {
	key, _ := newKey(t, nil)
	_, secret, err := apikey.Rotate(key, -time.Second)
	require.True(t, secret.IsZero())
	require.EqualError(t, err, "apikey: the overlap -1s is negative: want 0, "+
		"to end the earlier secrets at once, or more")

	key.ID = "a b"
	_, secret, err = apikey.Rotate(key, 0)
	require.True(t, secret.IsZero())
	require.ErrorContains(t, err, "apikey: the key ID has the byte ' ' at position 2")
}
