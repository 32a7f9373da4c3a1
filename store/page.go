package store

import (
	"context"
	"iter"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Sizes of a page, in records.
const (
	DefaultPageSize = 100
	MaxPageSize     = 1000
)

// A PageRequest asks for a page. The zero PageRequest asks for the first one, of the
// default size.
type PageRequest struct {
	// Cursor is the Next of the page before, empty for the first page. It is opaque and
	// valid only for the same listing of the same store.
	Cursor string

	// Limit is the largest number of records to return: DefaultPageSize if it is not
	// positive, and never more than MaxPageSize.
	Limit int

	// Filter selects keys. A page is full or the last one all the same: see S29 for what it
	// costs. A listing of organizations has none, and refuses it with ErrInvalid.
	Filter Filter
}

// A Filter selects keys by their metadata. A key must match each non-empty field. The zero
// Filter selects every key. Texts are compared byte by byte.
type Filter struct {
	// Label is "name" for keys with a label of that name, or "name=value" for keys with that
	// label and value. "name=" selects an empty value.
	Label string

	// ExternalID selects the keys with this external ID.
	ExternalID string
}

// Matches reports whether the filter selects a key.
func (f Filter) Matches(key apikey.Key) bool {
	if f.ExternalID != "" && key.ExternalID() != f.ExternalID {
		return false
	}
	if f.Label == "" {
		return true
	}
	name, want, byValue := strings.Cut(f.Label, "=") // no name has "="
	value, ok := key.Label(name)
	return ok && (!byValue || value == want)
}

// Size returns the limit in force, from 1 to MaxPageSize.
func (p PageRequest) Size() int {
	if p.Limit <= 0 {
		return DefaultPageSize
	}
	return min(p.Limit, MaxPageSize)
}

// A Page is a part of a listing.
type Page[T any] struct {
	Items []T
	Next  string // cursor of the next page; empty on the last one
}

// AllOrganizations yields every organization, page by page. It ends after an error.
func AllOrganizations(ctx context.Context, s Store) iter.Seq2[policy.Organization, error] {
	return all(func(page PageRequest) (Page[policy.Organization], error) { return s.Organizations(ctx, page) })
}

// AllKeys yields every key of an organization, page by page. It ends after an error.
func AllKeys(ctx context.Context, s Store, organization string) iter.Seq2[apikey.Key, error] {
	return FindKeys(ctx, s, organization, Filter{})
}

// FindKeys yields the keys of an organization that a filter selects, page by page. It ends
// after an error.
func FindKeys(ctx context.Context, s Store, organization string, filter Filter) iter.Seq2[apikey.Key, error] {
	return all(func(page PageRequest) (Page[apikey.Key], error) {
		page.Filter = filter
		return s.Keys(ctx, organization, page)
	})
}

func all[T any](list func(PageRequest) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		request := PageRequest{Limit: MaxPageSize}
		for {
			page, err := list(request)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			request.Cursor = page.Next
		}
	}
}
