package policyhttp_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// exampleKeys returns a store with the organization acme and one key of it, which may
// read from these addresses, and the key's secret.
func exampleKeys(addresses ...string) (*memory.Store, apikey.Secret) {
	ctx, keys := context.Background(), memory.New()
	_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	must(err)
	list, err := accesslist.Parse(addresses...)
	must(err)
	key, secret, err := apikey.Issue(apikey.Key{
		ID: "nightly-backup", Organization: "acme", AccessList: list,
		Grants: []apikey.Grant{{Role: "reader"}, {Role: "reader", AllProjects: true}},
	})
	must(err)
	_, err = keys.PutKey(ctx, key)
	must(err)
	return keys, secret
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// get calls a handler as a client from 203.0.113.7 does.
func get(handler http.Handler, path, secret string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "203.0.113.7:52814"
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return recorded(handler, r)
}

func recorded(handler http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// A guard under http.ServeMux, and three calls over a real connection.
func Example() {
	keys, secret := exampleKeys("127.0.0.1")

	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
	must(err)
	listThings := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decision, _ := policyhttp.DecisionOf(r.Context())
		_, _ = fmt.Fprintf(w, "the things of %s, for %s", decision.Resource().Organization, decision.KeyID())
	})
	mux := http.NewServeMux()
	mux.Handle("GET /organizations/{org}/things", guard.Protect(
		policy.Endpoint{Name: "things.list", Roles: []string{"reader"}},
		policyhttp.PathOrganization("org"),
		listThings))

	server := httptest.NewServer(mux)
	defer server.Close()
	call := func(path, user, password string) {
		r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
		must(err)
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		answer, err := http.DefaultClient.Do(r)
		must(err)
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		must(err)
		fmt.Printf("%d %s\n", answer.StatusCode, body)
	}
	call("/organizations/acme/things", "nightly-backup", secret.Reveal())
	call("/organizations/globex/things", "nightly-backup", secret.Reveal())
	call("/organizations/acme/things", "", "")
	// Output:
	// 200 the things of acme, for nightly-backup
	// 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"The API key does not belong to this organization.","code":"API_KEY_NOT_IN_ORGANIZATION","parameters":[]}
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"An API key is required. Send one header: Authorization: Bearer YOUR_API_KEY, or Authorization: Basic BASE64(YOUR_KEY_ID:YOUR_API_KEY).","code":"API_KEY_REQUIRED","parameters":[]}
}

// Answers of the program's own. The caller may see d.Answer(); d itself is for the log.
func ExampleConfig_deny() {
	keys, secret := exampleKeys("198.51.100.0/24")
	guard, err := policyhttp.New(policyhttp.Config{
		Engine: policy.New(keys),
		Deny: func(w http.ResponseWriter, r *http.Request, d policy.Decision) {
			answer := d.Answer()
			http.Error(w, answer.Code+": "+answer.Message, answer.Status)
		},
	})
	must(err)
	handler := guard.Protect(policy.Endpoint{Name: "things.list"},
		acme,
		http.NotFoundHandler())

	answer := get(handler, "/things", secret.Reveal())
	fmt.Print(answer.Code, " ", answer.Body)
	answer = get(handler, "/things", "")
	fmt.Print(answer.Code, " ", answer.Body)
	fmt.Println(answer.Header().Values("WWW-Authenticate"))
	// Output:
	// 403 IP_ADDRESS_NOT_ON_ACCESS_LIST: IP address 203.0.113.7 is not on the access list of the API key.
	// 401 API_KEY_REQUIRED: An API key is required. Send one header: Authorization: Bearer YOUR_API_KEY, or Authorization: Basic BASE64(YOUR_KEY_ID:YOUR_API_KEY).
	// [Bearer realm="api" Basic realm="api", charset="UTF-8"]
}

// acme is the Resource of a service with one organization.
func acme(*http.Request) (policy.Resource, error) {
	return policy.Resource{Organization: "acme"}, nil
}

