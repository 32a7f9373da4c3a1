package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var callCases = []testCase{
	{sentence: "S1", name: "every method serves many goroutines at once", run: manyAtOnce},
	{sentence: "S2", name: "a cancelled context", run: cancelledContext},
	{sentence: "S2", name: "an expired context", run: expiredContext},
	{sentence: "S2", name: "a context that is done comes before other errors", run: contextComesFirst},
	{sentence: "S3", name: "a refused write changes nothing", run: refusedWrites},
	{sentence: "S3", name: "a write whose context ends under way happens whole or not at all", run: interruptedWrites},
}

// manyAtOnce makes every call from several goroutines, each on its own records, so every
// failure is the store's. The race detector sees the rest.
func manyAtOnce(k *kit) {
	k.organization("shared")
	recorder, records := store.As[store.UsageRecorder](k.store)
	watcher, watches := store.As[store.Watcher](k.store)
	loader, loads := store.As[store.Loader](k.store)
	journal, journals := store.As[store.Journal](k.store)
	together(8, func(i int) {
		id, own := apikey.ID(fmt.Sprint("key-", i)), fmt.Sprint("organization ", i)
		for n := range k.rounds(20) {
			key := fixture.Whole(id, "shared", 1)
			steps := []func() error{
				func() (err error) { key, err = k.store.PutKey(k.ctx, key, store.AllowOpen); return },
				func() error { _, _, err := k.store.Lookup(k.ctx, id); return err },
				func() error { _, err := k.store.Key(k.ctx, id); return err },
				func() error { _, err := k.store.PutKey(k.ctx, key, store.AllowOpen); return err },
				func() error { _, err := k.store.Keys(k.ctx, "shared", store.PageRequest{}); return err },
				func() error { _, err := k.store.PutOrganization(k.ctx, policy.Organization{ID: own}); return err },
				func() error { _, err := k.store.Organization(k.ctx, own); return err },
				func() error { _, err := k.store.Organizations(k.ctx, store.PageRequest{Limit: 3}); return err },
				func() error { return k.store.DeleteOrganization(k.ctx, own, 0) },
			}
			if records {
				used := store.UsageRecord{Key: id, Secret: "x", Usage: accesslist.Usage{Count: 1, Last: fixture.Moment}}
				steps = append(steps,
					func() error { return recorder.RecordUsage(k.ctx, adapter.UsageBatch(used)) },
					func() error { _, err := recorder.Usage(k.ctx, id); return err },
					func() error { return recorder.RecordObservation(k.ctx, report(string(id), 0, n, 0)) },
					func() error { _, err := recorder.Observation(k.ctx); return err })
			}
			if watches {
				steps = append(steps,
					func() error { _, err := watcher.Position(k.ctx); return err },
					func() error {
						for change, err := range watcher.Watch(k.ctx, store.Position{}) {
							if err != nil || change.IsMark() {
								return err
							}
						}
						return fixture.ErrSilent
					})
			}
			if journals {
				own := "journalled " + own
				steps = append(steps,
					func() error {
						_, err := journal.Write(k.ctx, putOrganizationOf(policy.Organization{ID: own}, "create", 2))
						return err
					},
					func() error {
						_, err := journal.Events(k.ctx, store.EventRequest{Organization: own, Limit: 1})
						return err
					},
					func() error { return k.store.DeleteOrganization(k.ctx, own, 0) })
			}
			if loads {
				id, own := "loaded-"+id, "loaded "+own
				steps = append(steps,
					func() error {
						return loader.Load(k.ctx, []policy.Organization{{ID: own}}, []apikey.Key{fixture.Plain(id, own, "192.0.2.1")})
					},
					func() error { return k.store.DeleteKey(k.ctx, id, 0) },
					func() error { return k.store.DeleteOrganization(k.ctx, own, 0) })
			}
			steps = append(steps, func() error { return k.store.DeleteKey(k.ctx, id, 0) })
			for s, step := range steps {
				if err := step(); err != nil {
					k.Errorf("goroutine %d, round %d, step %d: %v", i, n, s, err)
					return
				}
			}
		}
	})
	if left := k.keys("shared", 0); len(left) > 0 {
		k.Errorf("keys %q are left; want none, since all were deleted", ids(left))
	}
	if left := k.organizations(0); len(left) != 1 {
		k.Errorf("organizations %+v are left; want the shared one", left)
	}
}

