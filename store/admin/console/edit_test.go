package console

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
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

// submits sends a form and asserts the status and texts of the answer.
func (s *site) submits(target string, form url.Values, status int, texts ...string) string {
	s.Helper()
	w := s.post(target, form)
	require.Equal(s, status, w.Code, w.Body)
	for _, text := range texts {
		require.Contains(s, w.Body.String(), text)
	}
	if status == http.StatusSeeOther {
		return w.Header().Get("Location")
	}
	return w.Body.String()
}

var (
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	unescaped   = strings.NewReplacer("&#43;", "+", "&#39;", "'", "&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// carried returns the hidden values of a page's form, as a browser sends them.
func carried(page string) url.Values {
	form := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Add(m[1], unescaped.Replace(m[2]))
	}
	return form
}

// edits opens the form of a change, fills it in, and returns the page of the preview.
func (s *site) edits(do string, pairs ...string) (string, url.Values) {
	s.Helper()
	form := carried(s.shows("/o/acme/keys/k1/edit?do="+do, http.StatusOK, works[do].Title))
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	before := s.store.writes
	page := s.submits("/o/acme/keys/k1/preview", form, http.StatusOK, "Nothing is changed yet", works[do].Button)
	require.Equal(s, before, s.store.writes)
	return page, carried(page)
}

// makes makes a change by its form, its preview and its acceptance.
func (s *site) makes(do string, pairs ...string) {
	s.Helper()
	page, form := s.edits(do, pairs...)
	if strings.Contains(page, "To accept by name") {
		s.submits("/o/acme/keys/k1/apply", form, http.StatusConflict, "Something is in the way")
		form["accept"] = offered(page)
		s.submits("/o/acme/keys/k1/apply", form, http.StatusUnprocessableEntity, "needs a reason")
	}
	form.Set("reason", "as asked")
	location := s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther)
	require.Contains(s, location, "?done=saved")
}

