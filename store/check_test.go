package store_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// newKey returns a key that can be stored.
func newKey(t testing.TB, id apikey.ID, organization string, addresses ...string) apikey.Key {
	key := apikey.Key{ID: id, Organization: organization, Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}}}
	if len(addresses) > 0 {
		list, err := accesslist.Parse(addresses...)
		require.NoError(t, err)
		key.AccessList = list
	}
	require.NoError(t, key.Validate())
	return key
}

// wantError checks which of the package's errors one is, and that it is no other.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	for _, known := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrInvalid, store.ErrOpensKey, store.ErrNotEmpty, store.ErrClosed, store.ErrCompacted,
	} {
		if known == want {
			assert.ErrorIs(t, err, known)
		} else {
			assert.NotErrorIs(t, err, known)
		}
	}
	if want == nil {
		assert.NoError(t, err)
	}
}

// revisions are what a stored and a given revision come to; stored zero is a record
// that is not there.
var revisions = []struct {
	name          string
	stored, given uint64
	put, delete   error
}{
	{"create", 0, 0, nil, store.ErrNotFound},
	{"create what is there", 5, 0, store.ErrExists, nil},
	{"replace", 5, 5, nil, nil},
	{"an older revision", 5, 4, store.ErrConflict, store.ErrConflict},
	{"a later revision", 5, 6, store.ErrConflict, store.ErrConflict},
	{"a revision of what is not there", 0, 5, store.ErrNotFound, store.ErrNotFound},
	{"the first revision of what is not there", 0, 1, store.ErrNotFound, store.ErrNotFound},
	{"the highest revision", 1<<64 - 1, 1<<64 - 1, nil, nil},
	{"one that wrapped", 1<<64 - 1, 0, store.ErrExists, nil},
}

func TestCheckPutOrganization(t *testing.T) {
	for _, test := range revisions {
		t.Run(test.name, func(t *testing.T) {
			var stored *policy.Organization
			if test.stored != 0 {
				stored = &policy.Organization{ID: "acme", Revision: test.stored}
			}
			err := store.CheckPutOrganization(stored, policy.Organization{ID: "acme", Requirement: policy.Required, Revision: test.given})
			wantError(t, err, test.put)
			if err != nil {
				assert.ErrorContains(t, err, `organization "acme"`)
			}
		})
	}
	for _, invalid := range []policy.Organization{{}, {ID: " acme"}, {ID: "acme", Requirement: 3}} {
		wantError(t, store.CheckPutOrganization(nil, invalid), store.ErrInvalid)
		invalid.Revision = 4
		wantError(t, store.CheckPutOrganization(&policy.Organization{ID: invalid.ID, Revision: 5}, invalid), store.ErrInvalid)
	}
}

func TestCheckPutKey(t *testing.T) {
	for _, test := range revisions {
		t.Run(test.name, func(t *testing.T) {
			var stored *apikey.Key
			if test.stored != 0 {
				key := newKey(t, "key", "acme", "192.0.2.1")
				key.Revision = test.stored
				stored = &key
			}
			key := newKey(t, "key", "acme", "192.0.2.2")
			key.Revision = test.given
			err := store.CheckPutKey(stored, key)
			wantError(t, err, test.put)
			if err != nil {
				assert.ErrorContains(t, err, `key "key"`)
			}
		})
	}
}

func TestCheckPutKeyRefusals(t *testing.T) {
	stored := newKey(t, "key", "acme", "192.0.2.1", "192.0.2.2")
	stored.Revision = 5
	open := newKey(t, "key", "acme")
	open.Revision = 5
	for name, test := range map[string]struct {
		stored  apikey.Key
		change  func(*apikey.Key)
		options []store.PutOption
		want    error
	}{
		"invalid":                     {stored, func(k *apikey.Key) { k.Secrets = nil }, nil, store.ErrInvalid},
		"invalid and stale":           {stored, func(k *apikey.Key) { k.Secrets, k.Revision = nil, 4 }, nil, store.ErrInvalid},
		"moved":                       {stored, func(k *apikey.Key) { k.Organization = "other" }, nil, store.ErrInvalid},
		"moved in a letter's case":    {stored, func(k *apikey.Key) { k.Organization = "Acme" }, nil, store.ErrInvalid},
		"moved and stale":             {stored, func(k *apikey.Key) { k.Organization, k.Revision = "other", 4 }, nil, store.ErrConflict},
		"emptied":                     {stored, func(k *apikey.Key) { k.AccessList = open.AccessList }, nil, store.ErrOpensKey},
		"emptied with another option": {stored, func(k *apikey.Key) { k.AccessList = open.AccessList }, []store.PutOption{0, 2}, store.ErrOpensKey},
		"emptied with leave":          {stored, func(k *apikey.Key) { k.AccessList = open.AccessList }, []store.PutOption{0, store.AllowOpen}, nil},
		"emptied and stale":           {stored, func(k *apikey.Key) { k.AccessList, k.Revision = open.AccessList, 4 }, nil, store.ErrConflict},
		"moved with leave to empty":   {stored, func(k *apikey.Key) { k.Organization = "other" }, []store.PutOption{store.AllowOpen}, store.ErrInvalid},
		"empty as before":             {open, func(k *apikey.Key) { k.Description = "x" }, nil, nil},
		"shorter":                     {stored, func(k *apikey.Key) { k.AccessList = newKey(t, "key", "acme", "192.0.2.1").AccessList }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			key := test.stored.Clone()
			test.change(&key)
			wantError(t, store.CheckPutKey(&test.stored, key, test.options...), test.want)
		})
	}
	err := store.CheckPutKey(&stored, open)
	assert.ErrorContains(t, err, `key "key" would lose its 2 entries`)
	assert.ErrorContains(t, err, "AllowOpen", "it says what would be right")

	created := newKey(t, "key", "acme")
	err = store.CheckPutKey(nil, created)
	wantError(t, err, store.ErrOpensKey)
	assert.ErrorContains(t, err, `new key "key" has no entries`)
	wantError(t, store.CheckPutKey(nil, created, 0, 2), store.ErrOpensKey)
	wantError(t, store.CheckPutKey(nil, created, store.AllowOpen), nil)
	wantError(t, store.CheckPutKey(&stored, created), store.ErrExists)
	wantError(t, store.CheckPutKey(nil, open), store.ErrNotFound)
}

func TestCheckDelete(t *testing.T) {
	for _, test := range revisions {
		t.Run(test.name, func(t *testing.T) {
			err := store.CheckDelete(`key "abc"`, test.stored, test.given)
			wantError(t, err, test.delete)
			if err != nil {
				assert.ErrorContains(t, err, `key "abc"`)
			}
		})
	}
	assert.ErrorContains(t, store.CheckDelete("x", 7, 6), "revision 7, not 6")
}
