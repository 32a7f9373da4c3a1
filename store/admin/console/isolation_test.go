package console

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// goodForm returns the values with which a route does its work, of acme and its key k1. A route
// with a form has a line here.
func goodForm(s *site, r route) url.Values {
	revision := strconv.FormatUint(s.k1().Revision, 10)
	forms := map[string]url.Values{
		"/o/{organization}/create/preview":     {"id": {"new"}, "description": {"d"}, "entries": {"203.0.113.9"}},
		"/o/{organization}/create/apply":       {"id": {"new"}, "description": {"d"}, "entries": {"203.0.113.9"}},
		"/o/{organization}/keys/{key}/preview": {"do": {"describe"}, "description": {"other"}, "revision": {revision}},
		"/o/{organization}/keys/{key}/apply":   {"do": {"disable"}, "reason": {"x"}, "revision": {revision}},
		"/o/{organization}/preview":            {"key": {"k1"}, "steps": {`[{"kind":"add_entries","entry":{"address":"203.0.113.9"}}]`}},
		"/o/{organization}/apply":              {"key": {"k1"}, "steps": {`[{"kind":"add_entries","entry":{"address":"203.0.113.9"}}]`}, "reason": {"x"}},
		"/o/{organization}/investigate":        {"key": {"k1"}, "address": {"198.51.100.3"}},
	}
	form, ok := forms[r.Pattern]
	require.True(s, ok || r.Method == http.MethodGet, "%s needs a form", r.Pattern)
	if form == nil {
		form = url.Values{}
	}
	return form
}

