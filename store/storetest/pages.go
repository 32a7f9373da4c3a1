package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var pageCases = []testCase{
	{sentence: "S20", name: "keys come in the order of their bytes", run: keyOrder},
	{sentence: "S20", name: "organizations come in the order of their bytes", run: organizationOrder},
	{sentence: "S20", name: "pages have the size asked for and the last has no Next", run: pageSizes},
	{sentence: "S20", name: "no page is larger than the limits", run: largestPage},
	{sentence: "S20", name: "keys are listed for their organization alone", run: keysOfOne},
	{sentence: "S21", name: "a record is on one page while others come and go", run: pagesWhileChanging},
	{sentence: "S21", name: "a record is on one page while others write", run: pagesWhileWriting},
	{sentence: "S22", name: "a cursor that no page returned is refused", run: badCursors},
}

func keyOrder(k *kit) {
	k.organization("acme")
	want := []string{
		"-", "--", "-a", "0", "00", "10", "2", "A", "A-", "A0", "AA", "A_", "Aa", "B", "Z", "_", "_a", "a", "a-", "a0", "aA", "a_", "aa", "ab", "b", "z",
		strings.Repeat("z", 39), strings.Repeat("z", 40),
	}
	for i := range want {
		k.put(fixture.Plain(apikey.ID(want[(i*11)%len(want)]), "acme")) // in another order
	}
	for _, limit := range []int{0, 1, 3, len(want)} {
		if got := ids(k.keys("acme", limit)); !slices.Equal(got, want) {
			k.Errorf("Keys in pages of %d is\n%q; want\n%q", limit, got, want)
		}
	}
}

func organizationOrder(k *kit) {
	// By UTF-16, as in some databases, the last one would come earlier. Any collation
	// changes the order of most others.
	want := []string{
		"!", "'", "-", "0", "10", "2", "A", "B", "Z", "_", "a", "a b", "a-b", "aB", "ab", "b", "co-op", "coop", "e\u0301", "f", "z",
		"\u00c4", "\u00df", "\u00e9", "\u0430", "\ud7ff", "\ufb01", "\uff41", "\uffe6", "\U0001f511",
	}
	for i := range want {
		k.organization(want[(i*11)%len(want)])
	}
	for _, limit := range []int{0, 1, 4, len(want)} {
		var got []string
		for _, organization := range k.organizations(limit) {
			got = append(got, organization.ID)
		}
		if !slices.Equal(got, want) {
			k.Errorf("Organizations in pages of %d is\n%q; want\n%q", limit, got, want)
		}
	}
}

func pageSizes(k *kit) {
	for _, n := range []int{0, 1, 5, 6, 10, 11} {
		organization := fmt.Sprint("with ", n)
		k.organization(organization)
		for i := range n {
			k.put(fixture.Plain(apikey.ID(fmt.Sprintf("key-%d-%02d", n, i)), organization))
		}
		request, left := store.PageRequest{Limit: 5}, n
		for {
			page, err := k.store.Keys(k.ctx, organization, request)
			if err != nil {
				k.Fatalf("Keys(%+v): %v", request, err)
			}
			if len(page.Items) > 5 || len(page.Items) > left {
				k.Fatalf("a page of at most 5, with %d keys left, has %d", left, len(page.Items))
			}
			left -= len(page.Items)
			if last := left == 0; last != (page.Next == "") {
				k.Fatalf("of %d keys in pages of 5, with %d left, Next is %q; want it empty on the last page and only there", n, left, page.Next)
			}
			if page.Next == "" {
				break
			}
			request.Cursor = page.Next
		}
	}
}

func largestPage(k *kit) {
	n := store.MaxPageSize + 1
	if testing.Short() {
		n = store.DefaultPageSize + 1
	}
	together(writers, func(i int) {
		for ; i < n; i += writers {
			if _, err := k.store.PutOrganization(k.ctx, policy.Organization{ID: fmt.Sprintf("organization %04d", i)}); err != nil {
				k.Errorf("PutOrganization: %v", err)
				return
			}
		}
	})
	for _, limit := range []int{0, -1, math.MinInt, 1, 99, 100, 101, 1000, 1001, math.MaxInt} {
		request := store.PageRequest{Limit: limit}
		page, err := k.store.Organizations(k.ctx, request)
		if err != nil || len(page.Items) > request.Size() || page.Next == "" && len(page.Items) < n {
			k.Errorf("Organizations with the limit %d: %d of %d, Next %q, error %v; want at most %d, and Next if there are more",
				limit, len(page.Items), n, page.Next, err, request.Size())
		}
	}
	if got := len(k.organizations(math.MaxInt)); got != n {
		k.Errorf("the pages of Organizations have %d; want %d", got, n)
	}
}

