package postgres

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// chunk is how many changes are read before they are delivered.
const chunk = 1000

// isOfRecord is true for a change of a record, and false where events were forgotten.
const isOfRecord = `(organization IS NOT NULL OR deleted IS NOT NULL)`

// changesSQL is the last change of each record since $1.
const changesSQL = `SELECT DISTINCT ON (key, record) revision, organization, key, deleted
	FROM (SELECT *, CASE WHEN key IS NULL THEN organization END AS record FROM sallyport.changes WHERE revision > $1 AND ` + isOfRecord + `) AS since
	ORDER BY key, record, revision DESC`

// Watch implements [store.Watcher]. It looks for changes when the server notifies of a
// write, within a millisecond or so, and in any case once a second. While writes follow each
// other, it may look n milliseconds later, with n stores being watched. At least the latest
// 100,000 changes are known. If a watcher with more than a thousand pending records takes
// none for a minute, the watch ends with an error.
func (s *Store) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		hint, leave := s.hints.join()
		defer leave()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()

		w := watch{s: s, yield: yield, mark: after, load: after == store.Position{}, first: true}
		poll := time.NewTimer(s.pollInterval)
		defer poll.Stop()
		for polled := false; ; {
			before := w.mark
			poll.Reset(s.pollInterval)
			err := w.tell(ctx)
			if polled && w.mark.Revision != before.Revision {
				s.hints.missed()
			}
			switch {
			case errors.Is(err, errLeft):
				return
			case s.closing.Err() != nil:
				yield(store.Change{}, errClosed)
				return
			case err != nil:
				yield(store.Change{}, err)
				return
			}
			polled = w.wait(ctx, hint, poll)
		}
	}
}

// wait waits until something may be new: until a hint, or until nobody has asked the server
// for a while. polled reports that there was no hint.
func (w *watch) wait(ctx context.Context, hint <-chan struct{}, poll *time.Timer) (polled bool) {
	for {
		select {
		case <-hint:
			return false
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
		// A replica asks for the position anyway, and more often.
		asked := w.s.asked.Load()
		if asked == nil || asked.position != w.mark || time.Since(asked.at) >= w.s.pollInterval {
			return true
		}
		poll.Reset(w.s.pollInterval - time.Since(asked.at))
	}
}

// errLeft ends a watch after the caller has left the loop.
var errLeft = errors.New("store/postgres: the watcher left")

// A watch is the position of a watcher.
type watch struct {
	s     *Store
	yield func(store.Change, error) bool
	mark  store.Position // the last mark; before the first, the start
	load  bool           // deliver every record
	first bool           // deliver a mark even without changes
	told  []store.Change // read, to be delivered
}

// tell delivers the changes since the mark, and a new mark, all of one snapshot.
func (w *watch) tell(ctx context.Context) error {
	if w.s.closing.Err() != nil {
		return errClosed
	}
	r, err := w.s.beginReading(ctx)
	if err != nil {
		return err
	}
	defer r.abandon()
	latest, err := w.look(r)
	if err != nil {
		return r.failed(err)
	}
	// The rest is in memory, so a slow watcher holds up nothing now.
	r.end()
	if err := w.flush(r); err != nil {
		return err
	}
	if w.first || latest != w.mark {
		if err := w.one(r, store.Change{History: latest.History, Revision: latest.Revision}); err != nil {
			return err
		}
	}
	w.first, w.load, w.mark = false, false, latest
	w.s.told.Store(&latest)
	return nil
}

// look reads the changes since the mark, the short way or the long one.
func (w *watch) look(r *reading) (store.Position, error) {
	if !w.first && !w.load {
		latest, all, err := w.readRecent(r)
		if all || err != nil {
			return latest, err
		}
	}
	if err := r.beginSnapshot(w.s.schema); err != nil {
		return store.Position{}, err
	}
	return w.read(r)
}

// read reads the changes since the mark, and returns the position of the snapshot.
func (w *watch) read(r *reading) (store.Position, error) {
	latest, forgotten, err := w.s.readPosition(r.ctx, r.tx)
	switch {
	case err != nil:
		return store.Position{}, err
	case w.load:
		return latest, w.readAll(r, latest.Revision)
	case w.first || latest.History != w.mark.History:
		err = w.s.checkResume(r, w.mark, latest)
	default:
		err = adapter.CheckWatch(w.mark, forgotten, latest)
	}
	if err != nil {
		return store.Position{}, err
	}
	if latest == w.mark {
		return latest, nil
	}
	return latest, w.readChanges(r)
}

// organizationChange returns the change of a stored organization. Its revision is the
// record's, or the mark's if that cannot be read.
func organizationChange(o storedOrganization, mark uint64) store.Change {
	change := store.Change{Revision: cmp.Or(o.Revision, mark), Organization: o.ID, Err: o.err}
	if o.err == nil {
		change.OrganizationRecord = &o.Organization
	}
	return change
}

// keyChange is organizationChange for a key.
func keyChange(k storedKey, mark uint64) store.Change {
	change := store.Change{Revision: cmp.Or(k.Revision, mark), Organization: k.Organization, Key: k.ID, Err: k.err}
	if k.err == nil {
		change.KeyRecord = &k.Key
	}
	return change
}

// readChanges reads the records written since the mark, as they are now.
func (w *watch) readChanges(r *reading) error {
	rows, _ := r.tx.Query(r.ctx, inSchema(w.s.schema, changesSQL), w.mark.Revision) // CollectRows returns its error too
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c store.Change, err error) {
		var key *string
		err = row.Scan(&c.Revision, &c.Organization, &key, &c.Deleted)
		if key != nil {
			c.Key = apikey.ID(*key)
		}
		return c, err
	})
	if err != nil {
		return failed(r.ctx, err)
	}
	for some := range slices.Chunk(changes, chunk) {
		if err := w.readSome(r, some); err != nil {
			return err
		}
	}
	return nil
}

