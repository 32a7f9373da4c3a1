package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/recorder"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Stores that hang in one method, whatever becomes of its context.
var hanging = map[string]func(b *teststore.Loader, hang func()){
	"Lookup": func(b *teststore.Loader, hang func()) {
		b.DoLookup = func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			hang()
			return policy.Subject{}, false, nil
		}
	},
	"Organization": func(b *teststore.Loader, hang func()) {
		b.DoOrganization = func(context.Context, string) (policy.Organization, error) { hang(); return policy.Organization{}, nil }
	},
	"PutOrganization": func(b *teststore.Loader, hang func()) {
		b.DoPutOrganization = func(context.Context, policy.Organization) (policy.Organization, error) {
			hang()
			return policy.Organization{}, nil
		}
	},
	"DeleteOrganization": func(b *teststore.Loader, hang func()) {
		b.DoDeleteOrganization = func(context.Context, string, uint64) error { hang(); return nil }
	},
	"Organizations": func(b *teststore.Loader, hang func()) {
		b.DoOrganizations = func(context.Context, store.PageRequest) (store.Page[policy.Organization], error) {
			hang()
			return store.Page[policy.Organization]{}, nil
		}
	},
	"Key": func(b *teststore.Loader, hang func()) {
		b.DoKey = func(context.Context, apikey.ID) (apikey.Key, error) { hang(); return apikey.Key{}, nil }
	},
	"PutKey": func(b *teststore.Loader, hang func()) {
		b.DoPutKey = func(context.Context, apikey.Key, ...store.PutOption) (apikey.Key, error) {
			hang()
			return apikey.Key{}, nil
		}
	},
	"DeleteKey": func(b *teststore.Loader, hang func()) {
		b.DoDeleteKey = func(context.Context, apikey.ID, uint64) error { hang(); return nil }
	},
	"Keys": func(b *teststore.Loader, hang func()) {
		b.DoKeys = func(context.Context, string, store.PageRequest) (store.Page[apikey.Key], error) {
			hang()
			return store.Page[apikey.Key]{}, nil
		}
	},
	"Load": func(b *teststore.Loader, hang func()) {
		b.DoLoad = func(context.Context, []policy.Organization, []apikey.Key, ...store.PutOption) error {
			hang()
			return nil
		}
	},
	"Position": func(b *teststore.Loader, hang func()) {
		b.DoPosition = func(context.Context) (store.Position, error) { hang(); return store.Position{}, nil }
	},
	"Watch": func(b *teststore.Loader, hang func()) {
		b.DoWatch = func(context.Context, store.Position) iter.Seq2[store.Change, error] {
			return func(func(store.Change, error) bool) { hang() }
		}
	},
	"RecordUsage": func(b *teststore.Loader, hang func()) {
		b.DoRecordUsage = func(context.Context, map[apikey.ID]store.KeyUsage) error { hang(); return nil }
	},
	"RecordObservation": func(b *teststore.Loader, hang func()) {
		b.DoRecordObservation = func(context.Context, store.Report) error { hang(); return nil }
	},
	"Observation": func(b *teststore.Loader, hang func()) {
		b.DoObservation = func(context.Context) (store.Observation, error) { hang(); return store.Observation{}, nil }
	},
	"Usage": func(b *teststore.Loader, hang func()) {
		b.DoUsage = func(context.Context, ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) { hang(); return nil, nil }
	},
}

// runImpatiently runs every case that needs no option, and returns the failures by case.
func runImpatiently(t *testing.T, make func() store.Store) map[string][]string {
	r, err := newRunner(func(testing.TB) store.Store { return make() }, nil)
	require.NoError(t, err)
	r.limits = limits{whole: 10 * time.Second, patience: 200 * time.Millisecond}
	r.limitsAfterVain = limits{whole: 10 * time.Second, patience: 20 * time.Millisecond}
	failures := map[string][]string{}
	for _, c := range cases {
		if c.needs != "" {
			continue
		}
		if got := recorder.Record(t, func(t testing.TB) { r.run(t, c) }); len(got.Failures) > 0 {
			failures[c.title()] = got.Failures
		}
	}
	return failures
}

// requireNamed runs a case until its first failure has a text. A busy machine may let a
// sound method look as if it hung, so patience grows.
func requireNamed(t *testing.T, make func() store.Store, title, want string) {
	t.Helper()
	c := cases[slices.IndexFunc(cases, func(c testCase) bool { return c.title() == title })]
	var last []string
	for patience := 50 * time.Millisecond; patience < 10*time.Second; patience *= 2 {
		r, err := newRunner(func(testing.TB) store.Store { return make() }, nil)
		require.NoError(t, err)
		r.limits = limits{whole: time.Minute, patience: patience}
		last = recorder.Record(t, func(t testing.TB) { r.run(t, c) }).Failures
		if len(last) > 0 && strings.Contains(last[0], want) && strings.Contains(last[0], c.sentence+": "+fixture.Sentences[c.sentence]) {
			t.Logf("%s: %.100q", title, last[0])
			return
		}
	}
	require.Fail(t, "the failure does not name it", "want %q, got %q", want, last)
}

