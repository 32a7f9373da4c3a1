package adminhttp

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

const base = "http://example.com/api/atlas/v1.0"

// The documented shapes, to the letter.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	key := `{"desc":"key 4","id":"` + worker + `","links":[{"href":"` + base + `/orgs/` + acme + `/apiKeys/` + worker + `","rel":"self"}],` +
		`"privateKey":"` + w.private(worker) + `","publicKey":"` + worker + `","roles":[{"groupId":"` + second + `","roleName":"GROUP_READ_ONLY"},{"orgId":"` + acme + `","roleName":"ORG_MEMBER"}]}`
	w.answers(owner, "GET", workerPath, "", 200, key)
	w.answers(viewer, "GET", workerPath+"/", "", 200, key)
	w.answers(viewer, "GET", org+"/apiKeys?includeCount=true&itemsPerPage=1&pageNum=4", "", 200,
		`{"links":[{"href":"`+base+`/orgs/`+acme+`/apiKeys?includeCount=true\u0026itemsPerPage=1\u0026pageNum=4","rel":"self"},`+
			`{"href":"`+base+`/orgs/`+acme+`/apiKeys?includeCount=true\u0026itemsPerPage=1\u0026pageNum=3","rel":"previous"}],"results":[`+key+`],"totalCount":4}`)
	w.answers(lead, "GET", "/api/atlas/v1.0/groups/"+alpha+"/apiKeys?includeCount=false", "", 200,
		`{"links":[{"href":"`+base+`/groups/`+alpha+`/apiKeys?includeCount=false\u0026itemsPerPage=100\u0026pageNum=1","rel":"self"}],"results":[`+
			`{"desc":"key 3","id":"`+lead+`","links":[{"href":"`+base+`/orgs/`+acme+`/apiKeys/`+lead+`","rel":"self"}],"privateKey":"`+w.private(lead)+`","publicKey":"`+lead+`",`+
			`"roles":[{"groupId":"`+alpha+`","roleName":"GROUP_OWNER"},{"orgId":"`+acme+`","roleName":"ORG_MEMBER"}]}]}`)
}

// Every page once, by following "next", with and without a count.
func TestKeysByPage(t *testing.T) {
	w := newWorld(t)
	for _, count := range []string{"true", "false"} {
		var seen []string
		for next := org + "/apiKeys?pretty=true&itemsPerPage=3&includeCount=" + count; next != ""; {
			answer := w.call(owner, "GET", next, "")
			require.Equal(t, 200, answer.Code)
			require.True(t, strings.HasPrefix(answer.Body.String(), "{\n  \"links\""))
			var page struct {
				Links      []link
				Results    []keyBody
				TotalCount *int
			}
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &page))
			require.Equal(t, count == "true", page.TotalCount != nil)
			next = ""
			for _, link := range page.Links {
				if link.Rel == "next" {
					next = strings.TrimPrefix(link.Href, "http://example.com")
				}
			}
			for _, key := range page.Results {
				seen = append(seen, string(key.ID))
			}
		}
		require.Equal(t, []string{owner, viewer, lead, worker}, seen)
	}
	for parameter, value := range map[string]string{"pageNum": "0", "itemsPerPage": "501", "includeCount": "maybe"} {
		for _, path := range []string{org + "/apiKeys", list, "/api/atlas/v1.0/orgs", "/api/atlas/v1.0/groups", org + "/events"} {
			w.refuses(owner, "GET", path+"?"+parameter+"="+value, "", 400, "INVALID_QUERY_PARAMETER", parameter)
		}
	}
}

