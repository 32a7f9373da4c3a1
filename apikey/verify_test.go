package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

func requireVerifies(t *testing.T, secret apikey.Secret, stored []apikey.StoredSecret, now time.Time, index int) {
	t.Helper()
	got, err := secret.Verify(stored, now)
	require.NoError(t, err)
	require.Equal(t, index, got)
}

func requireDenied(t *testing.T, secret apikey.Secret, stored []apikey.StoredSecret, now time.Time, want error) {
	t.Helper()
	got, err := secret.Verify(stored, now)
	require.Equal(t, want, err, "the sentinel itself: an answer to a stranger allocates nothing")
	require.Equal(t, -1, got)
}

// parsed is the secret as a caller would show it.
func parsed(t testing.TB, issuer *apikey.Issuer, secret apikey.Secret) apikey.Secret {
	t.Helper()
	_, shown, err := issuer.Parse(secret.Reveal())
	require.NoError(t, err)
	return shown
}

func TestK1StoredIsTheHashAndNeverTheText(t *testing.T) {
	plain := newIssuer(t, apikey.IssuerConfig{})
	key, secret := newKey(t, plain)
	require.Equal(t, []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(secret.Reveal())), Created: noon}}, key.Secrets)
	for how, output := range printed(t, key, 1) {
		t.Run(how, func(t *testing.T) { requireNoLeak(t, output, secret) })
	}
}

func TestStoredSecretID(t *testing.T) {
	require.Equal(t, "9f86d081", apikey.StoredSecret{Sum: sha256.Sum256([]byte("test"))}.ID())
	require.Equal(t, "00000000", apikey.StoredSecret{}.ID())
}

// The sum is computed a second time by crypto/hmac itself, and for one text it was computed by OpenSSL and by Python:
// printf %s sp_bbzw… | openssl dgst -sha256 -hmac k1!k1!…
func TestK1HMACKnownAnswer(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(t, "k1")}})
	for range 3 { // the later rounds take a state from the pool
		key, secret := newKey(t, issuer)
		mac := hmac.New(sha256.New, serverKeyBytes("k1"))
		mac.Write([]byte(secret.Reveal()))
		require.Equal(t, mac.Sum(nil), key.Secrets[0].Sum[:])
		require.Equal(t, "k1", key.Secrets[0].ServerKey)
	}

	const text = "sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3zaMkX"
	_, shown, err := issuer.Parse(text)
	require.NoError(t, err)
	sum, err := hex.DecodeString("c385e3e1f47ac9eb15a574f4e0f4a509cd7c96645053dee03966cfcf9fe7b639")
	require.NoError(t, err)
	requireVerifies(t, shown, []apikey.StoredSecret{{ServerKey: "k1", Sum: [32]byte(sum)}}, noon, 0)
}

func TestNewServerKeyCopiesTheBytes(t *testing.T) {
	raw := serverKeyBytes("k1")
	key, err := apikey.NewServerKey("k1", raw)
	require.NoError(t, err)
	clear(raw)
	issuer := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{key}})
	stored, secret := newKey(t, newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(t, "k1")}}))
	requireVerifies(t, parsed(t, issuer, secret), stored.Secrets, noon, 0)
}

func TestK4VerifyTellsWhichLiveSecretMatched(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{})
	key, first := newKey(t, issuer)
	key, second := rotate(t, issuer, key, time.Hour)
	_, stranger := newKey(t, issuer)

	requireVerifies(t, first, key.Secrets, noon, 0)
	requireVerifies(t, second, key.Secrets, noon, 1)
	requireVerifies(t, parsed(t, issuer, second), key.Secrets, noon, 1)
	requireDenied(t, stranger, key.Secrets, noon, apikey.ErrWrongSecret)

	end := noon.Add(time.Hour)
	requireVerifies(t, first, key.Secrets, end.Add(-time.Nanosecond), 0)
	requireDenied(t, first, key.Secrets, end, apikey.ErrWrongSecret)
	requireVerifies(t, second, key.Secrets, end.Add(time.Hour), 1)

	// A record with more than two is not valid, and yet none of its secrets is overlooked.
	more := append([]apikey.StoredSecret{{}, {Sum: [32]byte{1}}}, key.Secrets...)
	requireVerifies(t, second, more, noon, 3)
	requireDenied(t, stranger, more, noon, apikey.ErrWrongSecret)
}

func TestK3NoRecordIsAWrongSecret(t *testing.T) {
	for _, issuer := range []*apikey.Issuer{
		nil,
		newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(t, "k1")}}),
	} {
		_, secret := newKey(t, issuer)
		requireDenied(t, secret, nil, noon, apikey.ErrWrongSecret)
		requireDenied(t, secret, []apikey.StoredSecret{}, noon, apikey.ErrWrongSecret)
	}
}