// A store that hangs is left behind, in every case that calls the method, and the
// failure names the method and the sentence.
func TestHangingStoresAreLeft(t *testing.T) {
	leftOut := 0
	for i, method := range slices.Sorted(maps.Keys(hanging)) {
		change := hanging[method]
		if i%stride != 0 {
			leftOut++
			continue
		}
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			released := make(chan struct{})
			defer close(released)
			make := func() store.Store {
				b := teststore.NewLoader()
				change(b, func() { <-released })
				return b
			}
			require.NotEmpty(t, runImpatiently(t, make))
			requireNamed(t, make, "S2/a cancelled context", method+" has not returned")
		})
	}
	sayLeftOut(t, leftOut, len(hanging))
}

// A Close that hangs fails before the first case, and at the end of one.
func TestHangingCloseIsLeft(t *testing.T) {
	released := make(chan struct{})
	defer close(released)
	r, err := newRunner(func(testing.TB) store.Store {
		b := teststore.NewLoader()
		b.DoClose = func() error { <-released; return nil }
		return b
	}, nil)
	require.NoError(t, err)
	r.limits.patience = time.Second
	r.limitsAfterVain = r.limits
	got := recorder.Record(t, func(t testing.TB) {
		_, ok := r.absent(t)
		assert.False(t, ok)
	})
	require.NotEmpty(t, got.Failures)
	assert.Contains(t, got.Failures[0], "Close has not returned")
	assert.Contains(t, got.Failures[0], "S24: "+fixture.Sentences["S24"])

	got = recorder.Record(t, func(t testing.TB) { r.run(t, testCase{sentence: "S4", run: presentIsFound}) })
	require.NotEmpty(t, got.Failures)
	assert.Contains(t, got.Failures[0], "Close has not returned")
	assert.Contains(t, got.Failures[0], "S4: "+fixture.Sentences["S4"])
}

// A feed without a first mark is waited for once with patience, and then with less.
func TestSilentFeedsAreLeft(t *testing.T) {
	for name, watch := range map[string]func(ctx context.Context, released chan struct{}) error{
		"heeds its context": func(ctx context.Context, _ chan struct{}) error { <-ctx.Done(); return ctx.Err() },
		"heeds nothing":     func(ctx context.Context, released chan struct{}) error { <-released; return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			released := make(chan struct{})
			defer close(released)
			make := func() store.Store {
				b := teststore.NewLoader()
				b.DoWatch = func(ctx context.Context, _ store.Position) iter.Seq2[store.Change, error] {
					return func(yield func(store.Change, error) bool) { yield(store.Change{}, watch(ctx, released)) }
				}
				return b
			}
			require.NotEmpty(t, runImpatiently(t, make))
			for _, title := range []string{"W2/every kind of write is delivered", "W6/a mark comes first if there is nothing to deliver", "W7/a watcher that has stopped holds up nobody"} {
				requireNamed(t, make, title, "while under way: Watch")
			}
		})
	}
}

func TestPatienceShrinks(t *testing.T) {
	r, err := newRunner(newMemory, []Option{nil})
	require.NoError(t, err)
	long, short := limits{time.Minute, 50 * time.Millisecond}, limits{time.Minute, 5 * time.Millisecond}
	r.limits, r.limitsAfterVain = long, short
	waits := testCase{sentence: "W6", run: func(k *kit) {
		for range k.watcher().Watch(k.ctx, store.Position{}) { // which goes on waiting
		}
	}}
	ends := testCase{sentence: "W6", run: func(*kit) {}}
	recorder.Record(t, func(t testing.TB) { r.run(t, ends) })
	assert.Equal(t, long, r.limits)
	got := recorder.Record(t, func(t testing.TB) { r.run(t, waits) })
	require.NotEmpty(t, got.Failures)
	assert.Contains(t, got.Failures[0], "nothing has happened for")
	assert.Equal(t, short, r.limits)
	assert.Less(t, defaultLimits.afterVain().patience, defaultLimits.patience)
}

// A case that goes on and on ends too, and one that is left behind fails nothing later.
func TestEndlessCasesAreLeft(t *testing.T) {
	r, err := newRunner(newMemory, nil)
	require.NoError(t, err)
	r.limits = limits{whole: 50 * time.Millisecond, patience: 2 * time.Second}
	released, ended := make(chan struct{}), make(chan struct{})
	got := recorder.Record(t, func(t testing.TB) {
		assert.False(t, r.run(t, testCase{sentence: "S21", run: func(k *kit) {
			defer close(ended)
			for {
				_, _ = k.store.Organizations(context.Background(), store.PageRequest{})
				select {
				case <-released:
					k.Errorf("it fails afterwards")
					return
				default:
				}
			}
		}}))
	})
	close(released)
	<-ended
	require.Len(t, got.Failures, 2)
	assert.Contains(t, got.Failures[0], "the case has taken longer than")
	assert.Contains(t, got.Failures[1], "left behind")
}
