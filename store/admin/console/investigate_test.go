package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

func TestInvestigate(t *testing.T) {
	s := newSite(t)
	s.config.Projects = fixedProjects(nil, admin.Project{ID: "p1", Name: "Web <shop>"}, admin.Project{ID: "p2"})
	s.shows("/o/acme/investigate", http.StatusOK, "Find out", `<option value="p2">p2</option>`, "Web &lt;shop&gt;", `<option value="write">`)
	s.use("k1", "198.51.100.3", time.Hour)
	page := s.shows("/o/acme/investigate?key=k1&address=198.51.100.3&endpoint=read", http.StatusOK,
		"<strong>Refused.</strong> The address is not on the access list.", ">Answered</span>", "Add 198.51.100.3 to the access list until", "Add 198.51.100.3 to the access list.",
		"Refusals in the last 30 days", "Neither the key nor the organization has changed", `<option value="read" selected>`)
	require.NotContains(t, page, "aria-invalid")
	s.shows("/o/acme/investigate?key=k1&address=203.0.113.7", http.StatusOK, "<strong>Allowed.</strong> The address is on the access list")
	s.shows("/o/acme/investigate?key=foreign&address=203.0.113.7", http.StatusOK, "The key does not exist", "Check the ID")
	s.shows("/o/acme/investigate?key=k1&address=203.0.113.7&endpoint=write&project=p1&time=2026-11-28T12:00", http.StatusOK, "Give the key", "p1", "Changes since the call", "Key created", `value="2026-11-28T12:00:00"`)
	for query, text := range map[string]string{
		"key=k1": "Enter one address", "address=10.0.0.1": "Enter the ID of the key.", "key=k1&address=here": "Enter one address", "key=k1&address=10.0.0.1&endpoint=no": "no such endpoint",
		"key=k1&address=10.0.0.1&project=no": "no such project", "key=k1&address=10.0.0.1&time=noon": "Enter a date and a time", "key=k1&address=10.0.0.1&secret=xyz": "8 hexadecimal digits",
		"paste=%7B": "This is not a JSON object",
	} {
		require.NotContains(t, s.shows("/o/acme/investigate?"+query, http.StatusOK, text, `aria-invalid="true"`), "The answer")
	}
	s.force(admin.DisableKey("k1"))
	s.shows("/o/acme/investigate?key=k1&address=203.0.113.7", http.StatusOK, "The change behind it", "Key switched off")
	s.force(admin.EnableKey("k1"))
	s.shows("/o/acme/investigate?key=k1&address=203.0.113.7&unproven=on", http.StatusOK, "No live secret")
	s.store.fail = "Lookup"
	s.shows("/o/acme/investigate?key=k1&address=10.0.0.1", http.StatusServiceUnavailable)
	s.store.fail = ""
	s.person.May = func(_ string, access admin.Access) bool { return access == admin.Read }
	require.NotContains(t, s.shows("/o/acme/investigate?key=k1&address=10.0.0.1", http.StatusOK, "Add 10.0.0.1"), "See what this would do")
}

// A remedy leads to its preview, and from there back to the investigation, where the call passes.
func TestARemedyIsApplied(t *testing.T) {
	s := newSite(t)
	page := s.shows("/o/acme/investigate?key=k1&address=198.51.100.3", http.StatusOK)
	form := s.formOf(page, "preview") // the last one: without an end
	_, apply := s.previews(form, "Add 198.51.100.3 to the access list?")
	apply.Set("reason", "they moved")
	w := s.post("/o/acme/apply", apply)
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	require.Equal(t, "./../../o/acme/investigate?address=198.51.100.3&done=saved&key=k1", w.Header().Get("Location"))
	s.shows("/o/acme/investigate?address=198.51.100.3&done=saved&key=k1", http.StatusOK, "Saved.", "<strong>Allowed.</strong>")
}