func keysOfOne(k *kit) {
	for i, organization := range []string{"acme", "acme2", "acm", "Acme", "acme%", "acme/x", "without"} {
		k.organization(organization)
		if organization != "without" {
			k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), organization))
		}
	}
	for organization, want := range map[string]int{"acme": 1, "acm": 1, "acme%": 1, "without": 0, "not there": 0, "": 0} {
		page, err := k.store.Keys(k.ctx, organization, store.PageRequest{})
		if err != nil || len(page.Items) != want || page.Next != "" {
			k.Errorf("Keys(%q) has %q, Next %q, error %v; want %d and no error", organization, ids(page.Items), page.Next, err, want)
			continue
		}
		for _, key := range page.Items {
			if key.Organization != organization {
				k.Errorf("Keys(%q) has a key of %q", organization, key.Organization)
			}
		}
	}
}

// pagesWhileChanging changes records between any two pages: before the current position,
// at it and after it.
func pagesWhileChanging(k *kit) {
	k.organization("acme")
	var stay []string
	for i := range 20 {
		stay = append(stay, string(k.put(fixture.Plain(apikey.ID(fmt.Sprintf("k%02d-stays", i)), "acme")).ID))
		k.put(fixture.Plain(apikey.ID(fmt.Sprintf("k%02d-goes", i)), "acme"))
	}
	seen := map[string]int{}
	request := store.PageRequest{Limit: 3}
	for n := 0; ; n++ {
		page, err := k.store.Keys(k.ctx, "acme", request)
		if err != nil {
			k.Fatalf("page %d: %v", n, err)
		}
		for _, key := range page.Items {
			seen[string(key.ID)]++
		}
		if page.Next == "" {
			break
		}
		if n > 100 {
			k.Fatalf("the listing does not end")
		}
		request.Cursor = page.Next

		reached := page.Items[len(page.Items)-1].ID
		if strings.HasSuffix(string(reached), "-goes") {
			k.delete(reached) // the record of the cursor
		}
		if first := apikey.ID(fmt.Sprintf("k%02d-goes", n)); first != reached {
			_ = k.store.DeleteKey(k.ctx, first, 0)
		}
		_ = k.store.DeleteKey(k.ctx, apikey.ID(fmt.Sprintf("k%02d-goes", 19-n)), 0)
		k.put(fixture.Plain(apikey.ID(fmt.Sprintf("a%02d", n)), "acme"))
		k.put(fixture.Plain(reached[:3]+apikey.ID(fmt.Sprintf("-then%02d", n)), "acme"))
		k.put(fixture.Plain(apikey.ID(fmt.Sprintf("z%02d", n)), "acme"))
		k.put(k.readKey(apikey.ID(stay[(n*7)%20]))) // replaced, still there
	}
	for id, times := range seen {
		if times != 1 {
			k.Errorf("key %q was on %d pages; want one", id, times)
		}
	}
	for _, id := range stay {
		if seen[id] == 0 {
			k.Errorf("key %q was there all the time and on no page", id)
		}
	}
}

func pagesWhileWriting(k *kit) {
	k.organization("acme")
	var stay []string
	for i := range 20 {
		stay = append(stay, string(k.put(fixture.Plain(apikey.ID(fmt.Sprintf("k%02d", i)), "acme")).ID))
	}
	var over atomic.Bool
	listings := k.rounds(30)
	together(3, func(i int) {
		if i == 0 {
			defer over.Store(true)
			for range listings {
				k.listOnce(stay)
			}
			return
		}
		for n := 0; !over.Load(); n++ {
			id := apikey.ID(fmt.Sprintf("k%02d-%d", (n*7)%20, i))
			if _, err := k.store.PutKey(k.ctx, fixture.Plain(id, "acme"), store.AllowOpen); err != nil {
				k.Errorf("PutKey: %v", err)
				return
			}
			if err := k.store.DeleteKey(k.ctx, id, 0); err != nil {
				k.Errorf("DeleteKey: %v", err)
				return
			}
		}
	})
}

// listOnce checks that the pages have the unchanged keys once, in order.
func (k *kit) listOnce(stay []string) {
	var seen []string
	request := store.PageRequest{Limit: 4}
	for {
		page, err := k.store.Keys(k.ctx, "acme", request)
		if err != nil {
			k.Errorf("Keys(%+v): %v", request, err)
			return
		}
		for _, id := range ids(page.Items) {
			if slices.Contains(stay, id) {
				seen = append(seen, id)
			}
		}
		if page.Next == "" {
			break
		}
		request.Cursor = page.Next
	}
	if !slices.Equal(seen, stay) {
		k.Errorf("while others came and went, the pages had %q; want %q", seen, stay)
	}
}

func badCursors(k *kit) {
	k.organization("acme")
	k.put(fixture.Plain("key", "acme"))
	for _, cursor := range []string{
		" ", "\x00", "\xff\xfe", "no such cursor!", "' OR 1=1; --", "../..", "%zz", "{", "\n", "-1\x00",
		adapter.CursorAfter("\x00\xff"), adapter.CursorAfter("key") + "\n", strings.Repeat("?", 100_000),
	} {
		request := store.PageRequest{Cursor: cursor}
		_, err := k.store.Keys(k.ctx, "acme", request)
		k.wantError(err, store.ErrInvalid, "Keys with the cursor %.100q", cursor)
		_, err = k.store.Organizations(k.ctx, request)
		k.wantError(err, store.ErrInvalid, "Organizations with the cursor %.100q", cursor)
	}
}
