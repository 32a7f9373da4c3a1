// Package service has the service that the tests of real clients call: the documented API on
// a socket of the loopback, over a store in memory.
package service

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
)

// The organization, its project and its owner's key.
const (
	Org     = "5f1aa0bd1c6b2a0f3c9d0001"
	Group   = "5f1aa0bd1c6b2a0f3c9d0002"
	Another = "5f1aa0bd1c6b2a0f3c9d0003" // organization, with a project of the same name
	Theirs  = "5f1aa0bd1c6b2a0f3c9d0004"
	Owner   = "5f1aa0bd1c6b2a0f3c9d000a"
	Absent  = "ffffffffffffffffffffffff"
)

// A Service is the API, with an owner's key listed on the loopback.
type Service struct {
	URL     string        // without TLS
	Secret  apikey.Secret // of the owner's key
	Store   *Store
	Handler http.Handler // of the API, for a server of the test's own

	client *http.Client // of URL
	calls  calls
}

// New starts a service. It ends with the test.
func New(t testing.TB) *Service {
	t.Helper()
	s := &Service{Store: newStore()}
	for _, id := range []string{Org, Another} {
		_, err := s.Store.PutOrganization(t.Context(), policy.Organization{ID: id, Name: "Acme"})
		require.NoError(t, err)
	}
	list, err := accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	issuer, scheme := newIssuer(t)
	key, secret, err := issuer.Issue(apikey.Key{ID: Owner, Organization: Org, Description: "owner", AccessList: list,
		Grants: []apikey.Grant{{Role: "ORG_OWNER"}, {Role: "GROUP_OWNER", Project: Group}}})
	require.NoError(t, err)
	_, err = s.Store.PutKey(t.Context(), key)
	require.NoError(t, err)
	s.Secret = secret

	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(s.Store), Issuer: issuer, Schemes: []policyhttp.Scheme{scheme, policyhttp.Bearer()}})
	require.NoError(t, err)
	manager, err := admin.New(s.Store, admin.WithIssuer(issuer), admin.WithManagers("ORG_OWNER"))
	require.NoError(t, err)
	handler, err := adminhttp.New(adminhttp.Config{
		Admin: manager, Store: s.Store, Guard: guard,
		Roles: adminhttp.Roles{Read: []string{"ORG_OWNER", "ORG_READ_ONLY", "ORG_MEMBER"}, Manage: []string{"ORG_OWNER"},
			ProjectRead: []string{"GROUP_OWNER", "GROUP_READ_ONLY"}, ProjectManage: []string{"GROUP_OWNER"}},
		OrganizationRoles: []string{"ORG_OWNER", "ORG_MEMBER", "ORG_READ_ONLY"}, ProjectRoles: []string{"GROUP_OWNER", "GROUP_READ_ONLY"},
		MemberRole: "ORG_MEMBER", Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Projects: projects{{ID: Group, Organization: Org, Name: "Alpha"}, {ID: Theirs, Organization: Another, Name: "Alpha"}},
	})
	require.NoError(t, err)
	s.Handler = s.record(handler)
	server := httptest.NewServer(s.Handler)
	t.Cleanup(server.Close)
	s.URL, s.client = server.URL, server.Client()
	return s
}

// newIssuer returns an issuer of secrets for HTTP Digest, and that scheme.
func newIssuer(t testing.TB) (*apikey.Issuer, policyhttp.Scheme) {
	t.Helper()
	algorithms := []apikey.DigestAlgorithm{apikey.DigestMD5}
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: algorithms, DigestRealm: policyhttp.DefaultRealm})
	require.NoError(t, err)
	scheme, err := digest.New(digest.Config{Algorithms: algorithms})
	require.NoError(t, err)
	return issuer, scheme
}

// Key returns a key as stored.
func (s *Service) Key(t testing.TB, id string) apikey.Key {
	t.Helper()
	key, err := s.Store.Key(t.Context(), apikey.ID(id))
	require.NoError(t, err)
	return key
}

// Decide judges a call of the organization with a secret, from an address.
func (s *Service) Decide(t testing.TB, secret, from string) policy.Reason {
	t.Helper()
	id, parsed, err := apikey.Parse(secret)
	require.NoError(t, err)
	return policy.New(s.Store).Decide(t.Context(), policy.Request{Key: id, Secret: parsed, Client: netip.MustParseAddr(from), Organization: Org}).Reason
}

// Bearer returns the status of a GET with a secret.
func (s *Service) Bearer(t testing.TB, secret, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := s.client.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

type projects []admin.Project

func (p projects) Of(_ context.Context, organization string) iter.Seq2[admin.Project, error] {
	return func(yield func(admin.Project, error) bool) {
		for _, project := range p {
			if project.Organization == organization && !yield(project, nil) {
				return
			}
		}
	}
}

func (p projects) Project(_ context.Context, id string) (admin.Project, bool, error) {
	i := slices.IndexFunc(p, func(project admin.Project) bool { return project.ID == id })
	if i < 0 {
		return admin.Project{}, false, nil
	}
	return p[i], true, nil
}