// readSome reads the records of some changes.
func (w *watch) readSome(r *reading, changes []store.Change) error {
	var organizations, keys []string
	for _, change := range changes {
		if change.Key == "" {
			organizations = append(organizations, change.Organization)
		} else {
			keys = append(keys, string(change.Key))
		}
	}
	found := map[adapter.Name]*store.Change{}
	find := func(rows *records, change store.Change) error {
		name := adapter.NameOf(change)
		if found[name] != nil {
			change = store.Change{Err: twice(rows)}
		}
		found[name] = &change
		return nil
	}
	if len(organizations) > 0 {
		if err := w.s.readRecords(r.ctx, r.tx, func(rows *records) error {
			return find(rows, organizationChange(rows.organization.asOrganization(), 0))
		}, theseOrganizationsSQL, organizations); err != nil {
			return err
		}
	}
	if len(keys) > 0 {
		if err := w.s.readRecords(r.ctx, r.tx, func(rows *records) error {
			return find(rows, keyChange(rows.key.asKey(), 0))
		}, theseKeysSQL, keys); err != nil {
			return err
		}
	}
	for _, change := range changes {
		if err := w.add(r, adapter.Confirm(change, found[adapter.NameOf(change)])); err != nil {
			return err
		}
	}
	return nil
}

// add takes a change to deliver. A full chunk is delivered first.
func (w *watch) add(r *reading, change store.Change) error {
	if len(w.told) == chunk {
		if err := w.flush(r); err != nil {
			return err
		}
	}
	w.told = append(w.told, change)
	return nil
}

// flush delivers the changes read so far.
func (w *watch) flush(r *reading) error {
	for i, change := range w.told {
		w.told[i] = store.Change{}
		if err := w.one(r, change); err != nil {
			return err
		}
	}
	w.told = w.told[:0]
	return nil
}

// one delivers a change, unless the watch has ended.
func (w *watch) one(r *reading, change store.Change) error {
	if w.s.closing.Err() != nil {
		return errClosed
	}
	if err := r.ctx.Err(); err != nil {
		return r.failed(err)
	}
	if !w.yield(change, nil) {
		r.cancel(errLeft) // or pgx would read the rest of the rows
		return errLeft
	}
	r.comesOn()
	return nil
}
