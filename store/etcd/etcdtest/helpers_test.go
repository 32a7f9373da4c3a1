package etcdtest_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/etcd"
)

// opened returns a new store under a prefix of its own, and the prefix.
func opened(t testing.TB, client *clientv3.Client) (*etcd.Store, string) {
	t.Helper()
	prefix := fmt.Sprintf("/test-%d/", prefixes.Add(1))
	return openedAt(t, client, prefix), prefix
}

var prefixes atomic.Int64

func openedAt(t testing.TB, client *clientv3.Client, prefix string) *etcd.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := etcd.New(ctx, client, prefix)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// compact has the cluster forget its history.
func compact(t testing.TB, client *clientv3.Client) {
	t.Helper()
	response, err := client.Get(t.Context(), "any")
	require.NoError(t, err)
	_, err = client.Compact(t.Context(), response.Header.Revision)
	require.NoError(t, err)
}

// newKey returns a key with one entry on its list.
func newKey(id apikey.ID, organization string) apikey.Key {
	list, err := accesslist.Parse("192.0.2.1")
	if err != nil {
		panic(err)
	}
	return apikey.Key{
		ID: id, Organization: organization, AccessList: list,
		Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}},
	}
}

func put(t testing.TB, s store.Store, key apikey.Key) apikey.Key {
	t.Helper()
	stored, err := s.PutKey(t.Context(), key)
	require.NoError(t, err)
	return stored
}

func putOrganization(t testing.TB, s store.Store, id string) policy.Organization {
	t.Helper()
	stored, err := s.PutOrganization(t.Context(), policy.Organization{ID: id})
	require.NoError(t, err)
	return stored
}

// wantUnavailable checks that a decision is what rules.md says of a source that failed,
// and says why.
func wantUnavailable(t testing.TB, s policy.Source, id apikey.ID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	decision := policy.New(s).Decide(ctx, policy.Request{
		Key: id, Client: netip.MustParseAddr("203.0.113.9"), Organization: "acme", Endpoint: &policy.Endpoint{Name: "any"},
	})
	require.Equal(t, policy.Unavailable, decision.Reason, "%v", decision)
	require.Error(t, decision.Cause)
}

// short returns a context for a call that is expected to fail by its deadline at the
// latest.
func short(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A call is one method of a store.
type call struct {
	name   string
	writes bool
	do     func(ctx context.Context) error
}

// everyCall returns a call of every method, for a store that has organization acme with
// key k1.
func everyCall(s *etcd.Store) []call {
	return []call{
		{"Lookup", false, func(ctx context.Context) error { _, _, err := s.Lookup(ctx, "k1"); return err }},
		{"Lookup of another", false, func(ctx context.Context) error { _, _, err := s.Lookup(ctx, "gone"); return err }},
		{"Key", false, func(ctx context.Context) error { _, err := s.Key(ctx, "k1"); return err }},
		{"Organization", false, func(ctx context.Context) error { _, err := s.Organization(ctx, "acme"); return err }},
		{"Keys", false, func(ctx context.Context) error { _, err := s.Keys(ctx, "acme", store.PageRequest{}); return err }},
		{"Organizations", false, func(ctx context.Context) error { _, err := s.Organizations(ctx, store.PageRequest{}); return err }},
		{"Revision", false, func(ctx context.Context) error { _, err := revisionOf(ctx, s); return err }},
		{"Watch from zero", false, func(ctx context.Context) error { return watchUntilError(ctx, s, 0) }},
		{"Watch", false, func(ctx context.Context) error { return watchUntilError(ctx, s, 1<<40) }},
		{"Usage", false, func(ctx context.Context) error { _, err := s.Usage(ctx, "k1"); return err }},
		{"Observation", false, func(ctx context.Context) error { _, err := s.Observation(ctx); return err }},
		{"Events", false, func(ctx context.Context) error { _, err := s.Events(ctx, store.EventRequest{}); return err }},
		{"Write", true, func(ctx context.Context) error {
			_, err := s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "written"}, Events: []store.Event{newEvent("written", "created")}})
			return err
		}},
		{"Write that forgets", true, func(ctx context.Context) error {
			through := at(ctx, s, 1)
			if through.History == "" { // Position failed
				through.History = "unknown"
			}
			_, err := s.Write(ctx, store.Write{Forget: &through})
			return err
		}},
		{"PutKey", true, func(ctx context.Context) error { _, err := s.PutKey(ctx, newKey("new", "acme")); return err }},
		{"PutOrganization", true, func(ctx context.Context) error {
			_, err := s.PutOrganization(ctx, policy.Organization{ID: "new"})
			return err
		}},
		{"DeleteKey", true, func(ctx context.Context) error { return s.DeleteKey(ctx, "k1", 0) }},
		{"DeleteOrganization", true, func(ctx context.Context) error { return s.DeleteOrganization(ctx, "acme", 0) }},
		{"RecordUsage", true, func(ctx context.Context) error { return s.RecordUsage(ctx, adapter.UsageBatch(used("k1", 1))) }},
		{"RecordObservation", true, func(ctx context.Context) error {
			at := time.Unix(1, 0)
			return s.RecordObservation(ctx, store.Report{Recorder: "one", Since: at, From: at, Until: at, At: at})
		}},
	}
}

