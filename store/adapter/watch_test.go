package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

var errBroken = errors.New("broken")

// W5.
func TestWatchEnds(t *testing.T) {
	one := store.Change{Revision: 1, Organization: "acme"}
	for name, test := range map[string]struct {
		follow func(adapter.Deliver) error
		want   error
	}{
		"with its error": {func(deliver adapter.Deliver) error { return errors.Join(deliver(one), errBroken) }, errBroken},
		"with none":      {func(deliver adapter.Deliver) error { return deliver(one) }, nil},
		"with an ErrLeft of another watch": {func(deliver adapter.Deliver) error {
			return errors.Join(deliver(one), adapter.ErrLeft)
		}, adapter.ErrLeft},
	} {
		t.Run(name, func(t *testing.T) {
			var got []store.Change
			var errs []error
			for change, err := range adapter.Watch(test.follow) {
				got, errs = append(got, change), append(errs, err)
			}
			require.Equal(t, []store.Change{one, {}}, got, "the error comes with a zero change")
			require.NoError(t, errs[0])
			require.Error(t, errs[1])
			if test.want != nil {
				require.ErrorIs(t, errs[1], test.want)
			}
		})
	}
}

func TestWatchIsLeft(t *testing.T) {
	calls := 0
	var last error
	for range adapter.Watch(func(deliver adapter.Deliver) error {
		for range 3 { // an adapter that goes on all the same
			last = deliver(store.Change{Revision: 1})
			calls++
		}
		return errBroken
	}) {
		break
	}
	require.Equal(t, 3, calls)
	require.ErrorIs(t, last, adapter.ErrLeft)
}

// at returns the position of a revision in a history.
func at(revision uint64) store.Position {
	return store.Position{History: "history", Revision: revision}
}

// A follower is a feed with its revisions as batches.
func follow(t *testing.T, after uint64, marks []uint64, deliver adapter.Deliver) (asked []uint64, err error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waker adapter.Waker
	woken, stop := waker.Wait()
	defer stop()
	err = adapter.Follow(ctx, at(after), woken, func(after store.Position, deliver adapter.Deliver) (store.Position, error) {
		asked = append(asked, after.Revision)
		if len(marks) == 0 {
			return store.Position{}, errBroken
		}
		mark := marks[0]
		if marks = marks[1:]; len(marks) == 0 {
			cancel() // and the next read is the last
		} else {
			waker.Wake()
		}
		if at(mark) == after {
			return after, nil
		}
		return at(mark), deliver(store.Change{Revision: mark, Organization: "acme"})
	}, deliver)
	return asked, err
}

// W6: a mark after each batch, and one first if there is nothing to deliver.
func TestFollow(t *testing.T) {
	for name, test := range map[string]struct {
		after uint64
		marks []uint64
		want  string
		asked []uint64
	}{
		"from zero":          {0, []uint64{3, 3, 5}, "3 [3] 5 [5]", []uint64{0, 3, 3, 5}},
		"nothing new":        {5, []uint64{5, 5, 6}, "[5] 6 [6]", []uint64{5, 5, 5, 6}},
		"of an empty store":  {0, []uint64{0, 0, 2}, "[0] 2 [2]", []uint64{0, 0, 0, 2}},
		"ends with the read": {5, nil, "", []uint64{5}},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			asked, err := follow(t, test.after, test.marks, func(change store.Change) error {
				if got != "" {
					got += " "
				}
				if change.IsMark() {
					require.Equal(t, "history", change.History)
					got += fmt.Sprintf("[%d]", change.Revision)
				} else {
					got += fmt.Sprint(change.Revision)
				}
				return nil
			})
			require.ErrorIs(t, err, errBroken)
			require.Equal(t, test.want, got)
			require.Equal(t, test.asked, asked)
		})
	}
	for at := range 2 { // a change and a mark that are not taken
		_, err := follow(t, 0, []uint64{3, 4}, func(store.Change) error {
			if at--; at < 0 {
				return adapter.ErrLeft
			}
			return nil
		})
		require.ErrorIs(t, err, adapter.ErrLeft)
	}
}

