package postgres_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// TestShortLook compares the two ways in which a watch reads the same changes: by one
// statement, where it finds that enough, and by a snapshot.
func TestShortLook(t *testing.T) {
	const damage = `ALTER TABLE sallyport.keys DROP CONSTRAINT keys_pkey CASCADE; INSERT INTO sallyport.keys SELECT * FROM sallyport.keys`
	ctx := t.Context()
	puts := func(n int) func(testing.TB, *postgres.Store) {
		return func(t testing.TB, s *postgres.Store) {
			for i := range n {
				_, err := s.PutKey(ctx, newKey(t, fmt.Sprint("new-", i), "acme", "192.0.2.1"))
				require.NoError(t, err)
			}
		}
	}
	again := func(t testing.TB, s *postgres.Store) {
		key, err := s.Key(ctx, "key")
		require.NoError(t, err)
		for range 3 {
			key, err = s.PutKey(ctx, key)
			require.NoError(t, err)
		}
		puts(2)(t, s)
	}
	for _, c := range []struct {
		name   string
		writes func(testing.TB, *postgres.Store)
		sql    string // by hand, after them
		from   string // the history of the mark, that of the store if empty
		long   bool   // the short way is not enough
		want   int    // changes
		err    string
	}{
		{name: "nothing"},
		{name: "keys", writes: puts(3), want: 3},
		{name: "one key again and again", writes: again, want: 3},
		{name: "an organization and its key", writes: func(t testing.TB, s *postgres.Store) {
			_, err := s.PutOrganization(ctx, policy.Organization{ID: "other", Requirement: policy.Required})
			require.NoError(t, err)
			_, err = s.PutKey(ctx, newKey(t, "others", "other", "192.0.2.1"))
			require.NoError(t, err)
		}, want: 2},
		{name: "deleted", writes: func(t testing.TB, s *postgres.Store) {
			require.NoError(t, s.DeleteKey(ctx, "key", 0))
			require.NoError(t, s.DeleteOrganization(ctx, "acme", 0))
		}, want: 2},
		{name: "deleted and made anew", writes: func(t testing.TB, s *postgres.Store) {
			require.NoError(t, s.DeleteKey(ctx, "key", 0))
			_, err := s.PutKey(ctx, newKey(t, "key", "acme", "192.0.2.1"))
			require.NoError(t, err)
		}, want: 1},
		{name: "as many as fit", writes: puts(postgres.Few - 1), want: postgres.Few - 1},
		{name: "one more", writes: puts(postgres.Few), want: postgres.Few, long: true},
		{name: "unreadable", writes: again, sql: `UPDATE sallyport.keys SET document = '{}'`, want: 3},
		{name: "gone by hand", writes: again, sql: `DELETE FROM sallyport.keys WHERE id = 'key'`, want: 3},
		{name: "written by hand", writes: again, sql: `UPDATE sallyport.keys SET revision = revision - 1 WHERE id = 'key'`, want: 3},
		{name: "events forgotten", writes: func(t testing.TB, s *postgres.Store) {
			forget(t, s, position(t, s))
			puts(1)(t, s)
			forget(t, s, position(t, s))
		}, want: 1},
		{name: "events forgotten alone", writes: func(t testing.TB, s *postgres.Store) { forget(t, s, position(t, s)) }},
		{name: "a change without a name", writes: puts(1), long: true, err: "cannot scan NULL",
			sql: `ALTER TABLE sallyport.changes DROP CONSTRAINT changes_check; UPDATE sallyport.changes SET organization = NULL`},
		{name: "twice", writes: puts(1), sql: damage, want: 1, long: true},
		{name: "forgotten", writes: puts(2), long: true, sql: `UPDATE sallyport.state SET forgotten = (SELECT max(revision) FROM sallyport.changes) - 1`, err: "does not reach back so far"},
		{name: "changes deleted", writes: puts(2), sql: `DELETE FROM sallyport.changes`},
		{name: "lost writes", sql: `DELETE FROM sallyport.changes; DELETE FROM sallyport.keys; UPDATE sallyport.organizations SET revision = 1`, err: "does not reach back so far"},
		{name: "another history", from: "before", long: true, err: "does not reach back so far"},
		{name: "no state", sql: `DELETE FROM sallyport.state`, err: "its table state has no row"},
		{name: "another version", sql: `UPDATE sallyport.migrations SET version = 99`},
		{name: "a version not to be read", sql: `UPDATE sallyport.migrations SET version = 99, readable_from = 99, writable_from = 99`, err: store.ErrNewer.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := newPool(t, postgrestest.Shared(t).Database(t))
			s := newStore(t, pool)
			_, key := acme(t, s)
			mark := at(s, key.Revision)
			mark.History = cmp.Or(c.from, mark.History)
			if c.writes != nil {
				c.writes(t, s)
			}
			for sql := range strings.SplitSeq(c.sql, ";") {
				exec(t, pool, sql)
			}
			short, long, err := s.LookBothWays(ctx, mark)
			require.NoError(t, err)
			if c.err != "" {
				if !c.long {
					assert.ErrorContains(t, short.Err, c.err)
				}
				assert.ErrorContains(t, long.Err, c.err)
				assert.Empty(t, short.Changes)
				return
			}
			require.NoError(t, short.Err)
			require.NoError(t, long.Err)
			assert.Equal(t, !c.long, short.All)
			assert.Len(t, long.Changes, c.want)
			if c.long {
				assert.Empty(t, short.Changes)
				return
			}
			assert.Equal(t, long.Latest, short.Latest)
			assert.Equal(t, sorted(long.Changes), sorted(short.Changes))
		})
	}
}

// sorted returns changes by their revisions, with their errors as text.
func sorted(changes []store.Change) (all []string) {
	slices.SortFunc(changes, func(a, b store.Change) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, c := range changes {
		text := fmt.Sprint(c.Revision, c.Organization, c.Key, c.Deleted, c.Err)
		if c.KeyRecord != nil {
			document, err := c.KeyRecord.MarshalJSON()
			text += fmt.Sprint(string(document), err)
		}
		if c.OrganizationRecord != nil {
			text += fmt.Sprintf("%+v", *c.OrganizationRecord)
		}
		all = append(all, text)
	}
	return all
}
