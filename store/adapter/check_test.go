package adapter_test

import (
	"crypto/sha256"
	"errors"
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
	"github.com/sallyport-go/sallyport/store/adapter"
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
			err := adapter.CheckPutOrganization(stored, policy.Organization{ID: "acme", Requirement: policy.Required, Revision: test.given})
			wantError(t, err, test.put)
			if err != nil {
				assert.ErrorContains(t, err, `organization "acme"`)
			}
		})
	}
	for _, invalid := range []policy.Organization{{}, {ID: " acme"}, {ID: "acme", Requirement: 3}} {
		wantError(t, adapter.CheckPutOrganization(nil, invalid), store.ErrInvalid)
		invalid.Revision = 4
		wantError(t, adapter.CheckPutOrganization(&policy.Organization{ID: invalid.ID, Revision: 5}, invalid), store.ErrInvalid)
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
			err := adapter.CheckPutKey(stored, key)
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
		"emptied with another option": {stored, func(k *apikey.Key) { k.AccessList = open.AccessList }, []store.PutOption{0, store.AllowManyEntries}, store.ErrOpensKey},
		"emptied with leave":          {stored, func(k *apikey.Key) { k.AccessList = open.AccessList }, []store.PutOption{0, store.AllowOpen}, nil},
		"emptied and stale":           {stored, func(k *apikey.Key) { k.AccessList, k.Revision = open.AccessList, 4 }, nil, store.ErrConflict},
		"moved with leave to empty":   {stored, func(k *apikey.Key) { k.Organization = "other" }, []store.PutOption{store.AllowOpen}, store.ErrInvalid},
		"empty as before":             {open, func(k *apikey.Key) { k.Description = "x" }, nil, nil},
		"shorter":                     {stored, func(k *apikey.Key) { k.AccessList = newKey(t, "key", "acme", "192.0.2.1").AccessList }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			key := test.stored.Clone()
			test.change(&key)
			wantError(t, adapter.CheckPutKey(&test.stored, key, test.options...), test.want)
		})
	}
	err := adapter.CheckPutKey(&stored, open)
	assert.ErrorContains(t, err, `key "key" would lose its 2 entries`)
	assert.ErrorContains(t, err, "AllowOpen", "it says what would be right")

	created := newKey(t, "key", "acme")
	err = adapter.CheckPutKey(nil, created)
	wantError(t, err, store.ErrOpensKey)
	assert.ErrorContains(t, err, `new key "key" has no entries`)
	wantError(t, adapter.CheckPutKey(nil, created, 0, store.AllowManyEntries), store.ErrOpensKey)
	wantError(t, adapter.CheckPutKey(nil, created, store.AllowOpen), nil)
	wantError(t, adapter.CheckPutKey(&stored, created), store.ErrExists)
	wantError(t, adapter.CheckPutKey(nil, open), store.ErrNotFound)
}

// S28.
func TestCheckPutKeyOfManyEntries(t *testing.T) {
	withEntries := func(n int, revision uint64) apikey.Key {
		key := newKey(t, "key", "acme")
		entries := make([]accesslist.Entry, n)
		for i := range entries {
			entry, err := accesslist.ParseEntry(fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff))
			require.NoError(t, err)
			entries[i] = entry
		}
		list, err := accesslist.New(entries...)
		require.NoError(t, err)
		key.AccessList, key.Revision = list, revision
		return key
	}
	for _, test := range []struct {
		stored, given int
		want          error
	}{
		{0, 1000, nil}, {0, 1001, store.ErrInvalid}, {1, 1000, nil}, {1, 1001, store.ErrInvalid}, {1000, 1001, store.ErrInvalid},
		{1001, 1001, nil}, {1200, 1001, nil}, {1200, 1200, nil}, {1200, 1201, store.ErrInvalid}, {1200, 1, nil},
	} {
		key := withEntries(test.given, 0)
		var stored *apikey.Key
		if test.stored > 0 {
			before := withEntries(test.stored, 5)
			stored, key.Revision = &before, 5
		}
		err := adapter.CheckPutKey(stored, key)
		wantError(t, err, test.want)
		if err != nil {
			assert.EqualError(t, err, fmt.Sprintf(`store: invalid: key "key" has %d entries: want at most %d, or AllowManyEntries`, test.given, max(test.stored, 1000)))
		}
		wantError(t, adapter.CheckPutKey(stored, key, store.AllowOpen), test.want)
		wantError(t, adapter.CheckPutKey(stored, key, store.AllowOpen, store.AllowManyEntries), nil)
	}
	key := withEntries(1001, 0)
	wantError(t, adapter.CheckLoad(nil, []apikey.Key{key}), store.ErrInvalid)
	wantError(t, adapter.CheckLoad(nil, []apikey.Key{key}, store.AllowManyEntries), nil)
}

