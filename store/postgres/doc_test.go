package postgres_test

import (
	"context"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
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

func TestDocumentedQuery(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	key, err := s.PutKey(ctx, newKey(t, "reached", "acme", "203.0.113.0/24", "192.0.2.1"))
	require.NoError(t, err)
	counted := usage(key, 5)
	counted.Entry = netip.MustParsePrefix("203.0.113.0/24")
	require.NoError(t, s.RecordUsage(ctx, []store.UsageRecord{counted}))
	var organization, id string
	var address netip.Prefix
	var count int
	var last any
	require.NoError(t, pool.QueryRow(context.Background(), documented(t, `SELECT k.organization.*ORDER BY 1, 2`)).Scan(&organization, &id, &address, &count, &last))
	assert.Equal(t, []any{"acme", "reached", counted.Entry, 5}, []any{organization, id, address, count})
}
