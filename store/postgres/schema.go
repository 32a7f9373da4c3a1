package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/store"
)

// migrations are the steps to the present tables, in the order of their names. A name begins
// with its number: 0001 first. A published step does not change any more.
//
// The first line of a step declares which older programs go on beside the newer one, by the
// versions of their tables; see package store, "Versions side by side":
//
//	-- readable from 1, writable from 1
//
// A program of version 1 that runs meanwhile then goes on reading and writing. It stops
// writing at once where the second number is greater, and reading where the first is: each
// call looks at them. So a step that adds what older programs need not know (a table, an
// index, a column with a default) leaves both numbers as they are. A step that takes
// something away comes releases later, when no program needs it, and raises them.
//
// A step must not rewrite a table, as ALTER TABLE does to change a type: it copies the rows
// into a table of another name and drops the first. To an older snapshot a rewritten table
// looks empty, and the version is still the older one. Watches lock the tables, and at READ
// COMMITTED a statement has no such snapshot. But a read at another level, by a caller's
// transaction or the pool's default, would miss a stored key.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrate makes the tables in the pool's database, or changes those of an older version of
// this package, in one transaction. Several instances may call it at once: one migrates and
// the others wait, as long as the context and the pool's lock_timeout let them; a
// statement_timeout is put aside. Where programs of an older version are running, it waits for
// their transactions in short tries, until the context ends: their decisions wait some tenths
// of a second at most. Migrate needs the right to create tables in the schema,
// and to create the schema if it is absent. The program itself does not need them.
//
// Tables of a newer version stay as they are, if this version may read them. Otherwise they
// are an error (store.ErrNewer), and so is a database in another encoding than UTF8. After an
// error nothing has changed.
func Migrate(ctx context.Context, pool *pgxpool.Pool, options ...Option) error {
	o, err := choose(options)
	if err != nil {
		return err
	}
	steps, err := readMigrations(migrations)
	if err == nil {
		err = checkDatabase(ctx, pool)
	}
	if err == nil {
		err = migrate(ctx, pool, o.schema, steps)
	}
	return failed(ctx, err)
}

// migrate runs the steps not run yet. While a step waits for a lock, everybody else waits
// behind it, decisions of older programs included, and it can meet a writer in a deadlock. So
// it gives up after lockPatience, and tries again a little later.
func migrate(ctx context.Context, pool *pgxpool.Pool, schema string, steps []step) error {
	for {
		beside := false
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
			beside, err = runSteps(ctx, tx, schema, steps)
			return err
		})
		if state := sqlState(err); !beside || state != lockNotAvailable && state != deadlockDetected {
			return err
		}
		select {
		case <-time.After(lockPatience + rand.N(lockPatience)):
		case <-ctx.Done():
			return err
		}
	}
}

// lockPatience is how long a step waits for a lock beside older programs. Decisions have more
// time. So has a deadlock, by deadlock_timeout, before the server ends somebody's transaction.
const lockPatience = 200 * time.Millisecond

// runSteps runs the steps not run yet. beside reports whether older programs may be running.
func runSteps(ctx context.Context, tx pgx.Tx, schema string, steps []step) (beside bool, err error) {
	m := migration{ctx: ctx, tx: tx, schema: schema}
	// A timeout for an application's statements is too short for waiting and migrating.
	m.exec(`SET LOCAL statement_timeout = 0`)
	// The second instance waits here, and finds the work done. The first number is this
	// package's own, apart from a program's advisory locks.
	m.exec(`SELECT pg_advisory_xact_lock(23057, hashtext($1))`, schema)

	// IF NOT EXISTS would need the right to create even if there is nothing to do.
	if !m.is(`SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, schema) {
		m.execAsIs(`CREATE SCHEMA ` + quoted(schema)) // its name may contain DefaultSchema
	}
	if !m.is(`SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations')`, schema) {
		m.exec(createMigrations)
	}
	var found versions
	if m.err == nil {
		m.err = tx.QueryRow(ctx, inSchema(schema, versionsSQL)).Scan(found.columns()...)
	}
	done := int(found.tables.Int32)
	switch {
	case m.err != nil:
		return false, m.err
	case done >= len(steps):
		return false, found.checkRead(len(steps))
	case done > 0:
		// Writers of the older version end first, and later ones look at the version, after
		// their locks. A writer whose snapshot is too old to see the version fails: the row
		// has changed. Usage is written without that row; see lockUsage. Reads go on.
		beside = true
		m.exec(fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockPatience.Milliseconds()))
		// The history keeps its name, or gets that of this place as by a write.
		m.exec(lockSQL)
		m.exec(renameSQL)
		m.exec(`UPDATE sallyport.state SET place = ''`)
		m.exec(placeSQL)
		m.exec(`LOCK TABLE sallyport.keys, sallyport.usage, sallyport.observation IN EXCLUSIVE MODE`)
	}
	for i, step := range steps[done:] {
		m.exec(step.sql)
		m.exec(`INSERT INTO sallyport.migrations (version, readable_from, writable_from) VALUES ($1, $2, $3)`, done+i+1, step.readableFrom, step.writableFrom)
		if m.err != nil {
			return beside, fmt.Errorf("migration %d: %w", done+i+1, m.err)
		}
	}
	return beside, m.err
}

