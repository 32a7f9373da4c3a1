package postgres_test

import (
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

// TestTimes has times that the database cannot hold, or not so.
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
	for _, expires := range []time.Time{got.Expires, got.Secrets[0].Expires, firstEntry(got).Expires} {
		assert.Equal(t, time.Time{}.Add(time.Microsecond), expires)
	}
	assert.Equal(t, moment, firstEntry(got).Added)
	assert.Equal(t, time.Time{}.Add(1), key.Expires, "the caller's record is as it was")
	assert.Equal(t, moment.Add(789), firstEntry(key).Added)

	// A validity that is shorter than can be stored is none.
	key = newKey(t, "brief", "acme")
	key.NotBefore, key.Expires = moment.Add(100), moment.Add(200)
	_, err = s.PutKey(ctx, key)
	assert.ErrorIs(t, err, store.ErrInvalid)
	assert.ErrorIs(t, s.Load(ctx, nil, []apikey.Key{key}), store.ErrInvalid)
	key.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = s.PutKey(ctx, key)
	assert.ErrorIs(t, err, store.ErrInvalid)

	// A list that was returned beside an error is none either.
	key = newKey(t, "key", "acme")
	key.AccessList, err = accesslist.Parse("not an address")
	require.Error(t, err)
	_, err = s.PutKey(ctx, key)
	assert.ErrorIs(t, err, store.ErrInvalid)
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
