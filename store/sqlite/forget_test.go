package sqlite

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
)

// Events are forgotten at once, and deleted in several transactions. If that ends in the
// middle they stay forgotten, and the next time all are deleted.
func TestForgettingIsInterrupted(t *testing.T) {
	path := twoKeys(t)
	document, err := json.Marshal([]store.Event{eventOf("acme", "first")})
	require.NoError(t, err)
	const first, n = 1000, 3*sweepWrites + 7
	sqlTo(t, path,
		fmt.Sprintf(`WITH RECURSIVE r (n) AS (VALUES (%d) UNION ALL SELECT n + 1 FROM r WHERE n < %d) INSERT INTO events (revision, organization, key, document) SELECT n, 'acme', 'first', '%s' FROM r`, first, first+n-1, document),
		fmt.Sprintf(`UPDATE progress SET revision = %d, forgotten = %d`, first+n-1, first+n-1),
		fmt.Sprintf(`CREATE TRIGGER refuse BEFORE DELETE ON events WHEN OLD.revision = %d BEGIN SELECT RAISE(ABORT, 'refused'); END`, first+2*sweepWrites+5))
	s := open(t, path)
	through := positionOf(t, s)
	later := write(t, s, newKey(t, "later", "acme"))
	rows := func() (n int) {
		t.Helper()
		require.NoError(t, s.read.QueryRow(`SELECT count(*) FROM events`).Scan(&n))
		return n
	}

	err = forget(t.Context(), s, through)
	require.ErrorContains(t, err, "are forgotten, but not all were deleted: forget them again: store/sqlite: delete forgotten events: ")
	for _, request := range []store.EventRequest{{}, {Newest: true}, {Organization: "acme"}, {Organization: "acme", Newest: true}, {Organization: "acme", Key: "first"}, {Organization: "acme", Key: "first", Newest: true}} {
		for event, err := range store.AllEvents(t.Context(), s, request) {
			require.NoError(t, err)
			require.GreaterOrEqual(t, event.Revision, later, "%+v", request)
		}
	}
	_, err = s.Events(t.Context(), store.EventRequest{After: at(s, through.Revision-1)})
	require.ErrorIs(t, err, store.ErrCompacted)
	// Besides, there are those of twoKeys, of later, and of forgetting.
	assert.Equal(t, n+3-2*sweepWrites, rows(), "each transaction before has deleted its part")

	// In the transaction of a Write it changes nothing.
	before := contentsOf(t, s)
	err = forget(t.Context(), s, through)
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "forget them again")
	require.True(t, before.equal(contentsOf(t, s)))

	sqlTo(t, path, `DROP TRIGGER refuse`)
	require.NoError(t, forget(t.Context(), s, at(s, 3))) // less than what is forgotten already
	assert.Equal(t, 3, rows(), "of later and of forgetting twice")
	checkIntegrity(t, s)
}
