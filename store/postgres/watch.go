package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// chunk is how many changes are read before they are told.
const chunk = 1000

// positionSQL says where a watch from $1 is. The latest revision is known even if its
// change was deleted by hand: nothing came after it.
const positionSQL = `SELECT forgotten, $1::bigint IN (0, forgotten, revision) OR EXISTS (SELECT FROM sallyport.changes WHERE revision = $1) FROM sallyport.state`

// changesSQL is the last change of each record since $1.
const changesSQL = `SELECT DISTINCT ON (key, record) revision, organization, key, deleted
	FROM (SELECT *, CASE WHEN key IS NULL THEN organization END AS record FROM sallyport.changes WHERE revision > $1) AS since
	ORDER BY key, record, revision DESC`

// Watch is as store.Watcher says. A watcher looks for changes when the server notifies of
// a write, within a millisecond or so, and once a second whether it does or not. At least
// the latest 100,000 changes are known. A watcher that holds more than a thousand
// records up for a minute, while they are read, is told so by an error.
func (s *Store) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		hint, leave := s.hints.join()
		defer leave()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()

		w := watch{s: s, yield: yield, mark: after, load: after == 0, first: true}
		poll := time.NewTicker(s.pollInterval)
		defer poll.Stop()
		for {
			switch err := w.tell(ctx); {
			case errors.Is(err, errLeft):
				return
			case s.closing.Err() != nil:
				yield(store.Change{}, errClosed)
				return
			case err != nil:
				yield(store.Change{}, err)
				return
			}
			select {
			case <-hint:
			case <-poll.C:
			case <-ctx.Done():
			}
		}
	}
}

// errLeft: the watcher left.
var errLeft = errors.New("store/postgres: the watcher left")

// A watch is how far one has come.
type watch struct {
	s     *Store
	yield func(store.Change, error) bool
	mark  uint64         // revision of the last mark; before the first, where to begin
	load  bool           // every record is to be told
	first bool           // a mark is to be told even if there is nothing else
	told  []store.Change // read, and to be told
}

// tell tells what is new, and a mark. All of it is read in one snapshot of the database.
func (w *watch) tell(ctx context.Context) error {
	if w.s.closing.Err() != nil {
		return errClosed
	}
	r, err := w.s.beginReading(ctx)
	if err != nil {
		return err
	}
	defer r.abandon()
	revision, err := w.read(r)
	if err != nil {
		return r.failed(err)
	}
	// The rest is in memory: from here on a slow watcher holds up nothing.
	r.end()
	if err := w.flush(r); err != nil {
		return err
	}
	if w.first || revision != w.mark {
		if err := w.one(r, store.Change{Revision: revision}); err != nil {
			return err
		}
	}
	w.first, w.load, w.mark = false, false, revision
	return nil
}

// read reads what is new, and returns the revision of the snapshot.
func (w *watch) read(r *reading) (revision uint64, err error) {
	if revision, err = w.s.read(r.ctx, r.tx, sink{}, w.s.sql.revision); err != nil {
		return 0, err
	}
	if w.load {
		return revision, w.readAll(r, revision)
	}
	if w.mark > revision {
		return 0, fmt.Errorf("store/postgres: a watch from revision %d, of a store that has come to %d: %w", w.mark, revision, store.ErrCompacted)
	}
	var forgotten uint64
	var known bool
	if err := r.tx.QueryRow(r.ctx, inSchema(w.s.schema, positionSQL), w.mark).Scan(&forgotten, &known); err != nil {
		return 0, failed(r.ctx, err)
	}
	if w.mark < forgotten || !known {
		return 0, fmt.Errorf("store/postgres: a watch from revision %d, which the store has forgotten or never gave: %w", w.mark, store.ErrCompacted)
	}
	if revision == w.mark {
		return revision, nil
	}
	return revision, w.readChanges(r)
}

// readAll reads every record.
func (w *watch) readAll(r *reading, revision uint64) error {
	add := func(change store.Change) error {
		if change.Revision > revision {
			return fmt.Errorf("%w: it has come to revision %d, and a record of organization %q has revision %d", errUnfit, revision, change.Organization, change.Revision)
		}
		return w.add(r, change)
	}
	to := sink{
		organization: func(o storedOrganization) error { return add(organizationChange(o, revision)) },
		key: func(k storedKey) error {
			if k.Organization == "" {
				return k.err // it cannot even be named
			}
			return add(keyChange(k, revision))
		},
	}
	if _, err := w.s.read(r.ctx, r.tx, to, w.s.sql.allOrganizations); err != nil {
		return err
	}
	_, err := w.s.read(r.ctx, r.tx, to, w.s.sql.allKeys)
	return err
}

// organizationChange tells of an organization that is there. One that cannot be read is
// told with its revision, and if not even that can be read, with that of the mark.
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

// readChanges reads the records that were written since the last mark, as they are now.
func (w *watch) readChanges(r *reading) error {
	rows, _ := r.tx.Query(r.ctx, inSchema(w.s.schema, changesSQL), w.mark) // its error is that of the rows, too
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
	there := map[recordName]store.Change{}
	to := sink{
		organization: func(o storedOrganization) error {
			there[recordName{organization: o.ID}] = organizationChange(o, 0)
			return nil
		},
		key: func(k storedKey) error {
			there[recordName{key: k.ID}] = keyChange(k, 0)
			return nil
		},
	}
	if len(organizations) > 0 {
		if _, err := w.s.read(r.ctx, r.tx, to, w.s.sql.theseOrganizations, organizations); err != nil {
			return err
		}
	}
	if len(keys) > 0 {
		if _, err := w.s.read(r.ctx, r.tx, to, w.s.sql.theseKeys, keys); err != nil {
			return err
		}
	}
	for _, change := range changes {
		name := recordName{key: change.Key}
		if change.Key == "" {
			name.organization = change.Organization
		}
		found, ok := there[name]
		if err := w.add(r, together(change, found, ok)); err != nil {
			return err
		}
	}
	return nil
}

// A recordName is the ID of a key, or else of an organization.
type recordName struct {
	key          apikey.ID
	organization string
}

// together puts a change and the record that it is of together. If they do not agree,
// which only a change by hand can bring about, the record cannot be relied on.
func together(change, found store.Change, there bool) store.Change {
	switch {
	case change.Deleted && !there:
		return change
	case there && found.Err != nil:
		change.Err = found.Err
	case change.Deleted || !there || found.Revision != change.Revision || found.Organization != change.Organization:
		change.Err = fmt.Errorf("store/postgres: %s is not as its last change, of revision %d, left it: it was changed by hand", recordOf(change), change.Revision)
	default:
		return found
	}
	change.Deleted = false
	return change
}

// recordOf names the record that a change is of.
func recordOf(change store.Change) string {
	if change.Key == "" {
		return fmt.Sprintf("organization %q", change.Organization)
	}
	return fmt.Sprintf("key %q of organization %q", change.Key, change.Organization)
}

// add takes a change to tell, and tells a chunk of them before it takes more than that.
func (w *watch) add(r *reading, change store.Change) error {
	if len(w.told) == chunk {
		if err := w.flush(r); err != nil {
			return err
		}
	}
	w.told = append(w.told, change)
	return nil
}

// flush tells what was read.
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

// one tells a change, unless the watch has ended.
func (w *watch) one(r *reading, change store.Change) error {
	if w.s.closing.Err() != nil {
		return errClosed
	}
	if err := r.ctx.Err(); err != nil {
		return r.failed(err)
	}
	if !w.yield(change, nil) {
		r.cancel(errLeft) // or what was not read yet would be
		return errLeft
	}
	r.comesOn()
	return nil
}
