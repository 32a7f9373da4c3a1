package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// journalled writes three keys with an event each.
func journalled(t testing.TB, s *postgres.Store) (revisions []uint64) {
	t.Helper()
	_, err := s.PutOrganization(context.Background(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for _, id := range []string{"before", "damaged", "after"} {
		revision, err := s.Write(context.Background(), writeOf(newKey(t, id, "acme")))
		require.NoError(t, err)
		revisions = append(revisions, revision)
	}
	return revisions
}

// TestUnreadableEvents spoils the row of a write, with nothing in the database to prevent it.
func TestUnreadableEvents(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	revisions := journalled(t, s)
	dropConstraints(t, pool)
	exec(t, pool, `CREATE SCHEMA safe; CREATE TABLE safe.events AS TABLE sallyport.events`)
	for _, spoil := range []string{
		`organization = NULL`, `organization = 'other'`, `organization = '', key = ''`, `key = NULL`, `key = 'before'`, `key = ''`,
		`count = NULL`, `count = 0`, `count = -1`, `count = 2`, `count = 2147483647`,
		`document = NULL`, `document = '[]'`, `document = '{}'`, `document = 'null'`, `document = document->0`, `document = json_build_array(NULL)`,
		`document = json_build_array(document->0, document->0)`,
		`document = json_build_array((document->0)::jsonb - 'type')`,
		`document = json_build_array((document->0)::jsonb || '{"Actor":1}')`,
		`document = json_build_array((document->0)::jsonb || '{"time":"now"}')`,
		`document = json_build_array((document->0)::jsonb || '{"key":"before"}')`,
		`document = json_build_array((document->0)::jsonb || '{"organization":"other"}')`,
		`document = json_build_array((document->0)::jsonb || '{"revision":3}')`,
	} {
		t.Run(spoil, func(t *testing.T) {
			exec(t, pool, `TRUNCATE sallyport.events; INSERT INTO sallyport.events TABLE safe.events`)
			exec(t, pool, `UPDATE sallyport.events SET `+spoil+` WHERE revision = $1`, revisions[1])
			for _, request := range []store.EventRequest{{}, {Newest: true}, {Limit: 1, After: at(s, revisions[0])}, {Newest: true, Limit: 1, After: at(s, revisions[2])}} {
				page, err := s.Events(ctx, request)
				require.ErrorContains(t, err, fmt.Sprintf("store: the events of revision %d cannot be read: ", revisions[1]), "%+v", request)
				assert.Equal(t, store.EventPage{}, page)
			}
			assert.Len(t, eventsAfter(t, s, at(s, revisions[1])), 1)
			page, err := s.Events(ctx, store.EventRequest{Organization: "acme", Key: "after"})
			require.NoError(t, err)
			assert.Len(t, page.Events, 1)
		})
	}
	exec(t, pool, `TRUNCATE sallyport.events; INSERT INTO sallyport.events TABLE safe.events; INSERT INTO sallyport.events TABLE safe.events`)
	_, err := s.Events(ctx, store.EventRequest{})
	require.ErrorContains(t, err, fmt.Sprintf("the events of revision %d cannot be read: its table has several rows for it: want one", revisions[0]))

	exec(t, pool, `TRUNCATE sallyport.events; INSERT INTO sallyport.events TABLE safe.events`)
	for _, spoil := range []string{`NULL`, `-1`} {
		exec(t, pool, `UPDATE sallyport.state SET events_forgotten = `+spoil)
		_, err = s.Events(ctx, store.EventRequest{After: at(s, revisions[0])})
		require.ErrorContains(t, err, "store/postgres: the database cannot be used: its latest position is ")
	}
	exec(t, pool, `DELETE FROM sallyport.state`)
	_, err = s.Events(ctx, store.EventRequest{})
	require.ErrorContains(t, err, "state has no row")
}

// TestConditionOnSeveralRows: a condition on a record with two rows holds for neither.
func TestConditionOnSeveralRows(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, key := acme(t, s)
	dropConstraints(t, pool)
	for table, condition := range map[string]store.Condition{
		"keys":          {Organization: "acme", Key: key.ID, Revision: key.Revision},
		"organizations": {Organization: "acme", Revision: organization.Revision},
	} {
		exec(t, pool, `CREATE TABLE twice AS TABLE sallyport.`+table+`; INSERT INTO sallyport.`+table+` TABLE twice; DROP TABLE twice`)
		_, err := s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "other"}, If: []store.Condition{condition}})
		assert.ErrorContains(t, err, "its table has several rows for it: want one", table)
	}
	_, err := s.Organization(ctx, "other")
	assert.ErrorIs(t, err, store.ErrNotFound)
}

