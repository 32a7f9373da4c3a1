package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// notifications returns a function for what was notified since its last call.
func notifications(t testing.TB, pool *pgxpool.Pool) func() []string {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), "LISTEN sallyport")
	require.NoError(t, err)
	return func() (messages []string) {
		t.Helper()
		exec(t, pool, "NOTIFY sallyport, 'that was all'") // they come in the order of commits
		for {
			notification, err := conn.WaitForNotification(t.Context())
			require.NoError(t, err)
			if notification.Payload == "that was all" {
				return messages
			}
			messages = append(messages, notification.Payload)
		}
	}
}

// putAgain replaces an organization so many times, and returns the last revision.
func putAgain(t testing.TB, s *postgres.Store, o policy.Organization, n int) uint64 {
	t.Helper()
	for range n {
		var err error
		o, err = s.PutOrganization(t.Context(), o)
		require.NoError(t, err)
	}
	return o.Revision
}

// TestNotifiesAtOnce has no followers, and one after a pause.
func TestNotifiesAtOnce(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	o, _ := acme(t, s)
	notified := notifications(t, pool)
	last := putAgain(t, s, o, 3)
	assert.Equal(t, []string{fmt.Sprint("sallyport ", last-2), fmt.Sprint("sallyport ", last-1), fmt.Sprint("sallyport ", last)}, notified())
	s.SetFollowers(1_000_000)
	s.SetNotified(time.Now().Add(-time.Hour))
	o.Revision = last
	last = putAgain(t, s, o, 1)
	assert.Equal(t, []string{fmt.Sprint("sallyport ", last)}, notified())
}

// TestNotifiesOnceForMany has writes come within the pause after another.
func TestNotifiesOnceForMany(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	o, _ := acme(t, s)
	notified := notifications(t, pool)
	s.SetFollowers(50)
	s.SetNotified(time.Now().Add(time.Hour)) // the timer's, too
	last := putAgain(t, s, o, 5)
	assert.Empty(t, notified())

	t.Run("refused writes cost nothing", func(t *testing.T) {
		_, err := s.PutOrganization(t.Context(), o)
		require.ErrorIs(t, err, store.ErrConflict)
	})
	t.Run("a caller's transaction notifies by itself", func(t *testing.T) {
		require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			o := o
			o.Revision = last
			o, err := s.WithTx(tx).PutOrganization(t.Context(), o)
			last = o.Revision
			return err
		}))
		assert.Equal(t, []string{fmt.Sprint("sallyport ", last)}, notified())
	})
	o.Revision = last
	last = putAgain(t, s, o, 2)
	require.NoError(t, s.Close())
	assert.Equal(t, []string{fmt.Sprint("sallyport ", last)}, notified(), "Close notifies of what is left")
}