// offered returns the kinds that a preview offers to accept.
func offered(page string) (kinds []string) {
	for _, m := range regexp.MustCompile(`name="accept" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		kinds = append(kinds, m[1])
	}
	return kinds
}

func (s *site) k1() apikey.Key {
	s.Helper()
	key, err := s.store.Store.Key(s.Context(), "k1")
	require.NoError(s, err)
	return key
}

func TestEveryChangeOfAKeyIsPreviewedAndMade(t *testing.T) {
	s := newSite(t)
	s.config.Roles = []string{"owner", "reader"}
	s.config.Projects = fixedProjects(nil, admin.Project{ID: "p1", Name: "Project one"}, admin.Project{ID: "p2"})
	s.person.Address = addr("198.51.100.9")

	s.makes("describe", "description", " <b>second</b> ")
	require.Equal(t, "<b>second</b>", s.k1().Description)
	s.shows("/o/acme/keys/k1/edit", http.StatusOK, `value="&lt;b&gt;second&lt;/b&gt;"`)

	s.makes("grants", "grant", "project=p2&role=reader", "grant", "all=1&project=&role=owner")
	require.Equal(t, []apikey.Grant{{Role: "reader", Project: "p2"}, {Role: "owner", AllProjects: true}}, s.k1().Grants)
	s.shows("/o/acme/keys/k1/edit?do=grants", http.StatusOK, `value="project=p2&amp;role=reader" checked`, "in project Project one", "in all projects")
	s.config.Projects = nil // the grants of the key stay on offer
	s.shows("/o/acme/keys/k1/edit?do=grants", http.StatusOK, `value="project=p2&amp;role=reader" checked`)
	s.apply("acme", admin.SetGrants("k1", apikey.Grant{Role: "former"}))
	s.shows("/o/acme/keys/k1/edit?do=grants", http.StatusOK, "<strong>former</strong> in the organization")

	s.makes("validity", "expires", "2027-01-01 18:30", "from", "2026-11-01")
	require.Equal(t, []time.Time{time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 18, 30, 0, 0, time.UTC)}, []time.Time{s.k1().NotBefore, s.k1().Expires})
	s.makes("validity", "expires", "", "from", "")

	s.makes("add", "entries", "198.51.100.0/24 expires=2027-01-01T00:00:00Z # the <office>\n# a note\n192.0.2.1")
	require.Equal(t, []string{"192.0.2.1", "198.51.100.0/24 expires=2027-01-01T00:00:00Z # the <office>", "203.0.113.7"}, listLines(s.k1().AccessList))
	s.shows("/o/acme/keys/k1/edit?do=entry&entry=198.51.100.0%2F24", http.StatusOK, `value="the &lt;office&gt;"`, `value="2027-01-01T00:00:00Z"`)
	s.makes("entry", "entry", "192.0.2.1", "comment", "home", "expires", "2027-02-01")
	s.makes("remove", "entry", "198.51.100.0/24")
	require.Equal(t, []string{"192.0.2.1 expires=2027-02-01T00:00:00Z # home", "203.0.113.7"}, listLines(s.k1().AccessList))

	page := s.shows("/o/acme/keys/k1", http.StatusOK, "Add my address, 198.51.100.9", "/keys/k1/edit?do=add")
	mine := carried(page)
	s.submits("/o/acme/keys/k1/preview", mine, http.StatusOK, "added: </span>198.51.100.9</ins>")

	s.makes("trial", "entries", "203.0.113.0/24")
	s.shows("/o/acme/keys/k1/edit?do=trial", http.StatusOK, ">203.0.113.0/24</textarea>")
	s.makes("discard")
	require.True(t, s.k1().TrialList.IsEmpty())
	s.makes("trial", "entries", "203.0.113.0/24")
	s.makes("enforce")
	require.Equal(t, []string{"203.0.113.0/24"}, listLines(s.k1().AccessList))

	s.makes("replace", "entries", "empty") // opens: accepted by name
	require.True(t, s.k1().AccessList.IsEmpty())
	s.makes("replace", "entries", "203.0.113.7")
	events := s.shows("/o/acme/events?key=k1", http.StatusOK, "Accepted: opens", "as asked", "via console")
	require.Contains(t, events, "by person ann from <code>198.51.100.9</code>")

	s.shows("/o/acme/keys/k1/edit?do=disable", http.StatusOK, "Switch it off now")
	form := carried(s.shows("/o/acme/keys/k1/edit?do=disable", http.StatusOK))
	s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther) // one confirmation
	require.True(t, s.k1().Disabled)
	s.submits("/o/acme/keys/k1/apply", form, http.StatusConflict, "Look at it again")
	s.shows("/o/acme/keys/k1", http.StatusOK, "Every call is refused", `create?like=k1">Make a replacement`)
	s.shows("/o/acme/create?like=k1", http.StatusOK, ">203.0.113.7</textarea>", `value="&lt;b&gt;second`)
	s.shows("/o/acme/create?like=foreign", http.StatusNotFound)
	s.makes("enable")
	require.False(t, s.k1().Disabled)

	page, form = s.edits("delete")
	form["accept"], form["reason"] = offered(page), []string{"not used any more"}
	require.Equal(t, []string{"organization_lockout"}, form["accept"])
	require.Equal(t, "./../../../../o/acme/keys?done=saved", s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther))
	s.submits("/o/acme/keys/k1/apply", form, http.StatusNotFound)
}

