package adapter

import (
	"encoding/base64"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// cursorPrefix tells a cursor from other text, and this form from later ones.
const cursorPrefix = "1"

// After returns the identifier before the page, empty for the first page: records with
// greater identifiers follow (S20, S21). The error is store.ErrInvalid if the cursor was
// not made by [CursorAfter] (S22), or if the request has a filter: [FilterKeys] takes those
// of keys (S29).
func After(page store.PageRequest) (string, error) {
	if err := noFilter(page.Filter); err != nil {
		return "", err
	}
	if page.Cursor == "" {
		return "", nil
	}
	if page.Cursor[:1] == cursorPrefix {
		id, err := base64.RawURLEncoding.DecodeString(page.Cursor[1:])
		// Decoding alone would skip line breaks and accept bytes that databases refuse. A
		// genuine cursor reads back as itself and has an identifier.
		if err == nil && CursorAfter(string(id)) == page.Cursor && apikey.ValidateName("cursor", string(id)) == nil {
			return string(id), nil
		}
	}
	return "", fmt.Errorf("store: %w: cursor %.100q: want the Next of an earlier page", store.ErrInvalid, page.Cursor)
}

// CursorAfter returns the cursor of the page that begins after the record with this
// identifier.
func CursorAfter(id string) string {
	return cursorPrefix + base64.RawURLEncoding.EncodeToString([]byte(id))
}

// NewPage returns the page of the records that follow [After], in ascending order. Read up
// to page.Size()+1 records: the one too many says that another page follows. id returns a
// record's identifier.
func NewPage[T any](page store.PageRequest, records []T, id func(T) string) store.Page[T] {
	size := page.Size()
	if len(records) <= size {
		return store.Page[T]{Items: records}
	}
	return store.Page[T]{Items: records[:size:size], Next: CursorAfter(id(records[size-1]))}
}
