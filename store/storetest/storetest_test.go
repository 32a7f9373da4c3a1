package storetest

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/recorder"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

func newMemory(testing.TB) store.Store { return teststore.NewLoading() }

// A lasting store outlives its Close: what is closed is only the way to it.
type lasting struct {
	*faulty.Store
	kept store.Store
}

func newLasting(kept store.Store) *lasting { return &lasting{faulty.New(kept), kept} }

func (l *lasting) Close() error {
	l.Break(faulty.Fail(store.ErrClosed))
	return nil
}

func reopen(_ testing.TB, s store.Store) store.Store {
	_ = s.Close()
	return newLasting(s.(*lasting).kept)
}

func TestSoundStorePassesEverything(t *testing.T) {
	r, err := newRunner(newMemory, []Option{Compact(teststore.Flood)})
	require.NoError(t, err)
	absent, ok := r.absent(t)
	require.True(t, ok)
	require.Empty(t, absent)
	for _, c := range cases {
		if !r.has(c.needs) {
			require.Contains(t, []string{"Reopen", "Restore", "Damage.Key", "Damage.AccessList", "Damage.Organization", "Damage.Usage", "Damage.Observation", "Damage.Events", "Damage.Newer", "Migrate"}, c.needs)
			continue
		}
		got := recorder.Record(t, func(t testing.TB) { r.run(t, c) })
		assert.False(t, got.WasSkipped, c.title())
		assert.Empty(t, got.Failures, c.title())
	}
}

func TestSoundStorePassesAfterReopening(t *testing.T) {
	r, err := newRunner(func(testing.TB) store.Store { return newLasting(teststore.NewLoading()) }, []Option{Reopen(reopen)})
	require.NoError(t, err)
	for _, c := range cases {
		if c.needs == "Reopen" {
			got := recorder.Record(t, func(t testing.TB) { r.run(t, c) })
			assert.Empty(t, got.Failures, c.title())
		}
	}
}

func TestRunOnMemory(t *testing.T) {
	Run(t, newMemory, Compact(teststore.Flood))
}

// onlyStore hides what a store can do beyond store.Store.
type onlyStore struct{ store.Store }

func TestRunWithoutOptionalInterfaces(t *testing.T) {
	Run(t, func(testing.TB) store.Store { return onlyStore{memory.New()} },
		Without("S20/no page is larger than the limits", "it was checked with all of memory already"))
}

func TestWithout(t *testing.T) {
	for name, test := range map[string]struct {
		option Option
		err    string
	}{
		"a sentence":      {Without("S21", "pages are of one moment only"), ""},
		"a case":          {Without("S4/existing records are found", "a reason"), ""},
		"no reason":       {Without("S21", ""), "has no reason"},
		"no such":         {Without("S99", "a reason"), "no case has that name"},
		"a part of one":   {Without("S2", "a reason"), ""},
		"a part of words": {Without("S4/what is", "a reason"), "no case has that name"},
		"nothing":         {Without("", "a reason"), "no case has that name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newRunner(newMemory, []Option{test.option})
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
			}
		})
	}
	r, err := newRunner(newMemory, []Option{Without("S2", "a reason")})
	require.NoError(t, err)
	for _, c := range cases {
		reason, ok := r.excluded(c)
		assert.Equal(t, c.sentence == "S2", ok, c.title())
		assert.Equal(t, c.sentence == "S2", reason == "a reason", c.title())
	}
}

func TestFailuresCiteTheSentence(t *testing.T) {
	r, err := newRunner(newMemory, nil)
	require.NoError(t, err)
	got := recorder.Record(t, func(t testing.TB) {
		r.run(t, testCase{"S4", "x", func(k *kit) { k.Errorf("%d is wrong", 7) }, ""})
	})
	require.Len(t, got.Failures, 1)
	assert.Equal(t, "7 is wrong\n    S4: "+fixture.Sentences["S4"], got.Failures[0])
}

func TestTheFirstOfSeveralFailuresAtOnceCitesTheSentence(t *testing.T) {
	r, err := newRunner(newMemory, nil)
	require.NoError(t, err)
	for range 200 {
		got := recorder.Record(t, func(t testing.TB) {
			r.run(t, testCase{"S4", "x", func(k *kit) { together(8, func(int) { k.Errorf("wrong") }) }, ""})
		})
		require.Len(t, got.Failures, 8)
		require.Equal(t, "wrong\n    S4: "+fixture.Sentences["S4"], got.Failures[0])
		for _, later := range got.Failures[1:] {
			require.Equal(t, "wrong (S4)", later)
		}
	}
}

// A store that does nothing until its context ends must fail the case, not hold it.
func TestPatienceEnds(t *testing.T) {
	r, err := newRunner(func(testing.TB) store.Store { return stuck{memory.New()} }, nil)
	require.NoError(t, err)
	r.limits.patience = 10 * time.Millisecond
	got := recorder.Record(t, func(t testing.TB) { r.run(t, testCase{"S4", "x", presentIsFound, ""}) })
	require.NotEmpty(t, got.Failures)
}

type stuck struct{ *memory.Store }

func (s stuck) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	<-ctx.Done()
	return policy.Subject{}, false, ctx.Err()
}

func TestDifference(t *testing.T) {
	rich := richKey("key", "acme")
	require.NoError(t, rich.Validate())
	require.GreaterOrEqual(t, rich.AccessList.Len(), 200)
	assert.Empty(t, fixture.Difference(rich, rich.Clone()))
	for name, change := range map[string]func(*apikey.Key){
		"Description":       func(k *apikey.Key) { k.Description += " " },
		"Disabled":          func(k *apikey.Key) { k.Disabled = false },
		"Grants":            func(k *apikey.Key) { k.Grants = k.Grants[1:] },
		"Created":           func(k *apikey.Key) { k.Created = k.Created.Add(1) },
		"Revision":          func(k *apikey.Key) { k.Revision++ },
		"number of secrets": func(k *apikey.Key) { k.Secrets = k.Secrets[1:] },
		"number of entries": func(k *apikey.Key) { k.AccessList = expiredList() },
		"external ID":       func(k *apikey.Key) { k.Metadata.ExternalID = "x" },
		"labels":            func(k *apikey.Key) { delete(k.Metadata.Labels, "archived") },
		"entries on trial":  func(k *apikey.Key) { k.TrialList = accesslist.List{} },
	} {
		changed := rich.Clone()
		change(&changed)
		assert.Contains(t, fixture.Difference(changed, rich), name)
	}
	for n := range 12 {
		require.NoError(t, fixture.Whole("key", "acme", n).Validate())
		assert.Equal(t, n%4, fixture.Whole("key", "acme", n).AccessList.Len())
	}
}

// An adapter's tests get nothing else into their module with the kit.
func TestImports(t *testing.T) {
	const module = "github.com/sallyport-go/sallyport/"
	out, err := exec.Command("go", "list", "-deps", module+"store/storetest").Output()
	require.NoError(t, err)
	imported := strings.Fields(string(out))
	require.Contains(t, imported, module+"store")
	for _, path := range imported {
		first, _, _ := strings.Cut(path, "/")
		standard := !strings.Contains(first, ".")
		assert.True(t, standard || strings.HasPrefix(path, module) || path == "go4.org/netipx", "it imports %s", path)
	}
	assert.NotContains(t, imported, module+"store/memory", "the kit favours no store")
}
