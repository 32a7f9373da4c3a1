package storetest

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
)

var errKilled = errors.New("the server was killed")

// crash writes to a store until its server is killed: from some moment on calls are
// not made any more, or are made and their replies are lost.
func crash(t testing.TB, s store.Store, l *Ledger, seed uint64) {
	f := NewFaulty(s)
	fault := Fail(errKilled)
	if seed%2 == 0 {
		fault = LoseReply(errKilled)
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
	for name, s := range map[string]store.Store{"all": newLoading(), "nothing optional": onlyStore{newLoading()}} {
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
			assert.LessOrEqual(t, len(organizations.Items), crashWriters*(maxCrashOrganizations+1), "it does not grow from round to round")
		})
	}
}

// What a crash left, broken in one way: lost, halved or given twice.
var brokenCrashes = []struct {
	name     string
	sentence string
	change   func(b *brokenLoader, l *Ledger)
}{
	{"loses a key", "S25", func(b *brokenLoader, l *Ledger) {
		b.without(aKey(l, func(r *crashedRecord) bool { return r.revision > 0 }))
	}},
	{"loses a replacement", "S25", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		b.onRead(func(key apikey.Key) apikey.Key {
			if key.ID == id {
				revision := key.Revision - 1
				key = whole(id, key.Organization, 1)
				key.Revision = revision
			}
			return key
		})
	}},
	{"loses the deletion of an organization", "S25", func(b *brokenLoader, l *Ledger) {
		o, _ := b.sound.PutOrganization(context.Background(), policy.Organization{ID: "crash-deleted"})
		returned(l, crashRecord{Organization: o.ID}, o.Revision)
		returned(l, crashRecord{Organization: o.ID, Deleted: true}, 0)
	}},
	{"loses the deletion of a key", "S25", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		returned(l, crashRecord{Key: id, Organization: l.records[keyName(id)].stored.Organization, Deleted: true}, 0)
	}},
	{"loses a requirement", "S25", func(b *brokenLoader, l *Ledger) {
		id := anOrganization(l)
		o, _ := b.sound.Organization(context.Background(), id)
		o.Requirement = (o.Requirement + 1) % 3
		_, _ = b.sound.PutOrganization(context.Background(), o)
	}},
	{"loses usage", "S25", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.counted > 0 })
		b.usage = func(ctx context.Context, of apikey.ID) (store.KeyUsage, error) {
			usage, err := b.sound.Usage(ctx, of)
			if of == id {
				usage.Entries = nil
			}
			return usage, err
		}
	}},
	{"counts usage twice", "S25", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.counted > 0 })
		_ = b.sound.RecordUsage(context.Background(), []store.UsageRecord{{Key: id, Entry: crashEntry, Usage: accesslist.Usage{Count: 1}}})
	}},
	{"loses a list", "S26", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		b.onRead(func(key apikey.Key) apikey.Key {
			if key.ID == id {
				key.AccessList = accesslist.List{}
			}
			return key
		})
	}},
	{"finds in an index what is not there", "S26", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		b.key = func(ctx context.Context, key apikey.ID) (apikey.Key, error) {
			if key == id {
				return apikey.Key{}, store.ErrNotFound
			}
			return b.sound.Key(ctx, key)
		}
	}},
	{"has a key without its organization", "S26", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		b.lookup = func(ctx context.Context, key apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := b.sound.Lookup(ctx, key)
			if key == id {
				k := subject.Key()
				subject = policy.NewSubject(&k, &policy.Organization{ID: k.Organization})
			}
			return subject, found, err
		}
	}},
	{"has what was never written", "S26", func(b *brokenLoader, l *Ledger) {
		_, _ = b.sound.PutKey(context.Background(), whole("crash-0-never", anOrganization(l), 1), store.AllowOpen)
	}},
	{"numbers its records anew", "S25", func(b *brokenLoader, l *Ledger) {
		b.onRead(func(key apikey.Key) apikey.Key { key.Revision++; return key })
	}},
	{"has gone back to an earlier revision", "W1", func(b *brokenLoader, l *Ledger) {
		b.revision = func(ctx context.Context) (uint64, error) { return l.returned - 1, nil }
	}},
	{"does not tell what was written last", "W4", func(b *brokenLoader, l *Ledger) {
		toldAll(b, l)
		mark := l.mark
		_, _ = b.sound.PutOrganization(context.Background(), policy.Organization{ID: "the last"})
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			if after == mark {
				after, _ = b.sound.Revision(ctx)
			}
			return b.sound.Watch(ctx, after)
		}
	}},
	{"does not tell the deletion that was last", "W4", func(b *brokenLoader, l *Ledger) {
		toldAll(b, l)
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		returned(l, crashRecord{Key: id, Organization: l.records[keyName(id)].stored.Organization, Deleted: true}, 0)
		mark := l.mark
		_ = b.sound.DeleteKey(context.Background(), id, 0)
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			if after == mark {
				after, _ = b.sound.Revision(ctx)
			}
			return b.sound.Watch(ctx, after)
		}
	}},
	{"tells a watch from zero too little", "W6", func(b *brokenLoader, l *Ledger) {
		id := aKey(l, func(r *crashedRecord) bool { return r.revision > 0 })
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for c, err := range b.sound.Watch(ctx, after) {
					if c.Key != id && !yield(c, err) {
						return
					}
				}
			}
		}
	}},
	{"cannot be read", "S25", func(b *brokenLoader, l *Ledger) { b.lookup = failingLookup(errKilled) }},
}