// requestOf returns a request of a route, with a form or a query.
func (s *site) requestOf(r route, organization, key string, form url.Values) *http.Request {
	target := "/p" + fill(r.Pattern, organization, key)
	if r.Method == http.MethodGet {
		return httptest.NewRequest(r.Method, target+"?"+form.Encode(), nil)
	}
	q := httptest.NewRequest(r.Method, target, strings.NewReader(form.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.Header.Set("Sec-Fetch-Site", "same-origin")
	return q
}

func (s *site) visits(r route, organization, key string, form url.Values) *httptest.ResponseRecorder {
	s.Helper()
	return s.do(s.requestOf(r, organization, key, form))
}

// names returns the names of all parameters of links and forms that a crawl finds.
func names(s *site) map[string]bool {
	found := map[string]bool{}
	for _, p := range s.crawl("") {
		for _, n := range p.root.all("input", "select", "textarea", "button") {
			found[n.attrs["name"]] = true
		}
		for _, n := range p.root.all("a") {
			_, query, _ := strings.Cut(n.attrs["href"], "?")
			values, err := url.ParseQuery(query)
			require.NoError(s, err)
			for name := range values {
				found[name] = true
			}
		}
	}
	delete(found, "")
	return found
}

// others fills globex. It returns the kinds of IDs there, each beside an unknown one of the same
// form, and texts to be kept from Ann.
func (s *site) others() (ids [][2]string, texts []string) {
	s.Helper()
	entry, err := accesslist.ParseEntry("192.0.2.200")
	require.NoError(s, err)
	entry.Comment = "zorg comment"
	s.key("globex", admin.NewKey{ID: "foreign2", Description: "zorg purpose", ExternalID: "zorg-external", Labels: map[string]string{"zorg": "zorg-label"}, Entries: []accesslist.Entry{entry}, Grants: []apikey.Grant{{Role: "zorgrole", Project: "globex-web"}}})
	result, err := s.admin.Apply(s.Context(), admin.ByPerson("gus@globex", "Gus", addr("192.0.2.201")), "globex", admin.ApplyOptions{Reason: "zorg reason"},
		admin.SetName("Industries of zorg"), admin.SetRequirement(policy.ReportOnly), admin.Rotate("foreign2", time.Hour))
	require.NoError(s, err)
	s.use("foreign", "192.0.2.202", time.Hour)
	s.use("foreign2", "192.0.2.202", time.Hour)
	page, err := s.store.Store.Keys(s.Context(), "globex", store.PageRequest{Limit: 1})
	require.NoError(s, err)
	projects := s.config.Projects
	s.config.Projects = func(ctx context.Context, organization string) iter.Seq2[admin.Project, error] {
		if organization == "globex" {
			return fixedProjects(nil, admin.Project{ID: "globex-web", Name: "Shop of zorg"})(ctx, organization)
		}
		return projects(ctx, organization)
	}
	secret := result.Secrets[0].ID
	ids = [][2]string{{"globex", "absent"}, {"foreign2", "absentt2"}, {"globex-web", "absent-web"}, {secret, "0bad0bad"}, {result.Events[0].ID(), "0000000000ffffff00000000"}, {page.Next, ""}}
	return ids, []string{"zorg", "192.0.2.20", "Gus", secret}
}

// ofIDs are the places for IDs. Every other place, a new one too, is tried with those of an
// organization and a key.
var ofIDs = []string{"organization in the path", "key in the path", "key", "like", "id", "q", "secret", "entry", "grant", "steps", "back", "project", "cursor", "history", "revision", "token"}

// A session of one organization that reaches another's: every route, with every ID of others in
// every place that a link or a form has. The answer is the same as for an ID of nothing, has
// nothing of theirs, and changes nothing of theirs.
func TestNoPageOfAnotherOrganization(t *testing.T) {
	tried := 0
	places := names(newSite(t).busy("Nightly"))
	for _, further := range []string{"organization in the path", "key in the path", "cursor", "history", "back"} { // the lists of that world have one page, and no call is refused
		places[further] = true
	}
	for _, known := range ofIDs {
		require.Contains(t, places, known)
	}
	for _, r := range routes() {
		var w *isolated
		for place := range places {
			if !strings.Contains(r.Pattern, "{organization}") && strings.HasPrefix(place, "organization") || !strings.Contains(r.Pattern, "{key}") && place == "key in the path" {
				continue
			}
			for n := range 6 {
				if n > 1 && !slices.Contains(ofIDs, place) {
					break
				}
				var pages [2]string
				for i := range pages {
					if w == nil || strings.HasSuffix(r.Pattern, "/apply") { // it changes acme
						w = newIsolated(t)
					}
					pages[i] = w.tries(r, place, w.ids[n][i])
					tried++
				}
				// A new key's ID is one of the whole store. A revision and a cursor name no record.
				if place != "id" && place != "revision" && n < 5 && pages[0] != pages[1] {
					require.Equal(t, random.ReplaceAllString(pages[1], "RANDOM"), random.ReplaceAllString(pages[0], "RANDOM"), "%s %s", r.Pattern, place)
				}
			}
		}
	}
	require.Greater(t, tried, 1500)
}

// An isolated is a site whose globex must stay as it is, and unseen.
type isolated struct {
	*site
	ids    [][2]string
	theirs []string
	before string
}

func newIsolated(t *testing.T) *isolated {
	w := &isolated{site: newSite(t).busy("Nightly")}
	w.ids, w.theirs = w.others()
	w.before = w.stateOf("globex")
	return w
}

// tries makes a good request with this ID in this place, and returns the answer with "ID" for it.
func (w *isolated) tries(r route, place, id string) string {
	w.Helper()
	organization, key, form := "acme", "k1", goodForm(w.site, r)
	switch place {
	case "organization in the path":
		organization = id
	case "key in the path":
		key = id
	case "steps":
		form.Set(place, `[{"kind":"add_grants","grant":{"role":"owner","project":"`+id+`"}}]`)
	case "grant":
		form.Set(place, url.Values{"role": {"reader"}, "project": {id}}.Encode())
	default:
		form.Set(place, id)
	}
	answer := w.visits(r, organization, key, form)
	require.Less(w, answer.Code, 500, "%s %s=%s", r.Pattern, place, id)
	require.Empty(w, leaked(answer.Body.String(), id, w.theirs), "%s %s=%s", r.Pattern, place, id)
	require.Equal(w, w.before, w.stateOf("globex"), "%s %s=%s", r.Pattern, place, id)
	return strings.ReplaceAll(fmt.Sprint(answer.Code, answer.Header(), answer.Body), id, "ID")
}

// random are the IDs of secrets and new keys, secrets and tokens.
var random = regexp.MustCompile(`sp_\w+|\b[0-9a-f]{8,}\b|\b[a-z0-9]{20}\b`)

var escaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// leaked returns the first of some texts in a page, if it was not sent. Random characters can spell
// a word, or a part of a random one.
func leaked(page, sent string, theirs []string) string {
	for _, text := range theirs {
		switch {
		case !strings.Contains(page, text) || strings.Contains(sent, text):
		case random.FindString(text) == text:
			if slices.Contains(random.FindAllString(escaped.ReplaceAllString(page, " "), -1), text) {
				return text
			}
		case random.MatchString(text), strings.Contains(random.ReplaceAllString(page, ""), text):
			return text
		}
	}
	return ""
}

// stateOf returns all records and events of an organization.
func (s *site) stateOf(organization string) string {
	s.Helper()
	var b strings.Builder
	o, err := s.store.Store.Organization(context.Background(), organization)
	require.NoError(s, err)
	require.NoError(s, json.NewEncoder(&b).Encode(o))
	for key, err := range store.AllKeys(context.Background(), s.store.Store, organization) {
		require.NoError(s, err)
		require.NoError(s, json.NewEncoder(&b).Encode(key))
	}
	for event, err := range store.AllEvents(context.Background(), s.store.Store, store.EventRequest{Organization: organization}) {
		require.NoError(s, err)
		require.NoError(s, json.NewEncoder(&b).Encode(event))
	}
	return b.String()
}

func TestLeaked(t *testing.T) {
	const id, key = "7fcc8d41", "abcdefghij0123456789"
	for page, want := range map[string]string{
		"secret 7fcc8d41 of":                          id,
		"?back=%2Fkeys%3Dx%26id%3D7fcc8d41%26":        id,
		"token 01237fcc8d4189abcdef0123456789ab":      "",
		"of globex":                                   "globex",
		"sp_globex1234":                               "",
		"/organizations/globex/keys/" + key + "/list": "globex/keys/" + key,
	} {
		require.Equal(t, want, leaked(page, "", []string{id, "globex/keys/" + key, "globex"}), page)
		require.Empty(t, leaked(page, page, []string{id, "globex/keys/" + key, "globex"}), "it was sent")
	}
}
