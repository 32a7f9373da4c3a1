package upgrade_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	_ "modernc.org/sqlite"
)

// A raw store is written past this library, as a release that is not written yet would
// write it.
type raw interface {
	// get returns the document of a record.
	get(t *testing.T, n name) string

	// edit writes a record with another document, and with events. Watchers receive it. It
	// returns its revision.
	edit(t *testing.T, n name, change func(document object), events ...object) uint64

	// events returns the events of the latest write with events, as they are stored.
	events(t *testing.T) []object

	// usage returns the document of a key's usage. editUsage changes it.
	usage(t *testing.T, key string) string
	editUsage(t *testing.T, key string, change func(document object))

	// tables returns the version of the tables, migrate makes those of a later release, and
	// goBack undoes that.
	tables(t *testing.T) tables
	migrate(t *testing.T, to tables)
	goBack(t *testing.T, to tables)
}

// An object is one of JSON, with numbers as they are written.
type object = map[string]any

func parse[T any](t *testing.T, document string) (value T) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&value))
	return value
}

func printed(t *testing.T, value any) string {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(value))
	return strings.TrimSpace(text.String())
}

func (s system) raw(t *testing.T) raw {
	t.Helper()
	_, where, _ := strings.Cut(s.address, " ")
	switch s.kind {
	case "sqlite":
		db, err := sql.Open("sqlite", "file:"+where+"?_pragma=busy_timeout(60000)&_txlock=immediate")
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return rawSQLite{db}
	case "postgres":
		pool, err := pgxpool.New(t.Context(), where)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return rawPostgres{pool}
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(where, ","), DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return rawEtcd{client}
}

type rawSQLite struct{ *sql.DB }

// table returns the table of a record, and its ID there.
func (n name) table() (table, id string) {
	if n.key == "" {
		return "organizations", n.organization
	}
	return "keys", n.key
}

func (r rawSQLite) text(t *testing.T, query string, arguments ...any) (text string) {
	t.Helper()
	require.NoError(t, r.QueryRowContext(t.Context(), query, arguments...).Scan(&text), query)
	return text
}

func (r rawSQLite) get(t *testing.T, n name) string {
	table, id := n.table()
	return r.text(t, `SELECT record FROM `+table+` WHERE id = ?`, id)
}

func (r rawSQLite) edit(t *testing.T, n name, change func(object), events ...object) uint64 {
	tx, err := r.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	table, id := n.table()
	var text string
	var revision int64
	require.NoError(t, tx.QueryRow(`SELECT record FROM `+table+` WHERE id = ?`, id).Scan(&text))
	require.NoError(t, tx.QueryRow(`UPDATE progress SET revision = revision + 1 RETURNING revision`).Scan(&revision))
	document := parse[object](t, text)
	change(document)
	document["revision"] = revision
	queries := map[string][]any{
		`UPDATE ` + table + ` SET record = ?, revision = ? WHERE id = ?`:                 {printed(t, document), revision, id},
		`INSERT INTO changes (revision, organization, key, deleted) VALUES (?, ?, ?, 0)`: {revision, n.organization, n.key},
	}
	if len(events) > 0 {
		queries[`INSERT INTO events (revision, organization, key, document) VALUES (?, ?, ?, ?)`] = []any{revision, n.organization, n.key, printed(t, events)}
	}
	for query, arguments := range queries {
		_, err := tx.Exec(query, arguments...)
		require.NoError(t, err, query)
	}
	require.NoError(t, tx.Commit())
	return uint64(revision)
}

func (r rawSQLite) events(t *testing.T) []object {
	return parse[[]object](t, r.text(t, `SELECT document FROM events ORDER BY revision DESC LIMIT 1`))
}

func (r rawSQLite) usage(t *testing.T, key string) string {
	return r.text(t, `SELECT document FROM usage WHERE key = ?`, key)
}

func (r rawSQLite) editUsage(t *testing.T, key string, change func(object)) {
	document := parse[object](t, r.usage(t, key))
	change(document)
	_, err := r.ExecContext(t.Context(), `UPDATE usage SET document = ? WHERE key = ?`, printed(t, document), key)
	require.NoError(t, err)
}

type rawPostgres struct{ *pgxpool.Pool }

func (r rawPostgres) text(t *testing.T, query string, arguments ...any) (text string) {
	t.Helper()
	require.NoError(t, r.QueryRow(t.Context(), query, arguments...).Scan(&text), query)
	return text
}

func (r rawPostgres) get(t *testing.T, n name) string {
	table, id := n.table()
	return r.text(t, `SELECT document::text FROM sallyport.`+table+` WHERE id = $1`, id)
}

func (r rawPostgres) edit(t *testing.T, n name, change func(object), events ...object) uint64 {
	ctx := t.Context()
	table, id := n.table()
	var revision int64
	var key *string
	if n.key != "" {
		key = &n.key
	}
	require.NoError(t, pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT FROM sallyport.state FOR UPDATE`) // takes the turn
		require.NoError(t, err)
		var text string
		require.NoError(t, tx.QueryRow(ctx, `SELECT document::text FROM sallyport.`+table+` WHERE id = $1`, id).Scan(&text))
		require.NoError(t, tx.QueryRow(ctx, `INSERT INTO sallyport.changes SELECT greatest(s.base, max(c.revision)) + 1, $1, $2, false
			FROM sallyport.state s, sallyport.changes c GROUP BY s.base RETURNING revision`, n.organization, key).Scan(&revision))
		document := parse[object](t, text)
		change(document)
		document["revision"] = revision
		_, err = tx.Exec(ctx, `UPDATE sallyport.`+table+` SET document = $1, revision = $2 WHERE id = $3`, printed(t, document), revision, id)
		require.NoError(t, err)
		if len(events) > 0 {
			_, err = tx.Exec(ctx, `INSERT INTO sallyport.events (revision, organization, key, count, document) VALUES ($1, $2, $3, $4, $5)`,
				revision, n.organization, n.key, len(events), printed(t, events))
			require.NoError(t, err)
		}
		_, err = tx.Exec(ctx, `NOTIFY sallyport, 'sallyport'`)
		return err
	}))
	return uint64(revision)
}

func (r rawPostgres) events(t *testing.T) []object {
	return parse[[]object](t, r.text(t, `SELECT document::text FROM sallyport.events ORDER BY revision DESC LIMIT 1`))
}

func (r rawPostgres) usage(t *testing.T, key string) string {
	return r.text(t, `SELECT document::text FROM sallyport.usage WHERE key = $1`, key)
}

func (r rawPostgres) editUsage(t *testing.T, key string, change func(object)) {
	document := parse[object](t, r.usage(t, key))
	change(document)
	_, err := r.Exec(t.Context(), `UPDATE sallyport.usage SET document = $1 WHERE key = $2`, printed(t, document), key)
	require.NoError(t, err)
}

type rawEtcd struct{ *clientv3.Client }

const etcdPrefix = "/sallyport/"

// path is the name of a record in etcd. The organizations of the trials need no escapes.
func (n name) path() string {
	if n.key == "" {
		return etcdPrefix + "organizations/" + n.organization
	}
	return etcdPrefix + "keys/" + n.organization + "/" + n.key
}

func (r rawEtcd) text(t *testing.T, path string) string {
	t.Helper()
	got, err := r.Get(t.Context(), path)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1, path)
	return string(got.Kvs[0].Value)
}

func (r rawEtcd) get(t *testing.T, n name) string { return r.text(t, n.path()) }

func (r rawEtcd) edit(t *testing.T, n name, change func(object), events ...object) uint64 {
	document := parse[object](t, r.get(t, n))
	change(document)
	// Every write puts revision, with the name of the history, and that name.
	history := r.text(t, etcdPrefix+"revision")
	operations := []clientv3.Op{
		clientv3.OpPut(n.path(), printed(t, document)),
		clientv3.OpPut(etcdPrefix+"revision", history),
		clientv3.OpPut(etcdPrefix+"histories/"+history, ""),
	}
	if len(events) > 0 {
		head, err := r.Get(t.Context(), etcdPrefix+"journal")
		require.NoError(t, err)
		require.Len(t, head.Kvs, 1)
		place := uint64(head.Header.Revision)
		operations = append(operations, clientv3.OpPut(etcdPrefix+"journal", string(head.Kvs[0].Value)),
			clientv3.OpPut(fmt.Sprintf("%sevents/all/oldest/%016x/%s/%s", etcdPrefix, place, n.organization, n.key), printed(t, events)),
			clientv3.OpPut(fmt.Sprintf("%sevents/all/newest/%016x/%s/%s", etcdPrefix, ^place, n.organization, n.key), ""),
			clientv3.OpPut(fmt.Sprintf("%sevents/of/%s/oldest/%016x/%s", etcdPrefix, n.organization, place, n.key), ""),
			clientv3.OpPut(fmt.Sprintf("%sevents/of/%s/newest/%016x/%s", etcdPrefix, n.organization, ^place, n.key), ""))
	}
	written, err := r.Txn(t.Context()).Then(operations...).Commit()
	require.NoError(t, err)
	return uint64(written.Header.Revision)
}

func (r rawEtcd) events(t *testing.T) []object {
	got, err := r.Get(t.Context(), etcdPrefix+"events/all/oldest/", append(clientv3.WithLastKey(), clientv3.WithPrefix())...)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	return parse[[]object](t, string(got.Kvs[0].Value))
}

func (r rawEtcd) usage(t *testing.T, key string) string { return r.text(t, etcdPrefix+"usage/"+key) }

func (r rawEtcd) editUsage(t *testing.T, key string, change func(object)) {
	document := parse[object](t, r.usage(t, key))
	change(document)
	_, err := r.Put(t.Context(), etcdPrefix+"usage/"+key, printed(t, document))
	require.NoError(t, err)
}
