package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

const (
	selectProgress = `SELECT revision, forgotten FROM progress`

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
	var latest, forgotten any
	err := b.tx.StmtContext(ctx, b.feed.prepared[selectProgress]).QueryRowContext(ctx).Scan(&latest, &forgotten)
	if err != nil {
		return err
	}
	if b.latest, err = asCount(latest); err != nil {
		return err
	}
	first, err := asCount(forgotten)
	switch {
	case err != nil:
		return err
	case b.after > b.latest:
		return fmt.Errorf("store/sqlite: a watch from revision %d, of a store that has come to %d: %w", b.after, b.latest, store.ErrCompacted)
	case b.after > 0 && b.after < first:
		return fmt.Errorf("store/sqlite: a watch from revision %d, of a store that knows the changes after %d: %w", b.after, first, store.ErrCompacted)
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
		change := store.Change{Revision: b.latest}
		change.Organization, _ = r.organization.(string)
		if id == "" || change.Organization == "" {
			return fmt.Errorf("a record has no name: it is %.300q of organization %.300q", fmt.Sprint(r.id), fmt.Sprint(r.organization))
		}
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
// last of them made it.
func (b *batch) changes() error {
	var revision, deleted int64
	var read store.Change
	var r row
	next := b.after + 1
	told := map[store.Change]bool{} // of the records that are not there, or not as they should be
	err := b.each(selectChanges, []any{&revision, &read.Organization, &read.Key, &deleted, &r.id, &r.organization, &r.revision, &r.record}, func() error {
		if uint64(revision) != next || read.Organization == "" {
			return fmt.Errorf("the change of revision %d cannot be read: there is one of revision %d, organization %.300q", next, revision, read.Organization)
		}
		next++
		change := read
		change.Revision = uint64(revision)
		stored, err := asRevision(r.revision)
		switch isThere := r.id != nil; {
		case !isThere && deleted == 0, // a later change deleted it
			isThere && err == nil && stored > change.Revision && stored <= b.latest: // or wrote it
			return nil
		case !isThere:
			change.Deleted = true
		case err == nil && stored == change.Revision && deleted == 0:
			return b.tell(r.complete(change))
		default:
			change.Err = unreadable("the record that has changed", r.id, fmt.Errorf("it has revision %v, and the change %d", r.revision, revision))
		}
		name := store.Change{Key: change.Key}
		if change.Key == "" {
			name.Organization = change.Organization
		}
		if told[name] {
			return nil
		}
		told[name] = true
		return b.tell(change)
	}, int64(b.after))
	if err == nil && next != b.latest+1 {
		err = fmt.Errorf("the change of revision %d is not there, and the store has come to %d", next, b.latest)
	}
	return err
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
