package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A listing is one of the two listings of a store, of the keys of one organization or of
// all organizations.
type listing struct {
	*kit
	what   string
	page   func(store.PageRequest) (ids []string, next string, err error)
	put    func(id string) error // creates or replaces
	remove func(id string) error
}

func (k *kit) keyListing(organization string) listing {
	return listing{
		kit: k, what: fmt.Sprintf("Keys of %q", organization),
		page: func(request store.PageRequest) ([]string, string, error) {
			page, err := k.store.Keys(k.ctx, organization, request)
			return ids(page.Items), page.Next, err
		},
		put: func(id string) error {
			key := fixture.Plain(apikey.ID(id), organization)
			if stored, err := k.store.Key(k.ctx, key.ID); err == nil {
				key = stored
			}
			_, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			return err
		},
		remove: func(id string) error { return k.store.DeleteKey(k.ctx, apikey.ID(id), 0) },
	}
}

func (k *kit) organizationListing() listing {
	return listing{
		kit: k, what: "Organizations",
		page: func(request store.PageRequest) (all []string, next string, err error) {
			page, err := k.store.Organizations(k.ctx, request)
			for _, organization := range page.Items {
				all = append(all, organization.ID)
			}
			return all, page.Next, err
		},
		put: func(id string) error {
			organization := policy.Organization{ID: id}
			if stored, err := k.store.Organization(k.ctx, id); err == nil {
				organization = stored
			}
			_, err := k.store.PutOrganization(k.ctx, organization)
			return err
		},
		remove: func(id string) error { return k.store.DeleteOrganization(k.ctx, id, 0) },
	}
}

// must ends the case if a write fails.
func (l listing) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatalf("a write between pages of %s: %v", l.what, err)
	}
}

// wantSizes checks the pages of a listing of n records.
func (l listing) wantSizes(n int) {
	l.Helper()
	request, left := store.PageRequest{Limit: 5}, n
	for {
		page, next, err := l.page(request)
		if err != nil {
			l.Fatalf("%s, page %+v: %v", l.what, request, err)
		}
		if len(page) > 5 || len(page) > left {
			l.Fatalf("%s: a page of at most 5, with %d records left, has %d", l.what, left, len(page))
		}
		left -= len(page)
		if last := left == 0; last != (next == "") {
			l.Fatalf("%s: of %d records in pages of 5, with %d left, Next is %q; want it empty on the last page and only there", l.what, n, left, next)
		}
		if next == "" {
			return
		}
		request.Cursor = next
	}
}

// wantLimits checks pages of every limit, of a listing of n records.
func (l listing) wantLimits(n int) {
	l.Helper()
	for _, limit := range []int{0, -1, math.MinInt, 1, 99, 100, 101, 1000, 1001, math.MaxInt} {
		request := store.PageRequest{Limit: limit}
		page, next, err := l.page(request)
		if want := min(n, request.Size()); err != nil || len(page) > want || (next == "") != (len(page) == n) {
			l.Errorf("%s with the limit %d: %d of %d, Next %q, error %v; want at most %d, and Next if there are more",
				l.what, limit, len(page), n, next, err, request.Size())
		}
	}
	var all []string
	request := store.PageRequest{Limit: math.MaxInt}
	for {
		page, next, err := l.page(request)
		if err != nil {
			l.Fatalf("%s, page %+v: %v", l.what, request, err)
		}
		if all = append(all, page...); next == "" || next == request.Cursor {
			break
		}
		request.Cursor = next
	}
	if len(all) != n || !slices.IsSorted(all) || len(slices.Compact(all)) != n {
		l.Errorf("the pages of %s have %d records; want %d, each once, in order", l.what, len(all), n)
	}
}

