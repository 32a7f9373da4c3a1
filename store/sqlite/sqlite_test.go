package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, filepath.Join(inMemory(t), "keys.db")) },
		storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
			require.NoError(t, s.Close())
			return open(t, s.(*Store).file.path)
		}),
		storetest.Damage(storetest.Damages{
			Key: func(t testing.TB, s store.Store, id apikey.ID) {
				sqlTo(t, s.(*Store).file.path, `UPDATE keys SET record = substr(record, 1, 20) WHERE id = '`+string(id)+`'`)
			},
			AccessList: func(t testing.TB, s store.Store, id apikey.ID) {
				sqlTo(t, s.(*Store).file.path, `UPDATE keys SET record = json_remove(record, '$.accessList') WHERE id = '`+string(id)+`'`)
			},
			Newer: func(t testing.TB, s store.Store, id apikey.ID) {
				sqlTo(t, s.(*Store).file.path, `UPDATE keys SET record = json_set(record, '$.later', 1) WHERE id = '`+string(id)+`'`)
			},
			Organization: func(t testing.TB, s store.Store, id string) {
				sqlTo(t, s.(*Store).file.path, `UPDATE organizations SET record = json_remove(record, '$.requirement') WHERE id = '`+id+`'`)
			},
			Usage: func(t testing.TB, s store.Store, id apikey.ID) {
				sqlTo(t, s.(*Store).file.path, `UPDATE usage SET document = replace(document, '192.0', 'nowhere') WHERE key = '`+string(id)+`'`)
			},
			Observation: func(t testing.TB, s store.Store) {
				sqlTo(t, s.(*Store).file.path, `UPDATE observation SET document = substr(document, 1, 20)`)
			},
			Events: func(t testing.TB, s store.Store, revision uint64) {
				sqlTo(t, s.(*Store).file.path, fmt.Sprintf(`UPDATE events SET document = substr(document, 1, length(document) / 2) WHERE revision = %d`, revision))
			},
		}),
		storetest.Restore(restoreClosed),
		storetest.Migrate(func(t testing.TB, s store.Store, mayRead, mayWrite bool) {
			readableFrom, writableFrom := 1, 1
			if !mayWrite {
				writableFrom = 2
			}
			if !mayRead {
				readableFrom = 2
			}
			newer(t, s.(*Store).file.path, readableFrom, writableFrom, "")
		}),
		storetest.Compact(func(t testing.TB, s store.Store) {
			sqlTo(t, s.(*Store).file.path, `DELETE FROM changes`, `UPDATE progress SET forgotten = revision`)
		}),
	)
}

// No query reads a table from end to end, or sorts, except those that are to read
// everything.
func TestQueriesUseIndexes(t *testing.T) {
	s := open(t, newPath(t))
	for _, query := range slices.Concat(readQueries, writeQueries, feedQueries) {
		if query == selectEveryKey || query == selectEveryOrganization {
			continue
		}
		rows, err := s.read.Query("EXPLAIN QUERY PLAN "+query, make([]any, 6)...)
		require.NoError(t, err)
		for rows.Next() {
			var id, parent, unused int
			var step string
			require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
			switch {
			case step == "SCAN progress", step == "SCAN p": // which has one row
			case strings.HasPrefix(step, "SCAN wanted VIRTUAL TABLE"): // the caller's IDs
			case strings.Contains(step, "SCALAR SUBQUERY "), strings.HasPrefix(step, "LIST SUBQUERY "): // whose own steps follow
			case strings.HasPrefix(query, selectEvents+ofKey): // and not those of the organization
				assert.Contains(t, step, "USING INDEX events_of_key (key=? AND organization=? AND rowid>? AND rowid<?)", query)
			case strings.HasPrefix(query, selectEvents+ofOrganization):
				assert.Contains(t, step, "USING INDEX events_of_organization (organization=? AND rowid>? AND rowid<?)", query)
			default:
				assert.Contains(t, step, "SEARCH ", query)
			}
		}
		require.NoError(t, rows.Err())
	}
}
