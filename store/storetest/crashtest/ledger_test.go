package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/recorder"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

var errKilled = errors.New("the server was killed")

// crash writes to a store until its server is killed: from some moment on calls are
// not made any more, or are made and their replies are lost.
func crash(t testing.TB, s store.Store, l *Ledger, seed uint64) {
	f := faulty.New(s)
	fault := faulty.Fail(errKilled)
	if seed%2 == 0 {
		fault = faulty.LoseReply(errKilled)
	}
	before, random := l.Acknowledged(), rand.New(rand.NewPCG(seed, 1))
	after := 150 + random.IntN(150)
	kill := writerFunc(func(p []byte) (int, error) {
		n, err := l.Write(p)
		if l.Acknowledged() >= before+after {
			f.Break(fault)
		}
		return n, err
	})
	require.ErrorIs(t, WriteUntilKilled(t.Context(), f, seed, kill), errKilled)
	f.Heal()
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestLedgerOfSoundStore(t *testing.T) {
	for name, s := range map[string]store.Store{"all": teststore.NewLoading(), "nothing optional": struct{ store.Store }{teststore.NewLoading()}} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for seed := range uint64(20) {
				crash(t, s, &l, seed)
				l.Check(t, s)
				l.Check(t, s) // and what it made of it is as sound
			}
			assert.Greater(t, l.Acknowledged(), 3000)
			organizations, err := s.Organizations(t.Context(), store.PageRequest{Limit: store.MaxPageSize})
			require.NoError(t, err)
			assert.LessOrEqual(t, len(organizations.Items), writerCount*(maxOrganizations+1), "it does not grow from round to round")
		})
	}
}

// What a crash left, broken in one way: lost, halved or given twice.
var brokenCrashes = []struct {
	name     string
	sentence string
	change   func(b *teststore.Loader, l *Ledger)
}{
	{"loses a key", "S25", func(b *teststore.Loader, l *Ledger) {
		b.Without(aKey(l, func(r *knownRecord) bool { return r.revision > 0 }))
	}},
	{"loses a replacement", "S25", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		b.OnRead(func(key apikey.Key) apikey.Key {
			if key.ID == id {
				revision := key.Revision - 1
				key = fixture.Whole(id, key.Organization, 1)
				key.Revision = revision
			}
			return key
		})
	}},
	{"loses the deletion of an organization", "S25", func(b *teststore.Loader, l *Ledger) {
		o, _ := b.Sound.PutOrganization(context.Background(), policy.Organization{ID: "crash-deleted"})
		returned(l, organizationRecord(o), o.Revision)
		returned(l, record{Organization: o.ID, Deleted: true}, 0)
	}},
	{"loses the deletion of a key", "S25", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		returned(l, record{Key: id, Organization: l.records[fixture.KeyName(id)].stored.Organization, Deleted: true}, 0)
	}},
	{"loses a requirement", "S25", func(b *teststore.Loader, l *Ledger) {
		id := anOrganization(l)
		o, _ := b.Sound.Organization(context.Background(), id)
		o.Requirement = (o.Requirement + 1) % 3
		_, _ = b.Sound.PutOrganization(context.Background(), o)
	}},
	{"loses the switch of an organization", "S25", func(b *teststore.Loader, l *Ledger) {
		id := anOrganization(l)
		o, _ := b.Sound.Organization(context.Background(), id)
		o.Disabled = !o.Disabled
		_, _ = b.Sound.PutOrganization(context.Background(), o)
	}},
	{"loses a suspension", "S25", func(b *teststore.Loader, l *Ledger) {
		id := anOrganization(l)
		o, _ := b.Sound.Organization(context.Background(), id)
		o.SuspendedUntil = time.Time{}
		_, _ = b.Sound.PutOrganization(context.Background(), o)
	}},
	{"loses usage", "S25", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.counted > 0 })
		b.OnUsage(func(of apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if of == id {
				usage.Entries = nil
			}
			return usage, nil
		})
	}},
	{"counts usage twice", "S25", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.counted > 0 })
		_ = b.Sound.RecordUsage(context.Background(), adapter.UsageBatch(store.UsageRecord{Key: id, Entry: usedEntry, Usage: accesslist.Usage{Count: 1}}))
	}},
	{"loses a list", "S26", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		b.OnRead(func(key apikey.Key) apikey.Key {
			if key.ID == id {
				key.AccessList = accesslist.List{}
			}
			return key
		})
	}},
	{"finds in an index what is not there", "S26", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		b.DoKey = func(ctx context.Context, key apikey.ID) (apikey.Key, error) {
			if key == id {
				return apikey.Key{}, store.ErrNotFound
			}
			return b.Sound.Key(ctx, key)
		}
	}},
	{"has a key without its organization", "S26", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		b.DoLookup = func(ctx context.Context, key apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := b.Sound.Lookup(ctx, key)
			if key == id {
				k := subject.Key()
				subject = policy.NewSubject(&k, &policy.Organization{ID: k.Organization})
			}
			return subject, found, err
		}
	}},
	{"has what was never written", "S26", func(b *teststore.Loader, l *Ledger) {
		_, _ = b.Sound.PutKey(context.Background(), fixture.Whole("crash-0-never", anOrganization(l), 1), store.AllowOpen)
	}},
	{"numbers its records anew", "S25", func(b *teststore.Loader, l *Ledger) {
		b.OnRead(func(key apikey.Key) apikey.Key { key.Revision++; return key })
	}},
	{"has gone back to an earlier revision", "W1", func(b *teststore.Loader, l *Ledger) {
		b.DoPosition = func(ctx context.Context) (store.Position, error) {
			return store.Position{History: "history", Revision: l.returned - 1}, nil
		}
	}},
	{"does not deliver what was written last", "W4", func(b *teststore.Loader, l *Ledger) {
		deliveredAll(b, l)
		mark := l.mark
		_, _ = b.Sound.PutOrganization(context.Background(), policy.Organization{ID: "the last"})
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if after == mark {
				after, _ = b.Sound.Position(ctx)
			}
			return b.Sound.Watch(ctx, after)
		}
	}},
	{"does not deliver the deletion that was last", "W4", func(b *teststore.Loader, l *Ledger) {
		deliveredAll(b, l)
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		returned(l, record{Key: id, Organization: l.records[fixture.KeyName(id)].stored.Organization, Deleted: true}, 0)
		mark := l.mark
		_ = b.Sound.DeleteKey(context.Background(), id, 0)
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if after == mark {
				after, _ = b.Sound.Position(ctx)
			}
			return b.Sound.Watch(ctx, after)
		}
	}},
	{"delivers too little to a watch from zero", "W6", func(b *teststore.Loader, l *Ledger) {
		id := aKey(l, func(r *knownRecord) bool { return r.revision > 0 })
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for c, err := range b.Sound.Watch(ctx, after) {
					if c.Key != id && !yield(c, err) {
						return
					}
				}
			}
		}
	}},
	{"cannot be read", "S25", func(b *teststore.Loader, l *Ledger) { b.DoLookup = failingLookup(errKilled) }},
}

