package storetest

import (
	"fmt"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var filterCases = []testCase{
	{sentence: "S29", name: "keys are found by label and external ID", run: keysFound},
	{sentence: "S29", name: "a filtered page is full or the last", run: filteredPages},
	{sentence: "S29", name: "a filter selects by the metadata of now", run: foundAsOfNow},
	{sentence: "S29", name: "a key is found once while others come and go", run: foundWhileChanging},
	{sentence: "S29", name: "organizations are not filtered", run: organizationsHaveNoFilter},
}

// labelled returns a key with metadata.
func labelled(id apikey.ID, organization, externalID string, labels map[string]string) apikey.Key {
	key := fixture.Plain(id, organization)
	key.Metadata = &apikey.Metadata{Labels: labels, ExternalID: externalID}
	return key
}

// find lists the IDs of the keys that a filter selects, in pages of a size.
func (k *kit) find(organization string, filter store.Filter, limit int) []string {
	k.Helper()
	return ids(pages(k, limit, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		request.Filter = filter
		return k.store.Keys(k.ctx, organization, request)
	}))
}

func (k *kit) wantFound(organization string, filter store.Filter, want ...string) {
	k.Helper()
	for _, limit := range []int{0, 1, 2, len(want) + 1} {
		if got := k.find(organization, filter, limit); !slices.Equal(got, want) {
			k.Errorf("Keys of %q with the filter %+v, in pages of %d, has %q; want %q", organization, filter, limit, got, want)
		}
	}
}

func keysFound(k *kit) {
	k.organization("acme")
	k.organization("other")
	for _, key := range []apikey.Key{
		fixture.Plain("bare", "acme"),
		labelled("A-web", "acme", "cus_1", map[string]string{"team": "web"}),
		labelled("a-web", "acme", "cus_2", map[string]string{"team": "web", "stage": "test"}),
		labelled("case-name", "acme", "CUS_1", map[string]string{"Team": "web"}),
		labelled("case-value", "acme", "cus_1 x", map[string]string{"team": "Web"}),
		labelled("longer", "acme", "cus_10", map[string]string{"team": "web2", "teams": "web"}),
		labelled("shorter", "acme", "cus_", map[string]string{"team": "we", "tea": "web"}),
		labelled("swapped", "acme", "web", map[string]string{"web": "team"}),
		labelled("empty", "acme", "", map[string]string{"team": ""}),
		labelled("signs", "acme", "a=b", map[string]string{"t%": "a=b", "t_": "*"}),
		labelled("accents", "acme", "\u00e9", map[string]string{"e\u0301": "\u00e9"}),
		labelled("b-web", "acme", "cus_1", map[string]string{"team": "web", "stage": "live"}),
		labelled("other-web", "other", "cus_1", map[string]string{"team": "web"}),
	} {
		k.put(key)
	}
	for _, test := range []struct {
		filter store.Filter
		want   []string
	}{
		{store.Filter{Label: "team"}, []string{"A-web", "a-web", "b-web", "case-value", "empty", "longer", "shorter"}},
		{store.Filter{Label: "team=web"}, []string{"A-web", "a-web", "b-web"}},
		{store.Filter{Label: "team="}, []string{"empty"}},
		{store.Filter{Label: "Team"}, []string{"case-name"}},
		{store.Filter{Label: "stage"}, []string{"a-web", "b-web"}},
		{store.Filter{Label: "web"}, []string{"swapped"}},
		{store.Filter{Label: "t%=a=b"}, []string{"signs"}},
		{store.Filter{Label: "t%=a"}, nil},
		{store.Filter{Label: "t_"}, []string{"signs"}},
		{store.Filter{Label: "e\u0301"}, []string{"accents"}},
		{store.Filter{Label: "\u00e9"}, nil},
		{store.Filter{Label: "e\u0301=e\u0301"}, nil},
		{store.Filter{Label: "=web"}, nil},
		{store.Filter{Label: "="}, nil},
		{store.Filter{Label: "%"}, nil},
		{store.Filter{Label: "\x00"}, nil},
		{store.Filter{Label: "\xff"}, nil},
		{store.Filter{Label: "' OR 1=1; --"}, nil},
		{store.Filter{Label: long(100_000, "")}, nil},
		{store.Filter{ExternalID: "cus_1"}, []string{"A-web", "b-web"}},
		{store.Filter{ExternalID: "CUS_1"}, []string{"case-name"}},
		{store.Filter{ExternalID: "a=b"}, []string{"signs"}},
		{store.Filter{ExternalID: "e\u0301"}, nil},
		{store.Filter{ExternalID: "cus_1 "}, nil},
		{store.Filter{ExternalID: "%"}, nil},
		{store.Filter{ExternalID: "\x00\xff"}, nil},
		{store.Filter{ExternalID: long(100_000, "")}, nil},
		{store.Filter{Label: "stage", ExternalID: "cus_1"}, []string{"b-web"}},
		{store.Filter{Label: "team=web", ExternalID: "CUS_1"}, nil},
		{store.Filter{}, []string{"A-web", "a-web", "accents", "b-web", "bare", "case-name", "case-value", "empty", "longer", "shorter", "signs", "swapped"}},
	} {
		k.wantFound("acme", test.filter, test.want...)
	}
	k.wantFound("other", store.Filter{Label: "team"}, "other-web")
	k.wantFound("not there", store.Filter{Label: "team"})
}

