package postgres_test

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// manyEvents adds writes with an event each at the revisions 1001 to 1000+n, and returns the
// latest position, far above them.
func manyEvents(t testing.TB, pool *pgxpool.Pool, s *postgres.Store, n int) store.Position {
	t.Helper()
	acme(t, s)
	document, err := json.Marshal([]store.Event{eventOf("acme", "key")})
	require.NoError(t, err)
	exec(t, pool, `INSERT INTO sallyport.events SELECT n, 'acme', 'key', 1, $2::text::json FROM generate_series(1001, 1000 + $1) AS n`, n, string(document))
	return position(t, s)
}

func rowsOfEvents(t testing.TB, pool *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM sallyport.events`).Scan(&n))
	return n
}

// TestForgettingIsInterrupted: events are forgotten at once, and deleted afterwards. If that
// ends in the middle they stay forgotten, and the next time all are deleted.
func TestForgettingIsInterrupted(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	const n = 3*postgres.SweepWrites + 7
	through := manyEvents(t, pool, s, n)
	later, err := s.Write(ctx, writeOf(newKey(t, "later", "acme")))
	require.NoError(t, err)
	exec(t, pool, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`)
	exec(t, pool, `CREATE TRIGGER refuse BEFORE DELETE ON sallyport.events FOR EACH ROW WHEN (OLD.revision = 3500) EXECUTE FUNCTION refuse()`)
	w := store.Write{Forget: &through, Events: []store.Event{eventOf("", "")}}
	_, err = s.Write(ctx, w)
	require.ErrorContains(t, err, "are forgotten, but not all were deleted: forget them again: store/postgres: ")
	for _, request := range []store.EventRequest{{}, {Newest: true}, {Organization: "acme"}, {Organization: "acme", Newest: true}, {Organization: "acme", Key: "key"}, {Organization: "acme", Key: "key", Newest: true}} {
		for event, err := range store.AllEvents(ctx, s, request) {
			require.NoError(t, err)
			require.GreaterOrEqual(t, event.Revision, later, "%+v", request)
		}
	}
	_, err = s.Events(ctx, store.EventRequest{After: store.Position{History: through.History, Revision: through.Revision - 1}})
	require.ErrorIs(t, err, store.ErrCompacted)
	assert.Equal(t, n-2*postgres.SweepWrites+2, rowsOfEvents(t, pool), "each transaction before has deleted its part")

	// In the transaction of a Write it changes nothing.
	_, err = s.Write(ctx, w)
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "forget them again")
	assert.Len(t, eventsAfter(t, s, store.Position{}), 2)

	exec(t, pool, `DROP TRIGGER refuse ON sallyport.events`)
	through.Revision = 3 // less than what is forgotten already
	_, err = s.Write(ctx, w)
	require.NoError(t, err)
	assert.Equal(t, 3, rowsOfEvents(t, pool))
	assert.Len(t, eventsAfter(t, s, store.Position{}), 3)
}

// TestForgettingHoldsUpNoWrite has writes while the rows of forgotten events are deleted.
func TestForgettingHoldsUpNoWrite(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	through := manyEvents(t, pool, s, postgres.SweepWrites+10)
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `SELECT FROM sallyport.events WHERE revision = 2005 FOR UPDATE`)
	require.NoError(t, err)
	forgotten := make(chan error, 1)
	go func() {
		_, err := s.Write(ctx, store.Write{Forget: &through})
		forgotten <- err
	}()
	waitsFor(t, pool, "transactionid") // of the row
	_, err = s.Write(ctx, writeOf(newKey(t, "meanwhile", "acme")))
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-forgotten)
	assert.Equal(t, 1, rowsOfEvents(t, pool))
}

// TestForgettingInATransaction deletes the rows with the caller's transaction, or not at all.
func TestForgettingInATransaction(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	const n = postgres.SweepWrites + 7
	through := manyEvents(t, pool, s, n)
	for _, commit := range []bool{false, true} {
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		_, err = s.WithTx(tx).(store.Journal).Write(ctx, store.Write{Forget: &through})
		require.NoError(t, err)
		if !commit {
			require.NoError(t, tx.Rollback(ctx))
			assert.Equal(t, n, rowsOfEvents(t, pool))
			assert.Len(t, eventsAfter(t, s, at(s, 1000+n-1)), 1)
			continue
		}
		require.NoError(t, postgres.Commit(ctx, tx))
		assert.Zero(t, rowsOfEvents(t, pool))
	}
}
