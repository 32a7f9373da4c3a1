package clients_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/atlas/mongodbatlas"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// A sent is a call by Python's urllib.
type sent struct {
	Method string `json:"method"`
	Target string `json:"target"`
	Body   string `json:"body"`
}

// urllib makes calls with Python's urllib and HTTP Digest, and returns the statuses.
func (s service) urllib(t *testing.T, calls ...sent) (statuses []int) {
	t.Helper()
	job, err := json.Marshal(map[string]any{"url": s.URL, "user": owner, "secret": s.Secret.Reveal(), "calls": calls})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(run(t, string(job), "python3", filepath.Join("testdata", "urllib_client.py"))), &statuses))
	return statuses
}

const keysPath = "/api/public/v1.0/orgs/" + org + "/apiKeys"

// Python's urllib tries again after every 401, six times. It does so with a wrong secret only:
// what is refused after the proof is 403, 404 or 409, and tried once.
func TestUrllib(t *testing.T) {
	s := newService(t)
	list := keysPath + "/" + owner + "/accessList"
	require.Equal(t, []int{200, 409, 204, 404, 400, 403, 404}, s.urllib(t,
		sent{"POST", list, `[{"cidrBlock":"203.0.113.0/24"}]`},
		sent{"POST", list, `[{"cidrBlock":"203.0.113.0/24"}]`},
		sent{"DELETE", list + "/203.0.113.0%2F24", ""},
		sent{"DELETE", list + "/203.0.113.0%2F24", ""},
		sent{"DELETE", list + "/127.0.0.1", ""},
		sent{"GET", "/api/public/v1.0/orgs/" + another, ""},
		sent{"DELETE", keysPath + "/" + absent, ""},
	))
	require.Len(t, s.Authorized(), 7)

	right := s.Secret
	s.Secret = newService(t).Secret
	require.Equal(t, []int{401}, s.urllib(t, sent{"DELETE", keysPath + "/" + owner, ""}))
	require.Len(t, s.Authorized(), 6)
	s.Secret = right
	require.Equal(t, []int{200}, s.urllib(t, sent{"GET", keysPath + "/" + owner, ""}), "the key is there, and not locked")
}

