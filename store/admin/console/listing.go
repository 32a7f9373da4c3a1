package console

import (
	"context"
	"maps"
	"net/url"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// Bounds of one request.
const (
	pageRows  = 50    // records of a page, and of a read of the store
	maxSearch = 5_000 // records read for one page of a search, and keys counted for an overview
)

// A turn has the links to other pages of a listing.
type turn struct {
	First, Next string // empty: none
	Searched    int    // records read, if the search stopped before the end without a full page
}

// scan reads records until a page of them is kept, the last is read, or maxSearch were read.
// A page ends where a read of the store does, so it can have some more than pageRows.
func scan[T any](cursor string, read func(store.PageRequest) (store.Page[T], error), keep func(T) bool) (found []T, next string, searched int, err error) {
	next = cursor
	for {
		page, err := read(store.PageRequest{Cursor: next, Limit: pageRows})
		if err != nil {
			return nil, "", 0, err
		}
		for _, item := range page.Items {
			if keep(item) {
				found = append(found, item)
			}
		}
		next, searched = page.Next, searched+len(page.Items)
		if next == "" || len(found) >= pageRows || searched >= maxSearch {
			return found, next, searched, nil
		}
	}
}

// turnOf returns the links of a listing at the present URL, with this query for the next page.
func (v *visit) turnOf(next url.Values, isFirst bool, found, searched int) turn {
	self := func(query url.Values) string {
		link := v.link(v.segments()...)
		if len(query) > 0 {
			link += "?" + query.Encode()
		}
		return link
	}
	var t turn
	if !isFirst {
		first := v.r.URL.Query()
		for _, name := range []string{"cursor", "history", "revision", "done"} {
			first.Del(name)
		}
		t.First = self(first)
	}
	if next != nil {
		query := v.r.URL.Query()
		query.Del("done")
		for name := range next {
			query.Set(name, next.Get(name))
		}
		t.Next = self(query)
		if found < pageRows {
			t.Searched = searched
		}
	}
	return t
}

// usageOf returns the usage of keys, at most store.MaxUsageKeys in a call of the store. known is
// false if the store records none.
func (v *visit) usageOf(ctx context.Context, ids []apikey.ID) (usage map[apikey.ID]store.KeyUsage, known bool, err error) {
	recorder, known := store.As[store.UsageRecorder](v.Store)
	usage = map[apikey.ID]store.KeyUsage{}
	for known && len(ids) > 0 {
		n := min(len(ids), store.MaxUsageKeys)
		part, err := recorder.Usage(ctx, ids[:n]...)
		if err != nil {
			return nil, true, err
		}
		maps.Copy(usage, part)
		ids = ids[n:]
	}
	return usage, known, nil
}

// coverage returns how completely usage was observed for a length of time until now, and false if
// the store records none.
func (v *visit) coverage(length time.Duration) (store.Coverage, bool, error) {
	recorder, ok := store.As[store.UsageRecorder](v.Store)
	if !ok {
		return store.Coverage{}, false, nil
	}
	observation, err := recorder.Observation(v.r.Context())
	if err != nil {
		return store.Coverage{}, true, err
	}
	return observation.Coverage(v.now.Add(-length), v.now), true, nil
}
