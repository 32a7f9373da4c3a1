package etcdtest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
)

// TestCompactedBehind compacts what a watch has not been told yet.
func TestCompactedBehind(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, _ := opened(t, client)
	first := putOrganization(t, s, "acme")
	key := put(t, s, newKey("k1", "acme"))
	key = put(t, s, key)
	compact(t, client)
	require.ErrorIs(t, watchUntilError(t.Context(), s, first.Revision), store.ErrCompacted)
	require.ErrorIs(t, watchUntilError(t.Context(), s, key.Revision+1), store.ErrCompacted, "of a revision that is yet to come")

	// From where nothing was missed it goes on, whatever else the cluster is used for.
	for range 10 {
		_, err := client.Put(t.Context(), "/others/", "x")
		require.NoError(t, err)
		require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(used("k1", 1))))
	}
	compact(t, client)
	var told []store.Change
	for change, err := range s.Watch(t.Context(), at(t.Context(), s, key.Revision)) {
		require.NoError(t, err)
		if told = append(told, change); len(told) == 1 {
			require.Equal(t, store.Change{History: change.History, Revision: key.Revision}, change)
			key = put(t, s, key)
		}
		if len(told) == 3 {
			break
		}
	}
	require.True(t, told[1].KeyRecord.Equal(key))
	require.Equal(t, store.Change{History: told[0].History, Revision: key.Revision}, told[2])
}

// TestCompactedInTheMiddle compacts while everything is being told. The first page has the
// organization, the second at most four thousand keys, so there is a third, which is read
// after the first was told.
func TestCompactedInTheMiddle(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, _ := opened(t, client)
	putOrganization(t, s, "acme")
	const keys = 5500
	putMany(t, s, keys)
	told := 0
	var ended error
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		if err != nil {
			ended = err
			break
		}
		if told++; told == 1 {
			putOrganization(t, s, "other")
			compact(t, client)
		}
		require.False(t, change.IsMark(), "a mark was told after %d records", told)
	}
	require.ErrorIs(t, ended, store.ErrCompacted)
	require.Less(t, told, keys)
}