func TestCreateKey(t *testing.T) {
	w := newWorld(t)
	answer := w.call(owner, "POST", org+"/apiKeys", `{"desc":"ci","roles":["ORG_MEMBER","ORG_MEMBER"]}`)
	require.Equal(t, 200, answer.Code, "%s", answer.Body)
	var body keyBody
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &body))
	id, secret, err := w.issuer.Parse(body.PrivateKey)
	require.NoError(t, err)
	require.EqualValues(t, created, id)
	require.Equal(t, keyBody{"ci", created, []link{{base + "/orgs/" + acme + "/apiKeys/" + created, "self"}}, body.PrivateKey, created, []roleBody{{Organization: acme, Role: "ORG_MEMBER"}}}, body)
	w.secrets[created] = secret
	w.answers(created, "GET", "/api/private/ipinfo", "", 200, `{"currentIpv4Address":"192.0.2.1"}`)
	w.refuses(owner, "POST", org+"/apiKeys", `{"desc":"ci","roles":["ORG_MEMBER"]}`, 409, "RESOURCE_CHANGED")

	event := w.newest(1)[0]
	require.Equal(t, store.EventKeyCreated, event.Type)
	require.Equal(t, store.ViaAPI, event.Via)
	require.Equal(t, []string{"opens"}, event.Accepted)
	require.Equal(t, "The documented call says so by itself.", event.Reason)

	// A key of a project is a member of the organization as well.
	w.config.NewID = func() (apikey.ID, error) { return "cccccccccccccccccccccccd", nil }
	w.handler = newHandler(w.config)
	require.Equal(t, 200, w.call(lead, "POST", group+"/apiKeys", `{"desc":"ci","roles":["GROUP_READ_ONLY"],"other":1}`).Code)
	require.Equal(t, []apikey.Grant{{Role: "GROUP_READ_ONLY", Project: alpha}, {Role: "ORG_MEMBER"}}, w.stored("cccccccccccccccccccccccd").Grants)
}

// newest returns the newest events of acme, the newest first.
func (w *world) newest(n int) []store.Event {
	w.t.Helper()
	page, err := w.memory.Events(w.t.Context(), store.EventRequest{Organization: acme, Newest: true, Limit: 100})
	require.NoError(w.t, err)
	require.GreaterOrEqual(w.t, len(page.Events), n)
	return page.Events[:n]
}

func TestCreateKeyRefused(t *testing.T) {
	w := newWorld(t)
	before := w.records()
	for _, test := range []struct {
		body, code string
		parameters []string
		field      string
	}{
		{`{"roles":["ORG_MEMBER"]}`, "API_KEY_REQUIRES_DESCRIPTION", []string{"desc"}, "desc"},
		{`{"desc":"","roles":["ORG_MEMBER"]}`, "API_KEY_REQUIRES_DESCRIPTION", []string{"desc"}, "desc"},
		{`{"desc":"a\u0000b","roles":["ORG_MEMBER"]}`, "INVALID_API_KEY_DESC", []string{"desc"}, "desc"},
		{`{"desc":"` + strings.Repeat("x", 1025) + `","roles":["ORG_MEMBER"]}`, "INVALID_API_KEY_DESC", []string{"desc"}, "desc"},
		{`{"desc":"ci"}`, "MISSING_API_KEY_ROLES", []string{"roles"}, "roles"},
		{`{"desc":"ci","roles":[]}`, "MISSING_API_KEY_ROLES", []string{"roles"}, "roles"},
		{`{"desc":"ci","roles":["GROUP_OWNER"]}`, "INVALID_ROLE_FOR_ORG", []string{"GROUP_OWNER"}, "roles"},
		{`{"desc":7,"roles":[]}`, "INVALID_JSON_ATTRIBUTE", []string{"desc"}, "desc"},
		{`{"desc":"ci","roles":"ORG_MEMBER"}`, "INVALID_JSON_ATTRIBUTE", []string{"roles"}, "roles"},
		{`{"desc":"ci"`, "INVALID_JSON", nil, ""},
		{`[]`, "INVALID_JSON", nil, ""},
		{``, "INVALID_JSON", nil, ""},
		{`{} {}`, "INVALID_JSON", nil, ""},
		{`null`, "API_KEY_REQUIRES_DESCRIPTION", []string{"desc"}, "desc"},
	} {
		got := w.refuses(owner, "POST", org+"/apiKeys", test.body, 400, test.code, test.parameters...)
		if test.field == "" {
			require.Empty(t, got.BadRequestDetail.Fields)
			continue
		}
		require.Len(t, got.BadRequestDetail.Fields, 1)
		require.Equal(t, test.field, got.BadRequestDetail.Fields[0].Field)
		require.NotEmpty(t, got.BadRequestDetail.Fields[0].Description)
	}
	w.refuses(lead, "POST", group+"/apiKeys", `{"desc":"ci","roles":["ORG_OWNER"]}`, 400, "INVALID_ROLE_FOR_GROUP", "ORG_OWNER")
	w.config.MaxKeys = 4
	w.handler = newHandler(w.config)
	w.refuses(owner, "POST", org+"/apiKeys", `{"desc":"ci","roles":["ORG_MEMBER"]}`, 400, "MAX_API_KEYS_PER_ORG_EXCEEDED", acme)
	w.config.MaxKeys, w.config.NewID = 0, func() (apikey.ID, error) { return "", errors.New("no randomness") }
	w.handler = newHandler(w.config)
	w.refuses(owner, "POST", org+"/apiKeys", `{"desc":"ci","roles":["ORG_MEMBER"]}`, 503, "SERVICE_UNAVAILABLE")
	require.Contains(t, w.logged.String(), "no randomness")
	require.Equal(t, before, w.records())
}

