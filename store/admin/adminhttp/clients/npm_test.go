package clients_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Shapes of answers, as far as the tests look at them.
type (
	found struct {
		Results    []resource
		TotalCount int
	}
	resource struct {
		ID, Name, OrgID                                              string
		EventTypeName, APIKeyID, TargetPublicKey, RemoteAddress, Raw string
		WhitelistEntry                                               string
		CIDRBlock, IPAddress                                         string
	}
	documented struct {
		Error             int
		ErrorCode, Reason string
		Parameters        []string
	}
)

// Every call that the package mongodb-atlas-api-client has for these resources, with HTTP
// Digest.
func TestNpmAtlasAPIClient(t *testing.T) {
	s := newService(t)
	sdk, ctx := s.sdk(t), t.Context()
	made, _, err := sdk.APIKeys.Create(ctx, org, keyInput("ci", "ORG_MEMBER"))
	require.NoError(t, err)
	_, err = sdk.ProjectAPIKeys.Assign(ctx, group, made.ID, assignment("GROUP_READ_ONLY"))
	require.NoError(t, err)
	_, err = sdk.APIKeys.Delete(ctx, org, made.ID)
	require.NoError(t, err)
	s.Calls()

	results := s.npm(t,
		call("legacy.organization.getAll"),
		call("legacy.organization.getById", org),
		call("legacy.organization.getAllProjectsForOrganization", org, map[string]any{"pageNum": 1, "itemsPerPage": 5}),
		call("legacy.project.getAll"),
		call("legacy.project.getById", group),
		call("legacy.event.getAllByOrganizationId", org, map[string]any{"eventType": "API_KEY_CREATED"}),
		call("legacy.event.getAll"),
		call("legacy.organization.getById", another),
		call("legacy.project.getById", theirs),
	)
	var orgs, groups, all, orgEvents, groupEvents found
	var one, project resource
	results[0].into(t, &orgs)
	results[1].into(t, &one)
	results[2].into(t, &groups)
	results[3].into(t, &all)
	results[4].into(t, &project)
	results[5].into(t, &orgEvents)
	results[6].into(t, &groupEvents)
	require.Equal(t, 1, orgs.TotalCount)
	require.Equal(t, resource{ID: org, Name: "Acme"}, orgs.Results[0])
	require.Equal(t, orgs.Results[0], one)
	require.Equal(t, 1, groups.TotalCount)
	require.Equal(t, resource{ID: group, Name: "Alpha", OrgID: org}, groups.Results[0])
	require.Equal(t, groups, all)
	require.Equal(t, groups.Results[0], project)

	require.Equal(t, 1, orgEvents.TotalCount)
	event := orgEvents.Results[0]
	require.NotEmpty(t, event.ID)
	require.Equal(t, resource{ID: event.ID, OrgID: org, EventTypeName: "API_KEY_CREATED", APIKeyID: owner, TargetPublicKey: made.ID, RemoteAddress: "127.0.0.1"}, event)
	var types []string
	for _, event := range groupEvents.Results {
		types = append(types, event.EventTypeName)
		require.Empty(t, event.OrgID)
		require.Equal(t, made.ID, event.TargetPublicKey)
	}
	require.Contains(t, types, "API_KEY_ADDED_TO_GROUP")

	for i, want := range map[int]documented{
		7: {403, "USER_UNAUTHORIZED", "Forbidden", []string{}},
		8: {404, "GROUP_NOT_FOUND", "Not Found", []string{theirs}},
	} {
		var got documented
		results[i].into(t, &got)
		require.Equal(t, want, got)
	}
	require.Equal(t, []string{
		"200 GET /api/atlas/v1.0/orgs Digest",
		"200 GET /api/atlas/v1.0/orgs/" + org + " Digest",
		"200 GET /api/atlas/v1.0/orgs/" + org + "/groups?itemsPerPage=5&pageNum=1 Digest",
		"200 GET /api/atlas/v1.0/groups Digest",
		"200 GET /api/atlas/v1.0/groups/" + group + " Digest",
		"200 GET /api/atlas/v1.0/orgs/" + org + "/events?eventType=API_KEY_CREATED Digest",
		"200 GET /api/atlas/v1.0/groups/" + group + "/events Digest",
		"403 GET /api/atlas/v1.0/orgs/" + another + " Digest",
		"404 GET /api/atlas/v1.0/groups/" + theirs + " Digest",
	}, s.Authorized(), "one try each")

	// The events by their IDs.
	results = s.npm(t,
		call("legacy.event.getByOrganizationId", org, event.ID),
		call("legacy.event.get", groupEvents.Results[0].ID, map[string]any{"includeRaw": false}),
		call("legacy.event.get", event.ID),
	)
	var again, ofProject resource
	results[0].into(t, &again)
	results[1].into(t, &ofProject)
	require.Equal(t, event, again)
	require.Equal(t, groupEvents.Results[0], ofProject)
	var missing documented
	results[2].into(t, &missing)
	require.Equal(t, documented{404, "RESOURCE_NOT_FOUND", "Not Found", []string{event.ID}}, missing, "an event of the organization is none of the project")
}

