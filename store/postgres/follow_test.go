package postgres_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// A follower keeps a copy of a store's records by watching it, and watches again from
// the last mark when that ends.
type follower struct {
	mu            sync.Mutex
	mark          store.Position
	organizations map[string]policy.Organization
	keys          map[apikey.ID]apikey.Key
	errs          []error // what watches ended with
}

// follow begins to follow, until the test ends.
func follow(t testing.TB, s store.Watcher) *follower {
	t.Helper()
	f := &follower{organizations: map[string]policy.Organization{}, keys: map[apikey.ID]apikey.Key{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			f.watch(ctx, s)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *follower) watch(ctx context.Context, s store.Watcher) {
	var since []store.Change
	for change, err := range s.Watch(ctx, f.position()) {
		f.mu.Lock()
		if err != nil {
			f.errs = append(f.errs, err)
			if errors.Is(err, store.ErrCompacted) {
				f.mark = store.Position{}
			}
		} else if change.IsMark() {
			f.apply(since, change.Position())
			since = nil
		} else {
			since = append(since, change)
		}
		f.mu.Unlock()
	}
}

func (f *follower) apply(changes []store.Change, mark store.Position) {
	if f.mark == (store.Position{}) {
		clear(f.organizations)
		clear(f.keys)
	}
	for _, c := range changes {
		switch {
		case c.OrganizationRecord != nil:
			f.organizations[c.Organization] = *c.OrganizationRecord
		case c.KeyRecord != nil:
			f.keys[c.Key] = *c.KeyRecord
		case c.Key != "":
			delete(f.keys, c.Key)
		default:
			delete(f.organizations, c.Organization)
		}
	}
	f.mark = mark
}

func (f *follower) position() store.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mark
}

func (f *follower) ended() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.errs
}

// reaches waits until the copy has come to a revision.
func (f *follower) reaches(t testing.TB, revision uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.mark.Revision >= revision
	}, patience, time.Millisecond, "the watch did not come to revision %d", revision)
}

// tracks has a writer put its organization acme a number of times, and waits for each.
func (f *follower) tracks(t testing.TB, writer store.Store, times int) {
	t.Helper()
	organization, err := writer.Organization(t.Context(), "acme")
	require.NoError(t, err)
	for range times {
		organization, err = writer.PutOrganization(t.Context(), organization)
		require.NoError(t, err)
		f.reaches(t, organization.Revision)
	}
}

// is checks that the copy is the store.
func (f *follower) is(t testing.TB, s store.Store) {
	t.Helper()
	revision, err := revisionOf(context.Background(), s.(store.Watcher))
	require.NoError(t, err)
	f.reaches(t, revision)
	organizations, keys := everything(t, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	assert.True(t, maps.EqualFunc(organizations, f.organizations, policy.Organization.Equal), "organizations are %v, and a copy has %v", organizations, f.organizations)
	assert.True(t, maps.EqualFunc(keys, f.keys, apikey.Key.Equal), "a copy of %d keys is not the store's %d", len(f.keys), len(keys))
}

func everything(t testing.TB, s store.Store) (map[string]policy.Organization, map[apikey.ID]apikey.Key) {
	t.Helper()
	organizations, keys := map[string]policy.Organization{}, map[apikey.ID]apikey.Key{}
	for o, err := range store.AllOrganizations(context.Background(), s) {
		require.NoError(t, err)
		organizations[o.ID] = o
		for key, err := range store.AllKeys(context.Background(), s, o.ID) {
			require.NoError(t, err)
			keys[key.ID] = key
		}
	}
	return organizations, keys
}
