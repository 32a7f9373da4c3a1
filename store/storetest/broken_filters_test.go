package storetest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

const found = "S29/keys are found by label and external ID"

// Broken in what a filter finds: S29.
var brokenFilters = []brokenStore{
	{name: "pays no attention to filters", sentence: "S29", make: onKeyPages(func(request *store.PageRequest) { request.Filter = store.Filter{} })},
	{name: "finds labels by name alone", sentence: "S29", make: onKeyPages(func(request *store.PageRequest) {
		request.Filter.Label, _, _ = strings.Cut(request.Filter.Label, "=")
	})},
	{name: "takes an empty value for none", sentence: "S29", only: found, make: onKeyPages(func(request *store.PageRequest) {
		request.Filter.Label = strings.TrimSuffix(request.Filter.Label, "=")
	})},
	{name: "cuts a filter at its last =", sentence: "S29", only: found, make: selecting(func(f store.Filter, key apikey.Key) bool {
		if i := strings.LastIndex(f.Label, "="); strings.Count(f.Label, "=") > 1 {
			value, ok := key.Label(f.Label[:i])
			return ok && value == f.Label[i+1:]
		}
		return f.Matches(key)
	})},
	{name: "finds external IDs without regard to case", sentence: "S29", only: found, make: selecting(func(f store.Filter, key apikey.Key) bool {
		id := f.ExternalID
		f.ExternalID = ""
		return f.Matches(key) && (id == "" || strings.EqualFold(id, key.ExternalID()))
	})},
	{name: "finds external IDs that begin so", sentence: "S29", only: found, make: selecting(func(f store.Filter, key apikey.Key) bool {
		id := f.ExternalID
		f.ExternalID = ""
		return f.Matches(key) && strings.HasPrefix(key.ExternalID(), id)
	})},
	{name: "finds keys that match either", sentence: "S29", only: found, make: selecting(func(f store.Filter, key apikey.Key) bool {
		return f.Matches(key) || f.ExternalID != "" && key.ExternalID() == f.ExternalID
	})},
	{name: "trims what is looked for", sentence: "S29", only: found, make: onKeyPages(func(request *store.PageRequest) {
		request.Filter.ExternalID = strings.TrimSpace(request.Filter.ExternalID)
	})},
	{name: "filters a page after reading it", sentence: "S29", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			filter := request.Filter
			request.Filter = store.Filter{}
			page, err := sound.Keys(ctx, organization, request)
			page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool { return !filter.Matches(key) })
			return page, err
		}
	})},
	{name: "finds in the first hundred keys", sentence: "S29", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := sound.Keys(ctx, organization, request)
			if all, _ := sound.Keys(ctx, organization, store.PageRequest{}); request.Filter != (store.Filter{}) && all.Next != "" {
				last := all.Items[len(all.Items)-1].ID
				page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool { return key.ID > last })
			}
			return page, err
		}
	})},
	{name: "keeps what was found by a label", sentence: "S29", make: foundBefore},
	{name: "lists organizations by a filter", sentence: "S29", only: "S29/organizations are not filtered", make: onOrganizationPages(func(_ *memory.Store, request *store.PageRequest) {
		request.Filter = store.Filter{}
	})},
	{name: "returns organizations with its refusal of a filter", sentence: "S29", only: "S29/organizations are not filtered", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
			page, err := sound.Organizations(ctx, request)
			if err != nil {
				request.Filter = store.Filter{}
				page, _ = sound.Organizations(ctx, request)
			}
			return page, err
		}
	})},
}

// selecting selects keys by another rule.
func selecting(matches func(store.Filter, apikey.Key) bool) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			filter := request.Filter
			request.Filter = store.Filter{}
			after, err := adapter.After(request)
			if err != nil || filter == (store.Filter{}) {
				return sound.Keys(ctx, organization, request)
			}
			var all []apikey.Key
			for key := range store.AllKeys(ctx, sound, organization) {
				if string(key.ID) > after && matches(filter, key) {
					all = append(all, key)
				}
			}
			return adapter.NewPage(request, all, func(key apikey.Key) string { return string(key.ID) }), nil
		}
	})
}

// foundBefore selects keys by the metadata that they were created with.
func foundBefore() store.Store {
	var first sync.Map // apikey.Key by ID
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(ctx, key, o...)
			if err == nil {
				first.LoadOrStore(stored.ID, stored.Clone())
			}
			return stored, err
		}
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			filter := request.Filter
			request.Filter = store.Filter{}
			page, err := sound.Keys(ctx, organization, request)
			page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool {
				created, _ := first.Load(key.ID)
				return !filter.Matches(created.(apikey.Key))
			})
			return page, err
		}
	})()
}
