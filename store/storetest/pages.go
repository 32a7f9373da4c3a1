package storetest

import (
	"fmt"
	"slices"
	"strings"
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
	{sentence: "S20", name: "pages of organizations have the size asked for and the last has no Next", run: organizationPageSizes},
	{sentence: "S20", name: "no page is larger than the limits", run: largestPage},
	{sentence: "S20", name: "no page of keys is larger than the limits", run: largestPageOfKeys},
	{sentence: "S20", name: "keys are listed for their organization alone", run: keysOfOne},
	{sentence: "S21", name: "a record is on one page while others come and go", run: pagesWhileChanging},
	{sentence: "S21", name: "an organization is on one page while others come and go", run: organizationPagesWhileChanging},
	{sentence: "S21", name: "a record is on one page while others write", run: pagesWhileWriting},
	{sentence: "S21", name: "an organization is on one page while others write", run: organizationPagesWhileWriting},
	{sentence: "S22", name: "a cursor that no page returned is refused", run: badCursors},
}

func keyOrder(k *kit) {
	k.organization("acme")
	want := []string{
		"-", "--", "-a", "0", "00", "10", "2", "A", "A-", "A0", "AA", "A_", "Aa", "B", "Z", "_", "_a", "a", "a-", "a0", "aA", "a_", "aa", "ab", "b", "z",
		strings.Repeat("z", apikey.MaxID-1), long(apikey.MaxID, "za"), long(apikey.MaxID, "zb"), strings.Repeat("z", apikey.MaxID),
	}
	slices.Sort(want)
	for _, id := range disordered(want) {
		k.put(fixture.Plain(apikey.ID(id), "acme"))
	}
	for _, limit := range []int{0, 1, 3, len(want)} {
		if got := ids(k.keys("acme", limit)); !slices.Equal(got, want) {
			k.Errorf("Keys in pages of %d is\n%q; want\n%q", limit, got, want)
		}
	}
}

// disordered returns the texts from the ends of a list to its middle.
func disordered(list []string) (all []string) {
	for i := range (len(list) + 1) / 2 {
		all = append(all, list[len(list)-1-i])
		if i != len(list)-1-i {
			all = append(all, list[i])
		}
	}
	return all
}

func organizationOrder(k *kit) {
	// By UTF-16, as in some databases, the last one would come earlier. Any collation
	// changes the order of most others.
	want := []string{
		"!", "'", "-", "0", "10", "2", "A", "B", "Z", "_", "a", "a b", "a-b", "aB", "ab", "b", "co-op", "coop", "e\u0301", "f", "z",
		"\u00c4", "\u00df", "\u00e9", "\u0430", "\ud7ff", "\ufb01", "\uff41", "\uffe6", "\U0001f511",
		long(apikey.MaxName-1, ""), long(apikey.MaxName, "a"), long(apikey.MaxName, "b"),
	}
	slices.Sort(want)
	for _, id := range disordered(want) {
		k.organization(id)
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
		k.keyListing(organization).wantSizes(n)
	}
}

func organizationPageSizes(k *kit) {
	for n := range 12 {
		k.organizationListing().wantSizes(n)
		k.organization(fmt.Sprintf("organization %02d", n))
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
	k.organizationListing().wantLimits(n)
}

func largestPageOfKeys(k *kit) {
	k.organization("acme")
	n := store.MaxPageSize + 1
	if _, loads := store.As[store.Loader](k.store); testing.Short() && !loads {
		n = store.DefaultPageSize + 1
	}
	k.createMany("acme", n)
	k.keyListing("acme").wantLimits(n)
}

// createMany stores n keys of an organization, by Load if the store has it.
func (k *kit) createMany(organization string, n int) {
	k.Helper()
	loader, loads := store.As[store.Loader](k.store)
	if loads {
		var keys []apikey.Key
		for i := range n {
			keys = append(keys, fixture.Plain(apikey.ID(fmt.Sprintf("many-%04d", i)), organization, "192.0.2.1"))
		}
		for part := range slices.Chunk(keys, store.MaxLoad) {
			if err := loader.Load(k.ctx, nil, part); err != nil {
				k.Fatalf("Load of %d keys: %v", len(part), err)
			}
		}
		return
	}
	together(writers, func(i int) {
		for ; i < n; i += writers {
			if _, err := k.store.PutKey(k.ctx, fixture.Plain(apikey.ID(fmt.Sprintf("many-%04d", i)), organization, "192.0.2.1")); err != nil {
				k.Errorf("PutKey: %v", err)
				return
			}
		}
	})
	if k.Failed() {
		k.FailNow()
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

func pagesWhileChanging(k *kit) {
	k.organization("acme")
	k.keyListing("acme").whileChanging()
}

func organizationPagesWhileChanging(k *kit) { k.organizationListing().whileChanging() }

func pagesWhileWriting(k *kit) {
	k.organization("acme")
	k.keyListing("acme").whileWriting()
}

func organizationPagesWhileWriting(k *kit) { k.organizationListing().whileWriting() }

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
