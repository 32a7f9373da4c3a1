package postgres_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

// TestTimes has times finer than the server's own type holds.
func TestTimes(t *testing.T) {
	ctx, s := t.Context(), newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	acme(t, s)

	// An expiry that is not zero must not become the zero time, which is never.
	key := newKey(t, "barely", "acme")
	key.Expires = time.Time{}.Add(1)
	key.Secrets[0].Expires = time.Time{}.Add(999)
	entry, err := accesslist.ParseEntry("192.0.2.1")
	require.NoError(t, err)
	entry.Expires, entry.Added = time.Time{}.Add(1), moment.Add(789)
	key.AccessList, err = accesslist.New(entry)
	require.NoError(t, err)
	stored, err := s.PutKey(ctx, key)
	require.NoError(t, err)
	got, err := s.Key(ctx, "barely")
	require.NoError(t, err)
	assert.Equal(t, stored, got, "what Put returns is what is stored (S12)")
	assert.Equal(t, key.Expires, got.Expires, "to the nanosecond (S6)")
	assert.Equal(t, key.Secrets[0].Expires, got.Secrets[0].Expires)
	assert.Equal(t, entry.Expires, firstEntry(got).Expires)
	assert.Equal(t, moment.Add(789), firstEntry(got).Added)

	// A validity of any length can be stored; one that is none cannot.
	key = newKey(t, "brief", "acme")
	key.NotBefore, key.Expires = moment.Add(100), moment.Add(101)
	stored, err = s.PutKey(ctx, key, store.AllowOpen)
	require.NoError(t, err)
	got, err = s.Key(ctx, "brief")
	require.NoError(t, err)
	assert.Equal(t, stored, got)
	key = newKey(t, "never", "acme")
	key.NotBefore, key.Expires = moment, moment
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	assert.ErrorIs(t, err, store.ErrInvalid)
	assert.ErrorIs(t, s.Load(ctx, nil, []apikey.Key{key}, store.AllowOpen), store.ErrInvalid)
	key.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	assert.ErrorIs(t, err, store.ErrInvalid)

	// A list that was returned beside an error is none either.
	key = newKey(t, "key", "acme")
	key.AccessList, err = accesslist.Parse("not an address")
	require.Error(t, err)
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	assert.ErrorIs(t, err, store.ErrInvalid)
}

// TestDocuments looks at what the tables hold: the JSON of each record, byte for byte, as
// the other stores keep it, and the prefixes of its list.
func TestDocuments(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, open := acme(t, s)
	full := fullKey(t, "full", "acme")
	full.Description = `a "quoted" <text> \ {`
	key, err := s.PutKey(ctx, full)
	require.NoError(t, err)
	require.NoError(t, s.Load(ctx, []policy.Organization{{ID: "loaded", Requirement: policy.Required}}, []apikey.Key{fullKey(t, "loaded-1", "loaded"), newKey(t, "loaded-2", "acme", "203.0.113.0/24")}))
	loaded, err := s.Organization(ctx, "loaded")
	require.NoError(t, err)
	check := func() {
		t.Helper()
		one, err := s.Key(ctx, "loaded-1")
		require.NoError(t, err)
		two, err := s.Key(ctx, "loaded-2")
		require.NoError(t, err)
		for _, k := range []apikey.Key{open, key, one, two} {
			var document []byte
			var entries []netip.Prefix
			require.NoError(t, pool.QueryRow(ctx, `SELECT document::text, entries FROM sallyport.keys WHERE id = $1 AND organization = $2 AND revision = $3`, string(k.ID), k.Organization, k.Revision).Scan(&document, &entries))
			want, err := json.Marshal(k)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(document))
			list := []netip.Prefix{}
			for entry := range k.AccessList.All() {
				list = append(list, entry.Prefix())
			}
			assert.Equal(t, list, entries)
		}
		for _, o := range []policy.Organization{organization, loaded} {
			var document []byte
			require.NoError(t, pool.QueryRow(ctx, `SELECT document::text FROM sallyport.organizations WHERE id = $1 AND revision = $2`, o.ID, o.Revision).Scan(&document))
			want, err := json.Marshal(o)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(document))
		}
	}
	check()
	organization.Requirement = policy.ReportOnly
	organization, err = s.PutOrganization(ctx, organization)
	require.NoError(t, err)
	key.AccessList = newKey(t, "x", "acme", "192.0.2.1", "198.51.100.0/25", "203.0.113.7").AccessList
	key, err = s.PutKey(ctx, key)
	require.NoError(t, err)
	check()

	// A long list is moved out of its row by the server.
	var addresses []string
	for i := range 5000 {
		addresses = append(addresses, fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255))
	}
	key.AccessList = newKey(t, "x", "acme", addresses...).AccessList
	key, err = s.PutKey(ctx, key, store.AllowManyEntries)
	require.NoError(t, err)
	check()
	got, err := s.Key(ctx, key.ID)
	require.NoError(t, err)
	assert.True(t, key.Equal(got))
}

