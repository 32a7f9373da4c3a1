package clients_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/atlas/mongodbatlas"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A key from its creation to its deletion, as the vendor's client does it.
func TestAtlasKeys(t *testing.T) {
	s := newService(t)
	c, ctx := s.sdk(t), t.Context()
	made, _, err := c.APIKeys.Create(ctx, org, &mongodbatlas.APIKeyInput{Desc: "ci", Roles: []string{"ORG_MEMBER"}})
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{24}$", made.ID)
	require.Equal(t, made.ID, made.PublicKey)
	require.Equal(t, []mongodbatlas.AtlasRole{{OrgID: org, RoleName: "ORG_MEMBER"}}, made.Roles)
	require.Equal(t, http.StatusOK, s.Bearer(t, made.PrivateKey, "/api/atlas/v1.0/orgs/"+org))
	seen, _, err := s.sdkOf(t, made.ID, made.PrivateKey).Organizations.Get(ctx, org)
	require.NoError(t, err, "a key made by the API signs in with Digest at once")
	require.Equal(t, org, seen.ID)

	got, _, err := c.APIKeys.Get(ctx, org, made.ID)
	require.NoError(t, err)
	require.Regexp(t, `^\*{8}-\*{4}-\*{4}-[0-9a-f]{12}$`, got.PrivateKey)

	got, _, err = c.APIKeys.Update(ctx, org, made.ID, &mongodbatlas.APIKeyInput{Desc: "new", Roles: []string{"ORG_READ_ONLY"}})
	require.NoError(t, err)
	require.Equal(t, "new", got.Desc)
	require.Equal(t, "ORG_READ_ONLY", got.Roles[0].RoleName)
	stored, err := s.Store.Key(ctx, apikey.ID(made.ID))
	require.NoError(t, err)
	require.Equal(t, []apikey.Grant{{Role: "ORG_READ_ONLY"}}, stored.Grants)

	listed, response, err := c.APIKeys.List(ctx, org, &mongodbatlas.ListOptions{PageNum: 1, ItemsPerPage: 1, IncludeCount: true})
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.False(t, response.IsLastPage())
	next, response, err := c.APIKeys.List(ctx, org, &mongodbatlas.ListOptions{PageNum: 2, ItemsPerPage: 1, IncludeCount: true})
	require.NoError(t, err)
	require.Len(t, next, 1)
	require.True(t, response.IsLastPage())
	require.ElementsMatch(t, []string{owner, made.ID}, []string{listed[0].ID, next[0].ID})

	_, err = c.APIKeys.Delete(ctx, org, made.ID)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, s.Bearer(t, made.PrivateKey, "/api/atlas/v1.0/orgs/"+org))
	_, _, err = s.sdkOf(t, made.ID, made.PrivateKey).Organizations.Get(ctx, org)
	status, _ := code(t, err)
	require.Equal(t, http.StatusUnauthorized, status)
	_, err = c.APIKeys.Delete(ctx, org, made.ID)
	status, name := code(t, err)
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, "API_KEY_NOT_FOUND", name)
}

