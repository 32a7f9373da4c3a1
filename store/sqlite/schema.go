package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sallyport-go/sallyport/store"
)

// applicationID is in the header of every file of ours: "SaPo".
const applicationID = 0x5361506f

// A migration takes a file to its next version, noted as user_version. Programs whose own
// version is readableFrom or greater may read the file then, and those from writableFrom on
// write it; see package store, "Versions side by side". Every call looks at both numbers.
//
// A migration that adds what older programs need not know (a table, an index, a column with a
// default) leaves the numbers as they are. One that takes something away comes releases
// later, and raises them. As long as a version may read, the tables and columns of all its
// queries stay, those of its writes included: Open prepares them.
type migration struct {
	readableFrom, writableFrom int
	sql                        string
}

// migrations[n] takes a file from version n to n+1. A released one never changes.
var migrations = []migration{{1, 1, `
	CREATE TABLE organizations (
		id       TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
		revision INTEGER NOT NULL CHECK (revision > 0),
		record   TEXT NOT NULL -- the JSON of policy.Organization
	) STRICT;

	CREATE TABLE keys (
		id           TEXT PRIMARY KEY NOT NULL CHECK (id <> ''),
		organization TEXT NOT NULL REFERENCES organizations (id),
		revision     INTEGER NOT NULL CHECK (revision > 0),
		record       TEXT NOT NULL -- the JSON of apikey.Key
	) STRICT;
	CREATE INDEX keys_of_organization ON keys (organization, id);

	-- One row for every write. The key is empty if it was the organization itself. Both are
	-- NULL if events were forgotten, and no record was written.
	CREATE TABLE changes (
		revision     INTEGER PRIMARY KEY NOT NULL CHECK (revision > 0),
		organization TEXT CHECK (organization <> ''),
		key          TEXT CHECK ((key IS NULL) = (organization IS NULL)),
		deleted      INTEGER NOT NULL CHECK (deleted IN (0, 1))
	) STRICT;

	-- One row for every write with events. Organization and key are those of the record, both
	-- empty if events were forgotten. No row refers to a record, since events outlive it. The
	-- indexes have the revision as their last column.
	CREATE TABLE events (
		revision     INTEGER PRIMARY KEY NOT NULL CHECK (revision > 0),
		organization TEXT NOT NULL,
		key          TEXT NOT NULL,
		document     TEXT NOT NULL -- a JSON array of store.Event
	) STRICT;
	CREATE INDEX events_of_organization ON events (organization);
	CREATE INDEX events_of_key ON events (key, organization) WHERE key <> '';

	-- One row: the history, the latest revision, up to which one changes are no longer
	-- known and events were forgotten, and the oldest versions that may read and write.
	CREATE TABLE progress (
		id               INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
		history          TEXT NOT NULL CHECK (history <> ''),
		revision         INTEGER NOT NULL CHECK (revision >= 0),
		forgotten        INTEGER NOT NULL CHECK (forgotten BETWEEN 0 AND revision),
		events_forgotten INTEGER NOT NULL CHECK (events_forgotten BETWEEN 0 AND revision),
		readable_from    INTEGER NOT NULL CHECK (readable_from BETWEEN 1 AND writable_from),
		writable_from    INTEGER NOT NULL
	) STRICT;
	INSERT INTO progress VALUES (1, lower(hex(randomblob(16))), 0, 0, 0, 1, 1);

	-- The histories from which the file has come to the present one, which is the last:
	-- the first revision of each, and the revision before that.
	CREATE TABLE histories (
		first  INTEGER PRIMARY KEY NOT NULL CHECK (first > 0),
		before INTEGER NOT NULL CHECK (before BETWEEN 0 AND first - 1),
		name   TEXT UNIQUE NOT NULL CHECK (name <> '')
	) STRICT;
	INSERT INTO histories SELECT 1, 0, history FROM progress;

	-- The usage of keys, as store/adapter encodes it. An unused key has no row.
	CREATE TABLE usage (
		key      TEXT PRIMARY KEY NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
		document TEXT NOT NULL
	) STRICT;

	-- Since when usage is observed: one row, or none.
	CREATE TABLE observation (
		id       INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
		document TEXT NOT NULL
	) STRICT;
`}}

// A treatment is what to do with a file that is empty, or of an earlier version.
type treatment bool

const (
	leaveOlder    treatment = false
	bringUpToDate treatment = true
)

// prepareFile brings a file to the latest version and to the write-ahead log. Several
// processes may do so at once. It returns the position of a file that it has made, the zero
// Position for any other.
func prepareFile(ctx context.Context, f file, to driver.Connector, older treatment) (made store.Position, err error) {
	db := sql.OpenDB(connector{to, f, preparing})
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	from, err := version(ctx, db, len(migrations))
	if err == nil && older == leaveOlder {
		err = checkUpToDate(from, len(migrations))
	}
	if err != nil { // before anything is changed
		return made, err
	}
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return made, err
	}
	if mode != "wal" {
		return made, fmt.Errorf("the file system cannot have a write-ahead log, which processes share by shared memory: PRAGMA journal_mode is %q: want \"wal\"", mode)
	}
	if from < len(migrations) {
		return migrate(ctx, db, migrations)
	}
	return made, nil
}

