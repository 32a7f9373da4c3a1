package etcd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// namesOf returns which records changes are of, and the revision of a mark.
func namesOf(told []store.Change) (names []string) {
	for _, change := range told {
		if change.IsMark() {
			names = append(names, fmt.Sprint("mark ", change.Revision))
		} else {
			names = append(names, strings.TrimSuffix(change.Organization+" "+string(change.Key), " "))
		}
	}
	return names
}

// historyOf returns the name of the present history.
func historyOf(t testing.TB, s *Store) string {
	t.Helper()
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	return latest.History
}

// TestForeignWrite has a record written by other means, with a later revision than the
// store has. A copy that has loaded it must not seem to be ahead of the store: that would
// be loaded again and again.
func TestForeignWrite(t *testing.T) {
	s, f := opened(t)
	revision, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	f.put(prefix+"organizations/other", `{"id":"other","requirement":"required"}`)
	for range 2 {
		told := wantTold(t, s, 0)
		require.Equal(t, []string{"acme", "other", "acme k1", fmt.Sprint("mark ", revision)}, namesOf(told))
		for _, change := range told {
			require.LessOrEqual(t, change.Revision, revision)
		}
		organization, err := s.Organization(t.Context(), "other")
		require.NoError(t, err)
		require.Equal(t, organization, *told[1].OrganizationRecord, "its own revision is what a write needs")
		require.Equal(t, told[3:], wantTold(t, s, revision), "it goes on from the mark")
	}

	// Written as this package does it, it is told to a watch that was away.
	f.put(prefix+"organizations/third", `{"id":"third","requirement":"required"}`, prefix+"revision", historyOf(t, s))
	after, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, []string{"other", "third", fmt.Sprint("mark ", after)}, namesOf(wantTold(t, s, revision)))
}

// TestForeignNameHidesNothing has names that look like that of a key come after a change
// of the key, and told with it.
func TestForeignNameHidesNothing(t *testing.T) {
	for _, name := range []string{"keys/a%2fb/k1", "keys//k1"} {
		t.Run(name, func(t *testing.T) {
			s, f := opened(t)
			key, err := s.Key(t.Context(), "k1")
			require.NoError(t, err)
			before := key.Revision
			key, err = s.PutKey(t.Context(), key)
			require.NoError(t, err)
			f.put(prefix+name, "x")
			told := wantTold(t, s, before)
			require.Equal(t, []string{"acme k1", fmt.Sprint("mark ", key.Revision)}, namesOf(told))
			require.True(t, key.Equal(*told[0].KeyRecord))
		})
	}
}

// TestRevisionInFragments has two records written at one revision, and told in fragments.
// A mark between them would say that both were told.
func TestRevisionInFragments(t *testing.T) {
	s, f := opened(t)
	f.set(func() { f.fragments = true })
	revision, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	f.put(prefix+"organizations/one", "x", prefix+"organizations/two", "x", prefix+"revision", historyOf(t, s))
	mark := fmt.Sprint("mark ", revision+1)
	require.Equal(t, []string{"one", "two", mark}, namesOf(wantTold(t, s, revision)))
}

// TestEarlierRevisions has a server tell of what was before the revision that it was asked
// for.
func TestEarlierRevisions(t *testing.T) {
	s, f := opened(t)
	f.set(func() { f.early = true })
	revision, err := latestOf(t.Context(), s)
	require.NoError(t, err)
	var told []store.Change
	for change, err := range s.Watch(t.Context(), at(s, revision)) {
		require.NoError(t, err)
		if told = append(told, change); len(told) == 1 {
			_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
			require.NoError(t, err)
		}
		if len(told) == 3 {
			break
		}
	}
	require.Equal(t, []string{fmt.Sprint("mark ", revision), "other", fmt.Sprint("mark ", revision+1)}, namesOf(told))
}