// W8.
func TestOwn(t *testing.T) {
	key := newKey(t, "key", "acme", "192.0.2.1")
	organization := policy.Organization{ID: "acme", Revision: 3}
	own := adapter.Own(store.Change{Revision: 4, Organization: "acme", Key: "key", KeyRecord: &key})
	require.NotSame(t, &key, own.KeyRecord)
	own.KeyRecord.Secrets[0].ServerKey = "spoilt"
	assert.Empty(t, key.Secrets[0].ServerKey)
	own = adapter.Own(store.Change{Revision: 3, Organization: "acme", OrganizationRecord: &organization})
	require.NotSame(t, &organization, own.OrganizationRecord)
	assert.Equal(t, organization, *own.OrganizationRecord)
	mark := store.Change{Revision: 4}
	assert.Equal(t, mark, adapter.Own(mark))
}

func TestConfirm(t *testing.T) {
	written := store.Change{Revision: 4, Organization: "acme", Key: "key"}
	deleted := store.Change{Revision: 4, Organization: "acme", Key: "key", Deleted: true}
	key := newKey(t, "key", "acme")
	stored := store.Change{Revision: 4, Organization: "acme", Key: "key", KeyRecord: &key}
	at := func(change func(*store.Change)) *store.Change {
		changed := stored
		change(&changed)
		return &changed
	}
	assert.Equal(t, stored, adapter.Confirm(written, &stored))
	assert.Equal(t, deleted, adapter.Confirm(deleted, nil))
	assert.Equal(t, deleted, adapter.Confirm(written, nil), "reads do not find it either")
	for name, test := range map[string]struct {
		change store.Change
		found  *store.Change
		want   string
	}{
		"cannot be read":            {written, at(func(c *store.Change) { c.Err = errBroken }), "broken"},
		"cannot be read, deleted":   {deleted, at(func(c *store.Change) { c.Err = errBroken }), "broken"},
		"exists though deleted":     {deleted, &stored, `key "key" cannot be read: it exists, and its latest change, of revision 4, deleted it`},
		"a later revision":          {written, at(func(c *store.Change) { c.Revision = 5 }), "it has revision 5, and its latest change has 4"},
		"an earlier revision":       {written, at(func(c *store.Change) { c.Revision = 3 }), "it has revision 3"},
		"of another's organization": {written, at(func(c *store.Change) { c.Organization = "other" }), `it is of organization "other", and its latest change of "acme"`},
	} {
		got := adapter.Confirm(test.change, test.found)
		require.ErrorContains(t, got.Err, test.want, name)
		got.Err = nil
		assert.Equal(t, written, got, "%s: it has no record and is not deleted", name)
	}
}

func TestWaker(t *testing.T) {
	var waker adapter.Waker
	waker.Wake() // nobody
	first, stopFirst := waker.Wait()
	second, stopSecond := waker.Wait()
	assert.Equal(t, 2, waker.Waiting())
	for range 3 {
		waker.Wake() // waits for nobody (W7)
	}
	assert.Len(t, first, 1, "one token for all of them")
	<-first
	assert.Len(t, second, 1)
	stopFirst()
	waker.Wake()
	assert.Empty(t, first, "it has stopped")
	stopSecond()
	stopSecond()
	assert.Zero(t, waker.Waiting())
}

func TestLatest(t *testing.T) {
	changes := []store.Change{
		{Revision: 1, Organization: "a"}, {Revision: 2, Organization: "a", Key: "k"}, {Revision: 3, Organization: "b", Key: "l"},
		{Revision: 4, Organization: "a", Key: "k", Deleted: true}, {Revision: 5, Organization: "b", Key: "k"}, {Revision: 6, Organization: "a", Deleted: true},
	}
	before := append([]store.Change(nil), changes...)
	latest := adapter.Latest(changes, adapter.NameOf)
	assert.Equal(t, []store.Change{changes[2], changes[4], changes[5]}, latest)
	assert.Equal(t, before, changes)
	assert.Empty(t, adapter.Latest(nil, adapter.NameOf))
	latest[0].Revision = 9
	assert.Equal(t, before, changes, "what is returned is not the log")
}

