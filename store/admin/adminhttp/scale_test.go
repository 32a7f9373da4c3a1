package adminhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A countingStore counts the keys that it lists, and the calls for them.
type countingStore struct {
	*memory.Store
	calls, keys int
}

func (s *countingStore) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	page, err := s.Store.Keys(ctx, organization, request)
	s.calls, s.keys = s.calls+1, s.keys+len(page.Items)
	return page, err
}

// spent returns what was counted since the last time.
func (s *countingStore) spent() (calls, keys int) {
	calls, keys = s.calls, s.keys
	s.calls, s.keys = 0, 0
	return calls, keys
}

// newCrowd returns a world with n keys more in acme, every tenth of them in the second project.
func newCrowd(t *testing.T, n int) (*world, *countingStore) {
	var counting *countingStore
	w := newWorld(t, func(w *world) {
		counting = &countingStore{Store: w.memory}
		w.store, w.config.MaxKeys = counting, 1_000_000
	})
	key := w.stored(worker)
	key.Revision = 0
	for i := range n {
		key.ID, key.Grants = apikey.ID(fmt.Sprintf("crowd-%06d", i)), nil
		if i%10 == 0 {
			key.Grants = []apikey.Grant{{Role: seesInside, Project: alpha}}
		}
		_, err := w.memory.PutKey(t.Context(), key)
		require.NoError(t, err)
	}
	return w, counting
}

type keysAnswer struct {
	Links      []link
	Results    []keyBody
	TotalCount *int
}

func (a keysAnswer) next() string {
	for _, l := range a.Links {
		if l.Rel == "next" {
			return strings.TrimPrefix(l.Href, "http://example.com")
		}
	}
	return ""
}

func (w *world) keysAt(by apikey.ID, path string) (page keysAnswer) {
	w.t.Helper()
	answer := w.call(by, "GET", path, "")
	require.Equal(w.t, 200, answer.Code, "%s", answer.Body)
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &page))
	return page
}

// Beyond the first thousand keys a page is read without those before it, whoever counts, and
// each key is on one page.
func TestDeepPagesAreReadAlone(t *testing.T) {
	const n = 4000
	w, counting := newCrowd(t, n)
	for _, path := range []string{org + "/apiKeys?itemsPerPage=70", org + "/apiKeys?itemsPerPage=500", org + "/apiKeys?itemsPerPage=500&includeCount=false"} {
		seen := map[apikey.ID]bool{}
		pages := 0
		for next := path; next != ""; pages++ {
			counting.spent()
			page := w.keysAt(owner, next)
			calls, keys := counting.spent()
			size := len(page.Results)
			if pages*size > exactly {
				require.LessOrEqual(t, calls, 1, next)
				require.LessOrEqual(t, keys, size, next)
			}
			for _, key := range page.Results {
				require.False(t, seen[key.ID], key.ID)
				seen[key.ID] = true
			}
			if !strings.Contains(path, "includeCount") {
				require.Equal(t, n+4, *page.TotalCount)
			}
			next = page.next()
		}
		require.Len(t, seen, n+4)
	}

	// A project's keys are found among those of the organization, which are read about once.
	counting.spent()
	found := 0
	for next := group + "/apiKeys?itemsPerPage=100"; next != ""; {
		page := w.keysAt(lead, next)
		require.Equal(t, n/10+1, *page.TotalCount)
		found, next = found+len(page.Results), page.next()
	}
	require.Equal(t, n/10+1, found)
	_, keys := counting.spent()
	require.Less(t, keys, 3*n)
}

// A page is where it was only for a minute.
func TestBookmarksEnd(t *testing.T) {
	const n = 1200
	w, counting := newCrowd(t, n)
	w.keysAt(owner, org+"/apiKeys?itemsPerPage=500&pageNum=2")
	counting.spent()
	third := w.keysAt(owner, org+"/apiKeys?itemsPerPage=500&pageNum=3")
	_, keys := counting.spent()
	require.Equal(t, n+4-1000, keys)
	for at, kept := range w.handler.bookmarks.values {
		kept.at = kept.at.Add(-remembering - time.Second)
		w.handler.bookmarks.values[at] = kept
	}
	require.Equal(t, third, w.keysAt(owner, org+"/apiKeys?itemsPerPage=500&pageNum=3"))
	_, keys = counting.spent()
	require.Equal(t, n+4, keys)
}

// A list of many keys is not counted, and has all of its pages.
func TestManyKeysAreNotCounted(t *testing.T) {
	w, counting := newCrowd(t, maxCounted+600)
	first := w.keysAt(owner, org+"/apiKeys")
	require.Nil(t, first.TotalCount)
	require.Len(t, first.Results, defaultPage)
	_, keys := counting.spent()
	require.LessOrEqual(t, keys, maxCounted+maxPage)
	for number := 2; number <= 22; number++ {
		page := w.keysAt(owner, fmt.Sprintf("%s/apiKeys?itemsPerPage=500&pageNum=%d", org, number))
		_, keys = counting.spent()
		if number > 3 {
			require.LessOrEqual(t, keys, 500, number)
		}
		require.Equal(t, number == 22, page.next() == "")
		if number == 22 {
			require.Equal(t, maxCounted+604, *page.TotalCount)
		}
	}
}