// A call is a call of one method. It succeeds if nothing forbids it.
type call struct {
	name string
	do   func(ctx context.Context) error
}

// everyCall stores some records, and returns a call of every method but Close.
func (k *kit) everyCall() []call {
	organization := k.organization("acme")
	k.organization("empty")
	key := k.put(fixture.Plain("here", "acme", "192.0.2.1"))
	calls := []call{
		{"Lookup of a key that is there", func(ctx context.Context) error { _, _, err := k.store.Lookup(ctx, "here"); return err }},
		{"Lookup of a key that is not there", func(ctx context.Context) error { _, _, err := k.store.Lookup(ctx, "gone"); return err }},
		{"Organization", func(ctx context.Context) error { _, err := k.store.Organization(ctx, "acme"); return err }},
		{"PutOrganization that replaces", func(ctx context.Context) error {
			_, err := k.store.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required, Revision: organization.Revision})
			return err
		}},
		{"PutOrganization that creates", func(ctx context.Context) error {
			_, err := k.store.PutOrganization(ctx, policy.Organization{ID: "new"})
			return err
		}},
		{"DeleteOrganization", func(ctx context.Context) error { return k.store.DeleteOrganization(ctx, "empty", 0) }},
		{"Organizations", func(ctx context.Context) error {
			_, err := k.store.Organizations(ctx, store.PageRequest{})
			return err
		}},
		{"Key", func(ctx context.Context) error { _, err := k.store.Key(ctx, "here"); return err }},
		{"PutKey that replaces", func(ctx context.Context) error {
			other := key.Clone()
			other.Description = "changed"
			_, err := k.store.PutKey(ctx, other, store.AllowOpen)
			return err
		}},
		{"PutKey that creates", func(ctx context.Context) error {
			_, err := k.store.PutKey(ctx, fixture.Plain("new", "acme"), store.AllowOpen)
			return err
		}},
		{"DeleteKey", func(ctx context.Context) error { return k.store.DeleteKey(ctx, "here", 0) }},
		{"Keys", func(ctx context.Context) error {
			_, err := k.store.Keys(ctx, "acme", store.PageRequest{})
			return err
		}},
	}
	if loader, ok := store.As[store.Loader](k.store); ok {
		calls = append(calls, call{"Load", func(ctx context.Context) error {
			return loader.Load(ctx, []policy.Organization{{ID: "loaded"}}, []apikey.Key{fixture.Plain("loaded", "loaded"), fixture.Plain("loaded-too", "acme")}, store.AllowOpen)
		}})
	}
	if watcher, ok := store.As[store.Watcher](k.store); ok {
		calls = append(calls,
			call{"Position", func(ctx context.Context) error { _, err := watcher.Position(ctx); return err }},
			call{"Watch", func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, k.limits.patience) // in case it ignores everything else
				defer cancel()
				for _, err := range watcher.Watch(ctx, store.Position{}) {
					if err != nil {
						return err
					}
				}
				return nil
			}})
	}
	if recorder, ok := store.As[store.UsageRecorder](k.store); ok {
		calls = append(calls,
			call{"RecordUsage", func(ctx context.Context) error {
				return recorder.RecordUsage(ctx, adapter.UsageBatch(used("here", "192.0.2.1", 1, fixture.Moment)))
			}},
			call{"Usage", func(ctx context.Context) error { _, err := recorder.Usage(ctx, "here"); return err }},
			call{"RecordObservation", func(ctx context.Context) error { return recorder.RecordObservation(ctx, report("one", 0, 0, 0)) }},
			call{"Observation", func(ctx context.Context) error { _, err := recorder.Observation(ctx); return err }})
	}
	if journal, ok := store.As[store.Journal](k.store); ok {
		w := putOf(key, "every call", 1)
		w.If = []store.Condition{onRecord("acme", "", organization.Revision)}
		calls = append(calls,
			call{"Write", func(ctx context.Context) error { _, err := journal.Write(ctx, w); return err }},
			call{"Write that deletes", func(ctx context.Context) error {
				_, err := journal.Write(ctx, deletionOf(key, "every call"))
				return err
			}},
			call{"Events", func(ctx context.Context) error {
				_, err := journal.Events(ctx, store.EventRequest{})
				return err
			}})
	}
	return calls
}

