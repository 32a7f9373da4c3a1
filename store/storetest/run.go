package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/sallyport-go/sallyport/store"
)

// Run checks the whole contract, sentence by sentence. newStore returns an empty store.
// It is called once for each case, with the t of the case. Run closes the store at the
// end of the case; newStore releases everything else by t.Cleanup.
//
// The sentences L1 to L3, W1 to W10, U1 to U15 and E1 to E16 apply if store.As finds a
// store.Loader, a store.Watcher, a store.UsageRecorder or a store.Journal in the store.
// Otherwise they are skipped.
func Run(t *testing.T, newStore func(t testing.TB) store.Store, options ...Option) {
	t.Helper()
	r, err := newRunner(newStore, options)
	if err != nil {
		t.Fatal(err)
	}
	absent, ok := r.absent(t)
	if !ok {
		t.FailNow()
	}
	for _, kind := range slices.Sorted(maps.Keys(absent)) {
		t.Run(kind, func(t *testing.T) { t.Skip(absent[kind]) })
	}
	for _, c := range cases {
		if absent[c.sentence[:1]] != "" {
			continue
		}
		if reason, ok := r.excluded(c); ok {
			t.Logf("without %s: %s", c.title(), reason)
		} else if !r.has(c.needs) {
			t.Logf("not run, since it needs the option %s: %s", c.needs, c.title())
		} else {
			t.Run(c.title(), func(t *testing.T) { r.run(t, c) })
		}
	}
}

// An Option describes a store to Run, or leaves out cases.
type Option func(*runner) error

// Without leaves out the cases of a sentence ("S21"), or one case by its whole name
// ("S21/a record is on one page while others come and go"). The reason is logged. An
// empty reason or an unknown name fails the test.
func Without(sentence, reason string) Option {
	return func(r *runner) error {
		if reason == "" {
			return fmt.Errorf("storetest: Without(%q) has no reason: say why the store need not keep it", sentence)
		}
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.is(sentence) }) {
			return fmt.Errorf(`storetest: Without(%q): no case has that name: want a sentence such as "S21", or a case's whole name`, sentence)
		}
		r.without[sentence] = reason
		return nil
	}
}

// Reopen is for stores with records beyond the process. Run checks that everything is
// still there after reopening, also after a Close during writes (S25, S26), and that
// revisions go on rising. The function closes the store and returns another one on the
// same data. Package crashtest checks a killed process.
func Reopen(reopen func(t testing.TB, s store.Store) store.Store) Option {
	return func(r *runner) error {
		r.reopen = reopen
		return nil
	}
}

// Compact is for stores with a change feed. Run checks the feed after the store has
// forgotten changes (W4). The function makes the store forget the changes so far. If it
// does so by writing more than the store remembers, each write should create another
// record, because these records show where the feed begins.
func Compact(compact func(t testing.TB, s store.Store)) Option {
	return func(r *runner) error {
		r.compact = compact
		return nil
	}
}

// A testCase checks a sentence or a part of it.
type testCase struct {
	sentence string // "S4"
	name     string // the expectation in words
	run      func(k *kit)
	needs    string // the option it requires, or ""
}

func (c testCase) title() string { return c.sentence + "/" + c.name }

func (c testCase) is(name string) bool { return name == c.sentence || name == c.title() }

// cases are all cases, by sentence.
var cases = slices.SortedStableFunc(slices.Values(slices.Concat(
	callCases, leakCases, absenceCases, identifierCases, recordCases, fieldCases, sharingCases, momentCases, revisionCases,
	deleteCases, refusalCases, boundCases, contentionCases, pageCases, filterCases, closeCases, crashCases, loadCases, watchCases, feedCases,
	compactionCases, markCases, deliveryCases, usageCases, usageOfManyCases, evidenceCases, observationCases, damageCases, restoreCases,
	journalCases, writeCases, conditionCases, eventCases, followerCases, forgetCases, versionCases,
)), func(a, b testCase) int {
	return cmp.Or(cmp.Compare(a.sentence[0], b.sentence[0]), cmp.Compare(a.number(), b.number()))
})