// A wrong secret is tried once, and the client gets the documented body.
func TestNpmWrongSecret(t *testing.T) {
	s := newService(t)
	s.Secret = newService(t).Secret
	var told documented
	s.npm(t, call("legacy.organization.getAll"))[0].into(t, &told)
	require.Equal(t, http.StatusUnauthorized, told.Error)
	calls := s.Calls()
	require.Len(t, calls, 2)
	require.Empty(t, calls[0].Scheme)
	require.Equal(t, "401 GET /api/atlas/v1.0/orgs Digest", calls[1].String())
}

// The vendor's package of its MCP server, with a Bearer token: its methods, and any other path
// through its client.
func TestNpmMCPClient(t *testing.T) {
	s := newService(t)
	const list = "/api/atlas/v2/orgs/{orgId}/apiKeys/{apiUserId}/accessList"
	const settings = "/api/atlas/v2/orgs/{orgId}/settings"
	of := func(more ...string) map[string]any {
		path := map[string]string{"orgId": org, "apiUserId": owner}
		for i := 0; i < len(more); i += 2 {
			path[more[i]] = more[i+1]
		}
		return map[string]any{"path": path}
	}
	results := s.npm(t,
		call("mcp.listOrgs"),
		call("mcp.getOrgGroups", map[string]any{"params": of()}),
		call("mcp.listGroups", map[string]any{"params": map[string]any{"query": map[string]any{"itemsPerPage": 10}}}),
		call("mcp.getGroup", map[string]any{"params": map[string]any{"path": map[string]string{"groupId": group}}}),
		call("mcp.getIpInfo"),
		call("mcp.client.POST", list, map[string]any{"params": of(), "body": []any{map[string]string{"cidrBlock": "203.0.113.0/24"}}}),
		call("mcp.client.GET", list+"/{entry}", map[string]any{"params": of("entry", "203.0.113.0/24")}),
		call("mcp.client.DELETE", list+"/{entry}", map[string]any{"params": of("entry", "203.0.113.0/24")}),
		call("mcp.client.DELETE", list+"/{entry}", map[string]any{"params": of("entry", "203.0.113.0/24")}),
		call("mcp.client.PATCH", settings, map[string]any{"params": of(), "body": map[string]bool{"apiAccessListRequired": true}}),
		call("mcp.client.GET", settings, map[string]any{"params": of()}),
		call("mcp.getGroup", map[string]any{"params": map[string]any{"path": map[string]string{"groupId": theirs}}}),
	)
	const vendor = "application/vnd.atlas.2023-01-01+json;charset=utf-8"
	var orgs, groups, all, added found
	var project, entry resource
	results[0].into(t, &orgs)
	results[1].into(t, &groups)
	results[2].into(t, &all)
	results[3].into(t, &project)
	require.Equal(t, []resource{{ID: org, Name: "Acme"}}, orgs.Results)
	require.Equal(t, []resource{{ID: group, Name: "Alpha", OrgID: org}}, groups.Results)
	require.Equal(t, groups, all)
	require.Equal(t, groups.Results[0], project)
	require.JSONEq(t, `{"currentIpv4Address": "127.0.0.1"}`, string(results[4].Value))

	require.Equal(t, http.StatusOK, results[5].Status)
	require.Equal(t, vendor, results[5].Type)
	results[5].into(t, &added)
	require.Equal(t, []resource{{CIDRBlock: "127.0.0.1/32", IPAddress: "127.0.0.1"}, {CIDRBlock: "203.0.113.0/24"}}, added.Results)
	results[6].into(t, &entry)
	require.Equal(t, resource{CIDRBlock: "203.0.113.0/24"}, entry)
	require.Equal(t, http.StatusNoContent, results[7].Status)
	require.Empty(t, results[7].Type)
	require.Equal(t, http.StatusNotFound, results[8].Status)
	require.JSONEq(t, `"API_KEY_ACCESS_LIST_NOT_FOUND"`, string(member(t, results[8].Error, "errorCode")))
	require.JSONEq(t, `{"apiAccessListRequired": true}`, string(results[9].Value))
	require.Equal(t, vendor, results[9].Type)
	require.JSONEq(t, `{"apiAccessListRequired": true}`, string(results[10].Value))
	require.Equal(t, http.StatusNotFound, results[11].Status)
	require.Contains(t, results[11].Message, "[404 Not Found] error calling Atlas API: Not Found; ", "reason and detail of the documented error")

	loopback, err := accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	require.True(t, loopback.Equal(s.Key(t, owner).AccessList))
	organization, err := s.Store.Organization(t.Context(), org)
	require.NoError(t, err)
	require.Equal(t, policy.Required, organization.Requirement)

	calls := s.Calls()
	require.Len(t, calls, len(results))
	require.Equal(t, "application/vnd.atlas.2025-03-12+json", calls[0].Header.Get("Accept"))
	require.Equal(t, "application/json", calls[5].Header.Get("Content-Type"))
	var texts []string
	for _, c := range calls {
		texts = append(texts, c.String())
	}
	const prefix = "/api/atlas/v2/orgs/" + org
	require.Equal(t, []string{
		"200 GET /api/atlas/v2/orgs Bearer",
		"200 GET " + prefix + "/groups Bearer",
		"200 GET /api/atlas/v2/groups?itemsPerPage=10 Bearer",
		"200 GET /api/atlas/v2/groups/" + group + " Bearer",
		"200 GET /api/private/ipinfo Bearer",
		"200 POST " + prefix + "/apiKeys/" + owner + `/accessList Bearer [{"cidrBlock":"203.0.113.0/24"}]`,
		"200 GET " + prefix + "/apiKeys/" + owner + "/accessList/203.0.113.0%2F24 Bearer",
		"204 DELETE " + prefix + "/apiKeys/" + owner + "/accessList/203.0.113.0%2F24 Bearer",
		"404 DELETE " + prefix + "/apiKeys/" + owner + "/accessList/203.0.113.0%2F24 Bearer",
		"200 PATCH " + prefix + `/settings Bearer {"apiAccessListRequired":true}`,
		"200 GET " + prefix + "/settings Bearer",
		"404 GET /api/atlas/v2/groups/" + theirs + " Bearer",
	}, texts)
}