func cancelledContext(k *kit) {
	ctx, cancel := context.WithCancelCause(k.ctx)
	cancel(errors.New("the test's reason"))
	doneContext(k, ctx, context.Canceled)
}

func expiredContext(k *kit) {
	ctx, cancel := context.WithDeadline(k.ctx, time.Unix(0, 0))
	defer cancel()
	doneContext(k, ctx, context.DeadlineExceeded)
}

func doneContext(k *kit, ctx context.Context, want error) {
	calls := k.everyCall()
	before := k.snapshot()
	for _, call := range calls {
		k.wantError(call.do(ctx), want, "%s", call.name)
		k.wantUnchanged(before, call.name)
	}
	if recorder, ok := store.As[store.UsageRecorder](k.store); ok {
		if usage, err := recorder.Usage(k.ctx, "here"); err != nil || len(usage["here"].Entries) > 0 {
			k.Errorf("after RecordUsage with a context that is done, Usage is %+v (error %v); want none", usage, err)
		}
		if o, err := recorder.Observation(k.ctx); err != nil || !o.Since.IsZero() {
			k.Errorf("after RecordObservation with a context that is done, Observation is %+v (error %v); want none", o, err)
		}
	}
	if _, ok := store.As[store.Journal](k.store); ok {
		k.wantEvents("after Writes with a context that is done", everyEvent, nil)
	}
}

