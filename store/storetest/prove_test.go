package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/recorder"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

var brokenStores = slices.Concat(brokenReads, brokenFields, brokenWrites, brokenLists, brokenLoads, brokenFeeds, brokenMarks, brokenUsage, brokenEvidence, brokenReopens, brokenRestores, brokenDamages, brokenJournals, brokenEvents, brokenFilters, brokenVersions)

// caughtBy runs the cases of the sentence and returns those that failed.
func (b brokenStore) caughtBy(t *testing.T) (caught []string) {
	r, err := newRunner(func(testing.TB) store.Store { return b.make() }, b.options)
	require.NoError(t, err)
	r.limits = limits{whole: 5 * time.Second, patience: time.Second}
	if b.only != "" { // on a busy machine no other case may run out of its time, after a wait in vain either
		r.limits = limits{whole: 2 * time.Minute, patience: 10 * time.Second}
		r.limitsAfterVain = r.limits
	}
	for _, c := range cases {
		if c.sentence != b.sentence || !r.has(c.needs) {
			continue
		}
		got := recorder.Record(t, func(t testing.TB) { r.run(t, c) })
		if len(got.Failures) > 0 {
			caught = append(caught, c.title())
			assert.Contains(t, got.Failures[0], fixture.Sentences[b.sentence])
		}
	}
	return caught
}

func TestBrokenStoresAreCaught(t *testing.T) {
	leftOut := 0
	for i, b := range brokenStores {
		if i%stride != 0 {
			leftOut++
			continue
		}
		t.Run(b.sentence+" "+b.name, func(t *testing.T) {
			t.Parallel() // those that are waited for in vain
			caught := b.caughtBy(t)
			assert.NotEmpty(t, caught, "the cases of %s pass a store that %s", b.sentence, b.name)
			if b.only != "" {
				assert.Equal(t, []string{b.only}, caught, "no other case of %s is for a store that %s", b.sentence, b.name)
			}
			t.Logf("caught by %q", caught)
		})
	}
	sayLeftOut(t, leftOut, len(brokenStores))
}

// sayLeftOut skips a test of its own, which shows in the output.
func sayLeftOut(t *testing.T, n, of int) {
	if n > 0 {
		t.Run("the others", func(t *testing.T) {
			t.Skipf("%d of %d stores: left to the run without the race detector", n, of)
		})
	}
}

// What the broken stores are made from is sound, so that each is caught for its own
// mistake.
func TestUnbrokenStorePassesEverything(t *testing.T) {
	r, err := newRunner(func(testing.TB) store.Store { return teststore.NewLoader() }, nil)
	require.NoError(t, err)
	absent, ok := r.absent(t)
	require.True(t, ok)
	require.Empty(t, absent)
	for _, c := range cases {
		if c.needs == "" {
			assert.Empty(t, recorder.Record(t, func(t testing.TB) { r.run(t, c) }).Failures, c.title())
		}
	}
	r, err = newRunner(func(testing.TB) store.Store { return newDamageable() }, []Option{Damage(damages)})
	require.NoError(t, err)
	for _, c := range cases {
		if strings.HasPrefix(c.needs, "Damage.") {
			assert.Empty(t, recorder.Record(t, func(t testing.TB) { r.run(t, c) }).Failures, c.title())
		}
	}
	r, err = newRunner(func(testing.TB) store.Store { return newMigratable() }, migrations)
	require.NoError(t, err)
	for _, c := range cases {
		if c.needs == "Migrate" {
			assert.Empty(t, recorder.Record(t, func(t testing.TB) { r.run(t, c) }).Failures, c.title())
		}
	}
	r, err = newRunner(func(testing.TB) store.Store { return teststore.NewForking(nil) }, []Option{Restore(teststore.Backup)})
	require.NoError(t, err)
	for _, c := range cases {
		if c.needs == "Restore" {
			assert.Empty(t, recorder.Record(t, func(t testing.TB) { r.run(t, c) }).Failures, c.title())
		}
	}
}

func TestEverySentenceHasABrokenStore(t *testing.T) {
	for id := range fixture.Sentences {
		assert.True(t, slices.ContainsFunc(brokenStores, func(b brokenStore) bool { return b.sentence == id }), id)
	}
}
