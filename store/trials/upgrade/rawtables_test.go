package upgrade_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func (r rawPostgres) tables(t *testing.T) (found tables) {
	t.Helper()
	require.NoError(t, r.QueryRow(t.Context(), `SELECT max(version), max(readable_from), max(writable_from) FROM sallyport.migrations`).
		Scan(&found.version, &found.readableFrom, &found.writableFrom))
	return found
}

// migrate adds a table and columns with defaults, as Migrate of a later release would: with
// its locks, and in short tries.
func (r rawPostgres) migrate(t *testing.T, to tables) {
	ctx, failure := t.Context(), &pgconn.PgError{}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) {
		err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
			for _, sql := range []string{
				`SET LOCAL lock_timeout = 200`,
				`SELECT FROM sallyport.state FOR UPDATE`,
				`UPDATE sallyport.state SET place = ''`, // a new version of the row, in the same history
				`UPDATE sallyport.state SET place = (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint || ' ' || pg_relation_filepath(tableoid) || ' ' || xmin`,
				`LOCK TABLE sallyport.keys, sallyport.usage, sallyport.observation IN EXCLUSIVE MODE`,
				`CREATE TABLE IF NOT EXISTS sallyport.future (key text REFERENCES sallyport.keys ON DELETE CASCADE)`,
				`ALTER TABLE sallyport.keys ADD COLUMN IF NOT EXISTS future text`,
				`ALTER TABLE sallyport.organizations ADD COLUMN IF NOT EXISTS plan text NOT NULL DEFAULT 'free'`,
				fmt.Sprintf(`INSERT INTO sallyport.migrations (version, readable_from, writable_from) VALUES (%d, %d, %d)`, to.version, to.readableFrom, to.writableFrom),
			} {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		})
		// lock_not_available, and on a busy machine deadlock_detected
		if errors.As(err, &failure) && (failure.Code == "55P03" || failure.Code == "40P01") && time.Now().Before(deadline) {
			continue
		}
		require.NoError(t, err)
		return
	}
}

func (r rawPostgres) goBack(t *testing.T, to tables) {
	_, err := r.Exec(t.Context(), `DELETE FROM sallyport.migrations WHERE version > $1`, to.version)
	require.NoError(t, err)
}
func (r rawSQLite) tables(t *testing.T) (found tables) {
	t.Helper()
	require.NoError(t, r.QueryRowContext(t.Context(), `SELECT user_version, readable_from, writable_from FROM pragma_user_version, progress`).
		Scan(&found.version, &found.readableFrom, &found.writableFrom))
	return found
}

// migrate adds a table and a column, as a later release does when it opens the file.
func (r rawSQLite) migrate(t *testing.T, to tables) {
	r.all(t,
		fmt.Sprintf(`CREATE TABLE future%d (key TEXT REFERENCES keys (id) ON DELETE CASCADE)`, to.version),
		fmt.Sprintf(`ALTER TABLE keys ADD COLUMN future%d TEXT`, to.version),
		fmt.Sprintf(`ALTER TABLE organizations ADD COLUMN plan%d TEXT NOT NULL DEFAULT 'free'`, to.version),
		to.inSQLite())
}

func (r rawSQLite) goBack(t *testing.T, to tables) { r.all(t, to.inSQLite()) }

func (t tables) inSQLite() string {
	return fmt.Sprintf(`UPDATE progress SET readable_from = %d, writable_from = %d; PRAGMA user_version = %d`, t.readableFrom, t.writableFrom, t.version)
}

// all does statements in one transaction.
func (r rawSQLite) all(t *testing.T, statements ...string) {
	tx, err := r.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	for _, sql := range statements {
		_, err := tx.Exec(sql)
		require.NoError(t, err, sql)
	}
	require.NoError(t, tx.Commit())
}

func (r rawEtcd) tables(t *testing.T) (found tables) {
	t.Helper()
	_, err := fmt.Sscanf(r.text(t, etcdPrefix+"layout"), "%d %d %d", &found.version, &found.readableFrom, &found.writableFrom)
	require.NoError(t, err)
	return found
}

// migrate adds a name, as a later release would in one transaction.
func (r rawEtcd) migrate(t *testing.T, to tables) {
	_, err := r.Txn(t.Context()).Then(clientv3.OpPut(etcdPrefix+"future/x", ""), clientv3.OpPut(etcdPrefix+"layout", to.inEtcd())).Commit()
	require.NoError(t, err)
}

func (r rawEtcd) goBack(t *testing.T, to tables) {
	_, err := r.Put(t.Context(), etcdPrefix+"layout", to.inEtcd())
	require.NoError(t, err)
}

func (t tables) inEtcd() string { return fmt.Sprint(t.version, t.readableFrom, t.writableFrom) }
