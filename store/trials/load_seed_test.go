package trials

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// The organization with nine of ten keys, and its owner, who calls the APIs.
const (
	crowd    = "crowd"
	owner    = apikey.ID("owner")
	oneOwner = apikey.ID("other-owner") // the second manager, with a journal of changes
)

const entriesEach = 20

func crowdKey(i int) apikey.ID { return apikey.ID(fmt.Sprintf("key-%06d", i)) }

// seedCrowd stores n keys of 20 entries each, nine of ten in one organization. Every fourth was
// used in the last hour, and every fiftieth has no list. It returns the owner's secret.
func seedCrowd(t *testing.T, s store.Store, n int) apikey.Secret {
	t.Helper()
	ctx, loader := t.Context(), as[store.Loader](t, s)
	organizations := []policy.Organization{{ID: crowd, Name: "Crowd", Requirement: policy.ReportOnly}}
	for i := range 10 {
		organizations = append(organizations, policy.Organization{ID: fmt.Sprint("small-", i)})
	}
	require.NoError(t, loader.Load(ctx, organizations, nil))
	for from := 0; from < n; from += store.MaxLoad {
		var keys []apikey.Key
		for i := from; i < min(n, from+store.MaxLoad); i++ {
			keys = append(keys, crowdMember(t, i))
		}
		require.NoError(t, loader.Load(ctx, nil, keys, store.AllowOpen))
	}
	secret := putOwner(t, s, owner)
	putOwner(t, s, oneOwner)
	seedUsage(t, as[store.UsageRecorder](t, s), n)
	seedEvents(t, s, as[store.Journal](t, s), of(20_000, 400))
	return secret
}

func as[T any](t *testing.T, s store.Store) T {
	t.Helper()
	found, ok := store.As[T](s)
	require.True(t, ok)
	return found
}

func crowdMember(t *testing.T, i int) apikey.Key {
	key := apikey.Key{
		ID: crowdKey(i), Organization: crowd, Created: time.Unix(1_790_000_000, 0), Description: fmt.Sprintf("worker %d of the crowd", i),
		Grants:  []apikey.Grant{{Role: "MEMBER"}, {Role: "READER", Project: fmt.Sprint("project-", i%100)}},
		Secrets: []apikey.StoredSecret{{Sum: [32]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}}},
	}
	if i%10 == 9 {
		key.Organization = fmt.Sprint("small-", i/10%10)
	}
	if i%50 == 0 {
		return key
	}
	var entries []accesslist.Entry
	for e := range entriesEach {
		entry, err := accesslist.ParseEntry(fmt.Sprintf("10.%d.%d.%d", i>>8&255, i&255, 2*e))
		require.NoError(t, err)
		entry.Comment, entry.Added = "an address of the crowd", key.Created
		entries = append(entries, entry)
	}
	var err error
	key.AccessList, err = accesslist.New(entries...)
	require.NoError(t, err)
	return key
}

func putOwner(t *testing.T, s store.Store, id apikey.ID) apikey.Secret {
	list, err := accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	key, secret, err := apikey.Issue(apikey.Key{ID: id, Organization: crowd, AccessList: list, Grants: []apikey.Grant{{Role: "OWNER"}}})
	require.NoError(t, err)
	_, err = s.PutKey(t.Context(), key)
	require.NoError(t, err)
	return secret
}

func seedUsage(t *testing.T, recorder store.UsageRecorder, n int) {
	now := time.Now()
	report := store.Report{Recorder: "recorder", Since: now.AddDate(0, 0, -60), From: now.AddDate(0, 0, -60), Until: now, At: now}
	require.NoError(t, recorder.RecordObservation(t.Context(), report))
	var records []store.UsageRecord
	for i := 0; i < n; i += 4 {
		key := crowdMember(t, i)
		use := accesslist.Usage{Count: 3, Last: now.Add(-time.Hour), LastAddress: netip.MustParseAddr("203.0.113.7")}
		record := store.UsageRecord{Key: key.ID, Secret: key.Secrets[0].ID(), Usage: use}
		if i%50 == 0 {
			record.WouldDeny = policy.OrganizationRequiresAccessList
		}
		records = append(records, record)
		if len(records) == store.MaxUsageKeys || i+4 >= n {
			require.NoError(t, recorder.RecordUsage(t.Context(), adapter.UsageBatch(records...)))
			records = nil
		}
	}
}

// seedEvents keeps n events of the other owner, 100 with each write.
func seedEvents(t *testing.T, s store.Store, journal store.Journal, n int) {
	key, err := s.Key(t.Context(), oneOwner)
	require.NoError(t, err)
	for from := 0; from < n; from += 100 {
		write := store.Write{PutKey: &key}
		for i := range 100 {
			write.Events = append(write.Events, store.Event{
				Time: time.Now(), Type: store.EventKeyDescribed, Organization: crowd, Key: key.ID, Via: store.ViaAPI,
				Actor: store.Actor{Kind: store.ActorSystem, ID: "seed"}, Reason: fmt.Sprint("event ", from+i),
			})
		}
		key.Revision, err = journal.Write(t.Context(), write)
		require.NoError(t, err)
	}
}

// A countedStore counts the calls of a store.
type countedStore struct {
	store.Store
	journal  store.Journal
	recorder store.UsageRecorder
	calls    atomic.Int64
	during   func() // after a call was counted; nil: nothing
}

func countCalls(t *testing.T, s store.Store) *countedStore {
	return &countedStore{Store: s, journal: as[store.Journal](t, s), recorder: as[store.UsageRecorder](t, s)}
}

func (c *countedStore) call() {
	c.calls.Add(1)
	if c.during != nil {
		c.during()
	}
}

func (c *countedStore) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	c.call()
	return c.Store.Lookup(ctx, id)
}

func (c *countedStore) Organization(ctx context.Context, id string) (policy.Organization, error) {
	c.call()
	return c.Store.Organization(ctx, id)
}

func (c *countedStore) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	c.call()
	return c.Store.Organizations(ctx, request)
}

func (c *countedStore) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	c.call()
	return c.Store.Key(ctx, id)
}

func (c *countedStore) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	page, err := c.Store.Keys(ctx, organization, request)
	c.call() // while the page is held
	return page, err
}

func (c *countedStore) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	c.call()
	return c.recorder.Usage(ctx, ids...)
}

func (c *countedStore) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	c.call()
	return c.recorder.RecordUsage(ctx, batch)
}

func (c *countedStore) Observation(ctx context.Context) (store.Observation, error) {
	c.call()
	return c.recorder.Observation(ctx)
}

func (c *countedStore) RecordObservation(ctx context.Context, report store.Report) error {
	c.call()
	return c.recorder.RecordObservation(ctx, report)
}

func (c *countedStore) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	c.call()
	return c.journal.Events(ctx, request)
}

func (c *countedStore) Write(ctx context.Context, write store.Write) (uint64, error) {
	c.call()
	return c.journal.Write(ctx, write)
}