func (c testCase) number() int {
	n, _ := strconv.Atoi(c.sentence[1:])
	return n
}

// A runner runs cases on stores from newStore.
type runner struct {
	newStore func(testing.TB) store.Store
	without  map[string]string
	reopen   func(testing.TB, store.Store) store.Store
	damages  Damages
	compact  func(testing.TB, store.Store)
	migrate  func(t testing.TB, s store.Store, mayRead, mayWrite bool)
	backup   func(testing.TB, store.Store) func(testing.TB, store.Store) store.Store

	limits          limits // of the next case
	limitsAfterVain limits
}

func newRunner(newStore func(testing.TB) store.Store, options []Option) (*runner, error) {
	l := defaultLimits
	if testing.Short() {
		l.patience /= 2
	}
	r := &runner{newStore: newStore, without: map[string]string{}, limits: l, limitsAfterVain: l.afterVain()}
	var errs []error
	for _, option := range options {
		if option != nil {
			errs = append(errs, option(r))
		}
	}
	return r, errors.Join(errs...)
}

// absent returns the missing optional interfaces, by the letter of their sentences. ok
// is false if the store failed.
func (r *runner) absent(t testing.TB) (absent map[string]string, ok bool) {
	absent = map[string]string{}
	ok = r.run(t, testCase{sentence: "S24", run: func(k *kit) {
		if _, ok := store.As[store.Loader](k.store); !ok {
			absent["L"] = "store.As finds no store.Loader in the store: L1 to L3 do not apply"
		}
		if _, ok := store.As[store.Watcher](k.store); !ok {
			absent["W"] = "store.As finds no store.Watcher in the store: W1 to W10 do not apply"
		}
		if _, ok := store.As[store.UsageRecorder](k.store); !ok {
			absent["U"] = "store.As finds no store.UsageRecorder in the store: U1 to U15 do not apply"
		}
		if _, ok := store.As[store.Journal](k.store); !ok {
			absent["E"] = "store.As finds no store.Journal in the store: E1 to E16 do not apply"
		}
	}})
	return absent, ok
}

func (r *runner) excluded(c testCase) (reason string, ok bool) {
	for name, reason := range r.without {
		if c.is(name) {
			return reason, true
		}
	}
	return "", false
}

func (r *runner) has(option string) bool {
	switch option {
	case "Reopen":
		return r.reopen != nil
	case "Damage.Key":
		return r.damages.Key != nil
	case "Damage.AccessList":
		return r.damages.AccessList != nil
	case "Damage.Organization":
		return r.damages.Organization != nil
	case "Damage.Usage":
		return r.damages.Usage != nil
	case "Damage.Observation":
		return r.damages.Observation != nil
	case "Damage.Events":
		return r.damages.Events != nil
	case "Damage.Newer":
		return r.damages.Newer != nil
	case "Migrate":
		return r.migrate != nil
	case "Restore":
		return r.backup != nil
	case "Compact":
		return r.compact != nil
	}
	return true
}

// run runs a case on its own store, in a goroutine that can be left behind. It reports
// whether the case ended.
func (r *runner) run(t testing.TB, c testCase) (ended bool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	tb := &caseTB{TB: t}
	k := &kit{TB: tb, runner: r, limits: r.limits, ctx: ctx, cancel: cancel, sentence: c.sentence}
	s := r.newStore(t)
	if s == nil {
		t.Fatal("storetest: newStore returned nil: want an empty store")
	}
	k.use(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer k.recoverPanic() // of finish
		defer k.finish()
		defer k.recoverPanic()
		c.run(k)
	}()
	if k.supervise(done) {
		r.limits = r.limitsAfterVain
	}
	select {
	case <-done:
	default:
		return false
	}
	if tb.skipped {
		t.SkipNow()
	}
	return true
}
