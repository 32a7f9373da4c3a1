package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// documentOf returns the name and the value of the events of a revision.
func documentOf(t testing.TB, s *Store, revision uint64) (name, document string) {
	t.Helper()
	all := s.names.oldest("")
	response, err := s.scan(t.Context(), all.prefix, all.end(), 0, 0)
	require.NoError(t, err)
	for _, stored := range response.Kvs {
		if stored.CreateRevision == int64(revision) {
			return string(stored.Key), string(stored.Value)
		}
	}
	t.Fatalf("no events have revision %d", revision)
	return "", ""
}

func newEvent(organization string, key apikey.ID, reason string) store.Event {
	return store.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: store.EventKeyDescribed, Organization: organization, Key: key,
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary, Reason: reason,
	}
}

// write replaces organization acme with an event.
func write(t testing.TB, s *Store, reason string) (revision uint64) {
	t.Helper()
	revision, err := writeIn(t, s, "acme", reason)
	require.NoError(t, err)
	return revision
}

// writeIn creates or replaces an organization with an event.
func writeIn(t testing.TB, s *Store, id, reason string) (revision uint64, err error) {
	t.Helper()
	organization, err := s.Organization(t.Context(), id)
	if err != nil {
		require.ErrorIs(t, err, store.ErrNotFound)
		organization.ID = id
	}
	return s.Write(t.Context(), store.Write{PutOrganization: &organization, Events: []store.Event{newEvent(id, "", reason)}})
}

// reasons returns the reasons of the events of a request.
func reasons(t testing.TB, s *Store, request store.EventRequest) (all []string) {
	t.Helper()
	for event, err := range store.AllEvents(t.Context(), s, request) {
		require.NoError(t, err)
		all = append(all, event.Reason)
	}
	return all
}

// forgetUpTo forgets events up to a revision.
func forgetUpTo(t testing.TB, s *Store, revision uint64) {
	t.Helper()
	_, err := s.Write(t.Context(), store.Write{Forget: &store.Position{History: positionOf(t, s).History, Revision: revision}})
	require.NoError(t, err)
}

func positionOf(t testing.TB, s *Store) store.Position {
	t.Helper()
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	return latest
}

// stored returns the names with a prefix.
func (f *fake) stored(prefix string) (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.names {
		if strings.HasPrefix(name, prefix) && f.at(name, 0) != nil {
			names = append(names, name)
		}
	}
	return names
}

// during does something once, in the middle of the call that follows: before the n-th
// transaction from now, which is number 0.
func (f *fake) during(n int, do func()) {
	f.inject(func(any) error {
		if n--; n == -1 {
			f.before = nil
			f.mu.Unlock()
			defer f.mu.Lock()
			do()
		}
		return nil
	}, nil)
}