func TestCheckDelete(t *testing.T) {
	for _, test := range revisions {
		t.Run(test.name, func(t *testing.T) {
			err := adapter.CheckDelete(adapter.KeyName("abc"), test.stored, test.given)
			wantError(t, err, test.delete)
			if err != nil {
				assert.ErrorContains(t, err, `key "abc"`)
			}
		})
	}
	assert.ErrorContains(t, adapter.CheckDelete(adapter.KeyName("x"), 7, 6), "revision 7, not 6")
}

// U7, U12.
func TestCheckUsageBatch(t *testing.T) {
	batch := map[apikey.ID]store.KeyUsage{}
	for n := range store.MaxUsageKeys {
		batch[apikey.ID(fmt.Sprint("key-", n))] = store.KeyUsage{}
	}
	assert.NoError(t, adapter.CheckUsageBatch(nil))
	assert.NoError(t, adapter.CheckUsageBatch(batch))
	batch["one-more"] = store.KeyUsage{}
	err := adapter.CheckUsageBatch(batch)
	assert.ErrorIs(t, err, store.ErrInvalid)
	assert.ErrorContains(t, err, "of 101 keys: want at most 100")

	for want, usage := range map[string]store.KeyUsage{
		"":                                      {Denials: map[policy.Reason]accesslist.Usage{policy.KeyDisabled: {}, policy.RoleMissing: {}}},
		"calls from the zero address":           {Addresses: map[netip.Addr]store.AddressUsage{{}: {Count: 1}}},
		"denials by wrong_secret: want a reas":  {Denials: map[policy.Reason]accesslist.Usage{policy.WrongSecret: {Count: 1}}},
		"denials by address_listed: want a rea": {WouldDeny: map[policy.Reason]accesslist.Usage{policy.AddressListed: {Count: 1}}},
	} {
		err := adapter.CheckUsageBatch(map[apikey.ID]store.KeyUsage{"key-1": usage})
		if want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, store.ErrInvalid)
		assert.ErrorContains(t, err, `usage of key "key-1": `+want)
	}
}

// U14.
func TestCheckReport(t *testing.T) {
	moment := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	report := store.Report{Recorder: "one", Since: moment, From: moment, Until: moment, At: moment}
	assert.NoError(t, adapter.CheckReport(report))
	report.Recorder = ""
	assert.ErrorIs(t, adapter.CheckReport(report), store.ErrInvalid)
}

// U10.
func TestCheckUsageKeys(t *testing.T) {
	assert.NoError(t, adapter.CheckUsageKeys(nil))
	assert.NoError(t, adapter.CheckUsageKeys(make([]apikey.ID, store.MaxUsageKeys)))
	err := adapter.CheckUsageKeys(make([]apikey.ID, store.MaxUsageKeys+1))
	assert.ErrorIs(t, err, store.ErrInvalid)
	assert.ErrorContains(t, err, "usage of 101 keys: want at most 100")
}

