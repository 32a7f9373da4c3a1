package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/store"
)

// applicationID is in the header of every file of ours: "SaPo".
const applicationID = 0x5361506f

// migrations[n] takes a file from version n to n+1, noted as user_version. A released one
// never changes.
var migrations = []string{`
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

	-- One row: the history, the latest revision, and up to which one changes are no longer
	-- known and events were forgotten.
	CREATE TABLE progress (
		id               INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
		history          TEXT NOT NULL CHECK (history <> ''),
		revision         INTEGER NOT NULL CHECK (revision >= 0),
		forgotten        INTEGER NOT NULL CHECK (forgotten BETWEEN 0 AND revision),
		events_forgotten INTEGER NOT NULL CHECK (events_forgotten BETWEEN 0 AND revision)
	) STRICT;
	INSERT INTO progress VALUES (1, lower(hex(randomblob(16))), 0, 0, 0);

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
`}

// prepareFile brings a file to the latest version and to the write-ahead log. Several
// processes may do so at once. It returns the position of a file that it has made, the zero
// Position for any other.
func prepareFile(ctx context.Context, f file, to driver.Connector) (made store.Position, err error) {
	db := sql.OpenDB(connector{to, f, preparing})
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	from, err := version(ctx, db)
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
		return migrate(ctx, db)
	}
	return made, nil
}

// A querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version returns the version of a file of this package, zero for an empty file, and an
// error for any other.
func version(ctx context.Context, in querier) (int, error) {
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
	}
	return version, checkVersion(version)
}

func checkVersion(version int) error {
	switch {
	case version > len(migrations):
		return fmt.Errorf("the file has version %d, of a later release: want at most %d, or a program that is up to date", version, len(migrations))
	case version < 1:
		return fmt.Errorf("the file has version %d: want 1 to %d", version, len(migrations))
	}
	return nil
}

// migrate creates the tables, unless another process did so meanwhile.
func migrate(ctx context.Context, db *sql.DB) (made store.Position, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return made, err
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	from, err := version(ctx, tx)
	if err != nil || from == len(migrations) {
		return made, err
	}
	for _, migration := range migrations[from:] {
		if _, err := tx.ExecContext(ctx, migration); err != nil {
			return made, err
		}
	}
	if from == 0 {
		if err := tx.QueryRowContext(ctx, "SELECT history FROM progress").Scan(&made.History); err != nil {
			return made, err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations))); err != nil {
		return store.Position{}, err
	}
	return made, tx.Commit()
}

// progress returns the latest position, and the revision of the latest change no longer known. It
// fails if a later release has changed the file since it was opened: what that release
// wrote and relies on is unknown here.
func progress(row *sql.Row) (latest store.Position, forgotten uint64, err error) {
	var version int
	var revision, last any
	if err := row.Scan(&version, &latest.History, &revision, &last); err != nil {
		return store.Position{}, 0, err
	}
	if err := checkVersion(version); err != nil {
		return store.Position{}, 0, err
	}
	if latest.Revision, err = asCount(revision); err != nil {
		return store.Position{}, 0, err
	}
	forgotten, err = asCount(last)
	return latest, forgotten, err
}