// Two Stores, as of two processes, write events at the same time. None is lost, and their
// places lie between revisions.
func TestEventsOfTwoStores(t *testing.T) {
	first, f := opened(t)
	second := open(t, first.client)
	write(t, first, "first of first")
	const each = 20
	var writing sync.WaitGroup
	for i, s := range []*Store{first, first, second, second} {
		writing.Go(func() {
			for n := range each {
				if _, err := writeIn(t, s, fmt.Sprint("org-", i), fmt.Sprint(i, " ", n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	require.Len(t, reasons(t, first, store.EventRequest{}), 4*each+1)
	var before keptEvents
	for _, name := range f.stored(prefix + "events/all/oldest/") {
		k, err := first.names.oldest("").parse(f.at(name, 0))
		require.NoError(t, err)
		require.Less(t, before.revision, k.revision)
		require.LessOrEqual(t, before.revision, k.place)
		before = k
	}
}

// Another process writes between the two round trips of a Write: its conditions are judged
// again, and its events come after the other's.
func TestWriteMeetsAnother(t *testing.T) {
	s, f := opened(t)
	other := open(t, s.client)
	write(t, other, "begin")
	write(t, s, "begin")
	k1, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	held := []store.Condition{{Organization: "acme", Key: "k1", Revision: k1.Revision}}

	// With an event, which moves the head.
	w := store.Write{PutOrganization: &policy.Organization{ID: "new"}, If: held, Events: []store.Event{newEvent("new", "", "mine")}}
	f.during(1, func() { write(t, other, "theirs") })
	_, err = s.Write(t.Context(), w)
	require.NoError(t, err)
	require.Equal(t, []string{"begin", "begin", "theirs", "mine"}, reasons(t, s, store.EventRequest{}))

	// The record of the condition.
	w.PutOrganization = &policy.Organization{ID: "refused"}
	w.Events = []store.Event{newEvent("refused", "", "refused")}
	f.during(1, func() {
		_, err := other.PutKey(t.Context(), k1)
		require.NoError(t, err)
	})
	_, err = s.Write(t.Context(), w)
	require.ErrorIs(t, err, store.ErrConflict)

	// The written record.
	acme, err := s.Organization(t.Context(), "acme")
	require.NoError(t, err)
	f.during(1, func() { write(t, other, "theirs again") })
	_, err = s.Write(t.Context(), store.Write{PutOrganization: &acme, Events: []store.Event{newEvent("acme", "", "refused")}})
	require.ErrorIs(t, err, store.ErrConflict)

	// The events to be forgotten.
	all := positionOf(t, s)
	f.during(1, func() { write(t, other, "last") })
	_, err = s.Write(t.Context(), store.Write{Forget: &all})
	require.NoError(t, err)
	require.Equal(t, []string{"last"}, reasons(t, s, store.EventRequest{}))
}

// A Put comes between the place of a Write and its revision. A position of the Put has the
// Write after it, though its name comes before.
func TestPositionAfterThePlace(t *testing.T) {
	s, f := opened(t)
	write(t, s, "before")
	k1, err := s.Key(t.Context(), "k1")
	require.NoError(t, err)
	f.during(1, func() {
		for range 3 {
			k1, err = s.PutKey(t.Context(), k1)
			require.NoError(t, err)
		}
	})
	// The record is read before the hook is due.
	revision, err := s.Write(t.Context(), store.Write{PutOrganization: &policy.Organization{ID: "new"}, Events: []store.Event{newEvent("new", "", "between")}})
	require.NoError(t, err)
	require.Equal(t, k1.Revision+1, revision)
	history := positionOf(t, s).History
	write(t, s, "after")
	for _, organization := range []string{"", "new"} {
		for after := revision - 4; after < revision; after++ {
			want := []string{"between", "after"}
			if organization != "" {
				want = want[:1]
			}
			at := store.Position{History: history, Revision: after}
			require.Equal(t, want, reasons(t, s, store.EventRequest{Organization: organization, After: at}), "after %d", after)
			require.NotContains(t, reasons(t, s, store.EventRequest{Newest: true, After: at}), "between", "older than %d", after)
		}
		at := store.Position{History: history, Revision: revision}
		require.NotContains(t, reasons(t, s, store.EventRequest{Organization: organization, After: at}), "between")
		require.NotContains(t, reasons(t, s, store.EventRequest{Organization: organization, Newest: true, After: at}), "between")
		at.Revision++
		require.Contains(t, reasons(t, s, store.EventRequest{Organization: organization, Newest: true, After: at}), "between")
	}
}

// Others write, forget and compact between the round trips of a page.
func TestPageIsOfOneSnapshot(t *testing.T) {
	for trip := range 3 {
		s, f := opened(t)
		for n := range 2 * readDocuments { // three round trips
			write(t, s, fmt.Sprint(n))
		}
		latest := positionOf(t, s)
		request := store.EventRequest{Limit: store.MaxPageSize}
		page := func() store.EventPage {
			t.Helper()
			page, err := s.Events(t.Context(), request)
			require.NoError(t, err)
			return page
		}
		f.during(trip, func() {
			write(t, s, "meanwhile")
			f.compact()
		})
		got := page()
		require.False(t, got.More)
		if trip == 0 {
			require.Len(t, got.Events, 2*readDocuments+1)
		} else {
			require.Len(t, got.Events, 2*readDocuments)
			require.Equal(t, latest, got.Next)
		}

		half := got.Events[readDocuments/2].Revision
		f.during(trip, func() { forgetUpTo(t, s, half) })
		got = page()
		require.Equal(t, half+1, got.Events[0].Revision)
		require.Len(t, got.Events, 2*readDocuments+1-readDocuments/2-1)

		request.After = store.Position{History: latest.History, Revision: half}
		f.during(trip, func() { forgetUpTo(t, s, half+1) })
		_, err := s.Events(t.Context(), request)
		require.ErrorIs(t, err, store.ErrCompacted)
	}
}

// A page reads no more documents than it may need, whatever the number of names that it looks
// through.
func TestPageReadsWhatItNeeds(t *testing.T) {
	s, f := opened(t)
	for n := range readDocuments + 20 {
		write(t, s, fmt.Sprint(n))
		k1, err := s.Key(t.Context(), "k1")
		require.NoError(t, err)
		_, err = s.Write(t.Context(), store.Write{PutKey: &k1, Events: []store.Event{newEvent("acme", "k1", fmt.Sprint(n))}})
		require.NoError(t, err)
	}
	documents := 0
	f.inject(func(request any) error {
		for _, operation := range request.(*pb.TxnRequest).Success {
			read := operation.GetRequestRange()
			if read != nil && len(read.RangeEnd) == 0 && strings.HasPrefix(string(read.Key), prefix+"events/") {
				documents++
			}
		}
		return nil
	}, nil)
	for _, key := range []apikey.ID{"", "k1"} {
		for _, newest := range []bool{false, true} {
			for _, limit := range []int{1, 10, readDocuments} {
				documents = 0
				page, err := s.Events(t.Context(), store.EventRequest{Organization: "acme", Key: key, Newest: newest, Limit: limit})
				require.NoError(t, err)
				require.True(t, page.More)
				require.Len(t, page.Events, limit)
				require.Equal(t, limit+1, documents)
			}
		}
	}
}

// A cluster that goes back between two round trips has other events in the place of those
// that the page began with.
func TestPageOfARestoredCluster(t *testing.T) {
	s, f := opened(t)
	write(t, s, "kept")
	restore := f.snapshot()
	write(t, s, "lost")
	write(t, s, "lost")
	f.during(1, func() { restore(0) })
	require.Equal(t, []string{"kept"}, reasons(t, s, store.EventRequest{}))
}

// A Write is sent once, as a Put is, and with its events.
func TestWriteWithEventsIsSentOnce(t *testing.T) {
	s, f := opened(t)
	sent := 0
	f.inject(nil, func(request any) error {
		if readsOnly(request.(*pb.TxnRequest)) {
			return nil
		}
		sent++
		return status.Error(codes.Unavailable, "the answer is lost")
	})
	_, err := writeIn(t, s, "new", "once")
	require.ErrorContains(t, err, "the answer is lost")
	require.NotErrorIs(t, err, store.ErrConflict)
	require.Equal(t, 1, sent)
	f.inject(nil, nil)
	_, err = s.Organization(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, []string{"once"}, reasons(t, s, store.EventRequest{}))
}

// A Write that waits for another ends with its context, and with the store.
func TestWriteWaitsForItsTurn(t *testing.T) {
	s, _ := opened(t)
	done, err := s.turn(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := make(chan error)
	try := func(ctx context.Context) {
		_, err := s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "new"}, Events: []store.Event{newEvent("new", "", "")}})
		waiting <- err
	}
	go try(ctx)
	cancel(errors.New("enough"))
	require.ErrorIs(t, <-waiting, context.Canceled)
	go try(t.Context())
	// Writes that keep no events do not wait.
	_, err = s.Write(t.Context(), store.Write{PutOrganization: &policy.Organization{ID: "another"}})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-waiting, store.ErrClosed)
	done()
}

// What was written by other means is an error, never left out.
func TestJournalChangedByOtherMeans(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, s *Store, f *fake, revision uint64)
		want   string
		writes bool // a Write fails as well
		hidden bool // from who reads documents by their own names
	}{
		"the head": {func(_ *testing.T, s *Store, f *fake, _ uint64) { f.put(s.names.journal(), "x") },
			`"/sallyport/journal" of revision 10 cannot be read: "x": want a revision`, true, false},
		"the history": {func(_ *testing.T, s *Store, f *fake, _ uint64) { f.put(s.names.revision(), "") },
			"/sallyport/revision is absent or empty", false, false},
		"a document rewritten": {func(t *testing.T, s *Store, f *fake, revision uint64) {
			name, document := documentOf(t, s, revision)
			f.put(name, document)
		}, "it has revision 10: it was changed by other means", false, false},
		"a document of another": {func(t *testing.T, s *Store, f *fake, revision uint64) {
			name, document := documentOf(t, s, revision)
			f.remove(name)
			f.put(name, document)
		}, "it was changed by other means", false, true},
		"a document deleted": {func(t *testing.T, s *Store, f *fake, revision uint64) {
			name, _ := documentOf(t, s, revision)
			f.remove(name)
		}, "it is absent: it was deleted by other means", false, true},
		"a name": {func(_ *testing.T, s *Store, f *fake, _ uint64) {
			for _, order := range everyOrder(s) {
				f.put(order.prefix+"1/k1", "")
			}
		}, "is no name of events", false, false},
		"a later place": {func(_ *testing.T, s *Store, f *fake, revision uint64) {
			k := keptEvents{place: 10, organization: "acme"}
			orders := everyOrder(s)
			f.put(orders[0].name(k), "", orders[1].name(k), "", orders[2].name(k), "", orders[3].name(k), "")
		}, "of revision 10 is no name of events", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := opened(t)
			write(t, s, "before")
			revision := write(t, s, "changed")
			write(t, s, "after")
			write(t, s, "after")
			for f.revision < 9 {
				rewrite(t, s)
			}
			require.EqualValues(t, 9, f.revision)
			test.change(t, s, f, revision)
			for _, request := range []store.EventRequest{{}, {Organization: "acme"}, {Organization: "acme", Newest: true}, {Newest: true}} {
				if test.hidden && request == (store.EventRequest{}) {
					continue
				}
				var err error
				for _, err = range store.AllEvents(t.Context(), s, request) {
				}
				require.ErrorContains(t, err, test.want, "%+v", request)
				require.NotErrorIs(t, err, store.ErrCompacted)
			}
			_, err := writeIn(t, s, "acme", "later")
			require.Equal(t, test.writes, err != nil, "%v", err)
		})
	}
}

func everyOrder(s *Store) []eventOrder {
	return []eventOrder{s.names.oldest(""), s.names.newest(""), s.names.oldest("acme"), s.names.newest("acme")}
}
