package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// callers returns the owner's key, the key report, Ann, and Gus of another organization.
func callers(t *testing.T) (owner, report, ann, gus caller) {
	api, operators, ownerSecret, reportSecret := start(t, loopback)
	owner = caller{base: api, client: "198.51.100.7", secret: ownerSecret.Reveal()}
	report = caller{base: api, client: "203.0.113.7", secret: reportSecret.Reveal()}
	ann = caller{base: operators, client: "198.51.100.20", person: "ann@acme.example"}
	gus = caller{base: operators, client: "198.51.100.21", person: "gus@globex.example"}
	return owner, report, ann, gus
}

// shownOnce returns the secret in the answer to an order.
func shownOnce(t *testing.T, answer string) string {
	var made struct {
		Secrets []newSecret `json:"secretsShownOnce"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	require.Len(t, made.Secrets, 1)
	return made.Secrets[0].Secret
}

const changesOfAcme = "/organizations/acme/changes"

func (c caller) must(t *testing.T, method, path, body string, status int) string {
	t.Helper()
	got, answer, err := c.do(t.Context(), method, path, body)
	require.NoError(t, err)
	require.Equal(t, http.StatusText(status), got[4:], "%s %s %s: %s", method, path, body, answer)
	return string(answer)
}

// Every kind that is offered, and what is wrong with an order. Unless it says "apply" nothing
// is written.
func TestOrders(t *testing.T) {
	_, _, ann, _ := callers(t)
	for _, test := range []struct {
		order  string // the changes, or all of it
		status int
		want   string // part of the answer
	}{
		{`{"kind": "create_key", "grants": [{"role": "reader", "project": "atlas"}], "entries": [{"address": "192.0.2.1", "expires": "2099-01-01T00:00:00Z"}]}`, 200, `"widens":1`},
		{`{"kind": "create_key", "grants": [], "entries": [], "description": "open"}`, 200, `"kind":"opens"`},
		{`{"kind": "describe", "key": "report", "description": "nightly"}`, 200, `"unchanged":1`},
		{`{"kind": "set_labels", "key": "report", "labels": {"team": "finance"}}`, 200, `"unchanged":1`},
		{`{"kind": "add_grants", "key": "report", "grants": [{"role": "auditor"}]}`, 200, `"widens":1`},
		{`{"kind": "remove_grants", "key": "report", "grants": [{"role": "reader"}]}`, 200, `"after":"role_missing"`},
		{`{"kind": "add_entries", "key": "report", "entries": [{"address": "192.0.2.0/28"}]}`, 200, `"widens":1`},
		{`{"kind": "edit_entries", "key": "report", "entries": [{"address": "203.0.113.0/24", "comment": "office"}]}`, 200, `"unchanged":1`},
		{`{"kind": "remove_entries", "key": "report", "entries": [{"address": "203.0.113.0/24"}]}`, 200, `"after":"organization_requires_access_list"`},
		{`{"kind": "replace_entries", "key": "report", "entries": [{"address": "203.0.113.7"}]}`, 200, `"after":"address_not_listed"`},
		{`{"kind": "rotate", "key": "report", "overlap": "24h"}`, 200, `"token":`},
		{`{"kind": "rotate", "key": "report", "overlap": "0s"}`, 200, `"after":"wrong_secret"`},
		{`{"kind": "disable_key", "key": "report"}`, 200, `"after":"key_disabled"`},
		{`{"kind": "enable_key", "key": "report"}`, 200, `"unchanged":1`},
		{`{"kind": "delete_key", "key": "report"}`, 200, `"after":"unknown_key"`},
		{`{"kind": "set_requirement", "requirement": "report_only"}`, 200, `"unchanged":2`},
		{`{"kind": "suspend_requirement"}`, 200, `"unchanged":2`},
		{`{"kind": "disable_key", "key": "owner"}, {"kind": "disable_key", "key": "report"}`, 200, `"kind":"organization_lockout"`},

		{`{"kind": "suspend_requirement", "until": "2099-01-01T00:00:00Z"}`, 400, `24 hours at most`},
		{`{"kind": "resume_requirement"}`, 200, `"findings":[]`}, // none is running
		{`{"kind": "end_secret", "key": "report", "secret": "sallyport_secret"}`, 400, `"class":"invalid"`},
		{`{"kind": "disable_key", "key": "report", "revision": 1}`, 409, `"class":"conflict"`},
		{`{"kind": "disable_key", "key": "nonesuch"}`, 404, `"class":"not_found"`},
		{`{"kind": "disable_key"}`, 400, `names no key`},
		{`{"kind": "rotate", "key": "report"}`, 400, `rotate needs \"overlap\"`},
		{`{"kind": "rotate", "key": "report", "overlap": "soon"}`, 400, `soon`},
		{`{"kind": "set_requirement"}`, 400, `needs \"requirement\"`},
		{`{"kind": "set_requirement", "requirement": "maybe"}`, 400, `maybe`},
		{`{"kind": "add_entries", "key": "report", "entries": [{"address": "192.0.2.1", "expiry": "2099-01-01T00:00:00Z"}]}`, 400, `expiry`},
		{`{"kind": "add_entries", "key": "report", "entries": [{"address": "192.0.2.1"}], "expires": "2099-01-01T00:00:00Z"}`, 400, `add_entries has no \"expires\"`},
		{`{"kind": "add_entries", "key": "report", "entries": [{"address": "2001:db8::1"}]}`, 400, `2001:db8::1`},
		{`{"kind": "add_entries", "key": "report", "entries": null}`, 400, `null`},
		{`{"kind": "add_grants", "key": "report", "grants": [{"role": "raeder"}]}`, 400, `raeder`},
		{`{"kind": "add_grants", "key": "report", "grants": [{"role": "reader", "project": "gamma"}]}`, 400, `gamma`}, // of globex
		{`{"kind": "grant_all", "key": "report"}`, 400, `grant_all`},
		{`{"kind": "remove_grants", "key": "report", "grants": [{"role": "reader", "project": "closed"}]}`, 400, `does not have the role`}, // whatever the service knows: to take away is always possible
		{`{"kind": "rotate", "key": "report", "overlap": null}`, 400, `rotate needs \"overlap\"`},
		{`{"kind": "set_requirement", "requirement": null}`, 400, `needs \"requirement\"`},
		{`{"kind": "set_requirement", "requirement": "report_only", "key": "report"}`, 400, `set_requirement has no \"key\"`},
		{`{"kind": "suspend_requirement", "key": "report"}`, 400, `suspend_requirement has no \"key\"`},
		{`{"kind": "add_grants", "key": "report", "grants": [{"role": "owner", "projct": "atlas"}]}`, 400, `projct`},
		{`7`, 400, `Change 1 cannot be read`},
		{``, 400, `"class":"invalid"`},
		{`{"changes": [], "aply": true}`, 400, `aply`},
		{`{"changes": []} {}`, 400, `goes on`},
		{`{"changes": [], "` + strings.Repeat("a", 1<<16) + `": 1}`, 400, `unknown field`},
		{`{"changes": [{"kind": "suspend_requirement", "until": "` + strings.Repeat("a", 1<<16) + `"}]}`, 400, `parsing time`},
		{`{"changes": [{"kind": "disable_key", "key": "report"}], "apply": true, "token": "none"}`, 400, `token`},
		{`{"changes": [{"kind": "disable_key", "key": "report"}], "reason": "` + strings.Repeat("a", 1<<20) + `"}`, 400, `too large`},
	} {
		order := test.order
		if !strings.HasPrefix(order, `{"changes"`) {
			order = `{"changes": [` + order + `]}`
		}
		answer := ann.must(t, http.MethodPost, changesOfAcme, order, test.status)
		require.Contains(t, answer, test.want, "%.200s", order)
		require.Less(t, len(answer), 4000)
	}
	require.NotContains(t, ann.must(t, http.MethodGet, "/organizations/acme/events", "", 200), "ann@acme.example", "previews and refusals wrote something")
}