func newEvent(organization, reason string) store.Event {
	return store.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: store.EventOrganizationCreated, Organization: organization,
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary, Reason: reason,
	}
}

func used(id apikey.ID, count uint64) store.UsageRecord {
	return store.UsageRecord{Key: id, Entry: netip.MustParsePrefix("192.0.2.1/32"), Usage: accesslist.Usage{Count: count}}
}

func watchUntilError(ctx context.Context, s store.Watcher, after uint64) error {
	for _, err := range s.Watch(ctx, at(ctx, s, after)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A mirror is a copy of a store that is kept by its feed.
type mirror struct {
	keys          map[apikey.ID]apikey.Key
	organizations map[string]policy.Organization
	mark          store.Position
}

func newMirror() *mirror {
	return &mirror{keys: map[apikey.ID]apikey.Key{}, organizations: map[string]policy.Organization{}}
}

func (m *mirror) apply(change store.Change) {
	switch {
	case change.IsMark():
		m.mark = change.Position()
	case change.Deleted && change.Key != "":
		delete(m.keys, change.Key)
	case change.Deleted:
		delete(m.organizations, change.Organization)
	case change.KeyRecord != nil:
		m.keys[change.Key] = *change.KeyRecord
	case change.OrganizationRecord != nil:
		m.organizations[change.Organization] = *change.OrganizationRecord
	}
}

// wantSame checks that the mirror is what the store has.
func (m *mirror) wantSame(t testing.TB, s store.Store) {
	t.Helper()
	organizations, keys := 0, 0
	for organization, err := range store.AllOrganizations(t.Context(), s) {
		require.NoError(t, err)
		organizations++
		require.Equal(t, organization, m.organizations[organization.ID])
		for key, err := range store.AllKeys(t.Context(), s, organization.ID) {
			require.NoError(t, err)
			keys++
			require.True(t, key.Equal(m.keys[key.ID]), "key %s: the copy has revision %d, the store %d", key.ID, m.keys[key.ID].Revision, key.Revision)
		}
	}
	require.Len(t, m.organizations, organizations)
	require.Len(t, m.keys, keys)
}

// at returns the position of a revision in the store's history, and the zero Position for
// zero.
func at(ctx context.Context, s store.Watcher, revision uint64) store.Position {
	if revision == 0 {
		return store.Position{}
	}
	latest, _ := s.Position(ctx)
	return store.Position{History: latest.History, Revision: revision}
}

// revisionOf returns the latest revision.
func revisionOf(ctx context.Context, s store.Watcher) (uint64, error) {
	latest, err := s.Position(ctx)
	return latest.Revision, err
}
