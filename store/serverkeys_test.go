package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
)

// The rotation of a server key, from the new one to the end of the old one.
func ExampleCountServerKeys() {
	ctx := context.Background()
	keys := memory.New()
	_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	must(err)
	key, secret, err := issuerUnder("2025-11").New("acme")
	must(err)
	_, err = keys.PutKey(ctx, key, store.AllowOpen)
	must(err)

	// 1. Every process learns the new server key, behind the old one: issuerUnder("2025-11", "2026-05").
	// 2. Then every process hashes new secrets under it.
	issuer := issuerUnder("2026-05", "2025-11")

	// 3. Secrets that are proven are hashed again. An observer must not wait, so it hands the
	// key on. If the Put fails, the next call offers the key again.
	rehashed := make(chan apikey.Key, 100)
	engine := policy.New(keys, policy.WithObserver(func(_ context.Context, d policy.Decision) {
		if key, ok := d.Rehashed(); ok {
			select {
			case rehashed <- key:
			default: // enough for now
			}
		}
	}))
	call := func(issuer *apikey.Issuer) policy.Decision {
		id, shown, err := issuer.Parse(secret.Reveal()) // the guard does this
		must(err)
		return engine.Decide(ctx, policy.Request{Key: id, Secret: shown, Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"})
	}
	count := func() {
		counts, err := store.CountServerKeys(ctx, keys, time.Now())
		fmt.Println(counts, err)
	}
	count()
	fmt.Println(call(issuer).Reason)
	_, err = keys.PutKey(ctx, <-rehashed) // in a goroutine of its own
	fmt.Println(err)

	// 4. Nothing is left under the old one: drop it. Otherwise rotate the secrets that are not
	// in use, with their owners, or delete their keys.
	count()
	fmt.Println(call(issuerUnder("2026-05")).Reason)
	// Output:
	// map[2025-11:1] <nil>
	// open_list
	// <nil>
	// map[2026-05:1] <nil>
	// open_list
}

// issuerUnder returns an issuer with server keys; the service has theirs from a key
// management service.
func issuerUnder(ids ...string) *apikey.Issuer {
	var config apikey.IssuerConfig
	for _, id := range ids {
		key, err := apikey.NewServerKey(id, []byte("32 random bytes of the service, "+id))
		must(err)
		config.ServerKeys = append(config.ServerKeys, key)
	}
	issuer, err := apikey.NewIssuer(config)
	must(err)
	return issuer
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func TestCountServerKeys(t *testing.T) {
	ctx, s, now := t.Context(), memory.New(), time.Now()
	counts, err := store.CountServerKeys(ctx, s, now)
	require.NoError(t, err)
	assert.Empty(t, counts)

	put := func(organization string, issuer *apikey.Issuer, change func(*apikey.Key)) {
		t.Helper()
		key, _, err := issuer.New(organization)
		require.NoError(t, err)
		change(&key)
		_, err = s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
	}
	same := func(*apikey.Key) {}
	for _, id := range []string{"acme", "globex", "without keys"} {
		_, err := s.PutOrganization(ctx, policy.Organization{ID: id, Disabled: id == "globex"})
		require.NoError(t, err)
	}
	put("acme", issuerUnder("a"), same)
	put("acme", issuerUnder("a"), func(k *apikey.Key) { k.Disabled = true }) // it may be switched on again
	put("globex", issuerUnder("b"), func(k *apikey.Key) {
		rotated, _, err := issuerUnder("a").Rotate(*k, time.Hour)
		require.NoError(t, err)
		*k = rotated
	})
	put("globex", nil, same)
	for at, want := range map[time.Time]map[string]int{
		now:                    {"a": 3, "b": 1, "": 1},
		now.Add(2 * time.Hour): {"a": 3, "": 1},
	} {
		counts, err = store.CountServerKeys(ctx, s, at)
		require.NoError(t, err)
		assert.Equal(t, want, counts)
	}

	// What was not read is not zero.
	down := errors.New("down")
	for _, method := range []faulty.Method{faulty.Organizations, faulty.Keys} {
		f := faulty.New(s)
		f.Break(faulty.Fail(down), method)
		counts, err = store.CountServerKeys(ctx, f, now)
		require.ErrorIs(t, err, down, method)
		assert.Nil(t, counts)
	}
}
