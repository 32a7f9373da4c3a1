package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrations are what made the tables what they are, in the order of their names, which
// begin with their numbers: 0001 first. One that has been published does not change any
// more. Programs of an older version go on running while a newer one migrates; they
// refuse every call from then on, since each looks at the version.
//
// A table that a step rewrites, as ALTER TABLE does to change a type, looks empty to
// snapshots that are older, in which the version is the older one, too. Watches lock the
// tables, and at READ COMMITTED a statement has no such snapshot; but a read at another
// level, in a transaction of the caller's or by the pool's default, would not find a key
// that is there. So a step does not rewrite a table that is read: it copies the rows into
// one of another name, and drops the first.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrate makes the tables in the pool's database, or changes those of an older version
// of this package, in one transaction. Several instances may call it at once: one of
// them does it and the others wait, as long as the context and a lock_timeout of the
// pool's let them; a statement_timeout is put aside. It needs the right to create tables
// in the schema, and to create the schema if it is not there, which the program itself
// does not need.
//
// Tables of a newer version are an error, and so is a database in another encoding than
// UTF8. With an error nothing has changed.
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
		err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			return migrate(ctx, tx, o.schema, steps)
		})
	}
	return failed(ctx, err)
}

// migrate does the steps that were not done yet.
func migrate(ctx context.Context, tx pgx.Tx, schema string, steps []string) error {
	m := migration{ctx: ctx, tx: tx, schema: schema}
	// What is right for an application's statements is not for waiting and migrating.
	m.exec(`SET LOCAL statement_timeout = 0`)
	// Whoever comes second waits here and finds it done. The first number is this
	// package's own, so that a program's own advisory locks are others.
	m.exec(`SELECT pg_advisory_xact_lock(23057, hashtext($1))`, schema)

	// IF NOT EXISTS would ask for the right to create even if there is nothing to do.
	if !m.is(`SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, schema) {
		m.execAsIs(`CREATE SCHEMA ` + quoted(schema)) // whose name may have DefaultSchema in it
	}
	if !m.is(`SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations')`, schema) {
		m.exec(createMigrations)
	}
	done := m.number(`SELECT coalesce(max(version), 0) FROM sallyport.migrations`)
	switch {
	case m.err != nil:
		return m.err
	case done > len(steps):
		return tooNew(done, len(steps))
	}
	if 0 < done && done < len(steps) {
		// Writers of the older version end first, and those that come later look again. Those
		// that would not see the version, since their snapshot is older, fail because the row
		// has changed.
		m.exec(`UPDATE sallyport.state SET kept = kept`)
	}
	for i, step := range steps[done:] {
		m.exec(step)
		m.exec(`INSERT INTO sallyport.migrations (version) VALUES ($1)`, done+i+1)
		if m.err != nil {
			return fmt.Errorf("migration %d: %w", done+i+1, m.err)
		}
	}
	return m.err
}

// A migration does nothing more after its first error.
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

func (m *migration) number(sql string) (n int) {
	if m.err == nil {
		m.err = m.tx.QueryRow(m.ctx, inSchema(m.schema, sql)).Scan(&n)
	}
	return n
}

const createMigrations = `CREATE TABLE sallyport.migrations (
	version integer PRIMARY KEY CHECK (version > 0),
	at      timestamptz NOT NULL DEFAULT now()
)`

// readMigrations returns the steps, of which the first makes version 1.
func readMigrations(from fs.FS) (steps []string, err error) {
	err = fs.WalkDir(from, "migrations", func(path string, file fs.DirEntry, err error) error {
		if err != nil || file.IsDir() {
			return err
		}
		if !strings.HasPrefix(file.Name(), fmt.Sprintf("%04d_", len(steps)+1)) {
			return fmt.Errorf("the migration %s: want them numbered from 0001 without gaps", path)
		}
		step, err := fs.ReadFile(from, path)
		steps = append(steps, string(step))
		return err
	})
	return steps, err
}

// inSchema returns SQL for the tables of a schema. In the source each is written with
// the default schema before it.
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, DefaultSchema+".", quoted(schema)+".")
}

func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }

// version is that of the tables that this program reads and writes.
const version = 1

// errUnfit is in every error that says that a database, as it is, is not to be used.
var errUnfit = errors.New("store/postgres: the database cannot be used")

// checkVersion is called with what every statement reads beside the records.
func checkVersion(found int) error {
	switch {
	case found > version:
		return tooNew(found, version)
	case found < version:
		return fmt.Errorf("%w: its tables have version %d and this program needs version %d: run Migrate", errUnfit, found, version)
	}
	return nil
}

func tooNew(found, known int) error {
	return fmt.Errorf("%w: its tables have version %d, made by a newer program, and this one knows up to version %d: run the newer program", errUnfit, found, known)
}

// checkDatabase refuses a database whose texts are not Unicode: there, two identifiers
// could become one.
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
