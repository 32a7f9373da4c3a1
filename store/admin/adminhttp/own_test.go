package adminhttp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Every operation works for who may call it, answers as its description says, and needs
// credentials.
func TestEveryOperation(t *testing.T) {
	for _, o := range operations {
		if o.stream != nil {
			continue
		}
		t.Run(o.id, func(t *testing.T) {
			w := newOwnWorld(t, o.id)
			path, body := w.path(o), ownBodies[o.id]
			w.ownRefuses("", o.method, path, body, 401, "API_KEY_REQUIRED")
			answer := w.own("ann", o.method, path, body, headerAccept, "breaks_key", headerReason, "a%20test")
			want := 200
			if o.creates {
				want = 201
				require.Equal(t, "http://example.com"+ownOrg+"/keys/new", answer.Header().Get("Location"))
			}
			require.Equal(t, want, answer.Code, "%s", answer.Body)
			w.answer(t, o, answer.Code, answer.Body.Bytes())
			if o.method == "GET" {
				head := w.own("ann", "HEAD", path, "")
				require.Equal(t, answer.Header(), head.Header())
			}
			if o.change != nil && !o.several {
				var made outcome
				require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &made))
				require.True(t, made.InForce)
				require.Positive(t, made.Made)
				require.NotEmpty(t, made.Events)
				for _, event := range made.Events {
					require.Equal(t, "api", string(event.Via))
					require.Equal(t, "ann", event.Actor.ID)
					require.Equal(t, "192.0.2.9", event.Address.String())
				}
				if o.id != "deleteKey" {
					require.Equal(t, etag(lastRevision(&made)), answer.Header().Get("ETag"))
				}
			}
		})
	}
}

// A preview by the same call writes nothing, changes no revision and keeps no event. With its
// token the call is made.
func TestEveryPreview(t *testing.T) {
	previewed := 0
	for _, o := range operations {
		if o.change == nil {
			continue
		}
		previewed++
		w := newOwnWorld(t, o.id)
		path, body := w.path(o), ownBodies[o.id]
		before := w.state()
		answer := w.own("ann", o.method, path+"?preview=true", body)
		require.Equal(t, 200, answer.Code, "%s: %s", o.id, answer.Body)
		require.Empty(t, answer.Header().Get("Location"))
		require.Equal(t, before, w.state(), o.id)
		w.answer(t, o, 200, answer.Body.Bytes())
		var shown outcome
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &shown))
		require.Zero(t, shown.Made)
		require.Empty(t, shown.Secrets)
		require.NotEmpty(t, shown.Preview.Token)

		headers := []string{headerToken, shown.Preview.Token}
		if needs := shown.Preview.Needs(); len(needs) > 0 {
			refused := w.ownRefuses("ann", o.method, path+"?preview=false", body, 409, "CHANGE_REFUSED", headers...)
			require.Equal(t, "refused", refused.Class)
			require.NotEmpty(t, refused.Findings)
			require.Equal(t, shown.Preview.Token, refused.Preview.Token)
			require.Equal(t, before, w.state(), o.id)
			headers = append(headers, headerAccept, fmt.Sprint(needs[0]), headerReason, "because%20of%20%C3%BC")
		}
		made := shows[outcome](w, "ann", o.method, path, body, headers...)
		require.Positive(t, made.Made)
		require.NotEqual(t, before, w.state(), o.id)
		if len(headers) > 2 {
			require.Equal(t, "because of ü", made.Events[0].Reason)
			require.Equal(t, []string{headers[3]}, made.Events[0].Accepted)
		}
	}
	require.Equal(t, 18, previewed)
}

// With a stale token nothing is made, and the problem has the preview that holds now.
func TestStaleTokens(t *testing.T) {
	for _, o := range operations {
		if o.change == nil {
			continue
		}
		w := newOwnWorld(t, o.id)
		path, body := w.path(o), ownBodies[o.id]
		shown := shows[outcome](w, "ann", o.method, path+"?preview=true", body)
		w.edit(worker, func(k *apikey.Key) { k.Description = "meanwhile" })
		w.editOrganization(acme, func(o *policy.Organization) { o.Name = "meanwhile" })
		before := w.state()
		refused := w.ownRefuses("ann", o.method, path, body, 409, "PREVIEW_CHANGED", headerToken, shown.Preview.Token)
		require.Equal(t, "changed", refused.Class)
		require.NotEqual(t, shown.Preview.Token, refused.Preview.Token)
		require.Equal(t, before, w.state())
	}
}