func TestZeroSecretVerifysNothing(t *testing.T) {
	ofNothing := []apikey.StoredSecret{{Sum: sha256.Sum256(nil)}, {}, {ServerKey: "unknown"}}
	requireDenied(t, apikey.Secret{}, ofNothing, noon, apikey.ErrWrongSecret)
	requireDenied(t, apikey.Secret{}, nil, noon, apikey.ErrWrongSecret)
}

func TestServerKeyRotation(t *testing.T) {
	old, next := serverKey(t, "old"), serverKey(t, "next")
	before := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{old}})
	during := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{next, old}})
	after := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{next}})

	key, secret := newKey(t, before)
	requireVerifies(t, parsed(t, before, secret), key.Secrets, noon, 0)
	requireVerifies(t, parsed(t, during, secret), key.Secrets, noon, 0)
	requireDenied(t, parsed(t, after, secret), key.Secrets, noon, apikey.ErrUnknownServerKey)
	requireDenied(t, parsed(t, nil, secret), key.Secrets, noon, apikey.ErrUnknownServerKey)

	key, second := rotate(t, during, key, time.Hour)
	require.Equal(t, "next", key.Secrets[1].ServerKey)
	requireVerifies(t, parsed(t, during, secret), key.Secrets, noon, 0)
	requireVerifies(t, parsed(t, during, second), key.Secrets, noon, 1)
	requireVerifies(t, parsed(t, after, second), key.Secrets, noon, 1)

	// Once the old one has expired it explains nothing any more.
	_, stranger := newKey(t, after)
	requireDenied(t, stranger, key.Secrets, noon, apikey.ErrUnknownServerKey)
	requireDenied(t, stranger, key.Secrets, noon.Add(time.Hour), apikey.ErrWrongSecret)
}

// What Rehash returns is the same secret under the first server key, with its ID.
func TestRehash(t *testing.T) {
	first, second, third := serverKey(t, "first"), serverKey(t, "second"), serverKey(t, "third")
	key, secret := newKey(t, newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{first}}))
	key, _ = rotate(t, newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{first}}), key, time.Hour)
	stored := key.Secrets[0]

	moving := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{second, first}})
	rehashed, ok := parsed(t, moving, secret).Rehash(stored)
	require.True(t, ok)
	mac := hmac.New(sha256.New, serverKeyBytes("second"))
	mac.Write([]byte(secret.Reveal()))
	require.Equal(t, apikey.StoredSecret{ServerKey: "second", Sum: [32]byte(mac.Sum(nil)), FormerID: stored.ID(), Created: noon, Expires: noon.Add(time.Hour)}, rehashed)
	require.Equal(t, stored.ID(), rehashed.ID(), "its usage goes on")
	require.Empty(t, stored.FormerID, "the argument stays as it is")
	key.Secrets[0] = rehashed
	require.NoError(t, key.Validate())
	after := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{second}})
	requireVerifies(t, parsed(t, after, secret), key.Secrets, noon, 0)

	// A second time: the ID stays the first one.
	again, ok := parsed(t, newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{third, second}}), secret).Rehash(rehashed)
	require.True(t, ok)
	require.Equal(t, "third", again.ServerKey)
	require.Equal(t, stored.ID(), again.ID())

	// From no server key to one.
	plain, plainSecret := newKey(t, nil)
	keyed := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{first, apikey.Unkeyed()}})
	rehashed, ok = parsed(t, keyed, plainSecret).Rehash(plain.Secrets[0])
	require.True(t, ok)
	require.Equal(t, "first", rehashed.ServerKey)
	require.Equal(t, plain.Secrets[0].ID(), rehashed.ID())
}

// Nobody's secret is put in the place of another's: Rehash verifies by itself.
func TestRehashRefuses(t *testing.T) {
	first, second := serverKey(t, "first"), serverKey(t, "second")
	before := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{first}})
	moving := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{second, first}})
	key, secret := newKey(t, before)
	_, stranger := newKey(t, moving)
	plain, plainSecret := newKey(t, nil)
	fresh, freshSecret := newKey(t, moving)
	renamed := key.Secrets[0]
	renamed.ServerKey = "second"
	for name, test := range map[string]struct {
		secret apikey.Secret
		stored apikey.StoredSecret
	}{
		"another secret":                     {stranger, key.Secrets[0]},
		"the zero secret":                    {apikey.Secret{}, key.Secrets[0]},
		"the zero secret, the hash of ''":    {apikey.Secret{}, apikey.StoredSecret{Sum: sha256.Sum256(nil)}},
		"nothing stored":                     {secret, apikey.StoredSecret{}},
		"under the first server key":         {freshSecret, fresh.Secrets[0]},
		"under the name of the first":        {parsed(t, moving, secret), renamed},
		"an issuer without the old key":      {parsed(t, newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{second}}), secret), key.Secrets[0]},
		"an issuer without server keys":      {parsed(t, nil, secret), key.Secrets[0]},
		"no server key, which is not wanted": {parsed(t, moving, plainSecret), plain.Secrets[0]},
		"no server key, and none to come":    {plainSecret, plain.Secrets[0]},
	} {
		rehashed, ok := test.secret.Rehash(test.stored)
		require.False(t, ok, name)
		require.Zero(t, rehashed, name)
	}
}

