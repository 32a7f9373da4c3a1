package clients_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An example is a call of the documentation. {key} and the like are replaced by IDs.
type example struct {
	endpoint     string // method and pattern, as endpoints.md has them
	path, body   string // path: empty for that of the endpoint
	status, want string // want: part of the body
}

// examples call every documented endpoint, each with what those before it made: {key} is the
// key created last, {event} and {projectEvent} the newest events read.
var examples = []example{
	{"POST /orgs/{org}/apiKeys", "/orgs/{org}/apiKeys?pretty=true", `{"desc": "New API key for test purposes", "roles": ["ORG_MEMBER"]}`, "200", `"roleName": "ORG_MEMBER"`},
	{"GET /orgs", "/orgs?pretty=true&itemsPerPage=1", "", "200", `"totalCount": 1`},
	{"GET /orgs/{org}", "", "", "200", `"name":"Acme"`},
	{"GET /orgs/{org}/groups", "/orgs/{org}/groups?pretty=true", "", "200", `"name": "Alpha"`},
	{"GET /orgs/{org}/settings", "", "", "200", `{"apiAccessListRequired":false}`},
	{"GET /orgs/{org}/apiKeys", "/orgs/{org}/apiKeys?pretty=true&pageNum=1&itemsPerPage=2&includeCount=true", "", "200", `"desc": "New API key for test purposes"`},
	{"GET /orgs/{org}/apiKeys/{key}", "/orgs/{org}/apiKeys/{key}?pretty=true", "", "200", `"privateKey": "********-****-****-`},
	{"PATCH /orgs/{org}/apiKeys/{key}", "/orgs/{org}/apiKeys/{key}?pretty=true", `{"desc": "Edited description", "roles": ["ORG_READ_ONLY"]}`, "200", `"desc": "Edited description"`},
	{"POST /orgs/{org}/apiKeys/{key}/accessList", "/orgs/{org}/apiKeys/{key}/accessList/?pretty=true", `[{"ipAddress": "77.54.32.11"}, {"cidrBlock": "198.51.100.0/24"}]`, "200", `"totalCount": 2`},
	{"POST /orgs/{org}/apiKeys/{key}/accessList", "", `[{"ipAddress": "77.54.32.11"}]`, "409", `"errorCode":"ADDRESS_ALREADY_IN_ACCESS_LIST"`},
	{"GET /orgs/{org}/apiKeys/{key}/accessList", "/orgs/{org}/apiKeys/{key}/accessList/?pretty=true", "", "200", `"ipAddress": "77.54.32.11"`},
	{"GET /orgs/{org}/apiKeys/{key}/accessList/{entry...}", "/orgs/{org}/apiKeys/{key}/accessList/77.54.32.11?pretty=true", "", "200", `"cidrBlock": "77.54.32.11/32"`},
	{"DELETE /orgs/{org}/apiKeys/{key}/accessList/{entry...}", "/orgs/{org}/apiKeys/{key}/accessList/198.51.100.0%2F24", "", "204", ""},
	{"DELETE /orgs/{org}/apiKeys/{key}/accessList/{entry...}", "/orgs/{org}/apiKeys/{key}/accessList/198.51.100.0%2F24", "", "404", `"errorCode":"API_KEY_ACCESS_LIST_NOT_FOUND"`},
	{"PATCH /orgs/{org}/settings", "", `{"apiAccessListRequired": true}`, "200", `{"apiAccessListRequired":true}`},
	{"PATCH /orgs/{org}/settings", "", `{"apiAccessListRequired": true}`, "200", `{"apiAccessListRequired":true}`},

	{"GET /groups", "/groups?pretty=true", "", "200", `"totalCount": 1`},
	{"GET /groups/{group}", "", "", "200", `"orgId":"5f1aa0bd1c6b2a0f3c9d0001"`},
	{"POST /groups/{group}/apiKeys", "/groups/{group}/apiKeys?pretty=true", `{"desc": "New API key for test purposes", "roles": ["GROUP_READ_ONLY"]}`, "200", `"roleName": "GROUP_READ_ONLY"`},
	{"GET /groups/{group}/apiKeys", "/groups/{group}/apiKeys?pretty=true", "", "200", `"totalCount": 2`},
	{"PATCH /groups/{group}/apiKeys/{key}", "/groups/{group}/apiKeys/{key}?pretty=true", `{"roles": ["GROUP_OWNER"]}`, "200", `"roleName": "GROUP_OWNER"`},
	{"POST /groups/{group}/apiKeys/{key}", "", `[{"roles": ["GROUP_READ_ONLY"]}]`, "204", ""},
	{"DELETE /groups/{group}/apiKeys/{key}", "", "", "204", ""},
	{"DELETE /groups/{group}/apiKeys/{key}", "", "", "404", `"errorCode":"API_KEY_NOT_FOUND"`},
	{"GET /groups/{group}/events", "/groups/{group}/events?pretty=true", "", "200", `"eventTypeName": "API_KEY_ADDED_TO_GROUP"`},
	{"GET /groups/{group}/events/{event}", "/groups/{group}/events/{projectEvent}?pretty=true", "", "200", `"groupId": "5f1aa0bd1c6b2a0f3c9d0002"`},

	{"DELETE /orgs/{org}/apiKeys/{key}", "/orgs/{org}/apiKeys/{key}?pretty=true", "", "204", ""},
	{"DELETE /orgs/{org}/apiKeys/{key}", "", "", "404", `"errorCode":"API_KEY_NOT_FOUND"`},
	{"GET /orgs/{org}/events", "/orgs/{org}/events?pretty=true&eventType=API_KEY_DELETED", "", "200", `"totalCount": 1`},
	{"GET /orgs/{org}/events/{event}", "/orgs/{org}/events/{event}?pretty=true", "", "200", `"eventTypeName": "API_KEY_DELETED"`},
}