func firstEntry(key apikey.Key) accesslist.Entry {
	for entry := range key.AccessList.All() {
		return entry
	}
	return accesslist.Entry{}
}

// TestCollations has databases whose own order and equality of texts are not that of
// bytes.
func TestCollations(t *testing.T) {
	for name, options := range map[string]string{
		"case-insensitive": `ENCODING UTF8 LOCALE_PROVIDER icu ICU_LOCALE 'und-u-ks-level1' TEMPLATE template0`,
		"Swedish":          `ENCODING UTF8 LOCALE_PROVIDER icu ICU_LOCALE 'sv' TEMPLATE template0`,
		"C.UTF-8":          `ENCODING UTF8 LOCALE 'C.UTF-8' TEMPLATE template0`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			pool := newPool(t, postgrestest.Shared(t).Database(t, options))
			s := newStore(t, pool)
			organizations := []string{"ACME", "Acme", "a\u0301", "acme", "acme ltd", "z", "\u00c3\u00a1", "\u00e1"}
			for _, id := range organizations {
				_, err := s.PutOrganization(ctx, policy.Organization{ID: id, Requirement: policy.Required})
				require.NoError(t, err)
			}
			keys := []apikey.ID{"-", "0", "Key", "KEY", "_", "key"}
			for _, id := range keys {
				_, err := s.PutKey(ctx, newKey(t, string(id), "acme", "192.0.2.1"))
				require.NoError(t, err)
			}
			listed, _ := collect(store.AllOrganizations(ctx, s))
			assert.IsIncreasing(t, ids(listed, func(o policy.Organization) string { return o.ID }))
			assert.Len(t, listed, len(organizations))
			for i := range organizations { // page by page
				page, err := s.Organizations(ctx, store.PageRequest{Limit: i + 1})
				require.NoError(t, err)
				assert.Equal(t, listed[:i+1], page.Items)
			}
			all, _ := collect(store.AllKeys(ctx, s, "acme"))
			assert.IsIncreasing(t, ids(all, func(k apikey.Key) string { return string(k.ID) }))
			assert.Len(t, all, len(keys))
			for _, id := range []apikey.ID{"kEY", "KeY", "K\u00c9Y"} {
				_, found, err := s.Lookup(ctx, id)
				require.NoError(t, err)
				assert.False(t, found, "%q", id)
			}
			told, _ := first(t, s)
			assert.Equal(t, len(organizations)+len(keys), told)
		})
	}
}

func collect[T any](all func(func(T, error) bool)) (items []T, err error) {
	for item, e := range all {
		if e != nil {
			return nil, e
		}
		items = append(items, item)
	}
	return items, nil
}

func ids[T any](items []T, id func(T) string) (all []string) {
	for _, item := range items {
		all = append(all, id(item))
	}
	return all
}