func failingLookup(err error) func(context.Context, apikey.ID) (policy.Subject, bool, error) {
	return func(context.Context, apikey.ID) (policy.Subject, bool, error) { return policy.Subject{}, false, err }
}

// returned tells the ledger of a write that returned with a revision, or of a deletion.
func returned(l *Ledger, r record, revision uint64) {
	for _, a := range []announcement{{Begins: []record{r}}, {Outcome: fixture.Acknowledged, Revision: revision}} {
		a.Writer = writerCount // which no other writer is
		_ = (&announcer{to: l}).announce(a)
	}
}

// deliveredAll has the feed have delivered a mark at the end of it all.
func deliveredAll(b *teststore.Loader, l *Ledger) {
	at, _ := b.Sound.Position(context.Background())
	_ = (&announcer{to: l}).announce(announcement{Outcome: marked, History: at.History, Revision: at.Revision})
}

// aKey returns a key that is there and of which nothing is in doubt.
func aKey(l *Ledger, is func(*knownRecord) bool) apikey.ID {
	return aRecord(l, func(name fixture.RecordName, r *knownRecord) bool { return name.Key != "" && r.late == 0 && is(r) }).Key
}

// anOrganization returns one that is there and of which nothing is in doubt.
func anOrganization(l *Ledger) string {
	return aRecord(l, func(name fixture.RecordName, _ *knownRecord) bool { return name.Key == "" }).Organization
}

func aRecord(l *Ledger, is func(fixture.RecordName, *knownRecord) bool) fixture.RecordName {
	for _, name := range slices.SortedFunc(maps.Keys(l.records), fixture.CompareNames) {
		doubt := slices.ContainsFunc(slices.AppendSeq(slices.Clone(l.doubts), maps.Values(l.underway)), func(w *announcedWrite) bool { return w.has(name) })
		if r := l.records[name]; !r.stored.Deleted && !doubt && is(name, r) {
			return name
		}
	}
	panic("no such record")
}

func TestLedgerCatchesBrokenStores(t *testing.T) {
	for _, test := range brokenCrashes {
		t.Run(test.name, func(t *testing.T) {
			b := teststore.NewLoader()
			var l Ledger
			for seed := range uint64(3) {
				crash(t, b, &l, seed)
				l.Check(t, b)
			}
			crash(t, b, &l, 3)
			test.change(b, &l)
			got := recorder.Record(t, func(t testing.TB) { l.Check(t, b) })
			require.NotEmpty(t, got.Failures)
			assert.Contains(t, strings.Join(got.Failures, "\n"), test.sentence+": "+fixture.Sentences[test.sentence])
			t.Logf("%s", got.Failures[0])
		})
	}
}