// A migration does nothing after its first error.
type migration struct {
	ctx    context.Context
	tx     pgx.Tx
	schema string
	err    error
}

func (m *migration) exec(sql string, args ...any) {
	m.execAsIs(inSchema(m.schema, sql), args...)
}

func (m *migration) execAsIs(sql string, args ...any) {
	if m.err == nil {
		_, m.err = m.tx.Exec(m.ctx, sql, args...)
	}
}

func (m *migration) is(sql string, args ...any) (yes bool) {
	if m.err == nil {
		m.err = m.tx.QueryRow(m.ctx, inSchema(m.schema, sql), args...).Scan(&yes)
	}
	return yes
}

const createMigrations = `CREATE TABLE sallyport.migrations (
	version       integer PRIMARY KEY CHECK (version > 0),
	readable_from integer NOT NULL CHECK (readable_from BETWEEN 1 AND writable_from),
	writable_from integer NOT NULL CHECK (writable_from <= version),
	at            timestamptz NOT NULL DEFAULT now()
)`

// A step makes the tables of one version. Programs of the versions from readableFrom on may
// read them, and those from writableFrom on write them.
type step struct {
	sql                        string
	readableFrom, writableFrom int
}

// readMigrations returns the steps. The first makes version 1.
func readMigrations(from fs.FS) (steps []step, err error) {
	err = fs.WalkDir(from, "migrations", func(path string, file fs.DirEntry, err error) error {
		if err != nil || file.IsDir() {
			return err
		}
		if !strings.HasPrefix(file.Name(), fmt.Sprintf("%04d_", len(steps)+1)) {
			return fmt.Errorf("the migration %s: want them numbered from 0001 without gaps", path)
		}
		text, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		made, err := readStep(len(steps)+1, string(text))
		if err != nil {
			return fmt.Errorf("the migration %s: %w", path, err)
		}
		steps = append(steps, made)
		return nil
	})
	return steps, err
}

// readStep reads the declaration of the step to a version.
func readStep(version int, sql string) (step, error) {
	s, line := step{sql: sql}, strings.SplitN(sql, "\n", 2)[0]
	_, err := fmt.Sscanf(line, "-- readable from %d, writable from %d", &s.readableFrom, &s.writableFrom)
	if err != nil || s.readableFrom < 1 || s.readableFrom > s.writableFrom || s.writableFrom > version {
		return step{}, fmt.Errorf(`its first line is %.80q: want "-- readable from R, writable from W", with R from 1 to W and W at most %d`, line, version)
	}
	return s, nil
}

// inSchema returns SQL for the tables of a schema. In the source each table is written with
// the default schema before it.
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, DefaultSchema+".", quoted(schema)+".")
}

func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }

// version is the version of this program's tables.
const version = 1

// versions are what every statement reads with its rows: the version of the tables, and the
// oldest versions of programs that may read and write them.
type versions struct {
	tables, readableFrom, writableFrom pgtype.Int4
}

const versionsSQL = `SELECT max(version) AS version, max(readable_from) AS readable_from, max(writable_from) AS writable_from FROM sallyport.migrations`

func (v *versions) columns() []any { return []any{&v.tables, &v.readableFrom, &v.writableFrom} }

// checkRead refuses tables that a program of a version cannot read. Rows that somebody has
// deleted or emptied are version 0.
func (v *versions) checkRead(version int) error { return v.check("read", v.readableFrom, version) }

// checkWrite refuses tables that a program of a version cannot write.
func (v *versions) checkWrite(version int) error { return v.check("write", v.writableFrom, version) }

func (v *versions) check(what string, from pgtype.Int4, version int) error {
	switch tables := int(v.tables.Int32); {
	case tables < version:
		return fmt.Errorf("%w: its tables have version %d and this program needs version %d: run Migrate", errUnfit, tables, version)
	case from.Int32 < 1:
		return fmt.Errorf("%w: its table migrations does not say which versions may %s it: want the rows that Migrate makes", errUnfit, what)
	case int(from.Int32) > version:
		return fmt.Errorf("%w: its tables have version %d, which programs from version %d on may %s, and this one has version %d: %w", errUnfit, tables, from.Int32, what, version, store.ErrNewer)
	}
	return nil
}

// checkDatabase refuses a database without Unicode texts: two identifiers could become one.
func checkDatabase(ctx context.Context, pool *pgxpool.Pool) error {
	var server, client string
	err := pool.QueryRow(ctx, `SELECT current_setting('server_encoding'), current_setting('client_encoding')`).Scan(&server, &client)
	if err != nil {
		return err
	}
	if server != "UTF8" || client != "UTF8" {
		return fmt.Errorf("%w: its encoding is %s, and %s for clients: want UTF8", errUnfit, server, client)
	}
	return nil
}
