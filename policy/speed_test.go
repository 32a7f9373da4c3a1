package policy_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// One table for the allocation tests and the benchmarks.
var speedLists = []int{0, 1, 20, 200}

// speedFixture is a key with a list of n blocks. The last one covers the client, and half
// of them have an expiry.
func speedFixture(t testing.TB, n int, withProof bool) *fixture {
	f := newFixture(t)
	var entries []accesslist.Entry
	for i := range n {
		expires := time.Time{}
		if i%2 == 1 {
			expires = noon.Add(time.Hour)
		}
		entries = append(entries, expired(t, fmt.Sprintf("10.%d.%d.0/24", (n-1-i)/100, (n-1-i)%100), expires))
	}
	var err error
	f.key.AccessList, err = accesslist.List{}.With(entries...)
	require.NoError(t, err)
	f.request.Client = netip.MustParseAddr(fmt.Sprintf("10.%d.%d.77", max(n-1, 0)/100, max(n-1, 0)%100))
	f.request.Project, f.request.Endpoint.Roles = "alpha", []string{"writer", "reader"}
	if !withProof {
		f.verifyBy(policy.AlreadyVerified{})
	}
	return f
}

func TestDecideDoesNotAllocate(t *testing.T) {
	for _, n := range speedLists {
		for _, withProof := range []bool{true, false} {
			f := speedFixture(t, n, withProof)
			for client, want := range map[netip.Addr]policy.Reason{
				f.request.Client:                        policy.AddressListed,
				netip.MustParseAddr("::ffff:10.0.0.77"): policy.AddressListed,
				netip.MustParseAddr("192.0.2.1"):        policy.AddressNotListed,
				netip.MustParseAddr("2001:db8::1"):      policy.AddressNotListed,
			} {
				if n == 0 {
					want = policy.OpenList
				}
				f.request.Client = client
				subject, engine := f.subject(), policy.New(f.source(), policy.WithClock(atNoon))
				ctx := context.Background()
				require.Equal(t, want, engine.Decide(ctx, f.request).Reason)
				name := fmt.Sprintf("%d entries, proof %t, %s", n, withProof, want)
				require.Zero(t, testing.AllocsPerRun(100, func() { policy.Evaluate(subject, f.request, noon) }), "Evaluate: %s", name)
				require.Zero(t, testing.AllocsPerRun(100, func() { engine.Decide(ctx, f.request) }), "Decide: %s", name)
				require.Zero(t, testing.AllocsPerRun(100, func() { engine.Decide(ctx, f.request).Entry() }), "Entry: %s", name)
			}
		}
	}
}

// Early lines, the observer's call, and the denials of a flood (a wrong secret, an unknown
// key) allocate nothing either.
func TestDenialsDoNotAllocate(t *testing.T) {
	f := speedFixture(t, 20, true)
	ctx := context.Background()
	observed := 0
	observer := policy.WithObserver(func(context.Context, policy.Decision) { observed++ })
	engine := policy.New(f.source(), policy.WithClock(atNoon), observer)
	empty := policy.New(&memory{}, policy.WithClock(atNoon), observer)
	_, wrong := newSecret(t, "key-1")
	verified := f.request
	for want, change := range map[policy.Reason]func(*policy.Request){
		policy.InvalidRequest:    func(r *policy.Request) { r.Client = netip.Addr{} },
		policy.ConsoleForbidden:  func(r *policy.Request) { r.Console = true },
		policy.WrongSecret:       func(r *policy.Request) { r.Secret = wrong },
		policy.WrongOrganization: func(r *policy.Request) { r.Organization = "globex" },
		policy.ProjectNotGranted: func(r *policy.Request) { r.Project = "beta" },
		policy.RoleMissing:       func(r *policy.Request) { r.Endpoint = &policy.Endpoint{Roles: []string{"writer"}} },
	} {
		request := verified
		change(&request)
		require.Equal(t, want, engine.Decide(ctx, request).Reason)
		require.Zero(t, testing.AllocsPerRun(100, func() { engine.Decide(ctx, request) }), "%s", want)
	}
	require.Equal(t, policy.UnknownKey, empty.Decide(ctx, verified).Reason)
	require.Zero(t, testing.AllocsPerRun(100, func() { empty.Decide(ctx, verified) }))

	// Rule K3: a Verifier is given a copy of the key, and for no key as much is copied.
	refused := verified
	refused.Secret, refused.Verifier = apikey.Secret{}, verifierFunc(func(apikey.Key, time.Time) error { return apikey.ErrWrongSecret })
	require.Equal(t, policy.WrongSecret, engine.Decide(ctx, refused).Reason)
	known := testing.AllocsPerRun(100, func() { engine.Decide(ctx, refused) })
	require.Equal(t, known, testing.AllocsPerRun(100, func() { empty.Decide(ctx, refused) }))
	require.NotZero(t, observed)
}

