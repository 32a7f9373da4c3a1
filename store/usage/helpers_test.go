package usage_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/usage"
)

var begin = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// A service is a store that can be broken, and keys in it.
type service struct {
	*faulty.Store
	recorder store.UsageRecorder // the store's
	stored   *memory.Store       // what is behind it
	keys     []apikey.Key
	secrets  []apikey.Secret // the first one of each key; the second is the same for all
	second   apikey.Secret
}

// newService returns one with keys that have a list, and two secrets each.
func newService(t testing.TB, keys int) *service {
	s := &service{stored: memory.New()}
	s.Store = faulty.New(s.stored)
	var ok bool
	s.recorder, ok = store.As[store.UsageRecorder](s.Store)
	require.True(t, ok)
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	list, err := accesslist.Parse("10.0.0.0/8", "10.1.0.0/16", "192.0.2.7")
	require.NoError(t, err)
	other, second, err := apikey.New("acme")
	require.NoError(t, err)
	s.second = second
	for range keys {
		key, secret, err := apikey.New("acme")
		require.NoError(t, err)
		if len(s.keys)%4 > 0 {
			key.AccessList = list
		}
		key.Secrets = append(key.Secrets, other.Secrets[0])
		key, err = s.PutKey(t.Context(), key, store.AllowOpen)
		require.NoError(t, err)
		s.keys, s.secrets = append(s.keys, key), append(s.secrets, secret)
	}
	return s
}

// clients are covered by each of the entries, and by none.
var clients = []netip.Addr{
	netip.MustParseAddr("10.2.3.4"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("::ffff:10.1.2.4"), netip.MustParseAddr("203.0.113.1"),
}

// request is one of the many that may be made; n chooses.
func (s *service) request(key, n int) policy.Request {
	r := policy.Request{Key: s.keys[key].ID, Secret: s.secrets[key], Client: clients[n%len(clients)], Organization: "acme"}
	switch n / len(clients) % 4 {
	case 1:
		r.Secret = s.second
	case 2:
		r.Secret, r.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
	}
	return r
}

// call is a request and the decision on it.
type call struct {
	request  policy.Request
	decision policy.Decision
}

func (s *service) call(key, n int, now time.Time) call {
	request := s.request(key, n)
	organization := policy.Organization{ID: "acme"}
	return call{request, policy.Evaluate(policy.NewSubject(&s.keys[key], &organization), request, now)}
}

func (c call) observedBy(r *usage.Recorder) { r.Observe(context.Background(), c.decision) }

// A count is usage kept in the obvious way.
type count map[apikey.ID]store.KeyUsage

func (c count) add(made call) {
	record, ok := store.UsageOf(made.decision)
	if !ok {
		return
	}
	known, ok := c[record.Key]
	if !ok {
		known = store.KeyUsage{
			Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}, Addresses: map[netip.Addr]store.AddressUsage{},
			Denials: map[policy.Reason]accesslist.Usage{}, WouldDeny: map[policy.Reason]accesslist.Usage{},
		}
		c[record.Key] = known
	}
	one := func(known accesslist.Usage) accesslist.Usage {
		known.Count++
		if record.Last.After(known.Last) {
			known.Last, known.LastAddress = record.Last, record.LastAddress
		}
		return known
	}
	if record.Denied != 0 {
		known.Denials[record.Denied] = one(known.Denials[record.Denied])
		return
	}
	if record.Entry.IsValid() {
		known.Entries[record.Entry] = one(known.Entries[record.Entry])
	}
	if record.Secret != "" {
		known.Secrets[record.Secret] = one(known.Secrets[record.Secret])
	}
	if record.WouldDeny != 0 {
		known.WouldDeny[record.WouldDeny] = one(known.WouldDeny[record.WouldDeny])
	}
	from := known.Addresses[record.LastAddress]
	if from.Count == 0 || record.Last.Before(from.First) {
		from.First = record.Last
	}
	if record.Last.After(from.Last) {
		from.Last = record.Last
	}
	from.Count++
	known.Addresses[record.LastAddress] = from
}

// stored returns what the store has counted.
func (s *service) counted(t testing.TB) count {
	all := count{}
	for _, key := range s.keys {
		usage, err := s.stored.Usage(context.Background(), key.ID)
		require.NoError(t, err)
		known := usage[key.ID]
		if !known.IsZero() {
			all[key.ID] = known
		}
	}
	return all
}

// calls returns how many there were, served and denied.
func (c count) calls() (n uint64) {
	for known := range maps.Values(c) {
		for used := range maps.Values(known.Addresses) {
			n += used.Count
		}
		for denied := range maps.Values(known.Denials) {
			n += denied.Count
		}
		n += known.Dropped.Count
	}
	return n
}

func requireSame(t testing.TB, want, got count) {
	t.Helper()
	// By text, since netip's types do not show what they are to go-cmp.
	compare := cmp.Options{
		cmp.Transformer("text", func(a netip.Addr) string { return a.String() }),
		cmp.Transformer("text", func(p netip.Prefix) string { return p.String() }),
	}
	// A map without anything is as none.
	compare = append(compare, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type().Kind() == reflect.Map }, cmp.FilterValues(func(a, b any) bool {
		return reflect.ValueOf(a).Len() == 0 && reflect.ValueOf(b).Len() == 0
	}, cmp.Comparer(func(_, _ any) bool { return true }))))
	require.Empty(t, cmp.Diff(want, got, compare))
}

// closeRecorder closes, and checks that it worked.
func closeRecorder(t testing.TB, r *usage.Recorder) {
	t.Helper()
	require.NoError(t, r.Close(context.Background()))
}

// failures keeps what an error handler is told.
type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) handle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.errs
}

func requireNone(t testing.TB, f *failures) {
	t.Helper()
	assert.Empty(t, f.all(), "what the error handler was told")
}

// plainKey returns the least that can be stored.
func plainKey(n int) apikey.Key {
	id := apikey.ID(fmt.Sprintf("key-%d", n))
	return apikey.Key{ID: id, Organization: "acme", Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}}}
}
