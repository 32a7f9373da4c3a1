package adminhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A person who is signed in creates a key by our own API: first a preview, then the same call
// with the token and, since the key is open, the finding accepted by name.
func Example_preview() {
	keys := memory.New()
	a, err := admin.New(keys, admin.WithPeopleManaging())
	if err != nil {
		panic(err)
	}
	if _, err := a.Apply(context.Background(), admin.BySystem("sign-up"), "acme", admin.ApplyOptions{}, admin.CreateOrganization(policy.NotRequired)); err != nil {
		panic(err)
	}
	handler, err := adminhttp.New(adminhttp.Config{
		Admin: a, Store: keys, OrganizationRoles: []string{"reader"},
		Person: func(r *http.Request) (admin.Person, error) {
			if cookie, err := r.Cookie("session"); err != nil || cookie.Value != "ann's" { // the program's own sessions
				return admin.Person{}, errors.New("not signed in")
			}
			return admin.Person{ID: "ann@example.com", May: func(organization string, _ admin.Access) bool { return organization == "acme" }}, nil
		},
	})
	if err != nil {
		panic(err)
	}

	create := func(query string, headers map[string]string) (status int, answer struct {
		Secrets []struct{ Secret string }
		Preview admin.Preview
	}) {
		r := httptest.NewRequest("POST", "/api/sallyport/v1/organizations/acme/keys"+query, strings.NewReader(`{"id":"nightly","grants":[{"role":"reader"}],"entries":[]}`))
		r.Header.Set("Content-Type", "application/json")
		r.AddCookie(&http.Cookie{Name: "session", Value: "ann's"})
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			panic(err)
		}
		return w.Code, answer
	}
	status, shown := create("?preview=true", nil)
	fmt.Println(status, shown.Preview.Needs())
	status, _ = create("", map[string]string{"Sallyport-Token": shown.Preview.Token})
	fmt.Println(status)
	status, made := create("", map[string]string{
		"Sallyport-Token": shown.Preview.Token, "Sallyport-Accept": "opens", "Sallyport-Reason": "called%20from%20a%20CI%20without%20fixed%20addresses",
	})
	fmt.Println(status, strings.HasPrefix(made.Secrets[0].Secret, "sp_"))
	// Output:
	// 200 [opens]
	// 409
	// 201 true
}
