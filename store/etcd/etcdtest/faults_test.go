package etcdtest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
)

// A writer replaces a key of its own again and again, and remembers the latest version
// that was acknowledged. Versions that it had an error for may be there or not.
type writer struct {
	id      apikey.ID
	acked   int
	tried   int
	written atomic.Int64
	longest time.Duration // from one acknowledged write to the next
}

func (w *writer) run(ctx context.Context, s store.Store) {
	last := time.Now()
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		stored, err := s.Key(call, w.id)
		if err == nil {
			w.tried++
			stored.Description = fmt.Sprint(w.tried)
			if _, err = s.PutKey(call, stored); err == nil {
				w.acked = w.tried
				w.written.Add(1)
				w.longest = max(w.longest, time.Since(last))
				last = time.Now()
			}
		}
		cancel()
	}
}

// A follower keeps a mirror, and calls Watch again whenever it ends.
type follower struct {
	mu      sync.Mutex
	mirror  *mirror
	ends    []error
	longest time.Duration // from one mark to the next
}

func (f *follower) run(ctx context.Context, s store.Watcher) {
	f.mirror = newMirror()
	last := time.Now()
	for ctx.Err() == nil {
		for change, err := range s.Watch(ctx, f.mark()) {
			f.mu.Lock()
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, store.ErrCompacted):
				f.mirror = newMirror()
				f.ends = append(f.ends, err)
			case err != nil:
				f.ends = append(f.ends, err)
			default:
				f.mirror.apply(change)
				f.longest = max(f.longest, time.Since(last))
				last = time.Now()
			}
			f.mu.Unlock()
		}
	}
}

func (f *follower) mark() store.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mirror.mark
}

// TestLeaderIsKilled kills the leader, several times over, under writers, readers and
// a watch. Nothing that was acknowledged is lost, nothing that was read was older than
// that, and the watch leaves nothing out.
func TestLeaderIsKilled(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	putOrganization(t, s, "acme")
	writers := make([]*writer, 4)
	for i := range writers {
		writers[i] = &writer{id: apikey.ID(fmt.Sprint("key-", i))}
		put(t, s, newKey(writers[i].id, "acme"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running, following sync.WaitGroup
	follower := &follower{mirror: newMirror()}
	followed, unfollow := context.WithCancel(t.Context())
	defer unfollow()
	following.Go(func() { follower.run(followed, openedAt(t, cluster.Client(t), prefix)) })
	for _, w := range writers {
		running.Go(func() { w.run(ctx, s) })
	}
	running.Go(func() { // a reader through a client of its own, which must never go back
		reader, latest := openedAt(t, cluster.Client(t), prefix), map[apikey.ID]uint64{}
		for i := 0; ctx.Err() == nil; i++ {
			id := writers[i%len(writers)].id
			call, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			subject, found, err := reader.Lookup(call, id)
			cancel()
			if err != nil {
				continue
			}
			assert.True(t, found)
			assert.GreaterOrEqual(t, subject.Key().Revision, latest[id])
			latest[id] = subject.Key().Revision
		}
	})

	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		wantProgress(t, writers)
		leader := cluster.Leader(t)
		cluster.Kill(t, leader)
		wantProgress(t, writers)
		cluster.Restart(t, leader)
		cluster.WaitHealthy(t)
	}
	wantProgress(t, writers)
	cancel()
	running.Wait()

	for _, w := range writers {
		key, err := s.Key(t.Context(), w.id)
		require.NoError(t, err)
		var version int
		_, err = fmt.Sscan(key.Description, &version)
		require.NoError(t, err)
		require.GreaterOrEqual(t, version, w.acked, "of key %s", w.id)
		require.LessOrEqual(t, version, w.tried)
		t.Logf("%s: %d writes acknowledged, %d with an error, at most %v between two", w.id, w.written.Load(), w.tried-int(w.written.Load()), w.longest)
	}
	revision, err := revisionOf(t.Context(), s)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return follower.mark().Revision >= revision }, time.Minute, 10*time.Millisecond)
	unfollow()
	following.Wait()
	follower.mirror.wantSame(t, s)
	t.Logf("the watch ended %d times (%v), with at most %v between two changes", len(follower.ends), follower.ends, follower.longest)
}