// A change goes ahead with the token of its preview and with its findings accepted, as long
// as the preview holds.
func TestPreviewThenApply(t *testing.T) {
	owner, _, ann, _ := callers(t)
	const open = `"changes": [{"kind": "set_requirement", "requirement": "not_required"},
		{"kind": "create_key", "key": "open", "grants": [{"role": "reader"}], "entries": []}]`
	var preview admin.Preview
	require.NoError(t, json.Unmarshal([]byte(ann.must(t, http.MethodPost, changesOfAcme, `{`+open+`}`, 200)), &preview))
	require.Equal(t, []admin.Kind{admin.Opens}, preview.Needs())
	token := `"apply": true, "token": "` + preview.Token + `", `
	require.Contains(t, ann.must(t, http.MethodPost, changesOfAcme, `{`+token+open+`}`, 409), `"class":"refused"`)
	require.Contains(t, ann.must(t, http.MethodPost, changesOfAcme, `{`+token+`"accept": ["opens"], `+open+`}`, 400), `reason`)

	// Meanwhile the owner's key changes the organization.
	owner.must(t, http.MethodPost, changesOfAcme, `{"apply": true, "changes": [{"kind": "set_requirement", "requirement": "report_only"}]}`, 200)
	const accept = `"accept": ["opens"], "reason": "a trial", `
	changed := ann.must(t, http.MethodPost, changesOfAcme, `{`+token+accept+open+`}`, 409)
	require.Contains(t, changed, `"class":"changed"`)

	var refusal struct{ Preview admin.Preview }
	require.NoError(t, json.Unmarshal([]byte(changed), &refusal))
	token = `"apply": true, "token": "` + refusal.Preview.Token + `", `
	made := ann.must(t, http.MethodPost, changesOfAcme, `{`+token+accept+open+`}`, 200)
	require.Contains(t, made, `"inForce":true`)

	// The secret is there once, and works.
	secret := shownOnce(t, made)
	require.Equal(t, 1, strings.Count(made, secret))
	open1 := caller{base: owner.base, client: "192.0.2.99", secret: secret}
	open1.must(t, http.MethodGet, "/organizations/acme/projects", "", 200)
	for _, path := range []string{"", "/keys", "/keys/open", "/events"} {
		require.NotContains(t, ann.must(t, http.MethodGet, "/organizations/acme"+path, "", 200), secret)
	}
	require.Contains(t, ann.must(t, http.MethodGet, "/organizations/acme/events?key=open", "", 200), `"reason":"a trial","accepted":["opens"]`)
	require.Contains(t, ann.must(t, http.MethodGet, "/organizations/acme", "", 200), `"requirement":"not_required"`)
}