// If-Match is judged for every change of one record, by preview and by apply.
func TestIfMatch(t *testing.T) {
	for _, o := range operations {
		if o.change == nil {
			continue
		}
		w := newOwnWorld(t, o.id)
		path, body := w.path(o), ownBodies[o.id]
		accept := []string{headerAccept, "breaks_key", headerReason, "r"}
		if o.creates || o.several {
			w.ownRefuses("ann", o.method, path, body, 400, "INVALID_HEADER", "If-Match", `"1"`)
			continue
		}
		record := ownOrg
		if strings.Contains(o.pattern, "{key}") {
			record = ownWorker
		}
		tag := w.own("ann", "GET", record, "").Header().Get("ETag")
		require.NotEmpty(t, tag)
		before := w.state()
		for _, query := range []string{"", "?preview=true"} {
			for _, wrong := range []string{`"99999"`, `"0"`, "1", "W/" + tag, `"x"`, tag + ", " + tag, ""} {
				answer := w.own("ann", o.method, path+query, body, append(accept, "If-Match", wrong)...)
				require.Equal(t, 412, answer.Code, "%s %s: %s", o.id, wrong, answer.Body)
				require.Contains(t, answer.Body.String(), "REVISION_CHANGED")
				if wrong == `"99999"` {
					require.Equal(t, tag, answer.Header().Get("ETag"))
				}
			}
			w.ownRefuses("ann", o.method, path+query, body, 412, "REVISION_CHANGED", "If-Match", tag, "If-Match", tag)
		}
		require.Equal(t, before, w.state())
		shows[outcome](w, "ann", o.method, path+"?preview=true", body, "If-Match", "*")
		shows[outcome](w, "ann", o.method, path, body, append(accept, "If-Match", tag)...)
		require.NotEqual(t, before, w.state())
	}
	w := newOwnWorld(t, "")
	tag := w.own("ann", "GET", ownWorker, "").Header().Get("ETag")
	w.ownRefuses("ann", "DELETE", ownOrg+"/keys/"+absent, "", 404, "NOT_FOUND", "If-Match", tag)
	w.ownRefuses("ann", "PUT", ownWorker+"/trial", `{"entries":[]}`, 400, "INVALID_CHANGE", "If-Match", tag)
	w.ownRefuses("ann", "POST", ownOrg+"/keys/"+owner+"/trial/enforcement", "", 409, "CONFLICT", "If-Match", w.own("ann", "GET", ownOrg+"/keys/"+owner, "").Header().Get("ETag"))
}

// The terms of a change are read strictly: what is misspelt changes nothing.
func TestTerms(t *testing.T) {
	w := newOwnWorld(t, "")
	before := w.state()
	for name, test := range map[string]struct {
		query   string
		headers []string
		code    string
	}{
		"misspelt preview":  {"?preveiw=true", nil, "INVALID_QUERY_PARAMETER"},
		"preview in case":   {"?Preview=true", nil, "INVALID_QUERY_PARAMETER"},
		"empty preview":     {"?preview", nil, "INVALID_QUERY_PARAMETER"},
		"preview yes":       {"?preview=yes", nil, "INVALID_QUERY_PARAMETER"},
		"preview twice":     {"?preview=false&preview=true", nil, "INVALID_QUERY_PARAMETER"},
		"semicolon":         {"?a=1;preview=true", nil, "INVALID_QUERY_PARAMETER"},
		"bad escape":        {"?preview=%zz", nil, "INVALID_QUERY_PARAMETER"},
		"unknown header":    {"", []string{"Sallyport-Preview", "true"}, "INVALID_HEADER"},
		"token twice":       {"", []string{headerToken, "a", headerToken, "b"}, "INVALID_HEADER"},
		"bad token":         {"", []string{headerToken, "a"}, "INVALID_CHANGE"},
		"bad reason":        {"", []string{headerReason, "100%"}, "INVALID_HEADER"},
		"no UTF-8":          {"", []string{headerReason, "%ff"}, "INVALID_CHANGE"},
		"no reason":         {"", []string{headerAccept, "opens"}, "INVALID_CHANGE"},
		"unknown kind":      {"", []string{headerAccept, "all", headerReason, "r"}, "INVALID_CHANGE"},
		"unknown kind list": {"", []string{headerAccept, "opens, all", headerReason, "r"}, "INVALID_CHANGE"},
	} {
		answer := w.own("ann", "PATCH", ownWorker+test.query, `{"description":"x"}`, test.headers...)
		require.Equal(t, 400, answer.Code, "%s: %s", name, answer.Body)
		require.Contains(t, answer.Body.String(), test.code, name)
	}
	require.Equal(t, before, w.state())
}