// Refusals reach the vendor's client with status and documented code.
func TestAtlasErrors(t *testing.T) {
	s := newService(t)
	c, ctx := s.sdk(t), t.Context()
	for _, test := range []struct {
		call   func() error
		status int
		code   string
	}{
		{func() error { _, _, err := c.APIKeys.Get(ctx, org, absent); return err }, 404, "API_KEY_NOT_FOUND"},
		{func() error { _, _, err := c.APIKeys.Get(ctx, another, owner); return err }, 403, "USER_UNAUTHORIZED"},
		{func() error { _, _, err := c.APIKeys.Get(ctx, absent, owner); return err }, 403, "USER_UNAUTHORIZED"},
		{func() error {
			_, _, err := c.APIKeys.Create(ctx, org, &mongodbatlas.APIKeyInput{Roles: []string{"ORG_MEMBER"}})
			return err
		}, 400, "API_KEY_REQUIRES_DESCRIPTION"},
		{func() error {
			_, _, err := c.APIKeys.Create(ctx, org, &mongodbatlas.APIKeyInput{Desc: "x"})
			return err
		}, 400, "MISSING_API_KEY_ROLES"},
		{func() error {
			_, _, err := c.APIKeys.Create(ctx, org, &mongodbatlas.APIKeyInput{Desc: "x", Roles: []string{"GROUP_OWNER"}})
			return err
		}, 400, "INVALID_ROLE_FOR_ORG"},
		{func() error { _, err := c.APIKeys.Delete(ctx, org, owner); return err }, 409, "CHANGE_WOULD_LOCK_OUT"},
		{func() error {
			_, _, err := c.APIKeys.Update(ctx, org, owner, &mongodbatlas.APIKeyInput{Roles: []string{"ORG_MEMBER"}})
			return err
		}, 409, "CHANGE_WOULD_LOCK_OUT"},
		{func() error { _, err := c.AccessListAPIKeys.Delete(ctx, org, owner, "127.0.0.1"); return err }, 400, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST"}, // the call needs a list
		{func() error {
			_, err := c.APIKeys.Delete(ctx, org, "not an ID")
			return err
		}, 400, "PATH_PARAM_PARSE_ERROR"},
		{func() error { _, _, err := c.ProjectAPIKeys.List(ctx, theirs, nil); return err }, 404, "GROUP_NOT_FOUND"},
		{func() error { _, _, err := c.ProjectAPIKeys.List(ctx, absent, nil); return err }, 404, "GROUP_NOT_FOUND"},
	} {
		status, name := code(t, test.call())
		require.Equal(t, test.code, name)
		require.Equal(t, test.status, status, test.code)
	}
}

// Entries, with blocks in both spellings of their path.
func TestAtlasAccessList(t *testing.T) {
	s := newService(t)
	c, ctx := s.sdk(t), t.Context()
	list, _, err := c.AccessListAPIKeys.Create(ctx, org, owner, []*mongodbatlas.AccessListAPIKeysReq{{CidrBlock: "203.0.113.0/24"}, {IPAddress: "198.51.100.7"}})
	require.NoError(t, err)
	require.Equal(t, 3, list.TotalCount)
	for path, block := range map[string]string{"203.0.113.0%2F24": "203.0.113.0/24", "203.0.113.0/24": "203.0.113.0/24", "198.51.100.7": "198.51.100.7/32"} {
		entry, _, err := c.AccessListAPIKeys.Get(ctx, org, owner, path)
		require.NoError(t, err, path)
		require.Equal(t, block, entry.CidrBlock)
	}
	_, err = c.AccessListAPIKeys.Delete(ctx, org, owner, "203.0.113.0%2F24")
	require.NoError(t, err)
	_, err = c.AccessListAPIKeys.Delete(ctx, org, owner, "127.0.0.1") // the caller's own, with another entry beside it
	status, name := code(t, err)
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST", name)
	_, _, err = c.AccessListAPIKeys.Create(ctx, org, owner, []*mongodbatlas.AccessListAPIKeysReq{{IPAddress: "198.51.100.7"}})
	_, name = code(t, err)
	require.Equal(t, "ADDRESS_ALREADY_IN_ACCESS_LIST", name)
	_, _, err = c.AccessListAPIKeys.Create(ctx, org, owner, []*mongodbatlas.AccessListAPIKeysReq{{IPAddress: "2001:db8::1"}})
	_, name = code(t, err)
	require.Equal(t, "IPV6_UNSUPPORTED", name)
	after, _, err := c.AccessListAPIKeys.List(ctx, org, owner, nil)
	require.NoError(t, err)
	require.Len(t, after.Results, 2)
}

// A project's keys: created there, assigned and taken away.
func TestAtlasProjects(t *testing.T) {
	s := newService(t)
	c, ctx := s.sdk(t), t.Context()
	found, _, err := c.Organizations.Projects(ctx, org, nil)
	require.NoError(t, err)
	require.Equal(t, 1, found.TotalCount)
	require.Equal(t, group, found.Results[0].ID)
	all, _, err := c.Projects.GetAllProjects(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 1, all.TotalCount)
	project, _, err := c.Projects.GetOneProject(ctx, group)
	require.NoError(t, err)
	require.Equal(t, &mongodbatlas.Project{ID: group, OrgID: org, Name: "Alpha", Links: project.Links}, project)

	made, _, err := c.ProjectAPIKeys.Create(ctx, group, &mongodbatlas.APIKeyInput{Desc: "of the project", Roles: []string{"GROUP_READ_ONLY"}})
	require.NoError(t, err)
	require.ElementsMatch(t, []mongodbatlas.AtlasRole{{OrgID: org, RoleName: "ORG_MEMBER"}, {GroupID: group, RoleName: "GROUP_READ_ONLY"}}, made.Roles)
	_, err = c.ProjectAPIKeys.Assign(ctx, group, made.ID, &mongodbatlas.AssignAPIKey{Roles: []string{"GROUP_OWNER"}})
	require.NoError(t, err)
	keys, _, err := c.ProjectAPIKeys.List(ctx, group, nil)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	_, err = c.ProjectAPIKeys.Unassign(ctx, group, made.ID)
	require.NoError(t, err)
	require.Equal(t, []apikey.Grant{{Role: "ORG_MEMBER"}}, s.Key(t, made.ID).Grants)

	events, _, err := c.Events.ListProjectEvents(ctx, group, &mongodbatlas.EventListOptions{EventType: []string{"API_KEY_ADDED_TO_GROUP", "API_KEY_REMOVED_FROM_GROUP"}})
	require.NoError(t, err)
	require.Len(t, events.Results, 2)
	require.Equal(t, "API_KEY_REMOVED_FROM_GROUP", events.Results[0].EventTypeName)
	one, _, err := c.Events.GetProjectEvent(ctx, group, events.Results[1].ID)
	require.NoError(t, err)
	require.Equal(t, "API_KEY_ADDED_TO_GROUP", one.EventTypeName)
	require.Equal(t, group, one.GroupID)
	require.Equal(t, made.ID, one.TargetPublicKey)
}

// Organizations, events, and the switch by the client's generic request.
func TestAtlasSettingsAndEvents(t *testing.T) {
	s := newService(t)
	c, ctx := s.sdk(t), t.Context()
	found, _, err := c.Organizations.List(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, 1, found.TotalCount)
	require.Equal(t, org, found.Results[0].ID)
	one, _, err := c.Organizations.Get(ctx, org)
	require.NoError(t, err)
	require.Equal(t, "Acme", one.Name)

	r, err := c.NewRequest(ctx, http.MethodPatch, "api/atlas/v1.0/orgs/"+org+"/settings", map[string]bool{"apiAccessListRequired": true})
	require.NoError(t, err)
	var settings struct {
		Required bool `json:"apiAccessListRequired"`
	}
	_, err = c.Do(ctx, r, &settings)
	require.NoError(t, err)
	require.True(t, settings.Required)
	settings.Required = false
	r, err = c.NewRequest(ctx, http.MethodGet, "api/atlas/v1.0/orgs/"+org+"/settings", nil)
	require.NoError(t, err)
	_, err = c.Do(ctx, r, &settings)
	require.NoError(t, err)
	require.True(t, settings.Required)
	stored, err := s.Store.Organization(ctx, org)
	require.NoError(t, err)
	require.Equal(t, policy.Required, stored.Requirement)

	made, _, err := c.APIKeys.Create(ctx, org, &mongodbatlas.APIKeyInput{Desc: "ci", Roles: []string{"ORG_MEMBER"}})
	require.NoError(t, err)
	_, err = c.APIKeys.Delete(ctx, org, made.ID)
	require.NoError(t, err)
	events, _, err := c.Events.ListOrganizationEvents(ctx, org, &mongodbatlas.EventListOptions{EventType: []string{"API_KEY_CREATED", "API_KEY_DELETED"}, MinDate: "2026-01-01T00:00:00Z"})
	require.NoError(t, err)
	require.Len(t, events.Results, 2)
	require.Equal(t, "API_KEY_DELETED", events.Results[0].EventTypeName) // the newest first
	require.Equal(t, owner, events.Results[0].APIKeyID)
	require.Equal(t, made.ID, events.Results[1].TargetPublicKey)
	require.Equal(t, "127.0.0.1", events.Results[1].RemoteAddress)
	event, _, err := c.Events.GetOrganizationEvent(ctx, org, events.Results[0].ID)
	require.NoError(t, err)
	require.Equal(t, events.Results[0], event)
}