// Who may do what.
func TestWhoMay(t *testing.T) {
	owner, report, ann, gus := callers(t)
	const disable, suspend = `{"apply": true, "changes": [{"kind": "disable_key", "key": "report"}]}`, `{"changes": [{"kind": "suspend_requirement"}]}`
	made := owner.must(t, http.MethodPost, changesOfAcme, `{"apply": true, "changes": [{"kind": "create_key", "key": "audit", "grants": [{"role": "auditor"}], "entries": [{"address": "203.0.113.9"}]}]}`, 200)
	auditor := caller{base: owner.base, client: "203.0.113.9", secret: shownOnce(t, made)}
	nobody, elsewhere, mallory := ann, owner, caller{base: owner.base, client: ann.client, person: ann.person}
	nobody.person, elsewhere.client = "mallory", "192.0.2.1"
	for _, test := range []struct {
		who        caller
		method, at string
		order      string
		status     int
		want       string
	}{
		{auditor, "GET", "acme/keys", "", 200, `"id":"report"`},
		{auditor, "GET", "acme/events", "", 200, `"actor":{"kind":"key","id":"owner"`},
		{auditor, "POST", "acme/changes", disable, 403, "API_KEY_LACKS_ROLE"},
		{report, "GET", "acme/keys", "", 403, "API_KEY_LACKS_ROLE"},
		{report, "POST", "acme/changes", disable, 403, "API_KEY_LACKS_ROLE"},
		{owner, "GET", "globex/keys", "", 403, "API_KEY_NOT_IN_ORGANIZATION"},
		{owner, "POST", "globex/changes", disable, 403, "API_KEY_NOT_IN_ORGANIZATION"},
		{owner, "POST", "acme/changes", suspend, 403, `"class":"forbidden"`},
		{elsewhere, "POST", "acme/changes", disable, 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"},
		{mallory, "POST", "acme/changes", disable, 401, "API_KEY_REQUIRED"}, // the header is the login proxy's
		{nobody, "GET", "acme/keys", "", 403, `Sign in`},
		{gus, "GET", "acme", "", 404, `"class":"not_found"`},
		{gus, "GET", "acme/keys/report", "", 404, `"class":"not_found"`},
		{gus, "GET", "acme/events", "", 404, `"class":"not_found"`},
		{gus, "POST", "acme/changes", disable, 404, `"class":"not_found"`},
		{gus, "GET", "globex", "", 404, `"class":"not_found"`}, // not created
		{ann, "POST", "acme/changes", suspend, 200, `"token"`},
		{ann, "GET", "acme/keys?label=team", "", 200, `{"keys":[],"next":""}`},
		{ann, "GET", "acme/keys?cursor=none%20such", "", 400, `"class":"invalid"`},
		{ann, "GET", "acme/events?cursor=99-none", "", 400, `"class":"invalid"`},
		{ann, "GET", "acme/events?cursor=99", "", 400, `"class":"invalid"`},
		{ann, "GET", "acme/events?cursor=x-none", "", 400, `"class":"invalid"`},
		{ann, "GET", "acme/keys/report", "", 200, `"status":"active"`},
		{ann, "POST", "acme/changes", disable, 200, `"inForce":true`},
		{ann, "GET", "acme/keys/report", "", 200, `"status":"disabled"`},
	} {
		answer := test.who.must(t, test.method, "/organizations/"+test.at, test.order, test.status)
		require.Contains(t, answer, test.want, "%s %s %s", test.method, test.at, test.order)
	}

	// A page of another site, in Ann's browser: it sends her session, or the owner's key as
	// Basic credentials.
	for _, base := range []string{ann.base, owner.base} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+base+changesOfAcme, strings.NewReader(disable))
		require.NoError(t, err)
		r.Header.Set(signedIn, ann.person)
		r.Header.Set("X-Forwarded-For", owner.client)
		r.SetBasicAuth("owner", owner.secret)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, errors.Join(err, answer.Body.Close()))
		require.Equal(t, http.StatusForbidden, answer.StatusCode)
	}
}