// The calls of the documentation by curl, at every endpoint that endpoints.md lists, under each
// prefix.
func TestDocumentation(t *testing.T) {
	table, err := os.ReadFile("../endpoints.md")
	require.NoError(t, err)
	var listed []string
	v2Only := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([A-Z]+) \\| `(/[^`]*)` \\|[^|]*\\| (.*) \\|$").FindAllStringSubmatch(string(table), -1) {
		listed = append(listed, row[1]+" "+row[2])
		v2Only[row[1]+" "+row[2]] = row[3] == "v2 only"
	}
	var called []string
	for _, e := range examples {
		called = append(called, e.endpoint)
	}
	require.Subset(t, called, listed)
	require.Subset(t, listed, called)
	for _, prefix := range []string{"/api/public/v1.0", "/api/atlas/v1.0", "/api/atlas/v2"} {
		t.Run(prefix, func(t *testing.T) {
			s := newService(t)
			ids := map[string]string{"{org}": org, "{group}": group}
			for _, e := range examples {
				method, path, _ := strings.Cut(e.endpoint, " ")
				if v2Only[e.endpoint] && prefix != "/api/atlas/v2" {
					e.status, e.want = "405", `"errorCode":"METHOD_NOT_ALLOWED"`
				}
				if e.path != "" {
					path = e.path
				}
				for name, id := range ids {
					path = strings.ReplaceAll(path, name, id)
				}
				arguments := []string{"--request", method, s.URL + prefix + path}
				if e.body != "" {
					arguments = append(arguments, "--header", "Accept: application/json", "--header", "Content-Type: application/json", "--data", e.body)
				}
				status, body := s.curl(t, arguments...)
				require.Equal(t, e.status, status, "%s %s: %s", method, path, body)
				require.Contains(t, body, e.want, "%s %s", method, path)
				remember(t, ids, e.endpoint, body)
			}
		})
	}
}

// remember notes the IDs in an answer that later examples name.
func remember(t *testing.T, ids map[string]string, endpoint, body string) {
	t.Helper()
	var answer struct {
		ID, PrivateKey string
		Results        []struct{ ID string }
	}
	switch endpoint {
	case "POST /orgs/{org}/apiKeys", "POST /groups/{group}/apiKeys":
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		require.NotContains(t, answer.PrivateKey, "*")
		ids["{key}"] = answer.ID
	case "GET /orgs/{org}/events":
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		ids["{event}"] = answer.Results[0].ID
	case "GET /groups/{group}/events":
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		ids["{projectEvent}"] = answer.Results[0].ID
	}
}
