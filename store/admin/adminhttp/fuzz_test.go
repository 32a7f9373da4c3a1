package adminhttp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// Whatever is asked, by whomever: JSON with its headers, no failure of the service, nothing of
// another organization, and no change of it.
func FuzzHandler(f *testing.F) {
	for _, route := range documentedOf(newWorld(f).handler) {
		f.Add(route.method, fill(route.pattern, ours()), "includeCount=true&pageNum=2", bodyOf(route), uint8(0))
		f.Add(route.method, fill(route.pattern, theirs()), "minDate=2026-01-01", bodyOf(route), uint8(1))
	}
	f.Add("POST", list, "pretty=true", `[{"ipAddress":"203.0.113.7"},{"cidrBlock":"::/0"}]`, uint8(0))
	f.Add("GET", list+"/%00%252F", "eventType=%zz&;", "\xff", uint8(9))
	f.Fuzz(func(t *testing.T, method, path, query, body string, by uint8) {
		w := newWorld(t)
		w.config.NewID = newID
		w.handler = newHandler(w.config)
		w.edit(stranger, func(k *apikey.Key) { k.Description = "only for globex" })
		theirs := w.stored(stranger)
		parsed, err := url.Parse(path)
		if err != nil || strings.ContainsAny(method, " \t\r\n") || method == "" {
			return // no request has these
		}
		parsed.RawQuery, parsed.Scheme, parsed.Host = query, "", ""
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, parsed
		callers := []apikey.ID{owner, viewer, lead, worker, ""}
		if id := callers[int(by)%len(callers)]; id != "" {
			r.Header.Set("Authorization", "Bearer "+w.secrets[id].Reveal())
		}
		answer := w.serve(r)
		checkAnswer(t, method, answer)
		require.Less(t, answer.Code, 500, "%s", answer.Body)
		require.NotContains(t, answer.Body.String(), "only for globex")
		require.NotContains(t, answer.Body.String(), theirs.Secrets[0].ID())
		require.True(t, theirs.Equal(w.stored(stranger)))
	})
}