// TestRolledBackWriteNotifiesNobody: another write gets the revision of one that was rolled back. To
// notify of the first would settle what another process owes for the second, unseen.
func TestRolledBackWriteNotifiesNobody(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	o, key := acme(t, s)
	notified := notifications(t, pool)
	s.SetFollowers(50)
	s.SetNotified(time.Now().Add(time.Hour)) // no write notifies by itself
	exec(t, pool, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`)
	exec(t, pool, `CREATE TRIGGER refuse BEFORE UPDATE ON sallyport.organizations EXECUTE FUNCTION refuse()`)
	exec(t, pool, `CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON sallyport.keys DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	_, err := s.PutOrganization(t.Context(), o)
	require.ErrorContains(t, err, "refused", "by a statement")
	_, err = s.PutKey(t.Context(), key, store.AllowOpen)
	require.ErrorContains(t, err, "refused", "by COMMIT")
	require.NoError(t, s.Close())
	assert.Empty(t, notified())
}

// TestNotifiesLater has a timer notify, of writes that no other comes after. The watcher does
// not look by itself.
func TestNotifiesLater(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	s, watched := newStore(t, newPool(t, dsn)), openStore(t, newPool(t, dsn))
	watched.SetPollInterval(time.Hour)
	o, _ := acme(t, s)
	f := follow(t, watched)
	f.is(t, s)
	require.Eventually(t, func() bool { return s.CountFollowers(t.Context()) == 1 }, patience, time.Millisecond)
	for range 10 {
		s.SetFollowers(20)
		s.SetNotified(time.Now()) // so that no write does by itself, as a rule
		o.Revision = putAgain(t, s, o, 3)
		f.reaches(t, o.Revision)
	}
}

// TestNotifiedByAnother has another process notify of later writes, so that nothing is left
// to notify of.
func TestNotifiedByAnother(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s, other := newStore(t, pool), openStore(t, pool)
	o, _ := acme(t, s)
	f := follow(t, s)
	f.is(t, s)
	require.Eventually(t, func() bool { return other.CountFollowers(t.Context()) == 1 }, patience, time.Millisecond)
	notified := notifications(t, pool)
	s.SetPollInterval(time.Hour)
	s.SetNotified(time.Now().Add(time.Hour))
	s.SetFollowers(50)
	o.Revision = putAgain(t, s, o, 2)
	assert.Empty(t, notified())
	o.Revision = putAgain(t, other, o, 1)
	f.reaches(t, o.Revision) // by that notification
	require.NoError(t, s.Close())
	assert.Equal(t, []string{fmt.Sprint("sallyport ", o.Revision)}, notified())
}

// TestCountFollowers counts the stores with watches, of one schema.
func TestCountFollowers(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	pool := newPool(t, dsn)
	s := newStore(t, pool)
	elsewhere := newStore(t, pool, postgres.Schema("elsewhere"))
	for _, watched := range []*postgres.Store{elsewhere, openStore(t, pool), openStore(t, pool)} {
		follow(t, watched)
		follow(t, watched) // by the same connection
	}
	require.Eventually(t, func() bool { return s.CountFollowers(t.Context()) == 2 && elsewhere.CountFollowers(t.Context()) == 1 }, patience, time.Millisecond)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.CountFollowers(ended) // which fails, and is no reason not to write
	acme(t, s)
}

func TestConcerns(t *testing.T) {
	for _, c := range []struct {
		message  string
		revision uint64
		is       bool
	}{
		{"sallyport", 0, true}, // by hand
		{"sallyport 0", 0, true},
		{"sallyport 17", 17, true},
		{"sallyport 18446744073709551616", 0, false},
		{"sallyport -1", 0, false},
		{"sallyport ", 0, false},
		{"sallyport17", 0, false},
		{"sallyport2 17", 0, false},
		{"", 0, false},
		{"other 17", 0, false},
	} {
		revision, is := postgres.Concerns(c.message, "sallyport")
		assert.Equal(t, c.is, is, c.message)
		if is {
			assert.Equal(t, c.revision, revision, c.message)
		}
	}
}

// TestAskedAnyway has the store's position be asked for by others, so that a watch need not
// look by itself.
func TestAskedAnyway(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	acme(t, s)
	s.SetPollInterval(time.Millisecond)
	mark, err := s.Position(t.Context())
	require.NoError(t, err)
	ctx, hint := t.Context(), make(chan struct{}, 1)

	later := mark
	later.Revision++
	s.SetAsked(time.Now().Add(time.Hour), later)
	assert.True(t, s.Waits(ctx, mark, hint), "there is something new")
	s.SetAsked(time.Now().Add(time.Hour), store.Position{History: "another", Revision: mark.Revision})
	assert.True(t, s.Waits(ctx, mark, hint), "there is another history")
	s.SetAsked(time.Now().Add(-time.Hour), mark)
	assert.True(t, s.Waits(ctx, mark, hint), "that was long ago")
	s.SetAsked(time.Now().Add(time.Hour), mark)
	go func() {
		time.Sleep(20 * time.Millisecond) // it would have looked by then
		hint <- struct{}{}
	}()
	assert.False(t, s.Waits(ctx, mark, hint))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	assert.False(t, s.Waits(ended, mark, hint))
}

// TestPositionHints has nobody notify of a write, and no watch look by itself. Whoever asks
// for the position finds the write, and has the watch deliver it.
func TestPositionHints(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	s, watched := newStore(t, newPool(t, dsn)), openStore(t, newPool(t, dsn))
	o, _ := acme(t, s)
	watched.SetPollInterval(time.Hour)
	f := follow(t, watched)
	f.is(t, s)
	require.Eventually(t, func() bool { return s.CountFollowers(t.Context()) == 1 }, patience, time.Millisecond)
	s.SetFollowers(50)
	s.SetNotified(time.Now().Add(time.Hour))
	for range 3 {
		o.Revision = putAgain(t, s, o, 1)
		latest, err := revisionOf(t.Context(), watched)
		require.NoError(t, err)
		require.Equal(t, o.Revision, latest)
		f.reaches(t, latest)
	}
}