// refusedCalls stores some records, and returns calls that a store must refuse, each for
// another reason.
func (k *kit) refusedCalls() []call {
	organization := k.organization("acme")
	k.organization("other")
	key := k.put(fixture.Plain("here", "acme", "192.0.2.1"))
	put := func(change func(*apikey.Key)) func(context.Context) error {
		return func(ctx context.Context) error {
			other := key.Clone()
			change(&other)
			_, err := k.store.PutKey(ctx, other)
			return err
		}
	}
	list := store.PageRequest{Cursor: "no such cursor!"}
	calls := []call{
		{"Key of an absent key", func(ctx context.Context) error { _, err := k.store.Key(ctx, "gone"); return err }},
		{"Organization of an absent one", func(ctx context.Context) error { _, err := k.store.Organization(ctx, "gone"); return err }},
		{"PutKey of a key that exists", put(func(o *apikey.Key) { o.Revision = 0 })},
		{"PutKey with another revision", put(func(o *apikey.Key) { o.Revision++ })},
		{"PutKey that replaces an absent key", put(func(o *apikey.Key) { o.ID = "gone" })},
		{"PutKey of an invalid key", put(func(o *apikey.Key) { o.Secrets = nil })},
		{"PutKey for an absent organization", put(func(o *apikey.Key) { o.ID, o.Organization, o.Revision = "new", "gone", 0 })},
		{"PutKey that moves a key", put(func(o *apikey.Key) { o.Organization = "other" })},
		{"PutKey that removes the last entry", put(func(o *apikey.Key) { o.AccessList = accesslist.List{} })},
		{"PutOrganization of one that exists", func(ctx context.Context) error {
			_, err := k.store.PutOrganization(ctx, policy.Organization{ID: "acme"})
			return err
		}},
		{"PutOrganization with another revision", func(ctx context.Context) error {
			_, err := k.store.PutOrganization(ctx, policy.Organization{ID: "acme", Revision: organization.Revision + 9})
			return err
		}},
		{"PutOrganization of an invalid one", func(ctx context.Context) error {
			_, err := k.store.PutOrganization(ctx, policy.Organization{})
			return err
		}},
		{"DeleteKey of an absent key", func(ctx context.Context) error { return k.store.DeleteKey(ctx, "gone", 0) }},
		{"DeleteKey with another revision", func(ctx context.Context) error { return k.store.DeleteKey(ctx, "here", key.Revision+1) }},
		{"DeleteOrganization of an absent one", func(ctx context.Context) error { return k.store.DeleteOrganization(ctx, "gone", 0) }},
		{"DeleteOrganization of one that has keys", func(ctx context.Context) error { return k.store.DeleteOrganization(ctx, "acme", 0) }},
		{"Keys with a bad cursor", func(ctx context.Context) error { _, err := k.store.Keys(ctx, "acme", list); return err }},
		{"Organizations with a bad cursor", func(ctx context.Context) error { _, err := k.store.Organizations(ctx, list); return err }},
	}
	if loader, ok := store.As[store.Loader](k.store); ok {
		calls = append(calls,
			call{"Load of a key that exists", func(ctx context.Context) error {
				return loader.Load(ctx, nil, []apikey.Key{fixture.Plain("here", "acme", "192.0.2.1")})
			}},
			call{"Load of too many", func(ctx context.Context) error {
				return loader.Load(ctx, make([]policy.Organization, store.MaxLoad+1), nil)
			}})
	}
	if recorder, ok := store.As[store.UsageRecorder](k.store); ok {
		calls = append(calls,
			call{"Usage of too many keys", func(ctx context.Context) error {
				_, err := recorder.Usage(ctx, make([]apikey.ID, store.MaxUsageKeys+1)...)
				return err
			}},
			call{"RecordObservation of an invalid report", func(ctx context.Context) error { return recorder.RecordObservation(ctx, store.Report{}) }},
			call{"RecordUsage of too many keys", func(ctx context.Context) error {
				var batch []store.UsageRecord
				for i := range store.MaxUsageKeys + 1 {
					batch = append(batch, used(apikey.ID(fmt.Sprint("gone-", i)), "192.0.2.1", 1, fixture.Moment))
				}
				return recorder.RecordUsage(ctx, adapter.UsageBatch(batch...))
			}})
	}
	if journal, ok := store.As[store.Journal](k.store); ok {
		calls = append(calls, k.refusedJournalCalls(journal, organization, key)...)
	}
	if watcher, ok := store.As[store.Watcher](k.store); ok {
		beyond := k.at(k.revision() + 1000)
		calls = append(calls, call{"Watch from beyond the latest revision", func(ctx context.Context) error {
			for _, err := range watcher.Watch(ctx, beyond) {
				return err
			}
			return nil
		}})
	}
	return calls
}

func contextComesFirst(k *kit) {
	calls := k.refusedCalls()
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	for _, call := range calls {
		if err := call.do(k.ctx); err == nil {
			k.Errorf("%s succeeded; want it refused", call.name)
		}
		k.wantError(call.do(ctx), context.Canceled, "with a context that is done, %s", call.name)
	}
}

func interruptedWrites(k *kit) {
	k.organization("acme")
	stored := k.put(fixture.Whole("here", "acme", 1))
	for n := range k.rounds(50) {
		// Later and later, so that some contexts end during the write.
		ctx, cancel := context.WithTimeout(k.ctx, time.Duration(n)*20*time.Microsecond)
		next := fixture.Whole("here", "acme", 4*n+5)
		next.Revision = stored.Revision
		_, err := k.store.PutKey(ctx, next, store.AllowOpen)
		cancel()
		now := k.readKey("here")
		k.wantWhole("after an interrupted PutKey", now)
		switch now.Description {
		case next.Description:
			if errors.Is(err, store.ErrNotWritten) {
				k.Errorf("PutKey returned ErrNotWritten, and has written: %v", err)
			}
		case stored.Description:
			if err == nil {
				k.Errorf("PutKey returned no error, and the key is as it was before")
			}
		default:
			k.Errorf("after an interrupted PutKey the key is %s; want %s or %s", now.Description, stored.Description, next.Description)
		}
		stored = now
	}
}