// A Resource reads the project's own record, which names its organization (rule K7), and
// hands the record on. Another organization's project and an unknown one get the same
// answer.
func ExampleResource() {
	keys, secret := exampleKeys("203.0.113.0/24")
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
	must(err)

	type record struct{ organization, title string }
	projects := map[string]*record{"alpha": {"acme", "Alpha"}, "gamma": {"globex", "Gamma"}}
	project := func(r *http.Request) (policy.Resource, error) {
		id := r.PathValue("project")
		p, exists := projects[id]
		if !exists {
			return policy.Resource{Organization: policy.NoOrganization, Project: id}, nil
		}
		return policy.Resource{Organization: p.organization, Project: id, Value: p}, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /projects/{project}", guard.Protect(policy.Endpoint{Name: "projects.read"}, project,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, ok := policyhttp.ValueOf[*record](r.Context()) // what was judged
			if !ok {
				http.Error(w, "no record", http.StatusInternalServerError)
				return
			}
			_, _ = io.WriteString(w, p.title)
		})))
	for _, path := range []string{"/projects/alpha", "/projects/gamma", "/projects/nonesuch"} {
		answer := get(mux, path, secret.Reveal())
		fmt.Println(path, answer.Code, strings.Contains(answer.Body.String(), "API_KEY_NOT_IN_ORGANIZATION"))
	}
	fmt.Println(get(mux, "/projects/alpha", secret.Reveal()).Body)
	// Output:
	// /projects/alpha 200 false
	// /projects/gamma 403 true
	// /projects/nonesuch 403 true
	// Alpha
}

// PathProject is the short form for handlers that need no more than the name.
func ExamplePathProject() {
	keys, secret := exampleKeys("203.0.113.0/24")
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys)})
	must(err)

	owners := map[string]string{"alpha": "acme", "gamma": "globex"} // of the projects' table
	owner := func(_ context.Context, project string) (organization string, err error) { return owners[project], nil }
	mux := http.NewServeMux()
	mux.Handle("GET /projects/{project}", guard.Protect(policy.Endpoint{Name: "projects.read"}, policyhttp.PathProject("project", owner),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			decision, _ := policyhttp.DecisionOf(r.Context())
			_, _ = io.WriteString(w, "project "+decision.Resource().Project)
		})))
	fmt.Println(get(mux, "/projects/alpha", secret.Reveal()).Body)
	fmt.Println(get(mux, "/projects/gamma", secret.Reveal()).Code)
	// Output:
	// project alpha
	// 403
}

// An audit log of all denied calls, and of every hundredth allowed one.
func ExampleLog() {
	keys, secret := exampleKeys("203.0.113.0/24")
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "secret" { // these differ from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	counters := new(policyhttp.Counters) // expvar.Publish("access", counters)
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(keys,
		policy.WithObserver(policyhttp.Log(logger, policyhttp.LogOptions{AllowEvery: 100})),
		policy.WithObserver(counters.Observe),
	)})
	must(err)
	handler := guard.Protect(policy.Endpoint{Name: "things.list"},
		acme,
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	for range 10 {
		get(handler, "/things", secret.Reveal())
	}
	get(handler, "/things", "")
	get(handler, "/things", "sp_not_a_secret")
	fmt.Println("let in:", counters.Count(policy.AddressListed))
	// Output:
	// level=INFO msg="access decision" allowed=true reason=address_listed key=nightly-backup client=203.0.113.7 client_from=peer entry=203.0.113.0/24 organization=acme endpoint=things.list requirement=not_required left_out=0
	// level=INFO msg="access decision" allowed=false reason=invalid_request kind=no_credentials client=203.0.113.7 client_from=peer endpoint=things.list error="policyhttp: no credentials: the request has no Authorization header"
	// level=WARN msg="access decision" allowed=false reason=unknown_key kind=invalid_credentials client=203.0.113.7 client_from=peer endpoint=things.list error="policyhttp: the Bearer token: credentials of no key: apikey: malformed secret: it is too short, perhaps cut off: want at least 43 characters"
	// let in: 10
}