// putMany stores keys from several goroutines.
func putMany(t testing.TB, s store.Store, n int) {
	t.Helper()
	const goroutines = 64
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := g; i < n; i += goroutines {
				if _, err := s.PutKey(t.Context(), newKey(apikey.ID(fmt.Sprintf("key-%07d", i)), "acme")); err != nil {
					t.Errorf("key %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
}

// A rewriter writes the value of one key again and again, of 330 KB, past the store. It
// is none that can be read, since reading it each time would take longer than all else.
type rewriter struct {
	client *clientv3.Client
	name   string
}

func newRewriter(t testing.TB, client *clientv3.Client, s store.Store, prefix string) (rewriter, apikey.Key) {
	t.Helper()
	return rewriter{client, prefix + "keys/acme/large"}, put(t, s, newKey("large", "acme"))
}

var unreadable = strings.Repeat("x", 330<<10)

func (r rewriter) write(t testing.TB) (revision uint64) {
	t.Helper()
	response, err := r.client.Put(t.Context(), r.name, unreadable)
	require.NoError(t, err)
	return uint64(response.Header.Revision)
}

// TestStuckWatcher has a consumer stop in the middle, while more is written than any
// buffer has room for. Nobody waits for it, it costs no memory, and it comes to the same
// when it goes on.
func TestStuckWatcher(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, prefix := opened(t, client)
	organization := putOrganization(t, s, "acme")
	rewriter, key := newRewriter(t, client, s, prefix)
	const writes = 150 // 50 MB
	goOn, stuck, ended := make(chan bool), make(chan bool, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	copied := newMirror()
	go func() {
		defer close(ended)
		for change, err := range s.Watch(ctx, at(ctx, s, organization.Revision)) {
			if err != nil {
				ended <- err
				return
			}
			if change.Key == "large" && copied.mark.Revision == 0 {
				stuck <- true
				<-goOn
			}
			copied.apply(change)
			if _, ended := copied.keys["end"]; ended && change.IsMark() {
				return
			}
		}
	}()
	receive(t, stuck)
	before := heap()
	others := make(chan uint64, 2*writes)
	go func() {
		for change, err := range s.Watch(ctx, at(ctx, s, key.Revision)) {
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			if change.Key == "large" || change.IsMark() && change.Revision == key.Revision {
				others <- change.Revision
			}
		}
	}()
	require.Equal(t, key.Revision, receive(t, others), "what is written past the store is told to those who watch already")
	for range writes {
		require.Equal(t, rewriter.write(t), receive(t, others))
	}
	require.NoError(t, s.DeleteKey(t.Context(), "large", 0))
	end := put(t, s, newKey("end", "acme"))
	require.Less(t, heap()-before, int64(30<<20), "what the stuck watch has not told is kept here")
	close(goOn)
	require.NoError(t, receive(t, ended))
	require.Equal(t, end.Revision, copied.mark.Revision)
	copied.organizations["acme"] = organization // which was there before
	copied.wantSame(t, s)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestStuckWatcherIsCompacted is the same with the history compacted meanwhile: it must
// not leave anything out without saying so.
func TestStuckWatcherIsCompacted(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, prefix := opened(t, client)
	organization := putOrganization(t, s, "acme")
	rewriter, key := newRewriter(t, client, s, prefix)
	const writes = 300 // 100 MB
	last := key.Revision
	told, reached := 0, uint64(0)
	var ended error
	for change, err := range s.Watch(t.Context(), at(t.Context(), s, organization.Revision)) {
		if err != nil {
			ended = err
			break
		}
		if change.Key != "large" {
			continue
		}
		if told++; told == 1 {
			for range writes {
				last = rewriter.write(t)
			}
			compact(t, client)
		}
		if reached = change.Revision; reached == last {
			break
		}
	}
	if !errors.Is(ended, store.ErrCompacted) {
		require.NoError(t, ended)
		require.Equal(t, last, reached)
	}
	t.Logf("told %d of %d changes, then: %v", told, writes+1, ended)
}

// TestWatchFromBeyond watches from a revision that the cluster has reached and the store has
// not, and from one without a name for its history.
func TestWatchFromBeyond(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, prefix := opened(t, client)
	putOrganization(t, s, "acme")
	key := put(t, s, newKey("k1", "acme"))
	for range 20 { // others use the cluster, so it comes further than the store
		_, err := client.Put(t.Context(), "/others/", "x")
		require.NoError(t, err)
	}
	require.ErrorIs(t, watchUntilError(t.Context(), s, key.Revision+5), store.ErrCompacted)
	_, err := client.Delete(t.Context(), prefix+"revision")
	require.NoError(t, err)
	require.ErrorContains(t, watchUntilError(t.Context(), s, key.Revision), "want the name of a history")
	put(t, s, key)
	require.ErrorIs(t, watchUntilError(t.Context(), s, key.Revision), store.ErrCompacted, "the name of before is unknown here")
}

// TestCounting has eight goroutines count in one key, by compare and swap.
func TestCounting(t *testing.T) {
	cluster := etcdtest.StartUndisturbed(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	putOrganization(t, s, "acme")
	key := newKey("k1", "acme")
	key.Description = "0"
	put(t, s, key)
	const goroutines = 8
	each := 50
	if testing.Short() {
		each = 10
	}
	var all sync.WaitGroup
	for g := range goroutines {
		own := openedAt(t, cluster.Client(t, g%3), prefix) // each member serves some
		all.Go(func() {
			for n := 0; n < each; {
				stored, err := own.Key(t.Context(), "k1")
				if err != nil {
					t.Error(err)
					return
				}
				var count int
				_, _ = fmt.Sscan(stored.Description, &count)
				stored.Description = fmt.Sprint(count + 1)
				switch _, err = own.PutKey(t.Context(), stored); {
				case err == nil:
					n++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	stored, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(goroutines*each), stored.Description)
}

// TestKeyInADeletedOrganization has keys created and their organization deleted at the
// same time: never is there a key without its organization.
func TestKeyInADeletedOrganization(t *testing.T) {
	cluster := etcdtest.StartUndisturbed(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	var created, deleted int
	for n := range rounds {
		organization := putOrganization(t, s, fmt.Sprint("organization ", n))
		id := apikey.ID(fmt.Sprint("key-", n))
		var put, remove error
		var both sync.WaitGroup
		both.Go(func() { _, put = s.PutKey(t.Context(), newKey(id, organization.ID)) })
		both.Go(func() { remove = s.DeleteOrganization(t.Context(), organization.ID, organization.Revision) })
		both.Wait()
		switch {
		case put == nil:
			created++
			require.ErrorIs(t, remove, store.ErrNotEmpty)
		default:
			deleted++
			require.ErrorIs(t, put, store.ErrNotFound)
			require.NoError(t, remove)
		}
		_, found, err := openedAt(t, cluster.Client(t), prefix).Lookup(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, put == nil, found)
	}
	t.Logf("the key came first %d times, and second %d times", created, deleted)
}

// TestKeysOfOneID has two organizations create a key of the same ID at the same time.
func TestKeysOfOneID(t *testing.T) {
	client := etcdtest.StartUndisturbed(t, 3).Client(t)
	s, _ := opened(t, client)
	for _, id := range []string{"acme", "other"} {
		putOrganization(t, s, id)
	}
	for n := range 50 {
		id := apikey.ID(fmt.Sprint("key-", n))
		errs := make([]error, 2)
		var both sync.WaitGroup
		for i, organization := range []string{"acme", "other"} {
			both.Go(func() { _, errs[i] = s.PutKey(t.Context(), newKey(id, organization)) })
		}
		both.Wait()
		require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v", errs)
		require.ErrorIs(t, errors.Join(errs...), store.ErrExists)
		key, err := s.Key(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, errs[0] == nil, key.Organization == "acme")
		// A key that was deleted may be created elsewhere, and is found there.
		require.NoError(t, s.DeleteKey(t.Context(), id, key.Revision))
		elsewhere := put(t, s, newKey(id, map[bool]string{true: "acme", false: "other"}[key.Organization == "other"]))
		subject, found, err := s.Lookup(t.Context(), id)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, elsewhere.Organization, subject.Organization().ID)
	}
}

// TestUsageIsPruned changes a key's list again and again.
func TestUsageIsPruned(t *testing.T) {
	client := etcdtest.Start(t, 1).Client(t)
	s, prefix := opened(t, client)
	putOrganization(t, s, "acme")
	key := newKey("k1", "acme")
	key.Secrets = []apikey.StoredSecret{{Sum: sha256.Sum256([]byte("secret"))}}
	key = put(t, s, key)
	secret := key.Secrets[0].ID()
	for round := range 5 {
		var batch []store.UsageRecord
		for i := range 1000 {
			record := used("k1", 1)
			entry, err := accesslist.ParseEntry(fmt.Sprintf("10.%d.%d.%d", round, i/256, i%256))
			require.NoError(t, err)
			record.Entry, record.Secret = entry.Prefix(), secret
			batch = append(batch, record)
		}
		batch = append(batch, used("k1", 1)) // 192.0.2.1, the one entry that it has
		require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(batch...)))
	}
	response, err := client.Get(t.Context(), prefix+"usage/k1")
	require.NoError(t, err)
	require.Less(t, len(response.Kvs[0].Value), 150<<10, "of at most two rounds")
	usage, err := s.Usage(t.Context(), "k1")
	require.NoError(t, err)
	require.EqualValues(t, 5, usage["k1"].Entries[used("k1", 1).Entry].Count)
	require.EqualValues(t, 5000, usage["k1"].Secrets[secret].Count)
}