// Events come in pages, the newest first.
func TestEventPages(t *testing.T) {
	_, _, ann, _ := callers(t)
	const writes = 60
	for i := range writes {
		ann.must(t, http.MethodPost, changesOfAcme, `{"apply": true, "changes": [{"kind": "describe", "key": "report", "description": "`+strings.Repeat("a", i+1)+`"}]}`, 200)
	}
	seen, cursor := 0, ""
	for last := ^uint64(0); ; {
		var page struct {
			Events []struct{ Revision uint64 }
			Next   string
		}
		require.NoError(t, json.Unmarshal([]byte(ann.must(t, http.MethodGet, "/organizations/acme/events?key=report&cursor="+cursor, "", 200)), &page))
		for _, event := range page.Events {
			require.LessOrEqual(t, event.Revision, last)
			last = event.Revision
			seen++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, writes+2, seen) // and the creation with one entry
}

// A secret is answered also if the replica is late, or if a later change of the order failed.
func TestSecretsAreAnsweredAllTheSame(t *testing.T) {
	keys := memory.New()
	a, err := newAdmin(keys)
	require.NoError(t, err)
	system := func(*http.Request) (admin.Actor, string, error) { return admin.BySystem("test"), "acme", nil }
	_, err = a.Apply(t.Context(), admin.BySystem("test"), "acme", admin.ApplyOptions{}, admin.CreateOrganization(0))
	require.NoError(t, err)
	m := management{a, keys, late{}}
	const order = `{"apply": true, "changes": [{"kind": "create_key", "key": "new", "grants": [], "entries": [{"address": "192.0.2.1"}]}]}`
	answered := httptest.NewRecorder()
	handler(system, m.change).ServeHTTP(answered, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(order)))
	require.Equal(t, http.StatusOK, answered.Code)
	require.Contains(t, answered.Body.String(), `"inForce":false`)
	require.Contains(t, answered.Body.String(), `"secret":"example_`)

	partly := func(*http.Request, admin.Actor, string) (any, error) {
		return &outcome{Result: admin.Result{Made: 1}, Secrets: []newSecret{{"new", "1", "shown"}}}, &admin.Error{Class: admin.Conflict}
	}
	answered = httptest.NewRecorder()
	handler(system, partly).ServeHTTP(answered, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, http.StatusConflict, answered.Code)
	require.Contains(t, answered.Body.String(), `"secret":"shown"`)
	require.Contains(t, answered.Body.String(), `"class":"conflict"`)
}

type late struct{}

func (late) Sync(context.Context) error { return errors.New("the feed is behind") }

// A failure of the store is 503, and its cause for the log only.
func TestUnavailable(t *testing.T) {
	keys := memory.New()
	a, err := newAdmin(keys)
	require.NoError(t, err)
	require.NoError(t, keys.Close())
	m := management{a, keys, late{}}
	system := func(*http.Request) (admin.Actor, string, error) { return admin.BySystem("test"), "acme", nil }
	for _, h := range []http.Handler{handler(system, m.showOrganization), handler(system, m.listEvents), handler(system, m.listKeys)} {
		answered := httptest.NewRecorder()
		h.ServeHTTP(answered, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, http.StatusServiceUnavailable, answered.Code)
		require.Equal(t, "no-store", answered.Header().Get("Cache-Control"))
		require.NotContains(t, answered.Body.String(), "closed")
	}
}

// Outside of the guard a key may do nothing.
func TestUnguardedAdministration(t *testing.T) {
	_, _, err := byKey(httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, admin.Forbidden, admin.ClassOf(err))
}

// An organization is set up once.
func TestSetUp(t *testing.T) {
	database, owner, _ := aDatabase(t)
	require.False(t, owner.IsZero())
	secret, err := setUp(t.Context(), database, "acme", "", "198.51.100.0/24")
	require.Equal(t, admin.Conflict, admin.ClassOf(err))
	require.True(t, secret.IsZero())
	_, err = setUp(t.Context(), database, "globex", apikey.ID(""))
	require.ErrorContains(t, err, "opens")
	_, err = setUp(t.Context(), database, "globex", "", "198.51.100.0/23x")
	require.ErrorContains(t, err, "198.51.100.0/23x")
}
