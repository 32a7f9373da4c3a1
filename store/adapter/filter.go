package adapter

import (
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
)

// FilterKeys returns the page of a request with a filter (S29), given a reader of pages
// without one. It reads the pages of the organization's keys, the largest there are, until
// the page is full and another key is found, or no key is left. Without a filter it reads
// one page, the one that is asked for.
//
// So a filtered page costs as much as reading all keys up to its last one, and up to all of
// the organization's if few match. An adapter whose database finds labels can do better.
func FilterKeys(request store.PageRequest, read func(store.PageRequest) (store.Page[apikey.Key], error)) (store.Page[apikey.Key], error) {
	filter := request.Filter
	request.Filter = store.Filter{}
	if filter == (store.Filter{}) {
		return read(request)
	}
	var found []apikey.Key
	for next := (store.PageRequest{Cursor: request.Cursor, Limit: store.MaxPageSize}); ; {
		page, err := read(next)
		if err != nil {
			return store.Page[apikey.Key]{}, err
		}
		for _, key := range page.Items {
			if filter.Matches(key) {
				found = append(found, key)
			}
		}
		if page.Next == "" || len(found) > request.Size() {
			return NewPage(request, found, func(key apikey.Key) string { return string(key.ID) }), nil
		}
		next.Cursor = page.Next
	}
}

// noFilter returns the error of a listing that has none.
func noFilter(filter store.Filter) error {
	if filter == (store.Filter{}) {
		return nil
	}
	return fmt.Errorf("store: %w: a filter by label %s and external ID %s: want none, or a listing of keys", store.ErrInvalid, plain.Quote(filter.Label), plain.Quote(filter.ExternalID))
}