// Keys are counted once a minute, and always before one is refused.
func TestManyKeysAreCountedOnce(t *testing.T) {
	const n = 1500
	w, counting := newCrowd(t, n)
	w.config.MaxKeys = n + 6 // two more than there are
	made := 0
	w.config.NewID = func() (apikey.ID, error) { made++; return apikey.ID(fmt.Sprint("made-", made)), nil }
	w.handler = newHandler(w.config)
	create := func(status int) (keys int) {
		t.Helper()
		counting.spent()
		answer := w.call(owner, "POST", org+"/apiKeys", `{"desc":"d","roles":["ORG_MEMBER"]}`)
		require.Equal(t, status, answer.Code, "%s", answer.Body)
		_, keys = counting.spent()
		return keys
	}
	require.Equal(t, n+4, create(200))
	require.Equal(t, 0, create(200))
	require.Equal(t, n+6, create(400))
	require.NoError(t, w.memory.DeleteKey(t.Context(), "crowd-000007", 0))
	require.Equal(t, n+5, create(200))
}

// What is remembered has an end and a bound.
func TestRecent(t *testing.T) {
	var r recent[int, string]
	now := time.Now()
	value, since := r.get(1, now)
	require.Empty(t, value)
	require.Equal(t, now, since)
	r.put(1, "a", now)
	value, since = r.get(1, now.Add(remembering))
	require.Equal(t, "a", value)
	require.Equal(t, now, since)
	value, _ = r.get(1, now.Add(remembering+1))
	require.Empty(t, value)

	later := now.Add(remembering + time.Second)
	for i := range maxRemembered - 1 {
		r.put(-i, "b", later)
	}
	r.put(2, "c", later) // without 1, which was too old
	require.Len(t, r.values, maxRemembered)
	value, _ = r.get(0, later)
	require.Equal(t, "b", value)
	r.put(3, "d", later)
	require.Len(t, r.values, 1)
}

// A client that asks for pages until one is empty comes to an end, also where the last page is
// full.
func TestNoPageIsBehindTheLastOne(t *testing.T) {
	w, _ := newCrowd(t, 1496) // and four more
	for number := 1; number <= 3; number++ {
		require.Len(t, w.keysAt(owner, fmt.Sprintf("%s/apiKeys?itemsPerPage=500&pageNum=%d", org, number)).Results, 500)
	}
	last := w.keysAt(owner, org+"/apiKeys?itemsPerPage=500&pageNum=4")
	require.Empty(t, last.Results)
	require.Empty(t, last.next())
	require.Equal(t, 1500, *last.TotalCount)
}

// Each key that stays is on one page of a project, whatever happens to others meanwhile.
func TestOthersMoveNoKeyOfAProject(t *testing.T) {
	w, _ := newCrowd(t, 2500)
	key := w.stored("crowd-000000")
	key.Revision = 0
	seen := map[apikey.ID]int{}
	for next := group + "/apiKeys?itemsPerPage=21"; next != ""; {
		page := w.keysAt(lead, next)
		for _, found := range page.Results {
			seen[found.ID]++
		}
		if len(seen) > 150 { // beyond the first thousand of the organization
			key.ID = page.Results[0].ID + "-new" // on the page just read
			_, err := w.memory.PutKey(t.Context(), key)
			require.NoError(t, err)
		}
		next = page.next()
	}
	for i := 0; i < 2500; i += 10 {
		require.Equal(t, 1, seen[apikey.ID(fmt.Sprintf("crowd-%06d", i))], i)
	}
}

// Another caller's pass, begun later, moves no page of this one's.
func TestPagesOfTwoCallers(t *testing.T) {
	w, _ := newCrowd(t, 1500)
	seen := map[apikey.ID]bool{}
	for number := 1; number <= 16; number++ {
		path := fmt.Sprintf("%s/apiKeys?pageNum=%d", org, number)
		for _, key := range w.keysAt(owner, path).Results {
			seen[key.ID] = true
		}
		if number == 12 {
			for i := range 50 {
				require.NoError(t, w.memory.DeleteKey(t.Context(), apikey.ID(fmt.Sprintf("crowd-%06d", i)), 0))
			}
			for other := 1; other <= 12; other++ {
				w.keysAt(viewer, fmt.Sprintf("%s/apiKeys?pageNum=%d", org, other))
			}
		}
	}
	require.Len(t, seen, 1504)
}
