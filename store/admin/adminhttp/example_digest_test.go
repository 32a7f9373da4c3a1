package adminhttp_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Clients of the documented API sign in with HTTP Digest. The issuer, the scheme and the guard
// agree on the algorithms and the realm. MD5 is the one that all of those clients know.
func ExampleNew_digest() {
	algorithms := []apikey.DigestAlgorithm{apikey.DigestMD5}
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: algorithms, DigestRealm: policyhttp.DefaultRealm})
	if err != nil {
		panic(err)
	}
	scheme, err := digest.New(digest.Config{Algorithms: algorithms})
	if err != nil {
		panic(err)
	}
	keys := memory.New()
	guard, err := policyhttp.New(policyhttp.Config{
		Engine: policy.New(keys), Issuer: issuer,
		Schemes: []policyhttp.Scheme{scheme, policyhttp.Bearer()}, // many clients look at the first challenge only
	})
	if err != nil {
		panic(err)
	}
	a, err := admin.New(keys, admin.WithIssuer(issuer), admin.WithManagers("ORG_OWNER"))
	if err != nil {
		panic(err)
	}
	handler, err := adminhttp.New(adminhttp.Config{
		Admin: a, Store: keys, Guard: guard,
		Roles:             adminhttp.Roles{Read: []string{"ORG_OWNER"}, Manage: []string{"ORG_OWNER"}},
		OrganizationRoles: []string{"ORG_OWNER"},
	})
	if err != nil {
		panic(err)
	}
	local, err := accesslist.ParseEntry("192.0.2.1")
	if err != nil {
		panic(err)
	}
	made, err := a.Apply(context.Background(), admin.BySystem("sign-up"), "acme", admin.ApplyOptions{},
		admin.CreateOrganization(policy.Required),
		admin.CreateKey(admin.NewKey{ID: "deploy", Grants: []apikey.Grant{{Role: "ORG_OWNER"}}, Entries: []accesslist.Entry{local}}))
	if err != nil {
		panic(err)
	}
	fmt.Println("signs in with Digest:", made.Keys[0].Secrets[0].Digest)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/api/atlas/v1.0/orgs/acme/apiKeys", nil))
	fmt.Println(w.Code)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		beforeNonce, _, _ := strings.Cut(challenge, ", nonce=")
		fmt.Println(beforeNonce)
	}
	// Output:
	// signs in with Digest: true
	// 401
	// Digest realm="api", qop="auth", algorithm=MD5
	// Bearer realm="api"
}