func TestLog(t *testing.T) {
	const keep = 160
	log := adapter.NewLog(keep, at(1000))
	assert.Equal(t, at(1000), log.Position())
	assert.EqualValues(t, 1000, log.Revision())
	since := func(after uint64) (revisions []uint64) {
		changes, err := log.Since(at(after))
		require.NoError(t, err, "after %d", after)
		for _, change := range changes {
			revisions = append(revisions, change.Revision)
		}
		return revisions
	}
	compacted := func(after uint64) {
		_, err := log.Since(at(after))
		wantError(t, err, store.ErrCompacted)
	}
	assert.Empty(t, since(1000))
	compacted(999)
	compacted(1001)
	added := []uint64{1000}
	for n := range 5 * keep {
		revision := added[n] + uint64(1+n%3) // not every revision need be a change of a record
		added = append(added, revision)
		log.Add(store.Change{Revision: revision, Organization: fmt.Sprint("organization ", n)})
		require.Equal(t, revision, log.Revision())
		require.Empty(t, since(revision))
		compacted(revision + 1)
		oldest := max(0, len(added)-1-keep)
		require.Equal(t, added[oldest+1:], since(added[oldest]), "at least %d changes are kept", keep)
		if n > 2*keep {
			compacted(1000)
		}
	}
	revision := log.Revision()
	log.Add(store.Change{Revision: revision + 1, Organization: "organization 799", Deleted: true})
	changes, err := log.Since(at(revision - 1))
	require.NoError(t, err)
	require.Len(t, changes, 2)
	changes[0].Revision, changes[1].Revision = 0, 0
	assert.Equal(t, []uint64{revision, revision + 1}, since(revision-1), "the log does not change with what was returned")
	_, err = adapter.NewLog(keep, at(0)).Since(at(0))
	require.NoError(t, err)

	// A write that changed no record moves the position on.
	log.Advance(revision + 2)
	assert.Equal(t, at(revision+2), log.Position())
	assert.Equal(t, []uint64{revision + 1}, since(revision))
	assert.Empty(t, since(revision+2))
}

func prefixes(entries []accesslist.Entry) (all []netip.Prefix) {
	for _, entry := range entries {
		all = append(all, entry.Prefix())
	}
	return all
}

// Rule A12: a log of large records forgets them before it has the number of changes.
func TestLogIsBoundedByBytes(t *testing.T) {
	entries := make([]accesslist.Entry, 1000)
	for i := range entries {
		entry, err := accesslist.ParseEntry(fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff))
		require.NoError(t, err)
		entry.Comment = strings.Repeat("x", 120)
		entries[i] = entry
	}
	list, err := accesslist.New(entries...)
	require.NoError(t, err)
	large := newKey(t, "large", "acme")
	half := entries[500:]
	large.Description = strings.Repeat("d", 1024)
	large.AccessList, err = list.Without(prefixes(half))
	require.NoError(t, err)
	large.TrialList, err = accesslist.New(half...)
	require.NoError(t, err)
	large.Metadata = &apikey.Metadata{Labels: map[string]string{}, ExternalID: strings.Repeat("e", 256)}
	for i := range apikey.MaxLabels {
		large.Metadata.Labels[fmt.Sprint("label ", i)] = strings.Repeat("v", 16)
	}
	for i := range 100 {
		large.Grants = append(large.Grants, apikey.Grant{Role: fmt.Sprint("role ", i)})
	}
	require.NoError(t, large.Validate())
	const size = 200_000 // of a change, at least

	log := adapter.NewLog(100_000, at(0))
	held := func() int {
		oldest := sort.Search(int(log.Revision()), func(after int) bool {
			_, err := log.Since(at(uint64(after)))
			return err == nil
		})
		return int(log.Revision()) - oldest
	}
	for n := range uint64(1000) {
		log.Add(store.Change{Revision: n + 1, Organization: "acme", Key: "large", KeyRecord: &large})
		require.LessOrEqual(t, held()*size, adapter.MaxLogBytes)
		if n < 320 {
			require.EqualValues(t, n+1, held(), "nothing is forgotten within the bound")
		} else if n > 330 {
			require.Greater(t, held()*size, adapter.MaxLogBytes/16*14)
		}
	}
	for n := range uint64(50_000) { // small ones take the place of the large
		log.Add(store.Change{Revision: 1001 + n, Organization: "acme", OrganizationRecord: &policy.Organization{ID: "acme"}})
	}
	require.GreaterOrEqual(t, held(), 50_000)

	// The latest is kept, however large.
	whole, count := newKey(t, "whole", "acme"), 0
	whole.Description = strings.Repeat("d", adapter.MaxLogBytes+1)
	for n := range uint64(3) {
		log.Add(store.Change{Revision: 60_000 + n, Organization: "acme", Key: "whole", KeyRecord: &whole})
		changes, err := log.Since(at(60_000 + n - 1))
		require.NoError(t, err)
		count += len(changes)
	}
	require.Equal(t, 3, count)
	log.Add(store.Change{Revision: 60_003, Organization: "acme", Key: "gone", Deleted: true})
	_, err = log.Since(at(60_002))
	require.NoError(t, err)
	_, err = log.Since(at(60_001))
	wantError(t, err, store.ErrCompacted)
}
