package sqlite

import (
	"context"
	"database/sql"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// newPath returns the path of a file that is not there.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "keys.db") }

// inMemory returns a directory that no disk has to be waited for, where the system has
// one: for tests that write thousands of times, and test nothing that disks do.
func inMemory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "sqlite")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// newKey returns a key whose hash is that of no secret.
func newKey(t testing.TB, id apikey.ID, organization string, entries ...string) apikey.Key {
	t.Helper()
	key := apikey.Key{ID: id, Organization: organization, Secrets: []apikey.StoredSecret{{Sum: [32]byte{1, 2, 3}}}}
	if len(entries) > 0 {
		list, err := accesslist.Parse(entries...)
		require.NoError(t, err)
		key.AccessList = list
	}
	return key
}

func putOrganization(t testing.TB, s store.Store, id string) policy.Organization {
	t.Helper()
	organization, err := s.PutOrganization(context.Background(), policy.Organization{ID: id})
	require.NoError(t, err)
	return organization
}

func putKey(t testing.TB, s store.Store, key apikey.Key) apikey.Key {
	t.Helper()
	stored, err := s.PutKey(context.Background(), key, store.AllowOpen)
	require.NoError(t, err)
	return stored
}

// eventOf returns an event of a key, or of an organization itself.
func eventOf(organization string, key apikey.ID) store.Event {
	return store.Event{
		Time: time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC), Type: store.EventKeyDescribed, Organization: organization, Key: key,
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary,
	}
}

// write puts a key with an event.
func write(t testing.TB, s *Store, key apikey.Key) (revision uint64) {
	t.Helper()
	revision, err := s.Write(context.Background(), store.Write{
		PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: []store.Event{eventOf(key.Organization, key.ID)},
	})
	require.NoError(t, err)
	return revision
}

// forget forgets the events up to a position.
func forget(ctx context.Context, s *Store, through store.Position) error {
	_, err := s.Write(ctx, store.Write{Forget: &through, Events: []store.Event{eventOf("", "")}})
	return err
}

// twoKeys returns the path of a file with the organization "acme" and its keys "first"
// and "second", which was closed.
func twoKeys(t testing.TB) string {
	t.Helper()
	path := newPath(t)
	s, err := Open(context.Background(), path)
	require.NoError(t, err)
	putOrganization(t, s, "acme")
	putKey(t, s, newKey(t, "first", "acme", "192.0.2.1", "198.51.100.0/24"))
	write(t, s, newKey(t, "second", "acme", "192.0.2.2"))
	require.NoError(t, s.RecordUsage(context.Background(), adapter.UsageBatch(store.UsageRecord{
		Key: "first", Entry: netip.MustParsePrefix("192.0.2.1/32"), Secret: "5ec2e700", Usage: accesslist.Usage{Count: 3},
	})))
	require.NoError(t, s.Close())
	return path
}

// sqlTo runs statements as somebody does who has the file open with a tool: without what
// protects it.
func sqlTo(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", strings.Split(uri(path), "?")[0]+"?_pragma=ignore_check_constraints(1)&_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	defer func() { assert.NoError(t, db.Close()) }()
	for _, statement := range statements {
		_, err := db.Exec(statement)
		require.NoError(t, err, statement)
	}
}

// loosen takes from the tables what keeps values of other types out, as a disk does.
func loosen(t testing.TB, path string) {
	t.Helper()
	sqlTo(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '') WHERE sql LIKE '%STRICT'", "PRAGMA writable_schema = RESET")
}

// told returns what a watch tells up to its first mark.
func told(t testing.TB, s store.Watcher, after uint64) (changes []store.Change, mark uint64) {
	t.Helper()
	for change, err := range s.Watch(t.Context(), at(s, after)) {
		require.NoError(t, err)
		if change.IsMark() {
			return changes, change.Revision
		}
		changes = append(changes, change)
	}
	require.Fail(t, "the watch ended without a mark")
	return nil, 0
}

// watchError returns the error that a watch ends with, having told nothing.
func watchError(t testing.TB, s store.Watcher, after uint64) error {
	t.Helper()
	for change, err := range s.Watch(t.Context(), at(s, after)) {
		require.Error(t, err, "it told %+v", change)
		assert.Equal(t, store.Change{}, change)
		return err
	}
	require.Fail(t, "the watch ended without an error")
	return nil
}

// firstError returns the error that a watch ends with before its first mark.
func firstError(t testing.TB, s store.Watcher, after uint64) error {
	t.Helper()
	for change, err := range s.Watch(t.Context(), at(s, after)) {
		if err != nil || change.IsMark() {
			return err
		}
	}
	return nil
}

// decide asks an engine about a call that the key's list and proof admit.
func decide(s policy.Source, id apikey.ID, client string) policy.Decision {
	return policy.New(s, policy.WithTimeout(time.Minute)).Decide(context.Background(), policy.Request{
		Key: id, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr(client), Organization: "acme",
	})
}

