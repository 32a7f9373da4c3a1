package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

const (
	selectEveryOrganization = `SELECT id, id, revision, record FROM organizations`
	selectEveryKey          = `SELECT id, organization, revision, record FROM keys`

	// Every change since a revision, with the record as it is now.
	selectChanges = `SELECT c.revision, c.organization, c.key, c.deleted,
			coalesce(k.id, o.id), coalesce(k.organization, o.id), coalesce(k.revision, o.revision), coalesce(k.record, o.record)
		FROM changes c
			LEFT JOIN keys k ON c.key <> '' AND k.id = c.key
			LEFT JOIN organizations o ON c.key = '' AND o.id = c.organization
		WHERE c.revision > ? ORDER BY c.revision`
)

var feedQueries = []string{selectProgress, selectEveryOrganization, selectEveryKey, selectChanges}

// A batch is what is told up to a mark, read in one transaction: so all of it is as of
// the mark's revision.
type batch struct {
	feed   database
	tx     *sql.Tx
	after  uint64 // the revision of the mark before
	latest uint64
	tell   func(store.Change) error
}

// start begins to read. Only here may it have to wait for another process.
func (b *batch) start(ctx context.Context) error {
	latest, forgotten, err := progress(b.tx.StmtContext(ctx, b.feed.prepared[selectProgress]).QueryRowContext(ctx))
	b.latest = latest
	switch {
	case err != nil:
		return err
	case b.after > b.latest:
		return fmt.Errorf("store/sqlite: a watch from revision %d, of a store that has come to %d: %w", b.after, b.latest, store.ErrCompacted)
	case b.after > 0 && b.after < forgotten:
		return fmt.Errorf("store/sqlite: a watch from revision %d, of a store that knows the changes after %d: %w", b.after, forgotten, store.ErrCompacted)
	}
	return nil
}

// each scans every row of a query and calls f after each.
func (b *batch) each(query string, into []any, f func() error, args ...any) (err error) {
	ctx := context.Background() // the transaction ends when it is to be left
	rows, err := b.tx.StmtContext(ctx, b.feed.prepared[query]).QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// everything tells every record that is there.
func (b *batch) everything() error {
	if err := b.every(selectEveryOrganization, false); err != nil {
		return err
	}
	return b.every(selectEveryKey, true)
}

func (b *batch) every(query string, keys bool) error {
	var r row
	return b.each(query, []any{&r.id, &r.organization, &r.revision, &r.record}, func() error {
		id, _ := r.id.(string)
		switch {
		case b.latest == 0:
			return fmt.Errorf("there is a record, %.300q, and the store has come to revision 0: want that of its latest write", fmt.Sprint(r.id))
		case id == "":
			return fmt.Errorf("a record has no name: its ID is %.300q, of type %T: want a text that is not empty", fmt.Sprint(r.id), r.id)
		}
		change := store.Change{Revision: b.latest, Organization: organizationOf(r.organization)}
		if keys {
			change.Key = apikey.ID(id)
		}
		if revision, err := asRevision(r.revision); err == nil && revision <= b.latest {
			change.Revision = revision
		}
		return b.tell(r.complete(change))
	})
}

// changes tells every record that was written or deleted since the mark before. A change
// that another one followed, of the same record, is passed over: the record is what the
// last of them made it. It is owed until that one is met, for somebody else may have
// written to the tables, and none may follow.
func (b *batch) changes() error {
	var revision, deleted int64
	var read store.Change
	var r row
	next := b.after + 1
	told := map[store.Change]bool{}         // of the records that are not there, or not as they should be
	owed := map[store.Change]store.Change{} // by the name of the record
	err := b.each(selectChanges, []any{&revision, &read.Organization, &read.Key, &deleted, &r.id, &r.organization, &r.revision, &r.record}, func() error {
		if uint64(revision) != next || read.Organization == "" {
			return fmt.Errorf("the change of revision %d cannot be read: there is one of revision %d, organization %.300q", next, revision, read.Organization)
		}
		next++
		change := read
		change.Revision = uint64(revision)
		name := nameOf(change)
		if told[name] {
			return nil
		}
		stored, err := asRevision(r.revision)
		switch isThere := r.id != nil; {
		case !isThere && deleted == 0, // a later change deleted it
			isThere && err == nil && stored > change.Revision && stored <= b.latest: // or wrote it
			change.Deleted = !isThere
			owed[name] = change
			return nil
		case !isThere:
			change.Deleted = true
		case err == nil && stored == change.Revision && deleted == 0:
			delete(owed, name)
			return b.tell(r.complete(change))
		default:
			change.Err = unreadable("the record that has changed", r.id, fmt.Errorf("it has revision %v, and the change %d", r.revision, revision))
		}
		delete(owed, name)
		told[name] = true
		return b.tell(change)
	}, int64(b.after))
	switch {
	case err != nil:
		return err
	case next != b.latest+1:
		return fmt.Errorf("the change of revision %d is not there, and the store has come to %d", next, b.latest)
	}
	return b.rest(owed)
}

// rest tells the changes that no other one followed, after all: the record is not there, or
// as no change has made it.
func (b *batch) rest(owed map[store.Change]store.Change) error {
	for _, change := range slices.SortedFunc(maps.Values(owed), func(a, b store.Change) int { return cmp.Compare(a.Revision, b.Revision) }) {
		if !change.Deleted {
			change.Err = unreadable("the record that has changed", cmp.Or(string(change.Key), change.Organization),
				fmt.Errorf("its latest change has revision %d: want that of the record", change.Revision))
		}
		if err := b.tell(change); err != nil {
			return err
		}
	}
	return nil
}

// nameOf returns a change that says only which record it is of: a key is the same one in
// whatever organization (W6).
func nameOf(change store.Change) store.Change {
	if change.Key != "" {
		return store.Change{Key: change.Key}
	}
	return store.Change{Organization: change.Organization}
}

// complete returns the change with its record, or with the reason why that cannot be
// read (W8).
func (r row) complete(change store.Change) store.Change {
	if change.Key == "" {
		organization, err := r.asOrganization()
		if err == nil && organization.Revision != change.Revision {
			err = unreadable("organization", r.id, fmt.Errorf("it has revision %d: want %d at most", organization.Revision, change.Revision))
		}
		if change.Err = err; err == nil {
			change.OrganizationRecord = &organization
		}
		return change
	}
	key, err := r.asKey()
	if err == nil && key.Revision != change.Revision {
		err = unreadable("key", r.id, fmt.Errorf("it has revision %d: want %d at most", key.Revision, change.Revision))
	}
	if change.Err = err; err == nil {
		change.KeyRecord = &key
	}
	return change
}
