package trials_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// TestPreviewAmongMany previews changes of one organization among a thousand with a million
// keys, and of the same organization alone in a store: the others make no difference.
func TestPreviewAmongMany(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"memory":   func(*testing.T) store.Store { return memory.New() },
		"sqlite":   func(t *testing.T) store.Store { return sqliteSystem(t).open(t) },
		"postgres": func(t *testing.T) store.Store { return postgresSystem(t).open(t) },
	} {
		t.Run(name, func(t *testing.T) {
			n := of(1_000_000, 20_000)
			alone, among := open(t), open(t)
			loadSome(t, alone, n, func(i int) bool { return i%scaleOrganizations == 0 })
			before := heap()
			loadMany(t, among, n)
			t.Logf("%s: %d keys, %d in each organization, %d bytes a key held", name, n, n/scaleOrganizations, (int64(heap())-int64(before))/int64(n))
			for _, change := range []admin.Change{admin.DisableOrganization(), admin.DisableKey(scaleKey(0))} {
				one, held := previewed(t, alone, change)
				all, heldAll := previewed(t, among, change)
				t.Logf("%s: %v: %v alone, %v among all, %d and %d bytes allocated", name, change, one, all, held, heldAll)
			}
			runtime.KeepAlive(among)
		})
	}
}

// previewed returns the median time of a preview, and the bytes that one allocates.
func previewed(t *testing.T, s store.Store, change admin.Change) (time.Duration, uint64) {
	t.Helper()
	managing, err := admin.New(s, admin.WithPeopleManaging())
	require.NoError(t, err)
	var times []time.Duration
	var before, after runtime.MemStats
	for range 21 {
		runtime.ReadMemStats(&before)
		began := time.Now()
		preview, err := managing.Preview(t.Context(), admin.BySystem("trials"), scaleOrganization(0), change)
		require.NoError(t, err)
		times = append(times, time.Since(began))
		runtime.ReadMemStats(&after)
		require.NotEmpty(t, preview.Keys)
	}
	slices.Sort(times)
	return times[len(times)/2].Round(10 * time.Microsecond), after.TotalAlloc - before.TotalAlloc
}