// wantUnavailable checks that nobody is let in, and that the reason is said.
func wantUnavailable(t testing.TB, s policy.Source, id apikey.ID) {
	t.Helper()
	d := decide(s, id, "192.0.2.1")
	assert.Equal(t, policy.Unavailable, d.Reason)
	assert.False(t, d.Allowed())
	assert.ErrorContains(t, d.Cause, "source failed: store")
}

// everyCall has the calls that need the file, for a store with the contents of twoKeys and an
// organization "spare".
func everyCall(t testing.TB) map[string]func(ctx context.Context, s *Store) error {
	return map[string]func(ctx context.Context, s *Store) error{
		"Lookup":       func(ctx context.Context, s *Store) error { _, _, err := s.Lookup(ctx, "first"); return err },
		"Key":          func(ctx context.Context, s *Store) error { _, err := s.Key(ctx, "first"); return err },
		"Organization": func(ctx context.Context, s *Store) error { _, err := s.Organization(ctx, "acme"); return err },
		"Keys": func(ctx context.Context, s *Store) error {
			_, err := s.Keys(ctx, "acme", store.PageRequest{})
			return err
		},
		"Organizations": func(ctx context.Context, s *Store) error {
			_, err := s.Organizations(ctx, store.PageRequest{})
			return err
		},
		"Revision": func(ctx context.Context, s *Store) error { _, err := revisionOf(ctx, s); return err },
		"Usage":    func(ctx context.Context, s *Store) error { _, err := s.Usage(ctx, "first"); return err },
		"Watch": func(ctx context.Context, s *Store) error {
			for change, err := range s.Watch(ctx, store.Position{}) {
				if err != nil || change.IsMark() {
					return err
				}
			}
			return nil
		},
		"PutOrganization": func(ctx context.Context, s *Store) error {
			_, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
			return err
		},
		"PutKey": func(ctx context.Context, s *Store) error {
			_, err := s.PutKey(ctx, newKey(t, "third", "acme"), store.AllowOpen)
			return err
		},
		"DeleteKey":          func(ctx context.Context, s *Store) error { return s.DeleteKey(ctx, "second", 0) },
		"DeleteOrganization": func(ctx context.Context, s *Store) error { return s.DeleteOrganization(ctx, "spare", 0) },
		"Load":               func(ctx context.Context, s *Store) error { return s.Load(ctx, nil, nil) },
		"RecordUsage":        func(ctx context.Context, s *Store) error { return s.RecordUsage(ctx, nil) },
		"Events":             func(ctx context.Context, s *Store) error { _, err := s.Events(ctx, store.EventRequest{}); return err },
		"Write": func(ctx context.Context, s *Store) error {
			_, err := s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "written"}})
			return err
		},
	}
}

// wantPrefix checks that an error begins so, and says only once whose it is.
func wantPrefix(t testing.TB, err error, prefix string) {
	t.Helper()
	require.Error(t, err)
	assert.True(t, strings.HasPrefix(err.Error(), prefix), "%v", err)
	assert.Equal(t, 1, strings.Count(err.Error(), "store/sqlite: "), "%v", err)
}

// A contents is all that a store has.
type contents struct {
	organizations []policy.Organization
	keys          []apikey.Key
	usage         []store.KeyUsage
	events        []store.Event
	observation   store.Observation
	revision      uint64
}

func contentsOf(t testing.TB, s *Store) (all contents) {
	t.Helper()
	ctx := context.Background()
	for organization, err := range store.AllOrganizations(ctx, s) {
		require.NoError(t, err)
		all.organizations = append(all.organizations, organization)
		for key, err := range store.AllKeys(ctx, s, organization.ID) {
			require.NoError(t, err)
			all.keys = append(all.keys, key)
			usage, err := s.Usage(ctx, key.ID)
			require.NoError(t, err)
			all.usage = append(all.usage, usage[key.ID])
		}
	}
	for event, err := range store.AllEvents(ctx, s, store.EventRequest{}) {
		require.NoError(t, err)
		all.events = append(all.events, event)
	}
	var err error
	all.observation, err = s.Observation(ctx)
	require.NoError(t, err)
	revision, err := revisionOf(ctx, s)
	require.NoError(t, err)
	all.revision = revision
	return all
}

func (c contents) equal(other contents) bool {
	return slices.EqualFunc(c.organizations, other.organizations, policy.Organization.Equal) && slices.EqualFunc(c.keys, other.keys, apikey.Key.Equal) &&
		slices.EqualFunc(c.events, other.events, store.Event.Equal) &&
		assert.ObjectsAreEqual(c.usage, other.usage) && assert.ObjectsAreEqual(c.observation, other.observation) && c.revision == other.revision
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
