package clients

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/atlas/mongodbatlas"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	digestscheme "github.com/sallyport-go/sallyport/policy/policyhttp/digest"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// The organization, its project and its owner's key.
const (
	org     = "5f1aa0bd1c6b2a0f3c9d0001"
	group   = "5f1aa0bd1c6b2a0f3c9d0002"
	another = "5f1aa0bd1c6b2a0f3c9d0003" // organization, with a project of the same name
	theirs  = "5f1aa0bd1c6b2a0f3c9d0004"
	owner   = "5f1aa0bd1c6b2a0f3c9d000a"
	absent  = "ffffffffffffffffffffffff"
)

type projects []adminhttp.Project

func (p projects) Of(_ context.Context, organization string) iter.Seq2[adminhttp.Project, error] {
	return func(yield func(adminhttp.Project, error) bool) {
		for _, project := range p {
			if project.Organization == organization && !yield(project, nil) {
				return
			}
		}
	}
}

func (p projects) Project(_ context.Context, id string) (adminhttp.Project, bool, error) {
	i := slices.IndexFunc(p, func(project adminhttp.Project) bool { return project.ID == id })
	if i < 0 {
		return adminhttp.Project{}, false, nil
	}
	return p[i], true, nil
}

// A service is the API on a socket of the loopback, with an owner's key listed there.
type service struct {
	url    string
	secret apikey.Secret // of the owner's key
	store  *memory.Store
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{store: memory.New()}
	for _, id := range []string{org, another} {
		_, err := s.store.PutOrganization(t.Context(), policy.Organization{ID: id, Name: "Acme"})
		require.NoError(t, err)
	}
	list, err := accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestMD5}, DigestRealm: policyhttp.DefaultRealm})
	require.NoError(t, err)
	key, secret, err := issuer.Issue(apikey.Key{ID: owner, Organization: org, Description: "owner", AccessList: list,
		Grants: []apikey.Grant{{Role: "ORG_OWNER"}, {Role: "GROUP_OWNER", Project: group}}})
	require.NoError(t, err)
	_, err = s.store.PutKey(t.Context(), key)
	require.NoError(t, err)
	s.secret = secret
	scheme, err := digestscheme.New(digestscheme.Config{Algorithms: []apikey.DigestAlgorithm{apikey.DigestMD5}})
	require.NoError(t, err)
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(s.store), Issuer: issuer, Schemes: []policyhttp.Scheme{scheme, policyhttp.Bearer()}})
	require.NoError(t, err)
	manager, err := admin.New(s.store, admin.WithIssuer(issuer), admin.WithManagers("ORG_OWNER"))
	require.NoError(t, err)
	handler, err := adminhttp.New(adminhttp.Config{
		Admin: manager, Store: s.store, Guard: guard,
		Roles: adminhttp.Roles{Read: []string{"ORG_OWNER", "ORG_READ_ONLY", "ORG_MEMBER"}, Manage: []string{"ORG_OWNER"},
			ProjectRead: []string{"GROUP_OWNER", "GROUP_READ_ONLY"}, ProjectManage: []string{"GROUP_OWNER"}},
		OrganizationRoles: []string{"ORG_OWNER", "ORG_MEMBER", "ORG_READ_ONLY"}, ProjectRoles: []string{"GROUP_OWNER", "GROUP_READ_ONLY"},
		MemberRole: "ORG_MEMBER",
		Projects:   projects{{ID: group, Organization: org, Name: "Alpha"}, {ID: theirs, Organization: another, Name: "Alpha"}},
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// sdk returns the vendor's client, with the owner's key and HTTP Digest.
func (s *service) sdk(t *testing.T) *mongodbatlas.Client {
	t.Helper()
	client, err := digest.NewTransport(owner, s.secret.Reveal()).Client()
	require.NoError(t, err)
	sdk, err := mongodbatlas.New(client, mongodbatlas.SetBaseURL(s.url+"/"))
	require.NoError(t, err)
	return sdk
}

// code returns the documented code of an error of the vendor's client, with its status.
func code(t *testing.T, err error) (status int, name string) {
	t.Helper()
	var answer *mongodbatlas.ErrorResponse
	require.ErrorAs(t, err, &answer)
	return answer.HTTPCode, answer.ErrorCode
}

// bearer returns the status of a call with a secret of its own.
func (s *service) bearer(t *testing.T, secret, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
