package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrations are the steps to the present tables, in the order of their names. A name begins
// with its number: 0001 first. A published step does not change any more. Programs of an
// older version go on running while a newer one migrates; they refuse every call from then
// on, since each call looks at the version.
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
// statement_timeout is put aside. Migrate needs the right to create tables in the schema,
// and to create the schema if it is absent. The program itself does not need them.
//
// Tables of a newer version are an error, and so is a database in another encoding than
// UTF8. After an error nothing has changed.
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

// migrate runs the steps not run yet.
func migrate(ctx context.Context, tx pgx.Tx, schema string, steps []string) error {
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
	done := m.number(`SELECT coalesce(max(version), 0) FROM sallyport.migrations`)
	switch {
	case m.err != nil:
		return m.err
	case done > len(steps):
		return tooNew(done, len(steps))
	}
	if 0 < done && done < len(steps) {
		// Writers of the older version end first, and later ones look at the version. A
		// writer whose snapshot is too old to see the version fails: the row has changed.
		m.exec(`UPDATE sallyport.state SET forgotten = forgotten`)
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

// readMigrations returns the steps. The first makes version 1.
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

// inSchema returns SQL for the tables of a schema. In the source each table is written with
// the default schema before it.
func inSchema(schema, sql string) string {
	return strings.ReplaceAll(sql, DefaultSchema+".", quoted(schema)+".")
}

func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }

// version is the version of this program's tables.
const version = 1

// checkVersion refuses tables of another version. Every statement reads their version.
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
