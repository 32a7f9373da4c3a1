package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/memory"
)

// Whatever Ann's browser sends: a page of the templates and nothing else in it, with its headers,
// no failure of the service, nothing of another organization, and no change of it. checkAnswer
// finds an element, an attribute or a link that came from a value.
func FuzzHandler(f *testing.F) {
	s := newSite(f)
	for _, r := range routes() {
		f.Add(r.Method, fill(r.Pattern, "acme", "k1"), "do=grants&done=saved&q=first&type=key.created", goodForm(s, r).Encode())
		f.Add(r.Method, fill(r.Pattern, "acme", "k2")+"/", "do=entry&like=k2&key=k2&address=10.0.0.1&budget=2", "do=replace&revision=1&entries=203.0.113.7+%23+%3Cb%3E")
		f.Add(r.Method, fill(r.Pattern, "globex", "foreign2"), url.Values{"key": {"foreign2"}, "q": {"zorg"}}.Encode(), "like=foreign2&id=foreign2")
	}
	for _, text := range hostile {
		f.Add("GET", "/o/acme/keys", url.Values{"q": {text}, "cursor": {text}, "status": {text}}.Encode(), "")
		f.Add("GET", "/o/acme/investigate", url.Values{"key": {text}, "paste": {`{"parameters":["192.0.2.1"],"key":"` + text + `"}`}}.Encode(), "")
		f.Add("POST", "/o/acme/preview", "", url.Values{"back": {text}, "key": {text}, "steps": {`[{"kind":"add_entries","entry":{"address":"1.1.1.1","comment":"` + text + `"}}]`}}.Encode())
	}
	f.Add("GET", "/o/%00/keys/%ff", "%zz&;", "\xff")
	f.Add("GET", "0", "", "") // at the mount point's name with more behind it
	f.Add("PROPFIND", "//evil.example/..", "?#", "{}")
	f.Fuzz(func(t *testing.T, method, path, query, form string) {
		parsed, err := url.Parse("/p" + path)
		if err != nil || parsed.Host != "" {
			return // no request has it
		}
		s.TB, s.store.Store, s.store.fail = t, memory.New(), ""
		s.populate()
		s.busy("Nightly")
		_, theirs := s.others()
		before := s.stateOf("globex")
		r := httptest.NewRequest(http.MethodGet, "/p", strings.NewReader(form))
		r.Method, r.URL, r.RequestURI = method, parsed, parsed.RequestURI()
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		w := s.do(r)
		require.Less(t, w.Code, 500, "%s", w.Body)
		require.Empty(t, leaked(w.Body.String(), decoded(path)+decoded(query)+decoded(form), theirs))
		require.Equal(t, before, s.stateOf("globex"))
	})
}

// decoded returns a text with and without its percent-encoding.
func decoded(text string) string {
	next := text
	for range 3 { // a query in a query
		if plain, err := url.QueryUnescape(next); err == nil {
			next = plain
		}
		text += next
	}
	return text
}