// wantProgress waits until every writer has written some more.
func wantProgress(t *testing.T, writers []*writer) {
	t.Helper()
	for _, w := range writers {
		enough := w.written.Load() + 20
		require.Eventually(t, func() bool { return w.written.Load() >= enough }, time.Minute, 5*time.Millisecond)
	}
}

// TestMinority cuts a member off from the others, with clients that reach only that
// one. It must not answer from what it has, while the others go on.
func TestMinority(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	putOrganization(t, s, "acme")
	key := put(t, s, newKey("k1", "acme"))
	for name, next := range map[string]int{"the leader": 0, "another": 1} {
		t.Run(name, func(t *testing.T) {
			member := (cluster.Leader(t) + next) % 3
			others := openedAt(t, cluster.Client(t, (member+1)%3, (member+2)%3), prefix)
			alone := openedAt(t, cluster.Client(t, member), prefix)
			key, err := others.Key(t.Context(), "k1")
			require.NoError(t, err)
			watched := make(chan error, 1)
			go func() { watched <- watchUntilError(t.Context(), alone, key.Revision) }()
			_, found, err := alone.Lookup(t.Context(), "k1") // and again, when it knows where the key is
			require.True(t, found)
			require.NoError(t, err)

			cluster.Isolate(t, member)
			cluster.LeaderOf(t, (member+1)%3, (member+2)%3)
			key.Disabled = !key.Disabled
			key, err = others.PutKey(t.Context(), key)
			require.NoError(t, err)
			wantUnavailable(t, alone, "k1")
			wantUnavailable(t, alone, "gone")
			var calls sync.WaitGroup
			for _, call := range everyCall(alone) {
				calls.Go(func() {
					err := call.do(short(t))
					assert.Error(t, err, call.name)
					assert.NotErrorIs(t, err, store.ErrNotFound, call.name)
				})
			}
			calls.Wait()
			require.Error(t, receive(t, watched))

			cluster.Heal(t, member)
			cluster.WaitHealthy(t)
			subject, found, err := alone.Lookup(t.Context(), "k1")
			require.NoError(t, err)
			require.True(t, found)
			require.GreaterOrEqual(t, subject.Key().Revision, key.Revision)
		})
	}
	require.NotZero(t, key.Revision)
}

// TestOneOfThreeIsIsolated cuts a member off from the others while clients reach it. What
// they ask it, as one of three, another answers.
func TestOneOfThreeIsIsolated(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client(t)
	s, prefix := opened(t, client)
	putOrganization(t, s, "acme")
	put(t, s, newKey("k1", "acme"))
	isolated := (cluster.Leader(t) + 1) % 3
	alone := openedAt(t, cluster.Client(t, isolated), prefix)
	cluster.Isolate(t, isolated)
	require.Eventually(t, func() bool { // until then it holds what it is asked
		status, err := client.Status(t.Context(), cluster.Endpoints(isolated)[0])
		return err == nil && status.Leader == 0
	}, time.Minute, 10*time.Millisecond)
	for range 30 {
		_, found, err := s.Lookup(t.Context(), "k1")
		require.NoError(t, err)
		require.True(t, found)
	}
	_, err := alone.PutKey(t.Context(), newKey("k2", "acme")) // without a deadline
	require.ErrorIs(t, err, rpctypes.ErrNoLeader)
	_, found, err := s.Lookup(t.Context(), "k2")
	require.NoError(t, err)
	require.False(t, found)
}

// receive waits for what comes from a channel.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(time.Minute):
		t.Fatal("nothing came for a minute")
		panic("unreachable")
	}
}

// TestNetworkIsSilent has nothing pass between a client and the member that serves its
// watch. The client's keep-alive ends the watch, and another member serves the next.
func TestNetworkIsSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it waits for keep-alives")
	}
	cluster := etcdtest.Start(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	putOrganization(t, s, "acme")
	alone := openedAt(t, cluster.Client(t, 0), prefix)
	watched := make(chan error, 1)
	marks := make(chan uint64, 1000)
	go func() {
		for change, err := range alone.Watch(t.Context(), store.Position{}) {
			if err != nil {
				watched <- err
				return
			}
			if change.IsMark() {
				marks <- change.Revision
			}
		}
	}()
	receive(t, marks)
	cluster.Cut(0)
	key := put(t, openedAt(t, cluster.Client(t, 1, 2), prefix), newKey("k1", "acme"))
	require.Error(t, receive(t, watched))
	wantUnavailable(t, alone, "k1")
	require.Empty(t, marks)
	cluster.Heal(t, 0)
	require.Eventually(t, func() bool {
		revision, err := revisionOf(short(t), alone)
		return err == nil && revision == key.Revision
	}, time.Minute, 10*time.Millisecond)
}

