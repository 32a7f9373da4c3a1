package postgres_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

var moment = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)

// fullKey returns a key that has something in every field, and rows in every table.
func fullKey(t testing.TB, id, organization string) apikey.Key {
	t.Helper()
	key := newKey(t, id, organization)
	key.Description, key.Disabled = "a description", true
	key.NotBefore, key.Expires, key.Created = moment, moment.Add(time.Hour), moment.Add(-time.Hour)
	key.Grants = []apikey.Grant{{Role: "zeta"}, {Role: "alpha", Project: "project"}, {Role: "reader", AllProjects: true}}
	key.Secrets = append(key.Secrets, newKey(t, id, organization).Secrets...)
	key.Secrets[0].ServerKey, key.Secrets[0].Created, key.Secrets[0].Expires = "server-key", moment, moment.Add(time.Minute)
	key.Secrets[1].Created, key.Secrets[1].Expires = moment, time.Time{}
	one, err := accesslist.ParseEntry("192.0.2.1")
	require.NoError(t, err)
	one.Comment, one.Added, one.Expires = "the office", moment, moment.Add(time.Hour)
	two, err := accesslist.ParseEntry("198.51.100.0/24")
	require.NoError(t, err)
	key.AccessList, err = accesslist.New(one, two)
	require.NoError(t, err)
	return key
}

// request asks for what a key without entries would be allowed from anywhere.
func request(id apikey.ID) policy.Request {
	return policy.Request{Key: id, Client: netip.MustParseAddr("203.0.113.99"), Organization: "acme"}
}

// usage is of calls from 192.0.2.1, which the key's first secret proved.
func usage(key apikey.Key, count uint64) store.UsageRecord {
	client := netip.MustParseAddr("192.0.2.1")
	return store.UsageRecord{Key: key.ID, Entry: netip.PrefixFrom(client, 32), Secret: key.Secrets[0].ID(),
		Usage: accesslist.Usage{Count: count, Last: moment, LastAddress: client}}
}

// waitsFor waits until a connection to the pool's database waits for a lock of a kind, as
// the server names it: for "transactionid" where another's row is to be locked.
func waitsFor(t testing.TB, pool *pgxpool.Pool, lock string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting bool
		err := pool.QueryRow(context.Background(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = $1)`, lock).Scan(&waiting)
		return err == nil && waiting
	}, patience, time.Millisecond, "nobody waits for a lock (%s)", lock)
}

// decided is what an engine answers that asks the store for a key, which is thought to fail or to hang.
func decided(s store.Store, id apikey.ID) policy.Reason { return decidedWithin(s, id, within) }

func decidedWithin(s store.Store, id apikey.ID, limit time.Duration) policy.Reason {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return policy.New(s, policy.WithTimeout(limit)).Decide(ctx, request(id)).Reason
}

// acme stores an organization and a key without entries.
func acme(t testing.TB, s store.Store) (policy.Organization, apikey.Key) {
	t.Helper()
	organization, err := s.PutOrganization(context.Background(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, err := s.PutKey(context.Background(), newKey(t, "key", "acme"), store.AllowOpen)
	require.NoError(t, err)
	return organization, key
}

// eventOf returns an event of a key, or of an organization itself.
func eventOf(organization string, key apikey.ID) store.Event {
	return store.Event{
		Time: moment, Type: store.EventKeyDescribed, Organization: organization, Key: key,
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary,
	}
}

// writeOf puts a key with an event.
func writeOf(key apikey.Key) store.Write {
	return store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: []store.Event{eventOf(key.Organization, key.ID)}}
}

// forget forgets the events up to a position.
func forget(t testing.TB, s store.Journal, through store.Position) {
	t.Helper()
	_, err := s.Write(context.Background(), store.Write{Forget: &through})
	require.NoError(t, err)
}

// eventsAfter returns the events after a position.
func eventsAfter(t testing.TB, s store.Journal, after store.Position) []store.Event {
	t.Helper()
	page, err := s.Events(context.Background(), store.EventRequest{After: after, Limit: store.MaxPageSize})
	require.NoError(t, err)
	require.False(t, page.More)
	return page.Events
}

// at returns the position of a revision in the store's history, and the zero Position for
// zero.
func at(s store.Watcher, revision uint64) store.Position {
	if revision == 0 {
		return store.Position{}
	}
	latest, _ := s.Position(context.Background())
	return store.Position{History: latest.History, Revision: revision}
}

// revisionOf returns the latest revision.
func revisionOf(ctx context.Context, s store.Watcher) (uint64, error) {
	latest, err := s.Position(ctx)
	return latest.Revision, err
}
