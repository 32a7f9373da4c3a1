package adapter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

func TestCursor(t *testing.T) {
	for _, id := range []string{"a", "-", "\u00e9 \U0001f511", "../x", strings.Repeat("z", 256)} {
		after, err := adapter.After(store.PageRequest{Cursor: adapter.CursorAfter(id)})
		require.NoError(t, err)
		assert.Equal(t, id, after)
	}
	after, err := adapter.After(store.PageRequest{})
	require.NoError(t, err)
	assert.Empty(t, after)
	sound := adapter.CursorAfter("key")
	for name, cursor := range map[string]string{
		"of another form":          "2" + sound[1:],
		"without its form":         sound[1:],
		"with padding":             sound + "=",
		"with a line break":        sound[:3] + "\n" + sound[3:],
		"with a carriage return":   sound + "\r",
		"with other trailing bits": adapter.CursorAfter("a")[:2] + "R",
		"cut":                      sound[:2],
		"of nothing":               adapter.CursorAfter(""),
		"of a NUL":                 adapter.CursorAfter("a\x00"),
		"of no UTF-8":              adapter.CursorAfter("\xff"),
		"of a padded name":         adapter.CursorAfter("a "),
		"of a long name":           adapter.CursorAfter(strings.Repeat("z", 257)),
		"long":                     strings.Repeat("1", 1<<20),
		"a space":                  " ",
		"multibyte":                "\u00e9",
	} {
		after, err := adapter.After(store.PageRequest{Cursor: cursor})
		wantError(t, err, store.ErrInvalid)
		assert.Empty(t, after, name)
		require.Error(t, err, name)
		assert.Less(t, len(err.Error()), 600, name)
	}
}

// FuzzCursor: a text is the cursor of one identifier, or it is refused (S22).
func FuzzCursor(f *testing.F) {
	for _, cursor := range []string{"", "1", "1YQ", "1YR", "1YQ\n", "2YQ", "1AA", adapter.CursorAfter("organization \u00e9"), adapter.CursorAfter("\xff")} {
		f.Add(cursor)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := adapter.After(store.PageRequest{Cursor: text})
		switch {
		case err != nil:
			assert.ErrorIs(t, err, store.ErrInvalid)
			assert.Empty(t, id)
		case text == "":
			assert.Empty(t, id)
		default:
			assert.Equal(t, text, adapter.CursorAfter(id))
			assert.NoError(t, apikey.ValidateName("identifier", id))
		}
		// And every identifier has one, which reads back.
		if apikey.ValidateName("identifier", text) == nil {
			id, err := adapter.After(store.PageRequest{Cursor: adapter.CursorAfter(text)})
			assert.NoError(t, err)
			assert.Equal(t, text, id)
		}
	})
}

func TestNewPage(t *testing.T) {
	letters := func(n int) (all []string) {
		for i := range n {
			all = append(all, string(rune('a'+i)))
		}
		return all
	}
	itself := func(s string) string { return s }
	for n, next := range map[int]string{0: "", 1: "", 3: "", 4: "c", 5: "c"} {
		page := adapter.NewPage(store.PageRequest{Limit: 3}, letters(n), itself)
		assert.Equal(t, letters(min(n, 3)), page.Items, "%d records", n)
		if next == "" {
			assert.Empty(t, page.Next, "%d records", n)
			continue
		}
		after, err := adapter.After(store.PageRequest{Cursor: page.Next})
		require.NoError(t, err)
		assert.Equal(t, next, after, "%d records", n)
		assert.Equal(t, len(page.Items), cap(page.Items), "what is appended to a page must not reach the rest")
	}
}

func TestFilterKeys(t *testing.T) {
	// 2,500 keys in pages; every thousandth has the label.
	var asked []store.PageRequest
	read := func(request store.PageRequest) (page store.Page[apikey.Key], err error) {
		asked = append(asked, request)
		after, err := adapter.After(request)
		require.NoError(t, err)
		for i := 0; i < 2500; i++ {
			if id := fmt.Sprintf("%04d", i); id > after {
				key := apikey.Key{ID: apikey.ID(id)}
				if i%1000 == 400 {
					key.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "web"}}
				}
				page.Items = append(page.Items, key)
			}
		}
		return adapter.NewPage(request, page.Items, func(key apikey.Key) string { return string(key.ID) }), nil
	}
	list := func(request store.PageRequest) (all []apikey.ID, next string) {
		asked = nil
		page, err := adapter.FilterKeys(request, read)
		require.NoError(t, err)
		for _, key := range page.Items {
			all = append(all, key.ID)
		}
		return all, page.Next
	}
	team := store.Filter{Label: "team=web"}

	all, next := list(store.PageRequest{Filter: team})
	assert.Equal(t, []apikey.ID{"0400", "1400", "2400"}, all)
	assert.Empty(t, next)
	assert.Len(t, asked, 3)
	all, next = list(store.PageRequest{Filter: team, Limit: 1})
	assert.Equal(t, []apikey.ID{"0400"}, all)
	assert.Equal(t, adapter.CursorAfter("0400"), next)
	assert.Len(t, asked, 2, "up to the key that says that another page follows")
	all, next = list(store.PageRequest{Filter: team, Limit: 2, Cursor: next})
	assert.Equal(t, []apikey.ID{"1400", "2400"}, all)
	assert.Empty(t, next, "a full page is the last one if no key follows")
	all, next = list(store.PageRequest{Filter: store.Filter{Label: "none"}})
	assert.Empty(t, all)
	assert.Empty(t, next)
	all, next = list(store.PageRequest{Limit: 2})
	assert.Equal(t, []apikey.ID{"0000", "0001"}, all)
	assert.Equal(t, adapter.CursorAfter("0001"), next)
	assert.Equal(t, []store.PageRequest{{Limit: 2}}, asked, "without a filter the request is passed on")

	down := errors.New("down")
	page, err := adapter.FilterKeys(store.PageRequest{Filter: team}, func(store.PageRequest) (store.Page[apikey.Key], error) {
		return store.Page[apikey.Key]{Items: []apikey.Key{{Metadata: &apikey.Metadata{Labels: map[string]string{"team": "web"}}}}}, down
	})
	assert.ErrorIs(t, err, down)
	assert.Empty(t, page)
}

// A listing that does not filter refuses one, and its error is bounded.
func TestAfterRefusesAFilter(t *testing.T) {
	for _, filter := range []store.Filter{{Label: "team"}, {ExternalID: strings.Repeat("x", 1<<20)}} {
		_, err := adapter.After(store.PageRequest{Filter: filter})
		require.ErrorIs(t, err, store.ErrInvalid)
		assert.Less(t, len(err.Error()), 1000)
	}
}
