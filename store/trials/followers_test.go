package trials_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/replica"
)

// TestFollowers measures one writer's writes a second while 10, 50 and 100 replicas follow,
// and without any before and after each, since the machine's other work changes.
//
// It models n processes by one: each replica has a store, a pool and a listening connection
// of its own, and all share this process. The server's work is that of n processes. The
// clients' work competes with the server for the same cores; on machines of their own it
// would not. So the processor time of both is reported, for PostgreSQL; etcd's members are
// part of this process, and SQLite has no server.
func TestFollowers(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		keys := s.open(t)
		loadMany(t, keys, of(1000, 100))
		before := measure(t, s, keys, 0)
		for _, n := range []int{10, 50, 100}[:of(3, 1)] {
			followed := measure(t, s, keys, n)
			after := measure(t, s, keys, 0)
			t.Logf("%s: %3d followers: %.2f of the writes without", s.name, n, 2*followed/(before+after))
			before = after
		}
	})
}

// measure returns the writes a second while so many replicas follow.
func measure(t *testing.T, s system, keys store.Store, n int) float64 {
	t.Helper()
	var followers []*follower
	for range n {
		connection := s.open(t) // as of a process of its own
		followers = append(followers, &follower{follow(t, connection), connection})
	}
	writeBefore(t, keys, followers, 1) // statements are prepared, and planned some times

	began := s.load(t)
	time.Sleep(time.Duration(of(1000, 100)) * time.Millisecond)
	idle := s.load(t).since(began)

	began = s.load(t)
	writes, delays := writeBefore(t, keys, followers, of(3, 1))
	busy := s.load(t).since(began)
	for _, f := range followers {
		f.close(t)
	}
	rate := float64(writes) / busy.took.Seconds()
	each := func(d time.Duration) time.Duration { return (d / time.Duration(writes)).Round(time.Microsecond) }
	t.Logf("%s: %3d followers: %4.0f writes a second; each costs the clients %v and the server %v, and is followed after %v, 99 %% %v; a quiet second costs %v and %v",
		s.name, n, rate, each(busy.clients), each(busy.server), percentile(delays, 50), percentile(delays, 99), idle.clients.Round(time.Millisecond), idle.server.Round(time.Millisecond))
	return rate
}

// A follower is a replica, and the store it follows.
type follower struct {
	*replica.Replica
	store store.Store
}

func (f *follower) close(t *testing.T) {
	t.Helper()
	require.NoError(t, f.Close())
	require.NoError(t, f.store.Close())
}

// writeBefore replaces a key again and again. It returns the number of
// writes, and how long some of them took to reach one of the followers, ascending. At the
// end all followers have all writes.
func writeBefore(t *testing.T, keys store.Store, followers []*follower, seconds int) (writes int, delays []time.Duration) {
	t.Helper()
	ctx := t.Context()
	type written struct {
		revision uint64
		at       time.Time
	}
	sample, done := make(chan written, 1), make(chan struct{})
	go func() {
		defer close(done)
		for w := range sample {
			if len(followers) == 0 {
				continue
			}
			for followers[0].Position().Revision < w.revision {
				time.Sleep(100 * time.Microsecond)
			}
			delays = append(delays, time.Since(w.at))
		}
	}()
	key, err := keys.Key(ctx, scaleKey(0))
	require.NoError(t, err)
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); writes++ {
		key, err = keys.PutKey(ctx, key)
		require.NoError(t, err)
		select {
		case sample <- written{key.Revision, time.Now()}:
		default:
		}
	}
	close(sample)
	<-done
	for _, f := range followers {
		require.NoError(t, f.Sync(ctx))
		subject, found, err := f.LookupNow(key.ID)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, key.Revision, subject.Key().Revision)
	}
	slices.Sort(delays)
	if len(delays) == 0 {
		delays = append(delays, 0)
	}
	return writes, delays
}

// A load is the processor time used so far.
type load struct {
	took            time.Duration // since some moment
	clients, server time.Duration
}

func (l load) since(before load) load {
	return load{l.took - before.took, l.clients - before.clients, l.server - before.server}
}

var someMoment = time.Now()

// load returns the processor time of this process, and of the PostgreSQL server.
func (s system) load(t *testing.T) load {
	t.Helper()
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	l := load{took: time.Since(someMoment), clients: time.Duration(used.Utime.Nano() + used.Stime.Nano())}
	if s.server == nil {
		return l
	}
	text, err := os.ReadFile(filepath.Join(s.server.Data(), "postmaster.pid"))
	require.NoError(t, err)
	postmaster, _, _ := strings.Cut(string(text), "\n")
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, process := range processes {
		text, err := os.ReadFile(process) // it may have ended
		if err != nil {
			continue
		}
		// pid (name) state parent …
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[1] != postmaster && filepath.Base(filepath.Dir(process)) != postmaster {
			continue
		}
		// In nanoseconds; the other file has hundredths of a second.
		text, _ = os.ReadFile(filepath.Join(filepath.Dir(process), "schedstat"))
		used, _, _ := strings.Cut(string(text), " ")
		nanoseconds, _ := strconv.ParseInt(used, 10, 64)
		l.server += time.Duration(nanoseconds)
	}
	return l
}
