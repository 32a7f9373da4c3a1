package adminhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A service mounts the handler beside its own API. A program adds an address to the list of
// its key.
func Example() {
	keys := memory.New()
	a, err := admin.New(keys, admin.WithManagers("ORG_OWNER"), admin.RequireJournal())
	if err != nil {
		panic(err)
	}
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
	if err != nil {
		panic(err)
	}
	handler, err := adminhttp.New(adminhttp.Config{
		Admin: a, Store: keys, Guard: guard,
		Roles:             adminhttp.Roles{Read: []string{"ORG_MEMBER", "ORG_OWNER"}, Manage: []string{"ORG_OWNER"}},
		OrganizationRoles: []string{"ORG_MEMBER", "ORG_OWNER"},
		BaseURL:           "https://api.example.com",
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", handler)

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
	secret := made.Secrets[0].Secret.Reveal()

	call := func(method, path, body string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body)) // from 192.0.2.1
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Result().Body)
		fmt.Println(w.Code, w.Header().Get("X-Error-Code"), strings.Count(string(text), "cidrBlock"))
	}
	call("POST", "/api/atlas/v2/orgs/acme/apiKeys/deploy/accessList", `[{"cidrBlock":"198.51.100.0/24"}]`)
	call("DELETE", "/api/atlas/v2/orgs/acme/apiKeys/deploy/accessList/192.0.2.1", "")
	call("PATCH", "/api/atlas/v2/orgs/acme/settings", `{"apiAccessListRequired":true}`)
	// Output:
	// 200  2
	// 400 CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST 0
	// 200  0
}
