package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// behindPooler returns a database and its connection string by way of PgBouncer.
func behindPooler(t testing.TB, mode string) (direct, pooled string) {
	t.Helper()
	server := postgrestest.Shared(t)
	direct = server.Database(t)
	config, err := pgx.ParseConfig(direct)
	require.NoError(t, err)
	return direct, server.Pooler(t, mode, config.Database)
}

// TestPoolerWithoutPreparedStatements has a store prepare its statements behind a pooler that
// lends connections to others. The error says what to do, and with that it works.
func TestPoolerWithoutPreparedStatements(t *testing.T) {
	direct, pooled := behindPooler(t, "transaction")
	writer := newStore(t, newPool(t, direct))
	_, key := acme(t, writer)

	var mu sync.Mutex
	var failures []error
	s, err := postgres.New(t.Context(), newPool(t, pooled+" pool_max_conns=8"))
	if err != nil {
		failures = append(failures, err)
	} else {
		t.Cleanup(func() { _ = s.Close() })
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					if _, _, err := s.Lookup(t.Context(), "key"); err != nil {
						mu.Lock()
						failures = append(failures, err)
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
	}
	for _, err := range failures {
		assert.ErrorContains(t, err, "default_query_exec_mode=exec")
	}
	if len(failures) == 0 {
		t.Log("this PgBouncer passes prepared statements on")
	}

	s = openStore(t, newPool(t, pooled+" pool_max_conns=8 default_query_exec_mode=exec"))
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 20 {
				_, err := s.PutKey(t.Context(), newKey(t, fmt.Sprintf("key-%d-%d", n, i), "acme", "192.0.2.1"))
				assert.NoError(t, err)
				_, found, err := s.Lookup(t.Context(), key.ID)
				assert.True(t, found && err == nil, "%v", err)
			}
		})
	}
	all.Wait()
	tx, err := newPool(t, pooled+" default_query_exec_mode=exec").Begin(t.Context())
	require.NoError(t, err)
	_, err = s.WithTx(tx).PutKey(t.Context(), newKey(t, "callers", "acme", "192.0.2.1"))
	require.NoError(t, err)
	require.NoError(t, postgres.Commit(t.Context(), tx))
	_, err = writer.Key(t.Context(), "callers")
	require.NoError(t, err)
}

// TestPoolerAndNotifications watches behind a pooler: in mode "transaction" it is said that
// no notification comes, and in mode "session" they come.
func TestPoolerAndNotifications(t *testing.T) {
	for mode, said := range map[string]bool{"transaction": true, "session": false} {
		t.Run(mode, func(t *testing.T) {
			log := captureLog(t)
			direct, pooled := behindPooler(t, mode)
			writer := newStore(t, newPool(t, direct))
			acme(t, writer)
			opened := func() *postgres.Store {
				return openStore(t, newPool(t, pooled+" pool_max_conns=1 default_query_exec_mode=exec"))
			}
			if !said {
				s := opened()
				s.SetPollInterval(time.Hour)
				f := follow(t, s)
				f.is(t, writer)
				f.tracks(t, writer, 5)
				assert.Empty(t, log.String())
				return
			}
			// One is heard by luck, where the pooler lends the listener the connection that listens.
			for tries := 0; !strings.Contains(log.String(), "no notification arrives"); tries++ {
				require.Less(t, tries, 20)
				s := opened()
				s.SetPollInterval(5 * time.Millisecond)
				f := follow(t, s)
				f.tracks(t, writer, 10)
			}
		})
	}
}