// Bodies that are refused, each with the field where one is to blame.
func TestOwnBodies(t *testing.T) {
	w := newOwnWorld(t, "")
	before := w.state()
	for _, test := range []struct{ method, path, body, field, problem string }{
		{"PATCH", ownWorker, `{`, "", "unexpected end"},
		{"PATCH", ownWorker, `[]`, "", "want an object"},
		{"PATCH", ownWorker, `{} {}`, "", "invalid character"},
		{"PATCH", ownWorker, "\xff", "", "UTF-8"},
		{"PATCH", ownWorker, `{"Description":"x"}`, "", `want "description"`},
		{"PATCH", ownWorker, `{"description":null}`, "description", "is null"},
		{"PATCH", ownWorker, `{"description":"a","description":"b"}`, "description", "occurs twice"},
		{"PATCH", ownWorker, `{"description":7}`, "description", "want a string"},
		{"PATCH", ownWorker, `{"labels":{"a":1}}`, "labels", "want a string"},
		{"PATCH", ownWorker, `{"grants":[{"role":"ROOT"}]}`, "grants", "no role to grant in the organization"},
		{"PATCH", ownWorker, `{"grants":[{"role":"ORG_OWNER","allProjects":true}]}`, "grants", "no role to grant in a project"},
		{"PATCH", ownWorker, `{"grants":[{"role":"GROUP_OWNER","project":"` + beta + `"}]}`, "grants", "not in this organization"},
		{"PATCH", ownWorker, `{"grants":[{"role":"GROUP_OWNER","projct":"` + alpha + `"}]}`, "grants", "unknown name"},
		{"PATCH", ownWorker, `{"validity":{"expires":"tomorrow"}}`, "validity", "expires"},
		{"PUT", ownWorker + "/list", `{"entries":null}`, "entries", "is null"},
		{"PUT", ownWorker + "/list", ``, "entries", "is missing"},
		{"PUT", ownWorker + "/list", `{"entries":[{"address":"10.0.0.7/24"}]}`, "entries", "host bits"},
		{"PUT", ownWorker + "/list", `{"entries":[{"address":"2001:db8::1"}]}`, "entries", "IPv6"},
		{"PUT", ownWorker + "/list", `{"entries":[{"address":"10.0.0.7","expires":"0001-01-01T00:00:00Z"}]}`, "entries", "expires"},
		{"PUT", ownWorker + "/list/entries/" + client, `{"comment":1}`, "comment", "want a string"},
		{"POST", ownWorker + "/secrets", `{}`, "overlapSeconds", "is missing"},
		{"POST", ownWorker + "/secrets", `{"overlapSeconds":-1}`, "overlapSeconds", "want 0"},
		{"POST", ownWorker + "/secrets", `{"overlapSeconds":9223372037}`, "overlapSeconds", "want 0"},
		{"POST", ownOrg + "/keys", `[]`, "", "want an object"},
		{"POST", ownOrg + "/keys", `{}`, "grants", "is missing"},
		{"POST", ownOrg + "/keys", `{"grants":[]}`, "entries", "is missing"},
		{"POST", ownOrg + "/keys", `{"grants":[],"entries":[],"id":""}`, "id", "is empty"},
		{"POST", ownOrg + "/keys", `{"grants":[{"role":"ROOT"}],"entries":[]}`, "grants", "no role"},
		{"POST", ownOrg + "/keys", `{"like":1}`, "like", "want a string"},
		{"PUT", ownOrg + "/requirement", `{"requirement":"Required"}`, "requirement", "not_required"},
		{"PUT", ownOrg + "/suspension", `{"until":"13:00"}`, "until", "want a time"},
		{"DELETE", ownWorker, `{"reason":"x"}`, "", "unknown name"},
		{"POST", ownOrg + "/decisions", `{"key":"k","address":"fe80::1%eth0"}`, "address", "want an IP address"},
		{"POST", ownOrg + "/decisions", `{"key":"k","address":"x"}`, "address", "want an IP address"},
		{"POST", ownOrg + "/decisions", `{"key":"k","address":"192.0.2.1","endpoint":"x"}`, "endpoint", "not one of"},
		{"POST", ownOrg + "/decisions", `{"key":"k","address":"192.0.2.1","project":"` + beta + `"}`, "project", "not in this organization"},
		{"POST", ownOrg + "/investigations", `{"key":"k"}`, "address", "is missing"},
		{"POST", ownOrg + "/decisions", `{`, "", "unexpected end"},
		{"PATCH", ownOrg, `{"name":1}`, "name", "want a string"},
		{"POST", ownOrg + "/decisions/batch", `{`, "", "unexpected end"},
		{"POST", ownOrg + "/decisions/batch", `{}`, "calls", "is missing"},
		{"POST", ownOrg + "/decisions/batch", `{"calls":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "calls", "has 1001 calls"},
		{"POST", ownOrg + "/decisions/batch", `{"calls":[{"key":"k","address":"192.0.2.1"},{"key":"k"}]}`, "address", "Call 2: The body is refused. \"address\" is missing"},
		{"POST", ownOrg + "/decisions/batch", `{"calls":[{"key":"k","address":"192.0.2.1","roles":[]}]}`, "", "unknown name"},
		{"POST", ownOrg + "/decisions/batch", `{"calls":[{"key":"k","address":"192.0.2.1","project":"` + beta + `"}]}`, "project", "not in this organization"},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"set_name"}]}`, "name", "is missing"},
		{"POST", ownOrg + "/changes", `{}`, "changes", "is missing"},
		{"POST", ownOrg + "/changes", `{"changes":[` + strings.Repeat(`{},`, 100) + `{}]}`, "changes", "has 101 changes"},
		{"POST", ownOrg + "/changes", `{"changes":[1]}`, "", "Change 1: The body is refused. the number 1"},
		{"POST", ownOrg + "/changes", `{"changes":[{}]}`, "kind", "is missing"},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"force"}]}`, "kind", "want one of"},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"set_requirement","key":"` + worker + `","requirement":"required"}]}`, "key", "has none"},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"remove_entries","key":"` + worker + `","addresses":["x"]}]}`, "addresses", "x"},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"remove_entries","key":"` + worker + `","addresses":[1]}]}`, "addresses", "want a string"},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"add_grants","key":"` + worker + `","grants":[{"role":"ROOT"}]}]}`, "grants", "no role"},
	} {
		p := w.ownRefuses("ann", test.method, test.path, test.body, 400, "INVALID_BODY")
		require.Contains(t, p.Detail, test.problem, "%s %s", test.path, test.body)
		if test.field == "" {
			require.Empty(t, p.Fields)
			continue
		}
		require.Len(t, p.Fields, 1, "%s %s: %s", test.path, test.body, p.Detail)
		require.Equal(t, test.field, p.Fields[0].Field)
		require.Equal(t, []string{test.field}, p.Parameters)
		require.NotEmpty(t, p.Fields[0].Description)
	}
	w.ownRefuses("ann", "PATCH", ownWorker, `{}`, 400, "INVALID_CHANGE")
	w.ownRefuses("ann", "POST", ownOrg+"/changes", `{"changes":[]}`, 400, "INVALID_CHANGE")
	w.ownRefuses("ann", "PATCH", ownWorker, `{"description":"`+strings.Repeat("x", maxBody)+`"}`, 413, "REQUEST_TOO_LARGE")
	p := w.ownRefuses("ann", "PATCH", ownWorker, `{"`+strings.Repeat("x", 5000)+`":1}`, 400, "INVALID_BODY")
	require.Less(t, len(p.Detail), 1100)

	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", ";", ""} {
		r := w.ownRequest("ann", "PATCH", ownWorker, `{"description":"x"}`)
		r.Header.Set("Content-Type", contentType)
		require.Equal(t, 415, w.serve(r).Code)
	}
	r := w.ownRequest("ann", "PATCH", ownWorker, `{"description":"x"}`)
	r.Body = http.NoBody
	r.Body = brokenBody{}
	require.Equal(t, 400, w.serve(r).Code)
	require.Equal(t, before, w.state())
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }
func (brokenBody) Close() error             { return nil }

// A caller that hangs up does not stop a change half-way.
func TestOwnHangingUp(t *testing.T) {
	w := newOwnWorld(t, "")
	r := w.ownRequest("ann", "PATCH", ownWorker, `{"description":"x"}`)
	ctx, hangUp := newContext(t)
	r = r.WithContext(ctx)
	r.Body = &hangingBody{r.Body, hangUp}
	require.Equal(t, 200, w.serve(r).Code)
	require.Equal(t, "x", w.stored(worker).Description)
}

// Changes of several records are made in order up to the first refusal, with the secrets of
// those before it.
func TestSeveralChanges(t *testing.T) {
	w := newOwnWorld(t, "")
	body := `{"changes":[
		{"kind":"create_key","key":"new","grants":[],"entries":[{"address":"192.0.2.1"}]},
		{"kind":"add_grants","key":"` + worker + `","grants":[{"role":"ORG_READ_ONLY"}]},
		{"kind":"remove_grants","key":"` + worker + `","grants":[{"role":"ORG_READ_ONLY"}]},
		{"kind":"edit_entries","key":"` + worker + `","entries":[{"address":"198.51.100.0/24","comment":"c"}]},
		{"kind":"set_validity","key":"` + worker + `","expires":"2027-01-01T00:00:00Z"},
		{"kind":"disable_key","key":"` + viewer + `"},
		{"kind":"enable_key","key":"` + viewer + `"},
		{"kind":"add_entries","key":"` + viewer + `","entries":[{"address":"192.0.2.2"}]},
		{"kind":"remove_entries","key":"` + viewer + `","addresses":["192.0.2.2"]},
		{"kind":"end_secret","key":"` + lead + `","secret":"` + w.stored(lead).Secrets[0].ID() + `","expires":"2026-04-01T00:00:00Z"}
	]}`
	preview := shows[outcome](w, "ann", "POST", ownOrg+"/changes?preview=true", body)
	made := shows[outcome](w, "ann", "POST", ownOrg+"/changes", body, headerToken, preview.Preview.Token)
	require.Equal(t, 10, made.Made)
	require.Len(t, made.Secrets, 1)
	require.Empty(t, w.own("ann", "POST", ownOrg+"/changes", body).Header().Get("ETag"))

	conflict := w.ownRefuses("ann", "POST", ownOrg+"/changes", `{"changes":[{"kind":"edit_key","key":"`+worker+`","revision":1,"description":"x"}]}`, 409, "CONFLICT")
	require.Equal(t, "conflict", conflict.Class)
}

// A store that fails behind the first of two records: the problem has the first one's outcome.
func TestMadeInPart(t *testing.T) {
	var s *brokenStore
	w := newOwnWorld(t, "", broken(&s))
	writes := 0
	s.before = func() {
		if writes++; writes == 1 {
			s.left.Store(0)
		}
	}
	p := w.ownRefuses("ann", "POST", ownOrg+"/changes", `{"changes":[{"kind":"rotate","key":"`+worker+`","overlapSeconds":3600},{"kind":"edit_key","key":"`+viewer+`","description":"g"}]}`, 503, "SERVICE_UNAVAILABLE")
	require.Equal(t, 1, p.Outcome.Made)
	require.Len(t, p.Outcome.Secrets, 1)
	require.NotContains(t, p.Detail, "10.0.0.9")
}

// Wherever the store fails, the answer is a whole 503, tells nothing of the failure, and
// nothing is changed.
func TestStoreFailsOperations(t *testing.T) {
	for _, o := range operations {
		if o.stream != nil || o.id == "getMe" {
			continue
		}
		for left := int64(0); ; left++ {
			var s *brokenStore
			w := newOwnWorld(t, o.id, broken(&s))
			before := w.state()
			s.left.Store(left)
			answer := w.own("ann", o.method, w.path(o), ownBodies[o.id], headerAccept, "breaks_key", headerReason, "r")
			w.answer(t, o, answer.Code, answer.Body.Bytes())
			if answer.Code != 503 {
				require.Less(t, answer.Code, 300, "%s: %s", o.id, answer.Body)
				break
			}
			require.Equal(t, "5", answer.Header().Get("Retry-After"))
			require.NotContains(t, answer.Body.String(), "10.0.0.9")
			require.Contains(t, w.logged.String(), "a call failed")
			if !o.several {
				require.Equal(t, before, w.state())
			}
		}
	}
	w := newOwnWorld(t, "", func(w *world) { w.config.Projects = brokenProjects{} })
	w.ownRefuses("ann", "PATCH", ownWorker, `{"grants":[{"role":"GROUP_OWNER","project":"`+alpha+`"}]}`, 503, "SERVICE_UNAVAILABLE")
}

func TestGrantsNeedTheKey(t *testing.T) {
	w := newOwnWorld(t, "")
	w.ownRefuses("ann", "PATCH", ownOrg+"/keys/"+absent, `{"grants":[{"role":"ORG_MEMBER"}]}`, 404, "NOT_FOUND")
	w.ownRefuses("ann", "PATCH", ownOrg+"/keys/"+absent, `{"grants":[]}`, 404, "NOT_FOUND")
}

// Entries in the path are exact.
func TestEntriesInThePath(t *testing.T) {
	w := newOwnWorld(t, "")
	for _, entry := range []string{"198.51.100.1", "x", "198.51.100.0%2F25", "198.51.100.7%2F24"} {
		for method, body := range map[string]string{"DELETE": "", "PUT": `{"comment":"c"}`} {
			w.ownRefuses("ann", method, ownWorker+"/list/entries/"+entry, body, 404, "NOT_FOUND")
		}
	}
	shows[outcome](w, "ann", "PUT", ownWorker+"/list/entries/198.51.100.0/24", `{"comment":"c"}`)
	made := shows[outcome](w, "ann", "PUT", ownWorker+"/list/entries/198.51.100.0%2F24", `{}`)
	require.Empty(t, made.Keys[0].Entries[1].Comment)
}

func FuzzOwnAPI(f *testing.F) {
	for _, o := range operations {
		w := newOwnWorld(f, o.id)
		if o.id != "followEvents" {
			f.Add(o.method, w.path(o), "preview=true", ownBodies[o.id], uint8(0))
			f.Add(o.method, w.path(o), "", ownBodies[o.id], uint8(3))
		}
	}
	f.Add("POST", ownOrg+"/changes", "", `{"changes":[{"kind":"edit_key","key":"x","validity":{}},{"kind":1}]}`, uint8(0))
	f.Add("GET", ownOrg+"/keys", "status=active&search=a&limit=1&cursor=%00", "", uint8(1))
	f.Fuzz(func(t *testing.T, method, path, query, body string, by uint8) {
		w := newOwnWorld(t, "")
		w.edit(stranger, func(k *apikey.Key) { k.Description = "only for globex" })
		theirs := w.stored(stranger)
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		parsed := *r.URL
		if strings.ContainsAny(method, " \t\r\n") || method == "" || strings.Contains(path, "/stream") {
			return // no request has these, and a stream has tests of its own
		}
		parsed.Path, parsed.RawQuery = path, query
		r.Method, r.URL = method, &parsed
		r.Header.Set("Content-Type", "application/json")
		callers := []string{"ann", "bob", "", owner, viewer, lead}
		by %= uint8(len(callers))
		if by < 2 {
			r.Header.Set("Person", callers[by])
		} else if by > 2 {
			r.Header.Set("Authorization", "Bearer "+w.secrets[apikey.ID(callers[by])].Reveal())
		}
		before := w.state()
		answer := w.serve(r)
		checkAnswer(t, method, answer)
		require.Less(t, answer.Code, 500, "%s", answer.Body)
		require.NotContains(t, answer.Body.String(), "only for globex")
		require.True(t, theirs.Equal(w.stored(stranger)))
		if strings.Contains(query, "preview=true") || callers[by] == "bob" || callers[by] == "" || answer.Code >= 400 {
			require.Equal(t, before, w.state(), "%s", answer.Body)
		}
	})
}
