package adapter_test

import (
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