// Revisions that are given again are seen in the lines themselves.
func TestLedgerCatchesRevisionsGivenAgain(t *testing.T) {
	for name, back := range map[string]uint64{"the last": 1, "an earlier one": 40} {
		t.Run(name, func(t *testing.T) {
			b := teststore.NewLoader()
			var l Ledger
			crash(t, b, &l, 1)
			l.Check(t, b)
			b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...store.PutOption) (apikey.Key, error) {
				if key.Revision > 0 {
					key.Revision += back
				}
				stored, err := b.Sound.PutKey(ctx, key, o...)
				stored.Revision -= back
				return stored, err
			}
			b.OnRead(func(key apikey.Key) apikey.Key { key.Revision -= back; return key })
			f := faulty.New(b)
			f.Break(faulty.Fail(errKilled), faulty.Watch) // nobody but the writers is told
			n := 0
			err := WriteUntilKilled(t.Context(), f, 2, writerFunc(func(p []byte) (int, error) {
				if n++; n > 200 {
					return 0, errKilled
				}
				return l.Write(p)
			}))
			require.ErrorIs(t, err, errKilled)
			assert.Contains(t, fmt.Sprint(l.problems), "{S26 ")
		})
	}
}

// A batch of which half was recorded, and a Load of which half is there.
func TestLedgerCatchesHalves(t *testing.T) {
	begin := func(l *Ledger, a announcement) { require.NoError(t, (&announcer{to: l}).announce(a)) }
	s := teststore.NewLoading()
	var l Ledger
	crash(t, s, &l, 2)
	l.Check(t, s)
	one := aKey(&l, func(*knownRecord) bool { return true })
	other := aKey(&l, func(r *knownRecord) bool { return r.stored.Key != one })
	begin(&l, announcement{Usage: true, Begins: []record{{Key: one, Count: 3}, {Key: other, Count: 4}}})
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{Key: one, Entry: usedEntry, Usage: accesslist.Usage{Count: 3}})))
	got := recorder.Record(t, func(t testing.TB) { l.Check(t, s) })
	require.Len(t, got.Failures, 1)
	assert.Contains(t, got.Failures[0], "batch of usage")
	assert.Contains(t, got.Failures[0], fixture.Sentences["S26"])

	begin(&l, announcement{Begins: []record{organizationRecord(policy.Organization{ID: "crash-half"}), {Key: "crash-half", Organization: "crash-half", Version: 1}}})
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "crash-half"})
	require.NoError(t, err)
	got = recorder.Record(t, func(t testing.TB) { l.Check(t, s) })
	require.NotEmpty(t, got.Failures)
	assert.Contains(t, got.Failures[0], "want all or none")
	assert.Contains(t, got.Failures[0], fixture.Sentences["S26"])
}

// A write in doubt that happens only later, as it may when the server has it still.
func TestLedgerAllowsLateWrites(t *testing.T) {
	s := teststore.NewLoading()
	var l Ledger
	crash(t, s, &l, 2)
	l.Check(t, s)
	id := aKey(&l, func(r *knownRecord) bool { return true })
	stored, err := s.Key(t.Context(), id)
	require.NoError(t, err)
	next := fixture.Whole(id, stored.Organization, 5)
	next.Revision = stored.Revision
	for _, a := range []announcement{
		{Writer: 1, Begins: []record{{Key: id, Organization: stored.Organization, Version: 5}}},
		{Writer: 2, Usage: true, Begins: []record{{Key: id, Count: 3}}},
	} {
		require.NoError(t, (&announcer{to: &l}).announce(a))
	}
	l.Check(t, s)
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{Key: id, Entry: usedEntry, Usage: accesslist.Usage{Count: 3}})))
	_, err = s.PutKey(t.Context(), next, store.AllowOpen)
	require.NoError(t, err)
	l.Check(t, s)
	// And not again.
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(store.UsageRecord{Key: id, Entry: usedEntry, Usage: accesslist.Usage{Count: 3}})))
	assert.NotEmpty(t, recorder.Record(t, func(t testing.TB) { l.Check(t, s) }).Failures)
}