// TestClusterIsGone kills all members at once, and starts them again. What was
// acknowledged is there (S25), and no revision is given again (S26).
func TestClusterIsGone(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	putOrganization(t, s, "acme")
	put(t, s, newKey("k1", "acme"))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	writers := make([]*writer, 4)
	for i := range writers {
		writers[i] = &writer{id: apikey.ID(fmt.Sprint("key-", i))}
		put(t, s, newKey(writers[i].id, "acme"))
		running.Go(func() { writers[i].run(ctx, s) })
	}
	wantProgress(t, writers)
	revision, err := revisionOf(t.Context(), s)
	require.NoError(t, err)
	cluster.Stop(t)
	cancel()
	running.Wait()

	var calls sync.WaitGroup
	for _, call := range everyCall(s) {
		calls.Go(func() { assert.ErrorIs(t, call.do(short(t)), context.DeadlineExceeded, call.name) })
	}
	calls.Wait()
	wantUnavailable(t, s, "k1")
	_, err = etcd.New(short(t), cluster.Client(t), prefix)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "error: ") // what happened, and not only that time is up

	for i := range 3 {
		cluster.Restart(t, i)
	}
	cluster.WaitHealthy(t)
	again := openedAt(t, cluster.Client(t), prefix)
	for _, w := range writers {
		key, err := again.Key(t.Context(), w.id)
		require.NoError(t, err)
		var version int
		_, err = fmt.Sscan(key.Description, &version)
		require.NoError(t, err)
		require.GreaterOrEqual(t, version, w.acked)
		require.LessOrEqual(t, version, w.tried)
	}
	key := put(t, again, newKey("later", "acme"))
	require.Greater(t, key.Revision, revision)
}

func TestClientIsClosed(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	client := cluster.Client(t)
	s, _ := opened(t, client)
	organization := putOrganization(t, s, "acme")
	put(t, s, newKey("k1", "acme"))
	watched := make(chan error, 1)
	marked := make(chan bool, 10)
	go func() {
		for change, err := range s.Watch(t.Context(), at(t.Context(), s, organization.Revision)) {
			if err != nil {
				watched <- err
			}
			marked <- change.IsMark()
		}
	}()
	receive(t, marked)
	require.NoError(t, client.Close())
	require.ErrorContains(t, receive(t, watched), "closing")
	for _, call := range everyCall(s) {
		err := call.do(t.Context()) // without a deadline
		require.ErrorContains(t, err, "closing", call.name)
		require.NotErrorIs(t, err, context.Canceled)
	}
	wantUnavailable(t, s, "k1")
	require.NoError(t, s.Close())
	_, err := s.Key(t.Context(), "k1")
	require.ErrorIs(t, err, store.ErrClosed)
}

// TestCloseLeavesTheClient closes a store of two on one client.
func TestCloseLeavesTheClient(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	client := cluster.Client(t)
	s, prefix := opened(t, client)
	other := openedAt(t, client, prefix)
	putOrganization(t, s, "acme")
	watched := make(chan error, 1)
	marks := make(chan uint64, 10)
	go func() {
		for change, err := range other.Watch(t.Context(), store.Position{}) {
			if err != nil {
				watched <- err
				return
			}
			if change.IsMark() {
				marks <- change.Revision
			}
		}
	}()
	receive(t, marks)
	require.NoError(t, s.Close())
	require.ErrorIs(t, watchUntilError(t.Context(), s, 0), store.ErrClosed)
	key := put(t, other, newKey("k1", "acme"))
	require.Equal(t, key.Revision, receive(t, marks))
	require.NoError(t, other.Close())
	require.ErrorIs(t, receive(t, watched), store.ErrClosed)
}