// U8, U15.
func TestUnreadableUsage(t *testing.T) {
	reason := errors.New("a count of -1")
	err := adapter.UnreadableUsage("key-1", reason)
	assert.ErrorIs(t, err, reason)
	assert.EqualError(t, err, `store: the usage of key "key-1" cannot be read: a count of -1`)

	err = adapter.UnreadableObservation(reason)
	assert.ErrorIs(t, err, reason)
	assert.EqualError(t, err, "store: the observation of usage cannot be read: a count of -1")
}

// L2, as far as it needs no store.
func TestCheckLoad(t *testing.T) {
	organizations := func(n int) (all []policy.Organization) {
		for i := range n {
			all = append(all, policy.Organization{ID: fmt.Sprint("organization ", i)})
		}
		return all
	}
	listed, open := newKey(t, "listed", "acme", "192.0.2.1"), newKey(t, "open", "acme")
	revised := newKey(t, "revised", "acme", "192.0.2.1")
	revised.Revision = 1
	for name, test := range map[string]struct {
		organizations []policy.Organization
		keys          []apikey.Key
		options       []store.PutOption
		want          error
	}{
		"nothing":                     {},
		"as many as there may be":     {organizations: organizations(store.MaxLoad - 1), keys: []apikey.Key{listed}},
		"one more":                    {organizations: organizations(store.MaxLoad), keys: []apikey.Key{listed}, want: store.ErrInvalid},
		"an organization twice":       {organizations: append(organizations(3), organizations(1)...), want: store.ErrExists},
		"a key twice":                 {keys: []apikey.Key{listed, listed}, want: store.ErrExists},
		"a key twice, of two owners":  {keys: []apikey.Key{listed, newKey(t, "listed", "other", "192.0.2.1")}, want: store.ErrExists},
		"a key named as organization": {organizations: []policy.Organization{{ID: "listed"}}, keys: []apikey.Key{listed}},
		"an invalid organization":     {organizations: []policy.Organization{{}}, want: store.ErrInvalid},
		"an invalid key":              {keys: []apikey.Key{{ID: "bare"}}, want: store.ErrInvalid},
		"an organization's revision":  {organizations: []policy.Organization{{ID: "acme", Revision: 1}}, want: store.ErrNotFound},
		"a key's revision":            {keys: []apikey.Key{revised}, want: store.ErrNotFound},
		"an open key":                 {keys: []apikey.Key{open}, want: store.ErrOpensKey},
		"an open key with leave":      {keys: []apikey.Key{open}, options: []store.PutOption{store.AllowOpen}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, adapter.CheckLoad(test.organizations, test.keys, test.options...), test.want)
		})
	}
}

// W4.
func TestCheckWatch(t *testing.T) {
	for _, test := range []struct {
		after, forgotten, latest uint64
		want                     error
	}{
		{0, 0, 0, nil}, {1, 0, 1, nil}, {5, 5, 9, nil}, {9, 5, 9, nil},
		{1, 0, 0, store.ErrCompacted}, {10, 5, 9, store.ErrCompacted},
		{4, 5, 9, store.ErrCompacted}, {0, 1, 9, store.ErrCompacted},
	} {
		wantError(t, adapter.CheckWatch(at(test.after), test.forgotten, at(test.latest)), test.want)
	}
	assert.ErrorContains(t, adapter.CheckWatch(at(10), 5, at(9)), "from revision 10, of a store that has come to 9")
	assert.ErrorContains(t, adapter.CheckWatch(at(4), 5, at(9)), "from revision 4, of a store that knows the changes after 5")
	for _, other := range []store.Position{{History: "other", Revision: 7}, {Revision: 7}, {History: "other"}} {
		wantError(t, adapter.CheckWatch(other, 5, at(9)), store.ErrCompacted)
	}
	assert.ErrorContains(t, adapter.CheckWatch(store.Position{History: "other", Revision: 7}, 5, at(9)), `revision 7 of history "other", of a store with history "history"`)
}