// A key by its list, as the vendor's package sees it: the address in the refusal.
func TestNpmMCPClientOffTheList(t *testing.T) {
	s := newService(t)
	list, err := accesslist.Parse("203.0.113.0/24")
	require.NoError(t, err)
	key, secret, err := (*apikey.Issuer)(nil).Issue(apikey.Key{ID: "5f1aa0bd1c6b2a0f3c9d000b", Organization: org, Description: "elsewhere", AccessList: list, Grants: []apikey.Grant{{Role: "ORG_MEMBER"}}})
	require.NoError(t, err)
	_, err = s.Store.PutKey(t.Context(), key)
	require.NoError(t, err)
	s.Secret = secret
	for _, result := range s.npm(t, call("mcp.listOrgs"), call("mcp.getIpInfo")) {
		require.Equal(t, http.StatusForbidden, result.Status)
		require.JSONEq(t, `["127.0.0.1"]`, string(member(t, result.Error, "parameters")))
		require.JSONEq(t, `"IP_ADDRESS_NOT_ON_ACCESS_LIST"`, string(member(t, result.Error, "errorCode")))
	}
	require.Len(t, s.Calls(), 2, "no call again after 403")
}

// member returns a member of an object in JSON.
func member(t *testing.T, object json.RawMessage, name string) json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(object, &members), "%s", object)
	require.Contains(t, members, name, "%s", object)
	return members[name]
}