// TestForgottenChangeThatIsSpoiled: a change that has lost its record is not passed over as
// that of forgotten events.
func TestForgottenChangeThatIsSpoiled(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	mark := at(s, key.Revision)
	latest, err := s.PutKey(t.Context(), key, store.AllowOpen)
	require.NoError(t, err)
	for _, spoil := range []string{`organization = NULL`, `organization = NULL, key = NULL`} {
		_, err := pool.Exec(t.Context(), `UPDATE sallyport.changes SET `+spoil+` WHERE revision = $1`, latest.Revision)
		require.ErrorContains(t, err, "violates check constraint")
	}
	dropConstraints(t, pool)
	for _, spoil := range []string{`organization = NULL`, `organization = NULL, key = NULL`} {
		exec(t, pool, `UPDATE sallyport.changes SET `+spoil+` WHERE revision = $1`, latest.Revision)
		for change, err := range s.Watch(t.Context(), mark) {
			require.Error(t, err, spoil)
			assert.Zero(t, change)
			break
		}
	}
}

// TestDeepEvents has values within the bound that are nested as deeply as it permits.
func TestDeepEvents(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	acme(t, s)
	const depth = 7_000
	w := store.Write{PutOrganization: &policy.Organization{ID: "deep"}, Events: []store.Event{eventOf("deep", "")}}
	w.Events[0].After = json.RawMessage(`{"a":` + strings.Repeat("[", depth) + `"\u0000 \ud800"` + strings.Repeat("]", depth) + `}`)
	revision, err := s.Write(t.Context(), w)
	require.NoError(t, err)
	page, err := s.Events(t.Context(), store.EventRequest{Organization: "deep"})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	w.Events[0].Revision = revision
	assert.True(t, page.Events[0].Equal(w.Events[0]))
}

// TestEventsOfTheLastRevision reads the latest revision that there can be in both directions.
func TestEventsOfTheLastRevision(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	revisions := journalled(t, s)
	exec(t, pool, `UPDATE sallyport.changes SET revision = 9223372036854775807 WHERE revision = $1`, revisions[2])
	exec(t, pool, `UPDATE sallyport.events SET revision = 9223372036854775807 WHERE revision = $1`, revisions[2])
	for _, newest := range []bool{true, false} {
		page, err := s.Events(t.Context(), store.EventRequest{Newest: newest})
		require.NoError(t, err)
		require.Len(t, page.Events, 3)
		assert.Equal(t, uint64(math.MaxInt64), max(page.Events[0].Revision, page.Events[2].Revision))
	}
}

// TestEventsOfNames asks for events by names that no record has, and that no text to the
// server can be.
func TestEventsOfNames(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	journalled(t, s)
	for _, name := range []string{"\x00", "\xff", strings.Repeat("x", 1<<20)} {
		for _, request := range []store.EventRequest{{Organization: name}, {Organization: "acme", Key: apikey.ID(name)}} {
			page, err := s.Events(t.Context(), request)
			require.NoError(t, err)
			assert.Equal(t, store.EventPage{Next: position(t, s)}, page)
		}
		_, err := s.Events(t.Context(), store.EventRequest{After: store.Position{History: name, Revision: 1}})
		require.ErrorIs(t, err, store.ErrCompacted)
		_, err = s.Write(t.Context(), store.Write{Forget: &store.Position{History: name, Revision: 1}})
		require.ErrorIs(t, err, store.ErrCompacted)
	}
}