func TestLedgerReadsLines(t *testing.T) {
	var l Ledger
	whole := linePrefix + `{"writer":1,"begins":[{"organization":"crash-a"}]}` + "\n"
	for _, text := range []string{"PASS\n", "ok\n", whole[:20], whole[20:], linePrefix + `{"writer":1,"outcome":"acknowledged","revision":7}` + "\n", linePrefix + `{"writer":1,"beg`} {
		n, err := io.WriteString(&l, text)
		assert.NoError(t, err)
		assert.Equal(t, len(text), n)
	}
	assert.Equal(t, 1, l.Acknowledged())
	assert.Empty(t, l.problems)
	s := teststore.NewLoading()
	assert.NotEmpty(t, recorder.Record(t, func(t testing.TB) { l.Check(t, s) }).Failures, "the organization is not there")

	var bad Ledger
	for _, text := range []string{`{"writer":`, `{"writer":4,"outcome":"acknowledged"}`} {
		_, _ = io.WriteString(&bad, linePrefix+text+"\n")
	}
	got := recorder.Record(t, func(t testing.TB) { bad.Check(t, s) })
	require.Len(t, got.Failures, 2)
	assert.Contains(t, got.Failures[0], "cannot be read")
	assert.Contains(t, got.Failures[1], "never began")
}

func TestWriteUntilKilledEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var l Ledger
	s := teststore.NewLoading()
	require.ErrorIs(t, WriteUntilKilled(ctx, s, 1, &l), context.DeadlineExceeded)
	l.Check(t, s)
	require.NoError(t, s.Close())
	require.ErrorIs(t, WriteUntilKilled(t.Context(), s, 1, &l), store.ErrClosed)
}

// journalledTag returns the tag of a write of which nothing is in doubt.
func journalledTag(l *Ledger) string {
	for _, tag := range slices.Sorted(maps.Keys(l.events)) {
		if known := l.events[tag]; known.outcome == fixture.Acknowledged && known.number > 1 {
			return tag
		}
	}
	panic("no such write")
}

// hideEvents leaves events out.
func hideEvents(b *teststore.Loader, hidden func(store.Event) bool) {
	b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
		page, err := b.Sound.Events(ctx, request)
		page.Events = slices.DeleteFunc(page.Events, hidden)
		return page, err
	}
}

// Broken in the events that a crash left.
func init() {
	is := func(tag string) func(store.Event) bool {
		return func(e store.Event) bool { return strings.HasPrefix(e.Correlation, tag+"/") }
	}
	brokenCrashes = append(brokenCrashes, []struct {
		name     string
		sentence string
		change   func(b *teststore.Loader, l *Ledger)
	}{
		{"loses the events of a write", "E3", func(b *teststore.Loader, l *Ledger) { hideEvents(b, is(journalledTag(l))) }},
		{"loses one event of a write", "E3", func(b *teststore.Loader, l *Ledger) {
			is := is(journalledTag(l))
			hideEvents(b, func(e store.Event) bool { return is(e) && e.Index == 1 })
		}},
		{"has events that were never written", "E3", func(b *teststore.Loader, l *Ledger) {
			_, _ = b.Sound.Write(context.Background(), store.Write{PutOrganization: &policy.Organization{ID: "other"}, Events: fixture.Numbered("other", "", "crash-0-never", 1)})
		}},
		{"has the events of a write that was refused", "E1", func(b *teststore.Loader, l *Ledger) {
			tell(l, announcement{Begins: []record{{Organization: "crash-refused"}}, Tag: "crash-0-refused", Events: 1}, announcement{Outcome: fixture.Refused})
			_, _ = b.Sound.Write(context.Background(), store.Write{PutOrganization: &policy.Organization{ID: "other"}, Events: fixture.Numbered("other", "", "crash-0-refused", 1)})
		}},
		{"has the events of a write that did not happen", "E3", func(b *teststore.Loader, l *Ledger) {
			tell(l, announcement{Begins: []record{organizationRecord(policy.Organization{ID: "crash-doubt"})}, Tag: "crash-0-doubt", Events: 1})
			_, _ = b.Sound.Write(context.Background(), store.Write{PutOrganization: &policy.Organization{ID: "other"}, Events: fixture.Numbered("other", "", "crash-0-doubt", 1)})
		}},
		{"has a write in doubt without its events", "E3", func(b *teststore.Loader, l *Ledger) {
			tell(l, announcement{Begins: []record{organizationRecord(policy.Organization{ID: "crash-doubt"})}, Tag: "crash-0-doubt", Events: 1})
			_, _ = b.Sound.PutOrganization(context.Background(), policy.Organization{ID: "crash-doubt"})
		}},
		{"gives events another revision than their write", "E2", func(b *teststore.Loader, l *Ledger) {
			b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
				page, err := b.Sound.Events(ctx, request)
				for i := range page.Events {
					page.Events[i].Revision++
				}
				return page, err
			}
		}},
		{"cannot read its events", "S25", func(b *teststore.Loader, l *Ledger) {
			b.DoEvents = func(context.Context, store.EventRequest) (store.EventPage, error) {
				return store.EventPage{}, errKilled
			}
		}},
	}...)
}

// tell announces lines of a writer that does not exist.
func tell(l *Ledger, lines ...announcement) {
	for _, a := range lines {
		a.Writer = writerCount
		_ = (&announcer{to: l}).announce(a)
	}
}