// whileChanging changes records between any two pages: before the current position, at it
// and after it.
func (l listing) whileChanging() {
	l.Helper()
	var stay []string
	for i := range 20 {
		stay = append(stay, fmt.Sprintf("k%02d-stays", i))
		l.must(l.put(stay[i]))
		l.must(l.put(fmt.Sprintf("k%02d-goes", i)))
	}
	seen := map[string]int{}
	request := store.PageRequest{Limit: 3}
	for n := 0; ; n++ {
		page, next, err := l.page(request)
		if err != nil {
			l.Fatalf("%s, page %d: %v", l.what, n, err)
		}
		for _, id := range page {
			seen[id]++
		}
		if next == "" {
			break
		}
		if n > 100 || len(page) == 0 {
			l.Fatalf("%s: page %d has %d records and a Next; the listing does not end", l.what, n, len(page))
		}
		request.Cursor = next

		reached := page[len(page)-1]
		if strings.HasSuffix(reached, "-goes") {
			l.must(l.remove(reached)) // the record of the cursor
		}
		if first := fmt.Sprintf("k%02d-goes", n); first != reached {
			_ = l.remove(first)
		}
		_ = l.remove(fmt.Sprintf("k%02d-goes", 19-n))
		l.must(l.put(fmt.Sprintf("a%02d", n)))
		l.must(l.put(fmt.Sprintf("%s-then%02d", reached[:3], n)))
		l.must(l.put(fmt.Sprintf("z%02d", n)))
		l.must(l.put(stay[(n*7)%20])) // replaced, still there
	}
	for id, times := range seen {
		if times != 1 {
			l.Errorf("%s: %q was on %d pages; want one", l.what, id, times)
		}
	}
	for _, id := range stay {
		if seen[id] == 0 {
			l.Errorf("%s: %q was there all the time and on no page", l.what, id)
		}
	}
	l.wantEnd()
}

// wantEnd deletes every record after the first page. The next page is empty and the last.
func (l listing) wantEnd() {
	l.Helper()
	page, next, err := l.page(store.PageRequest{Limit: 2})
	if err != nil || next == "" || len(page) == 0 {
		l.Fatalf("%s, a first page of two: %q, Next %q, error %v; want Next", l.what, page, next, err)
	}
	for rest := next; rest != ""; {
		var after []string
		if after, rest, err = l.page(store.PageRequest{Cursor: rest}); err != nil {
			l.Fatalf("%s: %v", l.what, err)
		}
		for _, id := range after {
			l.must(l.remove(id))
		}
	}
	l.must(l.remove(page[len(page)-1]))
	if page, next, err := l.page(store.PageRequest{Cursor: next}); err != nil || len(page) > 0 || next != "" {
		l.Errorf("%s, the page after one, when all that followed was deleted: %q, Next %q, error %v; want an empty page, the last", l.what, page, next, err)
	}
}

func (l listing) whileWriting() {
	l.Helper()
	var stay []string
	for i := range 20 {
		stay = append(stay, fmt.Sprintf("k%02d", i))
		l.must(l.put(stay[i]))
	}
	var over atomic.Bool
	listings := l.rounds(30)
	together(3, func(i int) {
		if i == 0 {
			defer over.Store(true)
			for range listings {
				l.listOnce(stay)
			}
			return
		}
		for n := 0; !over.Load(); n++ {
			id := fmt.Sprintf("k%02d-%d", (n*7)%20, i)
			if err := l.put(id); err != nil {
				l.Errorf("a Put between pages of %s: %v", l.what, err)
				return
			}
			if err := l.remove(id); err != nil {
				l.Errorf("a Delete between pages of %s: %v", l.what, err)
				return
			}
		}
	})
}

// listOnce checks that the pages have the unchanged records once, in order.
func (l listing) listOnce(stay []string) {
	var seen []string
	request := store.PageRequest{Limit: 4}
	for {
		page, next, err := l.page(request)
		if err != nil {
			l.Errorf("%s, page %+v: %v", l.what, request, err)
			return
		}
		for _, id := range page {
			if slices.Contains(stay, id) {
				seen = append(seen, id)
			}
		}
		if next == "" {
			break
		}
		request.Cursor = next
	}
	if !slices.Equal(seen, stay) {
		l.Errorf("while others came and went, the pages of %s had %q; want %q", l.what, seen, stay)
	}
}