// Every kind of remedy is made again from its values. A rotation has its own page.
func TestEveryRemedy(t *testing.T) {
	s := newSite(t)
	s.config.Projects = fixedProjects(nil, admin.Project{ID: "p1", Name: "Web"})
	s.key("acme", admin.NewKey{ID: "early", NotBefore: day0.Add(time.Hour)}, "203.0.113.7")
	s.key("acme", admin.NewKey{ID: "open"})
	s.key("acme", admin.NewKey{ID: "off", Disabled: true}, "203.0.113.7")
	end := day0.Add(time.Hour)
	s.key("acme", admin.NewKey{ID: "short", Expires: end, NotBefore: day0.Add(-time.Hour)}, "203.0.113.7")
	s.force(admin.SetRequirement(policy.Required))
	applies := func(query string, texts ...string) {
		t.Helper()
		page := s.shows("/o/acme/investigate?"+query, http.StatusOK)
		for i, part := range strings.Split(page, "<li><p>")[1:] {
			form := s.formOf(part, "preview")
			p, _ := s.previews(form)
			require.Contains(t, p, texts[i])
		}
		require.Equal(t, len(texts), strings.Count(page, "<li><p>"))
	}
	applies("key=early&address=203.0.113.7", "Let the key be valid without an end?")
	applies("key=off&address=203.0.113.7", "Switch the key on?")
	applies("key=short&address=203.0.113.7&time=2026-11-29T13:30", "Let the key be valid from 2026-11-29T11:00:00Z until 2026-11-30T13:30:00Z?")
	applies("key=k1&address=203.0.113.7&endpoint=write&project=p1", "<h1>Give the key the role &#34;owner&#34; for the project &#34;p1&#34;?")
	applies("key=open&address=203.0.113.7", "Add 203.0.113.7 to the access list until 2026-11-30T12:00:00Z?", "Add 203.0.113.7 to the access list?", "Suspend the requirement until 2026-11-29T13:00:00Z?", "Report only?")
	s.force(admin.EditEntries("k1", entryUntil(t, "203.0.113.7", day0.Add(time.Minute))))
	applies("key=k1&address=203.0.113.7&time=2026-11-29T12:02", "Renew the entry 203.0.113.7 until")
	s.force(admin.DisableOrganization())
	applies("key=early&address=203.0.113.7&time=2026-11-29T13:30", "Switch the organization on")
	page := s.shows("/o/acme/investigate?key=off&address=198.51.100.3", http.StatusOK, "More than one line is in the way", "<li>The address is not on the access list</li>")
	s.previews(s.formOf(page, "preview"), "3 changes")
	s.apply("acme", admin.EnableOrganization())

	key, err := s.store.Key(t.Context(), "k1")
	require.NoError(t, err)
	s.apply("acme", admin.EndSecret("k1", key.Secrets[0].ID(), day0))
	s.shows("/o/acme/investigate?key=k1&address=203.0.113.7", http.StatusOK, "Rotate the key", "Open the key")
	s.apply("acme", admin.DeleteKey("k1"))
	s.shows("/o/acme/investigate?key=k1&address=203.0.113.7", http.StatusOK, "Changes of this key", "Key deleted")
}

func TestAPastedRefusal(t *testing.T) {
	s := newSite(t)
	d := policy.Evaluate(policy.Subject{}, policy.Request{Key: "k1", Client: addr("198.51.100.3"), Endpoint: &policy.Endpoint{Name: "read"}, Organization: "acme"}, day0)
	line, err := json.Marshal(map[string]any{"time": "2026-11-29T11:00:00.5Z", "msg": "call", "decision": d})
	require.NoError(t, err)
	for paste, want := range map[string]url.Values{
		`{"type":"about:blank","status":403,"code":"IP_ADDRESS_NOT_ON_ACCESS_LIST","parameters":["198.51.100.3", 7, "x"]}`: {"address": {"198.51.100.3"}},
		`{"error":403,"errorCode":"X","parameters":["2001:db8::1"],"reason":"Forbidden"}`:                                  {"address": {"2001:db8::1"}},
		`{"key":"k1","secret":"0123abcd","reason":"wrong_secret","kind":"possible_proxy","project":"p"}`:                   {"key": {"k1"}, "secret": {"0123abcd"}, "unproven": {"on"}, "proxy": {"on"}, "project": {"p"}},
		string(line): {"key": {"k1"}, "address": {"198.51.100.3"}, "endpoint": {"read"}, "time": {"2026-11-29T11:00:00.5Z"}},
	} {
		got, err := readRefusal(paste)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	s.shows("/o/acme/investigate?paste="+url.QueryEscape(string(line)), http.StatusOK, "<strong>Refused.</strong> The address is not on the access list", `value="2026-11-29T11:00:00"`)
	s.shows("/o/acme/investigate?paste="+url.QueryEscape(`{"parameters":["198.51.100.3"]}`), http.StatusOK, `value="198.51.100.3"`, "Enter the ID of the key")
	require.NotContains(t, s.shows("/o/acme/investigate?paste="+url.QueryEscape(`{"key":"</textarea><script>","a":1`), http.StatusOK), "<script")
	require.Equal(t, apikey.ID("k1"), d.KeyID())
}

func entryUntil(t *testing.T, address string, until time.Time) accesslist.Entry {
	t.Helper()
	entry, err := accesslist.ParseEntry(address)
	require.NoError(t, err)
	entry.Expires = until
	return entry
}
