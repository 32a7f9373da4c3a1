package postgres_test

import (
	"context"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

// documented returns the part of the package's documentation that a pattern matches.
func documented(t *testing.T, pattern string) string {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(source), "\n//", "\n")
	found := regexp.MustCompile(`(?s)` + pattern).FindString(text)
	require.NotEmpty(t, found)
	return found
}

// TestRevokeByHand does what the documentation says, and looks who is told.
func TestRevokeByHand(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	_, err := s.PutKey(ctx, newKey(t, "KEY", "acme", "192.0.2.1"))
	require.NoError(t, err)
	f := follow(t, s)
	f.is(t, s)
	exec(t, pool, documented(t, `BEGIN;.*COMMIT;`))
	key, err := s.Key(ctx, "KEY")
	require.NoError(t, err)
	assert.True(t, key.Disabled)
	f.is(t, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	assert.True(t, f.keys["KEY"].Disabled)
}

// TestRevokeByHandDuringATransaction writes in a transaction whose snapshot is older than a
// change by hand. Its revision would be below that of the change, which watchers have had.
func TestRevokeByHandDuringATransaction(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, other := acme(t, s)
	_, err := s.PutKey(ctx, newKey(t, "KEY", "acme", "192.0.2.1"))
	require.NoError(t, err)
	f := follow(t, s)
	f.is(t, s)
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	within := s.WithTx(tx)
	other, err = within.Key(ctx, other.ID) // takes the snapshot
	require.NoError(t, err)
	exec(t, pool, documented(t, `BEGIN;.*COMMIT;`))
	f.is(t, s)
	other.Disabled = true
	_, err = within.PutKey(ctx, other, store.AllowOpen)
	require.ErrorContains(t, err, "SQLSTATE 40001")
	require.NoError(t, tx.Rollback(ctx))
	_, err = s.PutKey(ctx, other, store.AllowOpen)
	require.NoError(t, err)
	f.is(t, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	assert.True(t, f.keys[other.ID].Disabled)
}

// TestDocumentedEvents asks who changed a key.
func TestDocumentedEvents(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	for _, id := range []string{"KEY", "other"} {
		w := writeOf(newKey(t, id, "acme"))
		w.Events[0].Actor.ID = "cron of " + id
		_, err := s.Write(ctx, w)
		require.NoError(t, err)
	}
	rows, err := pool.Query(ctx, documented(t, `SELECT e->>'time'.*?ORDER BY revision;`))
	require.NoError(t, err)
	type changed struct{ Time, Type, Actor string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[changed])
	require.NoError(t, err)
	assert.Equal(t, []changed{{moment.Format(time.RFC3339Nano), string(store.EventKeyDescribed), "cron of KEY"}}, all)
}

// TestDocumentedQueries asks which keys list a block, and which an address reaches.
func TestDocumentedQueries(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	key, err := s.PutKey(ctx, newKey(t, "reached", "acme", "203.0.113.0/24", "192.0.2.1"))
	require.NoError(t, err)
	for id, addresses := range map[string][]string{
		"beside": {"203.0.112.0/24"}, "wider": {"203.0.0.0/16"}, "narrower": {"203.0.113.7", "203.0.113.128/25"},
	} {
		_, err := s.PutKey(ctx, newKey(t, id, "acme", addresses...))
		require.NoError(t, err)
	}
	expiring := newKey(t, "expiring", "acme")
	for _, expires := range []struct {
		prefix string
		at     time.Time
	}{{"203.0.113.7", time.Now().Add(-time.Hour)}, {"203.0.113.0/29", time.Now().Add(time.Hour)}} {
		entry, err := accesslist.ParseEntry(expires.prefix)
		require.NoError(t, err)
		entry.Expires = expires.at
		expiring.AccessList, err = expiring.AccessList.With(entry)
		require.NoError(t, err)
	}
	_, err = s.PutKey(ctx, expiring)
	require.NoError(t, err)
	counted := usage(key, 5)
	counted.Entry = netip.MustParsePrefix("203.0.113.0/24")
	require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(counted)))

	rows, err := pool.Query(ctx, documented(t, `SELECT organization, id.*?ORDER BY 1, 2;`))
	require.NoError(t, err)
	lists, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Organization, ID string }])
	require.NoError(t, err)
	assert.Equal(t, []struct{ Organization, ID string }{{"acme", "reached"}}, lists)

	type reached struct {
		Organization, ID string
		Address          netip.Prefix
		Count            *int64
		Last             *time.Time
	}
	rows, err = pool.Query(ctx, documented(t, `SELECT k.organization, k.id, e.address.*?ORDER BY 1, 2, 3;`))
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reached])
	require.NoError(t, err)
	for i := range all {
		if all[i].Last != nil {
			*all[i].Last = all[i].Last.UTC()
		}
	}
	five, last := int64(5), moment
	assert.Equal(t, []reached{
		{"acme", "expiring", netip.MustParsePrefix("203.0.113.0/29"), nil, nil},
		{"acme", "narrower", netip.MustParsePrefix("203.0.113.7/32"), nil, nil},
		{"acme", "reached", counted.Entry, &five, &last},
		{"acme", "wider", netip.MustParsePrefix("203.0.0.0/16"), nil, nil},
	}, all)
}