func failingLookup(err error) func(context.Context, apikey.ID) (policy.Subject, bool, error) {
	return func(context.Context, apikey.ID) (policy.Subject, bool, error) { return policy.Subject{}, false, err }
}

// returned tells the ledger of a write that returned with a revision, or of a deletion.
func returned(l *Ledger, r crashRecord, revision uint64) {
	for _, a := range []announcement{{Begins: []crashRecord{r}}, {Outcome: acknowledged, Revision: revision}} {
		a.Writer = crashWriters // which no other writer is
		_ = (&announcer{to: l}).announce(a)
	}
}

// toldAll has the feed have told a mark at the end of it all.
func toldAll(b *brokenLoader, l *Ledger) {
	revision, _ := b.sound.Revision(context.Background())
	_ = (&announcer{to: l}).announce(announcement{Outcome: marked, Revision: revision})
}

// aKey returns a key that is there and of which nothing is in doubt.
func aKey(l *Ledger, is func(*crashedRecord) bool) apikey.ID {
	return aRecord(l, func(name recordName, r *crashedRecord) bool { return name.key != "" && r.late == 0 && is(r) }).key
}

// anOrganization returns one that is there and of which nothing is in doubt.
func anOrganization(l *Ledger) string {
	return aRecord(l, func(name recordName, _ *crashedRecord) bool { return name.key == "" }).organization
}

func aRecord(l *Ledger, is func(recordName, *crashedRecord) bool) recordName {
	for _, name := range slices.SortedFunc(maps.Keys(l.records), compareNames) {
		doubt := slices.ContainsFunc(slices.AppendSeq(slices.Clone(l.doubts), maps.Values(l.underway)), func(w *announcedWrite) bool { return w.has(name) })
		if r := l.records[name]; !r.stored.Deleted && !doubt && is(name, r) {
			return name
		}
	}
	panic("no such record")
}

// without is a store without a key.
func (b *broken) without(id apikey.ID) {
	sound := *b
	b.lookup = func(ctx context.Context, key apikey.ID) (policy.Subject, bool, error) {
		if key == id {
			return policy.Subject{}, false, nil
		}
		return sound.lookup(ctx, key)
	}
	b.key = func(ctx context.Context, key apikey.ID) (apikey.Key, error) {
		if key == id {
			return apikey.Key{}, store.ErrNotFound
		}
		return sound.key(ctx, key)
	}
	b.keys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
		page, err := sound.keys(ctx, organization, request)
		page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool { return key.ID == id })
		return page, err
	}
}

func TestLedgerCatchesBrokenStores(t *testing.T) {
	for _, test := range brokenCrashes {
		t.Run(test.name, func(t *testing.T) {
			b := withLoad(func(*brokenLoader) {})().(*brokenLoader)
			var l Ledger
			for seed := range uint64(3) {
				crash(t, b, &l, seed)
				l.Check(t, b)
			}
			crash(t, b, &l, 3)
			test.change(b, &l)
			got := record(t, func(t testing.TB) { l.Check(t, b) })
			require.NotEmpty(t, got.failures)
			assert.Contains(t, strings.Join(got.failures, "\n"), test.sentence+": "+sentences[test.sentence])
			t.Logf("%s", got.failures[0])
		})
	}
}