// filteredListing is the listing of an organization's keys with a label; it puts such keys.
func (k *kit) filteredListing(organization string) listing {
	l := k.keyListing(organization)
	filter := store.Filter{Label: "listed=yes"}
	l.what = fmt.Sprintf("Keys of %q with the filter %+v", organization, filter)
	l.page = func(request store.PageRequest) ([]string, string, error) {
		request.Filter = filter
		page, err := k.store.Keys(k.ctx, organization, request)
		if err == nil && len(page.Items) < request.Size() && page.Next != "" {
			k.Errorf("%s, page %+v: %d keys and a Next; want a full page", l.what, request, len(page.Items))
		}
		return ids(page.Items), page.Next, err
	}
	l.put = func(id string) error {
		key := labelled(apikey.ID(id), organization, id, map[string]string{"listed": "yes"})
		if stored, err := k.store.Key(k.ctx, key.ID); err == nil {
			key = stored
		}
		_, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
		return err
	}
	return l
}

func filteredPages(k *kit) {
	for _, n := range []int{0, 1, 5, 6, 10, 11, 120} {
		organization := fmt.Sprint("with ", n)
		k.organization(organization)
		l := k.filteredListing(organization)
		for i := range max(n, 3) {
			if i < n {
				l.must(l.put(fmt.Sprintf("key-%d-%03d", n, i)))
			}
			k.put(labelled(apikey.ID(fmt.Sprintf("key-%d-%03d-not", n, i)), organization, "", map[string]string{"listed": "no"}))
		}
		l.wantSizes(n)
		l.wantLimits(n)
	}
	// More keys that are not selected than a page has, before, between and after.
	k.organization("large")
	k.createMany("large", store.DefaultPageSize+20)
	l := k.filteredListing("large")
	for _, id := range []string{"a", "many-0050-x", "z"} {
		l.must(l.put(id))
	}
	l.wantSizes(3)
	l.wantLimits(3)
}

func foundAsOfNow(k *kit) {
	k.organization("acme")
	key := k.put(labelled("key", "acme", "cus_1", map[string]string{"team": "web"}))
	find := func(what string, byLabel, byID, other int) {
		k.Helper()
		for filter, want := range map[store.Filter]int{{Label: "team=web"}: byLabel, {ExternalID: "cus_1"}: byID, {Label: "team=ops"}: other} {
			if got := len(k.find("acme", filter, 0)); got != want {
				k.Errorf("after %s, Keys with the filter %+v has %d keys; want %d", what, filter, got, want)
			}
		}
	}
	find("PutKey", 1, 1, 0)
	key.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "ops"}, ExternalID: "cus_1"}
	key = k.put(key)
	find("a PutKey with another label", 0, 1, 1)
	key.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "web"}, ExternalID: "cus_2"}
	key = k.put(key)
	find("a PutKey with another external ID", 1, 0, 0)
	key.Metadata = nil
	key = k.put(key)
	find("a PutKey without metadata", 0, 0, 0)
	key.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "web"}, ExternalID: "cus_1"}
	k.put(key)
	find("a PutKey with metadata again", 1, 1, 0)
	k.delete("key")
	find("DeleteKey", 0, 0, 0)
}

func foundWhileChanging(k *kit) {
	k.organization("acme")
	for i := range 20 {
		k.put(fixture.Plain(apikey.ID(fmt.Sprintf("k%02d-bare", i)), "acme"))
	}
	k.filteredListing("acme").whileChanging()
}

func organizationsHaveNoFilter(k *kit) {
	k.organization("acme")
	for _, filter := range []store.Filter{{Label: "team"}, {ExternalID: "cus_1"}} {
		page, err := k.store.Organizations(k.ctx, store.PageRequest{Filter: filter})
		k.wantError(err, store.ErrInvalid, "Organizations with the filter %+v", filter)
		if len(page.Items) > 0 {
			k.Errorf("Organizations with the filter %+v has %d organizations; want none", filter, len(page.Items))
		}
	}
}