func TestCreateAKey(t *testing.T) {
	s := newSite(t)
	s.config.Roles = []string{"reader"}
	s.shows("/o/acme/keys", http.StatusOK, `href="./../../o/acme/create"`)
	form := carried(s.shows("/o/acme/create", http.StatusOK, "The secret is shown once", `name="id"`))
	form.Set("description", "Nightly <report>")
	form.Set("entries", "203.0.113.9 # runner")
	form.Set("expires", "2027-01-01")
	form.Set("grant", "project=&role=reader")
	form = carried(s.submits("/o/acme/create/preview", form, http.StatusOK, "role reader in the organization", "203.0.113.9 # runner"))
	page := s.submits("/o/acme/create/apply", form, http.StatusOK, "Copy the secret now", "Authorization: Bearer sp_")
	id := apikey.ID(form.Get("id"))
	key, err := s.store.Store.Key(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []any{"Nightly <report>", []apikey.Grant{{Role: "reader"}}, "acme"}, []any{key.Description, key.Grants, key.Organization})
	parsed, _, err := apikey.Parse(regexp.MustCompile(`sp_[a-zA-Z0-9_]+`).FindString(page))
	require.NoError(t, err)
	require.Equal(t, id, parsed)

	// A reload makes no second key, shows no secret, and leads to the key.
	writes := s.store.writes
	again := s.submits("/o/acme/create/apply", form, http.StatusConflict, "The key exists already", "/keys/"+string(id))
	require.Equal(t, writes, s.store.writes)
	require.NotContains(t, again, "sp_")
	require.NotEqual(t, form.Get("id"), carried(s.shows("/o/acme/create", http.StatusOK)).Get("id"))

	// The ID of a key of others leads nowhere.
	form.Set("id", "foreign")
	again = s.submits("/o/acme/create/apply", form, http.StatusConflict, "Look at it again")
	require.NotContains(t, again, "keys/foreign")

	// Without a list the key is open: only if accepted.
	form = carried(s.shows("/o/acme/create", http.StatusOK))
	form.Set("description", "open")
	form = carried(s.submits("/o/acme/create/preview", form, http.StatusOK, "To accept by name", `value="opens"`))
	s.submits("/o/acme/create/apply", form, http.StatusConflict, "Something is in the way")
	form.Set("accept", "opens")
	form.Set("reason", "moves around")
	s.submits("/o/acme/create/apply", form, http.StatusOK, "Copy the secret now")

	for name, value := range map[string]string{"description": " ", "entries": "10.0.0.1/8", "expires": "tomorrow", "grant": "role=admin", "id": ""} {
		wrong := url.Values{"id": {"k9"}, "description": {"d"}, "entries": {"10.0.0.1"}}
		wrong.Set(name, value)
		status := http.StatusUnprocessableEntity
		if name == "id" {
			status = http.StatusBadRequest
		}
		s.submits("/o/acme/create/preview", wrong, status, `role="alert"`)
		s.submits("/o/acme/create/apply", wrong, status)
	}
	s.submits("/o/acme/create/preview", url.Values{"id": {"no id"}, "description": {"d"}}, http.StatusUnprocessableEntity, `role="alert"`)
}

func TestRotate(t *testing.T) {
	s := newSite(t)
	_, form := s.edits("rotate", "overlap", "24h")
	page := s.submits("/o/acme/keys/k1/apply", form, http.StatusOK, "The key has a new secret", "Two secrets are live", "Saved.")
	require.Contains(t, page, "Bearer sp_k1_")
	require.NotContains(t, s.submits("/o/acme/keys/k1/apply", form, http.StatusConflict, "Look at it again"), "sp_k1_")
	require.Len(t, s.k1().Secrets, 2)

	form = carried(s.shows("/o/acme/keys/k1/edit?do=rotate", http.StatusOK))
	form.Set("overlap", "1h") // two are live already
	s.submits("/o/acme/keys/k1/preview", form, http.StatusConflict, "Look at it again")

	first := s.k1().Secrets[0].ID()
	s.shows("/o/acme/keys/k1", http.StatusOK, "edit?do=end&amp;secret="+first)
	s.shows("/o/acme/keys/k1/edit?do=end&secret="+first, http.StatusOK, `value="`+first+`" selected`)
	s.makes("end", "secret", first)
	require.False(t, s.k1().Secrets[0].Expires.After(day0))
	_, form = s.edits("rotate", "overlap", "0")
	s.submits("/o/acme/keys/k1/apply", form, http.StatusOK, "Every earlier secret has ended")
}