// The sum of one server key under the name of another proves nothing.
func TestServerKeyIDCounts(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{
		ServerKeys: []apikey.ServerKey{serverKey(t, "a"), serverKey(t, "b"), apikey.Unkeyed()}})
	key, secret := newKey(t, issuer)
	for _, id := range []string{"b", ""} {
		key.Secrets[0].ServerKey = id
		requireDenied(t, secret, key.Secrets, noon, apikey.ErrWrongSecret)
	}
}

// A service moves to server keys, or back: each step verifies what the one before and the one after it have stored.
func TestUnkeyed(t *testing.T) {
	k1 := serverKey(t, "k1")
	learning := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{apikey.Unkeyed(), k1}})
	moving := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{k1, apikey.Unkeyed()}})
	strict := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{k1}})
	steps := []*apikey.Issuer{nil, learning, moving, strict}
	for n, by := range steps {
		key, secret := newKey(t, by)
		require.Equal(t, n >= 2, key.Secrets[0].ServerKey == "k1", "step %d", n)
		rehashed, ok := parsed(t, moving, secret).Rehash(key.Secrets[0])
		require.Equal(t, n < 2, ok, "step %d", n)
		for m := max(n-1, 0); m <= min(n+1, len(steps)-1); m++ {
			requireVerifies(t, parsed(t, steps[m], secret), key.Secrets, noon, 0)
		}
		if ok {
			requireVerifies(t, parsed(t, learning, secret), []apikey.StoredSecret{rehashed}, noon, 0)
		}
	}

	key, secret := newKey(t, nil)
	requireDenied(t, parsed(t, strict, secret), key.Secrets, noon, apikey.ErrUnknownServerKey)
	requireVerifies(t, parsed(t, moving, secret), key.Secrets, noon, 0)

	key, second := rotate(t, moving, key, time.Hour)
	require.Equal(t, "k1", key.Secrets[1].ServerKey, "new secrets are hashed under the server key")
	requireVerifies(t, second, key.Secrets, noon, 1)
	requireVerifies(t, parsed(t, moving, secret), key.Secrets, noon, 0)
}

func TestVerifyAndParseDoNotAllocate(t *testing.T) {
	for name, config := range map[string]apikey.IssuerConfig{
		"sha256": {},
		"hmac":   {ServerKeys: []apikey.ServerKey{serverKey(t, "k1")}},
		"both":   {ServerKeys: []apikey.ServerKey{serverKey(t, "k1"), serverKey(t, "k2"), apikey.Unkeyed()}},
	} {
		issuer := newIssuer(t, config)
		limit := float64(allocsOfPool * len(config.ServerKeys))
		key, secret := newKey(t, issuer)
		_, stranger := newKey(t, issuer)
		text := secret.Reveal()
		unknown := []apikey.StoredSecret{{ServerKey: "unknown"}}
		for what, verify := range map[string]func() error{
			"right":              func() error { _, err := secret.Verify(key.Secrets, noon); return err },
			"wrong":              func() error { _, err := stranger.Verify(key.Secrets, noon); return err },
			"no record":          func() error { _, err := secret.Verify(nil, noon); return err },
			"unknown server key": func() error { _, err := secret.Verify(unknown, noon); return err },
		} {
			var err error
			allocs := testing.AllocsPerRun(1000, func() { err = verify() })
			require.LessOrEqual(t, allocs, limit, "%s, %s", name, what)
			require.Equal(t, what == "right", err == nil)
		}

		var err error
		var id apikey.ID
		var shown apikey.Secret
		require.Zero(t, testing.AllocsPerRun(1000, func() { id, shown, err = issuer.Parse(text) }), name)
		require.NoError(t, err)
		require.Equal(t, key.ID, id)
		requireVerifies(t, shown, key.Secrets, noon, 0)
	}
}

func TestVerifyByManyAtOnce(t *testing.T) {
	issuer := newIssuer(t, apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey(t, "k1")}})
	errs := make(chan error, 8)
	var group sync.WaitGroup
	for range cap(errs) {
		key, secret := newKey(t, issuer)
		group.Go(func() {
			for range 200 {
				if n, err := secret.Verify(key.Secrets, noon); n != 0 || err != nil {
					errs <- fmt.Errorf("index %d: %w", n, err)
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}