// ErrOlder is returned by [OpenExisting] for a file that an earlier version of this package wrote.
var ErrOlder = errors.New("the file is of an earlier version")

// An emptyError is fs.ErrNotExist for a store whose file is there.
type emptyError struct{}

func (emptyError) Error() string        { return "the file is empty: it has no store" }
func (emptyError) Is(target error) bool { return target == fs.ErrNotExist }

func checkUpToDate(from, latest int) error {
	switch {
	case from == 0:
		return emptyError{}
	case from < latest:
		return fmt.Errorf("%w: it has version %d, want %d, to which Open brings it", ErrOlder, from, latest)
	}
	return nil
}

// A querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version returns the version of a file of this package, zero for an empty file, and an
// error for any other, and for one that programs of the version known may not read.
func version(ctx context.Context, in querier, known int) (int, error) {
	var application, version, objects int
	var encoding string
	err := in.QueryRowContext(ctx, `SELECT application_id, user_version, encoding, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version, pragma_encoding`).Scan(&application, &version, &encoding, &objects)
	switch {
	case err != nil:
		return 0, err
	case encoding != "UTF-8":
		return 0, fmt.Errorf("it has the encoding %s: want UTF-8", encoding)
	case application == 0 && version == 0 && objects == 0:
		return 0, nil
	case application != applicationID:
		return 0, fmt.Errorf("it is another SQLite database, of application %#x with %d tables and indexes: want one that this package has made, or no file", application, objects)
	case version < 1:
		return 0, fmt.Errorf("the file has version %d: want 1 to %d", version, known)
	case version <= known:
		return version, nil
	}
	var readableFrom any
	if err := in.QueryRowContext(ctx, selectReadable).Scan(&readableFrom); err != nil {
		return 0, fmt.Errorf("the file has version %d, of a later release, and does not say who may read it: %w: %w", version, err, store.ErrNewer)
	}
	return version, checkVersion("read", readableFrom, known)
}

// checkVersion returns an error if programs of the version known may not read, or write, a file. from
// is the column with the oldest that may.
func checkVersion(what string, from any, known int) error {
	switch n, err := asCount(from); {
	case err != nil:
		return err
	case n < 1:
		return fmt.Errorf("the file does not say who may %s it: want a version from 1 on", what)
	case n > uint64(known):
		return fmt.Errorf("a later release has changed the file: programs from version %d on may %s it, and this one has version %d: %w", n, what, known, store.ErrNewer)
	}
	return nil
}

// migrate takes a file to the version of the last step, unless another process did so
// meanwhile.
func migrate(ctx context.Context, db *sql.DB, steps []migration) (made store.Position, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return made, err
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	from, err := version(ctx, tx, len(steps))
	if err != nil || from >= len(steps) {
		return made, err
	}
	for _, step := range steps[from:] {
		if _, err := tx.ExecContext(ctx, step.sql); err != nil {
			return made, err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE progress SET readable_from = ?, writable_from = ?", step.readableFrom, step.writableFrom); err != nil {
			return made, err
		}
	}
	if from == 0 {
		if err := tx.QueryRowContext(ctx, "SELECT history FROM progress").Scan(&made.History); err != nil {
			return made, err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(steps))); err != nil {
		return store.Position{}, err
	}
	return made, tx.Commit()
}

// progress returns the latest position, and the revision of the latest change no longer known. It
// fails if a later release has changed the file, since it was opened, so that this one may not
// do what it wants to: "read" or "write".
func progress(row *sql.Row, what string) (latest store.Position, forgotten uint64, err error) {
	var revision, last, readableFrom, writableFrom any
	if err := row.Scan(&readableFrom, &writableFrom, &latest.History, &revision, &last); err != nil {
		return store.Position{}, 0, err
	}
	from := readableFrom
	if what == "write" {
		from = writableFrom
	}
	if err := checkVersion(what, from, len(migrations)); err != nil {
		return store.Position{}, 0, err
	}
	if latest.Revision, err = asCount(revision); err != nil {
		return store.Position{}, 0, err
	}
	forgotten, err = asCount(last)
	return latest, forgotten, err
}

// checkReadable is called after a read of several rows, or of none: the number only rises, so
// what was read before it was allowed, too.
func (s *Store) checkReadable(ctx context.Context) error {
	var from any
	if err := s.whileLocked(ctx, func() error { return s.read.prepared[selectReadable].QueryRowContext(ctx).Scan(&from) }); err != nil {
		return err
	}
	return checkVersion("read", from, len(migrations))
}