func TestTighten(t *testing.T) {
	s := newSite(t)
	s.shows("/o/acme/keys/k1/tighten", http.StatusOK, "No suggestion")
	office, err := accesslist.ParseEntry("198.51.100.0/24")
	require.NoError(t, err)
	office.Comment, office.Expires = "office", day0.Add(100*time.Hour)
	s.apply("acme", admin.AddEntries("k1", office))
	s.observed(40 * 24 * time.Hour)
	s.use("k1", "198.51.100.3", time.Hour)
	s.use("k1", "192.0.2.5", time.Hour)
	page := s.shows("/o/acme/keys/k1/tighten?budget=3", http.StatusOK, "removed: </span>203.0.113.7</del>", "removed: </span>198.51.100.0/24 expires=", "added: </span>198.51.100.3", "Left out", "192.0.2.5")
	form := carried(page)
	form.Set("do", "replace")
	form = carried(s.submits("/o/acme/keys/k1/preview", form, http.StatusOK, "Replace the access list?"))
	form.Set("accept", "breaks_key")
	form.Set("reason", "tightened")
	s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther)
	list := s.k1().AccessList
	require.Equal(t, 1, list.Len())
	require.True(t, list.Contains(addr("198.51.100.3"), day0))
	s.shows("/o/acme/keys/k1/tighten", http.StatusOK, "as narrow as the calls allow")
	for _, budget := range []string{"x", "0", "999999"} {
		s.shows("/o/acme/keys/k1/tighten?budget="+budget, http.StatusUnprocessableEntity, "aria-invalid")
	}
	s.shows("/o/acme/keys/foreign/tighten", http.StatusNotFound)
	s.store.fail = "Usage"
	s.shows("/o/acme/keys/k1/tighten", http.StatusServiceUnavailable)
}

// What is refused is said, with a way on, and changes nothing.
func TestRefusedEdits(t *testing.T) {
	s := newSite(t)
	for do, pairs := range map[string][]string{
		"add": {"entries", "10.0.0.1/8"}, "replace": {"entries", ""}, "trial": {"entries", "x"}, "validity": {"from", "soon"}, "entry": {"entry", "1.1.1.1"},
		"remove": {"entry", "1.1.1.1"}, "rotate": {"overlap", "2h"}, "end": {"secret", "x"}, "grants": {"grant", "role=admin"},
	} {
		form := carried(s.shows("/o/acme/keys/k1/edit?do="+do, http.StatusOK))
		form.Set(pairs[0], pairs[1])
		before := s.store.writes
		s.submits("/o/acme/keys/k1/preview", form, http.StatusUnprocessableEntity, `role="alert"`)
		s.submits("/o/acme/keys/k1/apply", form, http.StatusUnprocessableEntity, `role="alert"`)
		require.Equal(t, before, s.store.writes, do)
	}
	require.Equal(t, "a: b", (&wrongField{"a", "b"}).Error())
	s.submits("/o/acme/keys/k1/preview", url.Values{"do": {"add"}, "revision": {strconv.FormatUint(s.k1().Revision, 10)}, "entries": {"203.0.113.7"}}, http.StatusUnprocessableEntity, "203.0.113.7") // twice
	for _, form := range []url.Values{{"do": {"nonsense"}}, {"do": {"create"}}, {"do": {"delete"}}, {"do": {"delete"}, "revision": {"0"}}, {"do": {"delete"}, "revision": {"x"}}} {
		s.submits("/o/acme/keys/k1/preview", form, http.StatusBadRequest)
		s.submits("/o/acme/keys/k1/apply", form, http.StatusBadRequest)
	}

	s.shows("/o/acme/keys/k1/edit?do=nonsense", http.StatusBadRequest)
	s.key("acme", admin.NewKey{ID: "bare"}, "203.0.113.1")
	s.shows("/o/acme/keys/bare/edit", http.StatusOK, `keys/bare">bare</a>`)

	// Without a preview nothing but an emergency is made.
	_, form := s.edits("delete")
	form.Del("token")
	s.submits("/o/acme/keys/k1/apply", form, http.StatusOK, "Nothing is changed yet")

	// A key changed since the form is a conflict.
	_, form = s.edits("describe", "description", "mine")
	s.apply("acme", admin.Describe("k1", "theirs"))
	s.submits("/o/acme/keys/k1/apply", form, http.StatusConflict, "Look at it again")
	s.submits("/o/acme/keys/k1/preview", form, http.StatusConflict)
	require.Equal(t, "theirs", s.k1().Description)

	// An organization changed since the preview: the token no longer holds.
	_, form = s.edits("remove", "entry", "203.0.113.7")
	s.apply("acme", admin.SetRequirement(policy.ReportOnly))
	form.Set("accept", "opens")
	form.Set("reason", "x")
	s.submits("/o/acme/keys/k1/apply", form, http.StatusConflict, "Since the preview", "Nothing was changed")

	form = url.Values{"do": {"disable"}, "revision": {"1"}}
	s.submits("/o/acme/keys/foreign/apply", form, http.StatusNotFound)
	s.person.May = func(_ string, access admin.Access) bool { return access == admin.Read }
	for _, target := range []string{"/o/acme/keys/k1/edit", "/o/acme/keys/k1/tighten", "/o/acme/create"} {
		s.shows(target, http.StatusForbidden)
	}
	require.NotContains(t, s.shows("/o/acme/keys/k1", http.StatusOK), "/edit?do=")
	s.person.May = func(string, admin.Access) bool { return true }
	s.config.ReadOnly = true
	s.submits("/o/acme/keys/k1/apply", form, http.StatusForbidden, "Read only")
	require.NotContains(t, s.shows("/o/acme/keys", http.StatusOK), "Create a key")
	require.False(t, s.k1().Disabled)
}