// TestPageIsAllThatIsRead: a page of writes with many events reads what it returns, and at
// most two writes more.
func TestPageIsAllThatIsRead(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, _ := acme(t, s)
	for range 20 {
		w := store.Write{PutOrganization: &organization}
		for range 50 {
			w.Events = append(w.Events, eventOf("acme", ""))
		}
		var err error
		organization.Revision, err = s.Write(ctx, w)
		require.NoError(t, err)
	}
	// What comes after is not even looked at.
	dropConstraints(t, pool)
	exec(t, pool, `UPDATE sallyport.events SET document = NULL WHERE revision > $1`, organization.Revision-16)
	page, err := s.Events(ctx, store.EventRequest{Limit: 100})
	require.NoError(t, err)
	assert.Len(t, page.Events, 100)
	assert.True(t, page.More)
	rows, err := pool.Query(ctx, postgres.EventsSQL(), page.Next.History, 0, 101)
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		n++
	}
	require.NoError(t, rows.Err())
	assert.LessOrEqual(t, n, 4)
}

// TestWithTxEvents keeps events together with rows of the caller's, or neither.
func TestWithTxEvents(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	exec(t, pool, `CREATE TABLE tickets (event text)`)
	write := func(end error) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			within := s.WithTx(tx).(store.Journal)
			revision, err := within.Write(ctx, writeOf(key))
			require.NoError(t, err)
			events := eventsAfter(t, within, store.Position{})
			require.Len(t, events, 1)
			assert.Equal(t, revision, events[0].Revision)
			assert.Empty(t, eventsAfter(t, s, store.Position{}), "nobody else sees it yet")
			_, err = tx.Exec(ctx, `INSERT INTO tickets VALUES ($1)`, events[0].ID())
			require.NoError(t, err)

			// A refused Write leaves the transaction as it is.
			_, err = within.Write(ctx, writeOf(key))
			require.ErrorIs(t, err, store.ErrConflict)
			assert.Len(t, eventsAfter(t, within, store.Position{}), 1)
			return end
		})
	}
	require.ErrorIs(t, write(assert.AnError), assert.AnError)
	assert.Empty(t, eventsAfter(t, s, store.Position{}))
	require.NoError(t, write(nil))
	events := eventsAfter(t, s, store.Position{})
	require.Len(t, events, 1)
	var ticket string
	require.NoError(t, pool.QueryRow(ctx, `SELECT event FROM tickets`).Scan(&ticket))
	assert.Equal(t, events[0].ID(), ticket)
}

// TestEventPlans has the server read pages by the indexes. An organization has a thousandth of
// the events: of a hundredth it may as well read all, by chance of what ANALYZE samples.
func TestEventPlans(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	newStore(t, pool)
	exec(t, pool, `INSERT INTO sallyport.events SELECT n, 'organization ' || n % 1000, 'key-' || n % 10000, 1, '[]' FROM generate_series(1, 100000) AS n; ANALYZE sallyport.events`)
	for _, newest := range []bool{false, true} {
		for index, request := range map[string]store.EventRequest{
			"events_pkey":                          {},
			"events_organization_revision_idx":     {Organization: "organization 7"},
			"events_key_organization_revision_idx": {Organization: "organization 7", Key: "key-7"},
		} {
			request.Newest = newest
			sql, args := postgres.EventQuery(request)
			rows, err := pool.Query(ctx, `EXPLAIN `+sql, args...)
			require.NoError(t, err)
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			text := strings.Join(plan, "\n")
			assert.Contains(t, text, index)
			assert.NotContains(t, text, "Seq Scan on events", "%+v", request)
		}
	}
}

// BenchmarkEvents measures what an event takes in the tables and indexes beside its write,
// and how long it takes to forget ten thousand.
func BenchmarkEvents(b *testing.B) {
	writes := fewer(10_000)
	ctx := b.Context()
	pool := newPool(b, postgrestest.Start(b, "fsync=off").DSN())
	s := newStore(b, pool)
	_, key := acme(b, s)
	document, err := adapter.EncodeEvents([]store.Event{eventOf("acme", "key")})
	require.NoError(b, err)
	for b.Loop() {
		exec(b, pool, `TRUNCATE sallyport.events`)
		for range writes {
			revision, err := s.Write(ctx, writeOf(key))
			require.NoError(b, err)
			key.Revision = revision
		}
		var bytes float64
		require.NoError(b, pool.QueryRow(ctx, `SELECT pg_total_relation_size('sallyport.events')`).Scan(&bytes))
		b.ReportMetric(bytes/float64(writes), "B/write")
		b.ReportMetric(float64(len(document)), "B/document")
		began := time.Now()
		forget(b, s, position(b, s))
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-to-forget")
	}
}
