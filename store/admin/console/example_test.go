package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/console"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A service mounts the console behind its own login. Ann sees the organization that she manages,
// and learns nothing about another one.
func Example() {
	keys := memory.New()
	a, err := admin.New(keys, admin.WithManagers("owner"), admin.WithPeopleManaging(), admin.RequireJournal())
	if err != nil {
		panic(err)
	}
	for _, organization := range []string{"acme", "globex"} {
		if _, err := a.Apply(context.Background(), admin.BySystem("sign-up"), organization, admin.ApplyOptions{}, admin.CreateOrganization(policy.NotRequired)); err != nil {
			panic(err)
		}
	}
	pages, err := console.New(console.Config{
		Admin: a, Store: keys, Name: "Example Cloud", SignIn: "/login", Roles: []string{"owner", "reader"},
		Person: func(r *http.Request) (admin.Person, error) {
			session, err := r.Cookie("session") // a real service looks the session up
			if err != nil || session.Value != "that of Ann" {
				return admin.Person{}, fmt.Errorf("no session")
			}
			peer, _ := netip.ParseAddrPort(r.RemoteAddr)
			return admin.Person{ID: "ann", Address: peer.Addr(), May: func(organization string, _ admin.Access) bool { return organization == "acme" }}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", pages))

	visit := func(path, session string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: session})
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		_, rest, _ := strings.Cut(w.Body.String(), "<title>")
		title, _, _ := strings.Cut(rest, "</title>")
		fmt.Println(w.Code, title)
	}
	visit("/console/", "that of Ann")
	visit("/console/o/acme/settings", "that of Ann")
	visit("/console/o/globex/settings", "that of Ann")
	visit("/console/o/acme/settings", "")
	// Output:
	// 200 Organizations · Example Cloud
	// 200 Settings · acme · Example Cloud
	// 404 Not found · Example Cloud
	// 403 Sign in first · Example Cloud
}