// The connection breaks after a change, before its answer, and the caller sends the change once
// more.
func TestRepeatedChange(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		change func(c *mongodbatlas.Client, t *testing.T, key string) error
		code   string   // of the second answer; empty: it succeeds
		events []string // of both, by their documented names
	}{
		"an entry": {http.MethodPost, func(c *mongodbatlas.Client, t *testing.T, key string) error {
			_, _, err := c.AccessListAPIKeys.Create(t.Context(), org, key, []*mongodbatlas.AccessListAPIKeysReq{{CidrBlock: "203.0.113.0/24"}})
			return err
		}, "ADDRESS_ALREADY_IN_ACCESS_LIST", []string{"API_KEY_ACCESS_LIST_ENTRY_ADDED"}},
		"an entry's removal": {http.MethodDelete, func(c *mongodbatlas.Client, t *testing.T, key string) error {
			_, err := c.AccessListAPIKeys.Delete(t.Context(), org, key, "198.51.100.7")
			return err
		}, "API_KEY_ACCESS_LIST_NOT_FOUND", []string{"API_KEY_ACCESS_LIST_ENTRY_DELETED"}},
		"a description": {http.MethodPatch, func(c *mongodbatlas.Client, t *testing.T, key string) error {
			_, _, err := c.APIKeys.Update(t.Context(), org, key, keyInput("new", "ORG_READ_ONLY"))
			return err
		}, "", []string{"API_KEY_DESCRIPTION_CHANGED", "API_KEY_ROLES_CHANGED"}},
		"an assignment": {http.MethodPatch, func(c *mongodbatlas.Client, t *testing.T, key string) error {
			_, err := c.ProjectAPIKeys.Assign(t.Context(), group, key, assignment("GROUP_READ_ONLY"))
			return err
		}, "", nil}, // an event of the project
		"a deletion": {http.MethodDelete, func(c *mongodbatlas.Client, t *testing.T, key string) error {
			_, err := c.APIKeys.Delete(t.Context(), org, key)
			return err
		}, "API_KEY_NOT_FOUND", []string{"API_KEY_DELETED"}},
		"the switch": {http.MethodPatch, func(c *mongodbatlas.Client, t *testing.T, _ string) error {
			r, err := c.NewRequest(t.Context(), http.MethodPatch, "api/atlas/v1.0/orgs/"+org+"/settings", map[string]bool{"apiAccessListRequired": true})
			require.NoError(t, err)
			_, err = c.Do(t.Context(), r, nil)
			return err
		}, "", []string{"ORG_PUBLIC_API_ACCESS_LIST_REQUIRED"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			c := s.sdk(t)
			made, _, err := c.APIKeys.Create(t.Context(), org, keyInput("ci", "ORG_MEMBER"))
			require.NoError(t, err)
			_, _, err = c.AccessListAPIKeys.Create(t.Context(), org, made.ID, []*mongodbatlas.AccessListAPIKeysReq{{IPAddress: "198.51.100.7"}, {IPAddress: "192.0.2.1"}})
			require.NoError(t, err)
			before, _, err := c.Events.ListOrganizationEvents(t.Context(), org, nil)
			require.NoError(t, err)
			s.Calls()

			s.LoseAnswer(test.method)
			err = test.change(c, t, made.ID)
			require.ErrorContains(t, err, "EOF")
			require.Len(t, s.Authorized(), 1, "the client does not send a change again by itself")
			err = test.change(c, t, made.ID)
			if test.code == "" {
				require.NoError(t, err)
			} else {
				_, got := code(t, err)
				require.Equal(t, test.code, got)
			}

			after, _, err := c.Events.ListOrganizationEvents(t.Context(), org, nil)
			require.NoError(t, err)
			var events []string
			for _, event := range after.Results[:after.TotalCount-before.TotalCount] {
				events = append(events, event.EventTypeName)
			}
			require.ElementsMatch(t, test.events, events, "one change is one event, however often it is sent")
		})
	}
}

// A creation has no name of its own to be known by: sent twice it makes two keys. The first has
// no list, no calls and a secret that nobody has; the description finds it.
func TestRepeatedCreation(t *testing.T) {
	s := newService(t)
	c := s.sdk(t)
	s.LoseAnswer(http.MethodPost)
	_, _, err := c.APIKeys.Create(t.Context(), org, keyInput("ci 1", "ORG_MEMBER"))
	require.ErrorContains(t, err, "EOF")
	made, _, err := c.APIKeys.Create(t.Context(), org, keyInput("ci 1", "ORG_MEMBER"))
	require.NoError(t, err)
	keys, _, err := c.APIKeys.List(t.Context(), org, nil)
	require.NoError(t, err)
	require.Len(t, keys, 3)
	for _, key := range keys {
		if strings.HasPrefix(key.Desc, "ci") && key.ID != made.ID {
			_, err = c.APIKeys.Delete(t.Context(), org, key.ID)
			require.NoError(t, err)
			_, err = s.Store.Key(t.Context(), apikey.ID(key.ID))
			require.ErrorIs(t, err, store.ErrNotFound)
		}
	}
	s.Key(t, made.ID)
}

// Go's transport sends a GET again by itself when a used connection breaks. The Digest response
// is then a replay: the client gets 401, and the caller's next call succeeds.
func TestReplayedRead(t *testing.T) {
	s := newService(t)
	c := s.sdk(t)
	_, _, err := c.Organizations.Get(t.Context(), org)
	require.NoError(t, err)
	s.Calls()
	s.LoseAnswer(http.MethodGet)
	_, _, err = c.Organizations.Get(t.Context(), org)
	status, name := code(t, err)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "INVALID_API_KEY", name)
	const get = " GET /api/atlas/v1.0/orgs/" + org + " Digest"
	require.Equal(t, []string{"0" + get, "401" + get}, s.Authorized())
	_, _, err = c.Organizations.Get(t.Context(), org)
	require.NoError(t, err)
}