func TestEditsWithAFailingStore(t *testing.T) {
	s := newSite(t)
	_, form := s.edits("describe", "description", "x")
	s.store.fail = "Write"
	s.submits("/o/acme/keys/k1/apply", form, http.StatusServiceUnavailable, "Nothing is known to be changed")
	s.store.fail, s.store.keys = "second Key", 0
	s.submits("/o/acme/keys/k1/preview", form, http.StatusServiceUnavailable)
	s.store.fail = ""
	require.Equal(t, "first", s.k1().Description)
	s.config.Projects = fixedProjects(errFault)
	s.shows("/o/acme/create", http.StatusServiceUnavailable)
	s.shows("/o/acme/keys/k1/edit?do=grants", http.StatusServiceUnavailable)
	for _, target := range []string{"/o/acme/create/preview", "/o/acme/create/apply"} {
		s.submits(target, url.Values{"id": {"k7"}}, http.StatusServiceUnavailable)
	}
}

func TestAChangeSaysWhetherItIsInForce(t *testing.T) {
	for _, end := range []struct {
		err  error
		code string
	}{{nil, "in-force"}, {errFault, "stored"}} {
		s := newSite(t)
		s.config.Replicas = []admin.Replica{replica{end.err}}
		form := carried(s.shows("/o/acme/keys/k1/edit?do=disable", http.StatusOK))
		require.Contains(t, s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther), "?done="+end.code)
		s.shows("/o/acme/keys/k1?done="+end.code, http.StatusOK, `role="status"`)
	}
	s := newSite(t)
	var err error
	s.config.Admin, err = admin.New(bare{s.store}, admin.WithPeopleManaging(), admin.WithEvents(func(context.Context, []store.Event) error { return errFault }))
	require.NoError(t, err)
	form := carried(s.shows("/o/acme/keys/k1/edit?do=disable", http.StatusOK))
	s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther)
	require.ErrorIs(t, s.told[0], errFault)
}

func TestMyAddress(t *testing.T) {
	s := newSite(t)
	for address, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "", "203.0.113.7": "", "203.0.113.70": ""} {
		s.person.Address = addr(address)
		key := s.k1()
		expired, err := accesslist.ParseEntry("203.0.113.70")
		require.NoError(t, err)
		expired.Expires = day0.Add(-time.Hour)
		key.AccessList, err = key.AccessList.With(expired)
		require.NoError(t, err)
		require.Equal(t, want, (&visit{person: s.person, now: day0}).mine(key))
	}
	six, err := accesslist.Parser{AllowIPv6: true}.Parse("2001:db8::/48")
	require.NoError(t, err)
	require.Equal(t, accesslist.Parser{AllowIPv6: true}, (&edit{key: apikey.Key{AccessList: six}}).parser())
}