// The IDs of new keys have the documented form.
func TestNewID(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.NewID = nil })
	answer := w.call(owner, "POST", org+"/apiKeys", `{"desc":"ci","roles":["ORG_MEMBER"]}`)
	var body keyBody
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &body))
	require.Regexp(t, `^[a-f0-9]{24}$`, body.ID)
}

// A change of some roles keeps all others, and what has no documented form is not lost by a
// client that writes back what it read.
func TestChangeKey(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 200, w.call(owner, "PATCH", workerPath, `{"desc":"new","roles":["ORG_READ_ONLY"]}`).Code)
	all := apikey.Grant{Role: "AUDITOR", AllProjects: true}
	require.Equal(t, []apikey.Grant{{Role: seesInside, Project: second}, all, {Role: "ORG_READ_ONLY"}}, w.stored(worker).Grants)
	require.Equal(t, "new", w.stored(worker).Description)
	require.Equal(t, 200, w.call(owner, "PATCH", workerPath, `{"desc":""}`).Code)
	require.Empty(t, w.stored(worker).Description)

	require.Equal(t, 200, w.call(lead, "PATCH", group+"/apiKeys/"+worker, `{"roles":["GROUP_OWNER"]}`).Code, "assigns")
	require.Equal(t, []apikey.Grant{{Role: seesInside, Project: second}, all, {Role: "ORG_READ_ONLY"}, {Role: "GROUP_OWNER", Project: alpha}}, w.stored(worker).Grants)
	require.Equal(t, 200, w.call(lead, "PATCH", group+"/apiKeys/"+worker, `{"desc":"theirs"}`).Code)
	require.Equal(t, "theirs", w.stored(worker).Description)

	two := strings.Replace(group, "v1.0", "v2", 1) + "/apiKeys/" + worker
	w.answers(lead, "POST", two, `[{"roles":["GROUP_READ_ONLY","GROUP_OWNER"]}]`, 204, "")
	w.answers(lead, "POST", two, `[{"roles":["GROUP_READ_ONLY","GROUP_OWNER"]}]`, 204, "")
	require.Equal(t, []apikey.Grant{{Role: seesInside, Project: second}, all, {Role: "ORG_READ_ONLY"}, {Role: "GROUP_OWNER", Project: alpha}, {Role: seesInside, Project: alpha}}, w.stored(worker).Grants)
	w.refuses(lead, "POST", group+"/apiKeys/"+worker, `[]`, 405, "METHOD_NOT_ALLOWED")
	w.refuses(lead, "POST", two, `[{"roles":["ORG_OWNER"]}]`, 400, "INVALID_ROLE_FOR_GROUP", "ORG_OWNER")
	w.refuses(lead, "POST", two, `{}`, 400, "INVALID_JSON")

	w.answers(lead, "DELETE", group+"/apiKeys/"+worker, "", 204, "")
	require.Equal(t, []apikey.Grant{{Role: seesInside, Project: second}, all, {Role: "ORG_READ_ONLY"}}, w.stored(worker).Grants)
	w.refuses(lead, "DELETE", group+"/apiKeys/"+worker, "", 404, "API_KEY_NOT_FOUND", worker)
	w.refuses(lead, "PATCH", group+"/apiKeys/"+worker, `{"desc":"theirs"}`, 404, "API_KEY_NOT_FOUND", worker)
}

func TestWriteBackLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.edit(worker, func(k *apikey.Key) {
		k.Grants = append(k.Grants, apikey.Grant{Role: "OWN_WORD"}, apikey.Grant{Role: "OWN_WORD", Project: alpha})
		k.TrialList, k.Expires = k.AccessList, start.AddDate(1, 0, 0)
		k.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "payments"}}
		for entry := range k.AccessList.All() {
			entry.Comment, entry.Expires = "the office", start.AddDate(1, 0, 0)
			var err error
			k.AccessList, err = k.AccessList.Replace(entry)
			require.NoError(t, err)
		}
	})
	w.requirement(policy.ReportOnly)
	before := w.stored(worker)
	var read keyBody
	require.NoError(t, json.Unmarshal(w.call(owner, "GET", workerPath, "").Body.Bytes(), &read))
	atOrganization, inProject := []string{}, []string{}
	for _, role := range read.Roles {
		switch {
		case role.Organization != "":
			atOrganization = append(atOrganization, role.Role)
		case role.Group == alpha:
			inProject = append(inProject, role.Role)
		}
	}
	write := func(by apikey.ID, path string, roles []string) {
		body, err := json.Marshal(map[string]any{"desc": read.Description, "roles": roles})
		require.NoError(t, err)
		require.Equal(t, 200, w.call(by, "PATCH", path, string(body)).Code)
	}
	write(owner, workerPath, atOrganization)
	write(lead, group+"/apiKeys/"+worker, inProject)
	w.answers(owner, "PATCH", org+"/settings", w.call(owner, "GET", org+"/settings", "").Body.String(), 200, `{"apiAccessListRequired":false}`)
	after := w.stored(worker)
	require.ElementsMatch(t, before.Grants, after.Grants)
	after.Grants, after.Revision = before.Grants, before.Revision
	require.True(t, before.Equal(after))
	organization, err := w.memory.Organization(t.Context(), acme)
	require.NoError(t, err)
	require.Equal(t, policy.ReportOnly, organization.Requirement)
}

func TestChangeKeyRefused(t *testing.T) {
	w := newWorld(t)
	before := w.records()
	for _, test := range []struct{ body, code, parameter string }{
		{`{"desc":"a\nb"}`, "INVALID_API_KEY_DESC", "desc"},
		{`{"roles":[]}`, "MISSING_API_KEY_ROLES", "roles"},
		{`{"roles":["NOBODY"]}`, "INVALID_ROLE_FOR_ORG", "NOBODY"},
		{`{"roles":{}}`, "INVALID_JSON_ATTRIBUTE", "roles"},
	} {
		w.refuses(owner, "PATCH", workerPath, test.body, 400, test.code, test.parameter)
	}
	w.refuses(owner, "PATCH", workerPath, `{}`, 400, "MISSING_ONE_OF_ATTRIBUTES", "desc", "roles")
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		w.refuses(owner, method, org+"/apiKeys/"+absent, `{"desc":"x"}`, 404, "API_KEY_NOT_FOUND", absent)
		w.refuses(owner, method, org+"/apiKeys/a%20b", `{"desc":"x"}`, 400, "PATH_PARAM_PARSE_ERROR", "a b", "apiUserId")
	}
	w.refuses(owner, "PATCH", org+"/apiKeys/"+owner, `{"roles":["ORG_READ_ONLY"]}`, 409, "CHANGE_WOULD_LOCK_OUT", client)
	w.refuses(owner, "DELETE", org+"/apiKeys/"+owner, "", 409, "CHANGE_WOULD_LOCK_OUT", client)
	w.refuses(lead, "DELETE", group+"/apiKeys/"+lead, "", 409, "CHANGE_WOULD_LOCK_OUT", client)
	require.Equal(t, before, w.records())
}

// A used key is deleted all the same: Vault could never revoke a lease otherwise.
func TestDeleteKey(t *testing.T) {
	w := newWorld(t)
	w.used(worker, "198.51.100.0/24", "198.51.100.7")
	w.answers(owner, "DELETE", workerPath, "", 204, "")
	require.Equal(t, []string{"breaks_key"}, w.newest(1)[0].Accepted)
	w.refuses(owner, "DELETE", workerPath, "", 404, "API_KEY_NOT_FOUND", worker)
	w.refuses(owner, "GET", workerPath, "", 404, "API_KEY_NOT_FOUND", worker)
}
