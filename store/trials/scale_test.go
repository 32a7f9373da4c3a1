package trials_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/replica"
)

var someAddress = netip.MustParseAddr("203.0.113.7")

const scaleOrganizations = 1000

func scaleOrganization(i int) string { return fmt.Sprintf("organization-%04d", i%scaleOrganizations) }

// TestScale loads a million keys, measures how long a replica takes until it is ready
// and what it holds, and how many writes a second there are with and without replicas
// that follow.
func TestScale(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		keys := s.open(t)
		n := of(1_000_000, 10_000)
		began := time.Now()
		loadMany(t, keys, n)
		t.Logf("%s: %d keys loaded in %v", s.name, n, time.Since(began).Round(time.Millisecond))

		before := heap()
		began = time.Now()
		copied := follow(t, keys)
		ready := time.Since(began)
		t.Logf("%s: replica ready in %v, %d bytes a key", s.name, ready.Round(time.Millisecond), (heap()-before)/uint64(n))
		for i := 0; i < n; i += max(1, n/1000) {
			_, found, err := copied.LookupNow(scaleKey(i))
			require.NoError(t, err)
			require.True(t, found, "key %d", i)
		}

		for _, writers := range []int{1, 8}[:of(2, 1)] {
			for _, followers := range []int{0, 1, 4}[:of(3, 2)] {
				var others []*replica.Replica
				for range followers {
					connection := s.open(t) // as of a process of its own
					other := follow(t, connection)
					others = append(others, other)
				}
				if followers == 0 {
					require.NoError(t, copied.Close())
				}
				t.Logf("%s: %d writers, %d followers: %.0f writes a second", s.name, writers, followers, throughput(t, keys, writers))
				for _, other := range others {
					require.NoError(t, other.Sync(t.Context()))
					require.NoError(t, other.Close())
				}
			}
		}
	})
}

func follow(t *testing.T, s store.Store) *replica.Replica {
	t.Helper()
	copied, err := replica.New(s, replica.WithErrorHandler(func(err error) { t.Log("replica:", err) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = copied.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	require.NoError(t, copied.Ready(ctx))
	return copied
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func scaleKey(i int) apikey.ID { return apikey.ID(fmt.Sprintf("key-%07d", i)) }

// loadMany stores so many keys of one entry each, by the fastest way that the store has.
func loadMany(t *testing.T, s store.Store, n int) {
	t.Helper()
	loadSome(t, s, n, func(int) bool { return true })
}

// loadSome stores only some of them.
func loadSome(t *testing.T, s store.Store, n int, is func(i int) bool) {
	t.Helper()
	ctx := t.Context()
	var organizations []policy.Organization
	for i := range scaleOrganizations {
		organizations = append(organizations, policy.Organization{ID: scaleOrganization(i), Requirement: policy.Required})
	}
	key := func(i int) apikey.Key {
		list, err := accesslist.Parse(fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255))
		require.NoError(t, err)
		return apikey.Key{
			ID: scaleKey(i), Organization: scaleOrganization(i), AccessList: list, Created: time.Unix(1_790_000_000, 0),
			Grants:  []apikey.Grant{{Role: "reader", AllProjects: true}},
			Secrets: []apikey.StoredSecret{{Sum: [32]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}}},
		}
	}
	if loader, ok := store.As[store.Loader](s); ok {
		require.NoError(t, loader.Load(ctx, organizations, nil))
		for from := 0; from < n; from += store.MaxLoad {
			var keys []apikey.Key
			for i := from; i < min(n, from+store.MaxLoad); i++ {
				if is(i) {
					keys = append(keys, key(i))
				}
			}
			require.NoError(t, loader.Load(ctx, nil, keys))
		}
		return
	}
	var group errgroup.Group
	group.SetLimit(64)
	for _, organization := range organizations {
		group.Go(func() error {
			_, err := s.PutOrganization(ctx, organization)
			return err
		})
	}
	require.NoError(t, group.Wait())
	for i := range n {
		if is(i) {
			group.Go(func() error {
				_, err := s.PutKey(ctx, key(i))
				return err
			})
		}
	}
	require.NoError(t, group.Wait())
}

// throughput returns how many writes a second so many writers get through, each to
// keys of its own.
func throughput(t *testing.T, s store.Store, writers int) float64 {
	t.Helper()
	ctx := t.Context()
	var written atomic.Int64
	duration := time.Duration(of(10, 1)) * time.Second
	end := time.Now().Add(duration)
	var group errgroup.Group
	for i := range writers {
		group.Go(func() error {
			key, err := s.Key(ctx, scaleKey(i))
			for err == nil && time.Now().Before(end) {
				if key, err = s.PutKey(ctx, key); err == nil {
					written.Add(1)
				}
			}
			return err
		})
	}
	assert.NoError(t, group.Wait())
	return float64(written.Load()) / duration.Seconds()
}