// Revisions that are given again are seen in the lines themselves.
func TestLedgerCatchesRevisionsGivenAgain(t *testing.T) {
	for name, back := range map[string]uint64{"the last": 1, "an earlier one": 40} {
		t.Run(name, func(t *testing.T) {
			b := withLoad(func(*brokenLoader) {})().(*brokenLoader)
			var l Ledger
			crash(t, b, &l, 1)
			l.Check(t, b)
			b.putKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
				if key.Revision > 0 {
					key.Revision += back
				}
				stored, err := b.sound.PutKey(ctx, key, o...)
				stored.Revision -= back
				return stored, err
			}
			b.onRead(func(key apikey.Key) apikey.Key { key.Revision -= back; return key })
			f := NewFaulty(b)
			f.Break(Fail(errKilled), MethodWatch) // nobody but the writers is told
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
	s := newLoading()
	var l Ledger
	crash(t, s, &l, 2)
	l.Check(t, s)
	one := aKey(&l, func(*crashedRecord) bool { return true })
	other := aKey(&l, func(r *crashedRecord) bool { return r.stored.Key != one })
	begin(&l, announcement{Usage: true, Begins: []crashRecord{{Key: one, Count: 3}, {Key: other, Count: 4}}})
	require.NoError(t, s.RecordUsage(t.Context(), []store.UsageRecord{{Key: one, Entry: crashEntry, Usage: accesslist.Usage{Count: 3}}}))
	got := record(t, func(t testing.TB) { l.Check(t, s) })
	require.Len(t, got.failures, 1)
	assert.Contains(t, got.failures[0], "batch of usage")
	assert.Contains(t, got.failures[0], sentences["S26"])

	begin(&l, announcement{Begins: []crashRecord{{Organization: "crash-half"}, {Key: "crash-half", Organization: "crash-half", Version: 1}}})
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "crash-half"})
	require.NoError(t, err)
	got = record(t, func(t testing.TB) { l.Check(t, s) })
	require.NotEmpty(t, got.failures)
	assert.Contains(t, got.failures[0], "want all or none")
	assert.Contains(t, got.failures[0], sentences["S26"])
}

// A write in doubt that happens only later, as it may when the server has it still.
func TestLedgerAllowsLateWrites(t *testing.T) {
	s := newLoading()
	var l Ledger
	crash(t, s, &l, 2)
	l.Check(t, s)
	id := aKey(&l, func(r *crashedRecord) bool { return true })
	stored, err := s.Key(t.Context(), id)
	require.NoError(t, err)
	next := whole(id, stored.Organization, 5)
	next.Revision = stored.Revision
	for _, a := range []announcement{
		{Writer: 1, Begins: []crashRecord{{Key: id, Organization: stored.Organization, Version: 5}}},
		{Writer: 2, Usage: true, Begins: []crashRecord{{Key: id, Count: 3}}},
	} {
		require.NoError(t, (&announcer{to: &l}).announce(a))
	}
	l.Check(t, s)
	require.NoError(t, s.RecordUsage(t.Context(), []store.UsageRecord{{Key: id, Entry: crashEntry, Usage: accesslist.Usage{Count: 3}}}))
	_, err = s.PutKey(t.Context(), next, store.AllowOpen)
	require.NoError(t, err)
	l.Check(t, s)
	// And not again.
	require.NoError(t, s.RecordUsage(t.Context(), []store.UsageRecord{{Key: id, Entry: crashEntry, Usage: accesslist.Usage{Count: 3}}}))
	assert.NotEmpty(t, record(t, func(t testing.TB) { l.Check(t, s) }).failures)
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
	s := newLoading()
	assert.NotEmpty(t, record(t, func(t testing.TB) { l.Check(t, s) }).failures, "the organization is not there")

	var bad Ledger
	for _, text := range []string{`{"writer":`, `{"writer":4,"outcome":"acknowledged"}`} {
		_, _ = io.WriteString(&bad, linePrefix+text+"\n")
	}
	got := record(t, func(t testing.TB) { bad.Check(t, s) })
	require.Len(t, got.failures, 2)
	assert.Contains(t, got.failures[0], "cannot be read")
	assert.Contains(t, got.failures[1], "never began")
}

func TestWriteUntilKilledEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var l Ledger
	s := newLoading()
	require.ErrorIs(t, WriteUntilKilled(ctx, s, 1, &l), context.DeadlineExceeded)
	l.Check(t, s)
	require.NoError(t, s.Close())
	require.ErrorIs(t, WriteUntilKilled(t.Context(), s, 1, &l), store.ErrClosed)
}