// The baseline is what somebody would write for one service: a map of keys, a hash
// and a sorted slice of ranges. It has no reasons, expiries, requirement or grants.
type baselineKey struct {
	sum    [sha256.Size]byte
	ranges []baselineRange
}

type baselineRange struct{ first, last uint32 }

func newBaseline(f *fixture) map[string]*baselineKey {
	key := &baselineKey{sum: sha256.Sum256([]byte(f.secret.Reveal()))}
	for e := range f.key.AccessList.All() {
		b := e.Prefix().Addr().As4()
		first := binary.BigEndian.Uint32(b[:])
		key.ranges = append(key.ranges, baselineRange{first, first | (1<<(32-e.Prefix().Bits()) - 1)})
	}
	return map[string]*baselineKey{string(f.key.ID): key}
}

func baselineAllows(keys map[string]*baselineKey, id string, secret []byte, client netip.Addr) bool {
	key, ok := keys[id]
	if !ok {
		return false
	}
	if secret != nil {
		if sum := sha256.Sum256(secret); subtle.ConstantTimeCompare(sum[:], key.sum[:]) != 1 {
			return false
		}
	}
	if len(key.ranges) == 0 {
		return true
	}
	b := client.As4()
	addr := binary.BigEndian.Uint32(b[:])
	i, exact := slices.BinarySearchFunc(key.ranges, addr, func(r baselineRange, addr uint32) int { return cmp.Compare(r.first, addr) })
	return exact || i > 0 && addr <= key.ranges[i-1].last
}

// mapSource looks the key up as a store in memory does.
type mapSource map[apikey.ID]policy.Subject

func (m mapSource) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	subject, found := m[id]
	return subject, found, nil
}

func (m mapSource) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return m.LookupNow(id)
}

func BenchmarkDecide(b *testing.B) {
	for _, withProof := range []bool{false, true} {
		for _, n := range speedLists {
			f := speedFixture(b, n, withProof)
			name := fmt.Sprintf("proof=%t/entries=%d", withProof, n)
			keys := newBaseline(f)
			var secret []byte
			if withProof {
				secret = []byte(f.secret.Reveal())
			}
			b.Run(name+"/baseline", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !baselineAllows(keys, "key-1", secret, f.request.Client) {
						b.Fatal("denied")
					}
				}
			})
			b.Run(name+"/evaluate", func(b *testing.B) {
				b.ReportAllocs()
				subject := f.subject()
				for b.Loop() {
					if !policy.Evaluate(subject, f.request, noon).Allowed() {
						b.Fatal("denied")
					}
				}
			})
			b.Run(name+"/immediate", func(b *testing.B) { benchmarkDecide(b, f, mapSource{"key-1": f.subject()}) })
			b.Run(name+"/waiting", func(b *testing.B) {
				benchmarkDecide(b, f, policy.SourceFunc(mapSource{"key-1": f.subject()}.Lookup))
			})
		}
	}
}

func benchmarkDecide(b *testing.B, f *fixture, source policy.Source) {
	b.ReportAllocs()
	engine, ctx := policy.New(source, policy.WithClock(atNoon)), context.Background()
	for b.Loop() {
		if !engine.Decide(ctx, f.request).Allowed() {
			b.Fatal("denied")
		}
	}
}

// BenchmarkVerifier is a refused proof of another kind than a secret: of an unknown key, and of
// keys with few and many grants (rule K3).
func BenchmarkVerifier(b *testing.B) {
	for _, n := range []int{-1, 1, 100, 10_000} {
		f := speedFixture(b, 20, false)
		f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { return apikey.ErrWrongSecret }))
		f.key.Grants = nil
		for i := range n {
			f.key.Grants = append(f.key.Grants, apikey.Grant{Role: "reader", Project: fmt.Sprint(i)})
		}
		name, keys := fmt.Sprintf("grants=%d", n), mapSource{"key-1": f.subject()}
		if n < 0 {
			name, keys = "unknown", mapSource{}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			engine := policy.New(keys, policy.WithClock(atNoon))
			for b.Loop() {
				engine.Decide(context.Background(), f.request)
			}
		})
	}
}
