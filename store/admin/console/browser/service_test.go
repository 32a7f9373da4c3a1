package browser_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/console"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/usage"
)

// prefix is where nginx mounts the console. The service itself has it at /console/.
const prefix = "/team/keys/"

// fromNginx is the address that nginx connects from: the service believes its X-Real-IP.
const fromNginx = "127.0.0.2"

// endpoints are those of the service's API.
var endpoints = []policy.Endpoint{
	{Name: "list clusters", Roles: []string{"owner", "reader"}},
	{Name: "create cluster", Roles: []string{"owner"}},
	{Name: "restore backup", Roles: []string{"owner"}, RequiresAccessList: true},
}

// A service has the console for its people, behind a login and nginx. Ann manages acme and
// initech, without keys, and may look at globex.
type service struct {
	t        *testing.T
	store    *memory.Store
	admin    *admin.Admin
	counted  *policy.Engine // whose calls are recorded
	recorder *usage.Recorder
	secrets  map[apikey.ID]apikey.Secret // of the seeded keys
	url      string                      // of nginx
	sameSite http.SameSite               // of the session's cookie
	readOnly bool

	mu       sync.Mutex
	sessions map[string]bool
	asked    []asked
}

// An asked is a request to the console.
type asked struct {
	method, path string
	signedIn     bool
	status       int
}

// A variant changes a service before it starts.
type variant func(*service)

func newService(t *testing.T, variants ...variant) *service {
	t.Helper()
	s := &service{t: t, store: memory.New(), secrets: map[apikey.ID]apikey.Secret{}, sessions: map[string]bool{}, sameSite: http.SameSiteLaxMode}
	for _, variant := range variants {
		variant(s)
	}
	var err error
	s.admin, err = admin.New(s.store, admin.RequireJournal(), admin.WithManagers("owner"), admin.WithPeopleManaging())
	require.NoError(t, err)
	s.seed()
	s.recorder = usage.New(s.store, usage.WithErrorHandler(func(err error) { t.Error(err) }))
	t.Cleanup(func() { require.NoError(t, s.recorder.Close(context.Background())) })
	s.counted = policy.New(s.store, policy.WithObserver(s.recorder.Observe))
	pages, err := console.New(console.Config{
		Admin: s.admin, Store: s.store, Person: s.person, Endpoints: endpoints, Roles: []string{"owner", "reader"}, ReadOnly: s.readOnly,
		Projects: projects, Name: "Northwind Cloud", SignIn: "/team/login", SignOut: "/team/logout",
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/console/", s.record(http.StripPrefix("/console", pages)))
	mux.HandleFunc("GET /login", showLogin)
	mux.HandleFunc("POST /login", s.signIn)
	mux.HandleFunc("POST /logout", s.signOut)
	mux.HandleFunc("GET /framed", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("may be framed")) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = "http://" + startNginx(t, fmt.Sprintf(` proxy_bind %s;
 proxy_set_header Host $http_host;
 proxy_set_header X-Real-IP $remote_addr;
 location %s { proxy_pass %s/console/; }
 location /team/ { proxy_pass %s/; }
`, fromNginx, prefix, server.URL, server.URL))
	return s
}

func projects(_ context.Context, organization string) iter.Seq2[admin.Project, error] {
	return func(yield func(admin.Project, error) bool) {
		_ = yield(admin.Project{ID: organization + "-web", Organization: organization, Name: "Web shop"}, nil) &&
			yield(admin.Project{ID: organization + "-data", Organization: organization, Name: "Data platform"}, nil)
	}
}

// person returns the person of a session.
func (s *service) person(r *http.Request) (admin.Person, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return admin.Person{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sessions[cookie.Value] {
		return admin.Person{}, errors.New("no such session")
	}
	var address netip.Addr
	if strings.HasPrefix(r.RemoteAddr, fromNginx+":") {
		address, err = netip.ParseAddr(r.Header.Get("X-Real-IP"))
	}
	return admin.Person{ID: "ann", Name: "Ann Archer", Address: address, May: func(organization string, access admin.Access) bool {
		return organization != "globex" || access == admin.Read
	}}, err
}

// record keeps the requests to the console.
func (s *service) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := s.person(r)
		recorder := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(recorder, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, asked{r.Method, strings.TrimPrefix(r.URL.Path, "/console"), err == nil, cmp.Or(recorder.status, http.StatusOK)})
	})
}

// requests returns the requests to the console so far.
func (s *service) requests() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func showLogin(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(`<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<main><h1>Sign in</h1><form method="post"><p><label>User <input name="user" autocomplete="username"></label></p><p><label>Password <input name="password" type="password" autocomplete="current-password"></label></p><button>Sign in</button></form></main></html>`))
}

func (s *service) signIn(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("user") != "ann" || r.PostFormValue("password") != "rocket" {
		http.Error(w, "wrong user or password", http.StatusForbidden)
		return
	}
	session := rand.Text()
	s.mu.Lock()
	s.sessions[session] = true
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: session, Path: "/", HttpOnly: true, SameSite: s.sameSite, Secure: s.sameSite == http.SameSiteNoneMode})
	w.Header().Set("Location", prefix)
	w.WriteHeader(http.StatusSeeOther)
}

func (s *service) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie("session"); err == nil {
		s.mu.Lock()
		delete(s.sessions, cookie.Value)
		s.mu.Unlock()
	}
	w.Header().Set("Location", "/team/login")
	w.WriteHeader(http.StatusSeeOther)
}

const day = 24 * time.Hour

// A customer has a program, with its key and where its calls came from.
type customer struct {
	organization string
	key          admin.NewKey
	entries      []string
	used         map[string][2]time.Duration // by address: first and last call, before now
	refused      map[policy.Reason]string    // by reason: the address of the last call
}

var customers = []customer{
	{organization: "acme", key: admin.NewKey{ID: "deploy", Description: "Deployment pipeline", Grants: []apikey.Grant{{Role: "owner"}}, Labels: map[string]string{"team": "platform", "env": "production"}, ExternalID: "svc-1042"},
		entries: []string{"203.0.113.7", "198.51.100.0/24", "198.51.100.20"},
		used:    map[string][2]time.Duration{"203.0.113.7": {29 * day, 3 * time.Minute}, "198.51.100.20": {12 * day, 2 * day}},
		refused: map[policy.Reason]string{policy.AddressNotListed: "192.0.2.44"}},
	{organization: "acme", key: admin.NewKey{ID: "nightly-report", Description: "Nightly report", Grants: []apikey.Grant{{Role: "reader", AllProjects: true}}},
		used: map[string][2]time.Duration{"203.0.113.80": {25 * day, 9 * time.Hour}, "203.0.113.81": {4 * day, 33 * time.Hour}}},
	{organization: "acme", key: admin.NewKey{ID: "grafana", Description: "Grafana data source", Grants: []apikey.Grant{{Role: "reader", Project: "acme-data"}}},
		entries: []string{"10.0.0.0/8", "203.0.113.90"}, used: map[string][2]time.Duration{"203.0.113.90": {20 * day, time.Minute}}},
	{organization: "acme", key: admin.NewKey{ID: "old-ci", Description: "CI before the move", Grants: []apikey.Grant{{Role: "owner"}}, Disabled: true}, entries: []string{"192.0.2.10"}},
	{organization: "acme", key: admin.NewKey{ID: "intern", Description: "Script of the summer", Grants: []apikey.Grant{{Role: "reader", Project: "acme-web"}}}},
	{organization: "globex", key: admin.NewKey{ID: "globex-sync", Description: "Inventory sync", Grants: []apikey.Grant{{Role: "owner"}}},
		entries: []string{"198.51.100.77"}, used: map[string][2]time.Duration{"198.51.100.77": {10 * day, time.Hour}}},
}

// system is the actor of the seeds.
func system() admin.Actor { return admin.BySystem("seed").Via(store.ViaCLI, "") }

// seed fills the store with organizations, keys and the traffic of some weeks.
func (s *service) seed() {
	s.t.Helper()
	ctx, now := s.t.Context(), time.Now()
	for id, name := range map[string]string{"acme": "Acme Rockets", "globex": "Globex", "initech": "Initech"} {
		_, err := s.admin.Apply(ctx, system(), id, admin.ApplyOptions{Reason: "new customer"}, admin.CreateOrganization(policy.NotRequired), admin.SetName(name))
		require.NoError(s.t, err)
	}
	require.NoError(s.t, s.store.RecordObservation(ctx, store.Report{Recorder: "seed", Since: now.Add(-40 * day), From: now.Add(-40 * day), Until: now, At: now}))
	for _, p := range customers {
		s.seedKey(p, now)
	}
}

// seedKey makes the key of a customer, and its traffic.
func (s *service) seedKey(p customer, now time.Time) {
	s.t.Helper()
	for _, text := range p.entries {
		entry, err := accesslist.ParseEntry(text)
		require.NoError(s.t, err)
		entry.Comment = "of the customer's network"
		p.key.Entries = append(p.key.Entries, entry)
	}
	options := admin.ApplyOptions{Reason: "set up", Accept: []admin.Kind{admin.Opens, admin.OverBroad}}
	made, err := s.admin.Apply(s.t.Context(), system(), p.organization, options, admin.CreateKey(p.key))
	require.NoError(s.t, err)
	s.secrets[p.key.ID] = made.Secrets[0].Secret
	secret := made.Secrets[0].ID
	record := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}, Addresses: map[netip.Addr]store.AddressUsage{}, Denials: map[policy.Reason]accesslist.Usage{}}
	for text, times := range p.used {
		address, first, last := netip.MustParseAddr(text), now.Add(-times[0]), now.Add(-times[1])
		count := uint64(times[0]/time.Hour) + 1
		record.Addresses[address] = store.AddressUsage{Count: count, First: first, Last: last}
		used := accesslist.Usage{Count: record.Secrets[secret].Count + count, Last: last, LastAddress: address}
		if before := record.Secrets[secret]; before.Last.After(last) {
			used.Last, used.LastAddress = before.Last, before.LastAddress
		}
		record.Secrets[secret] = used
		for _, entry := range p.key.Entries {
			if entry.Covers(address, now) {
				record.Entries[entry.Prefix()] = accesslist.Usage{Count: count, Last: last, LastAddress: address}
				break
			}
		}
	}
	for reason, text := range p.refused {
		record.Denials[reason] = accesslist.Usage{Count: 14, Last: now.Add(-5 * day), LastAddress: netip.MustParseAddr(text)}
	}
	require.NoError(s.t, s.store.RecordUsage(s.t.Context(), map[apikey.ID]store.KeyUsage{p.key.ID: record}))
}

// apply makes changes as the system, for a state to begin with.
func (s *service) apply(organization string, changes ...admin.Change) admin.Result {
	s.t.Helper()
	options := admin.ApplyOptions{Reason: "to begin with", Accept: []admin.Kind{admin.Opens, admin.OverBroad, admin.BreaksKey}}
	result, err := s.admin.Apply(s.t.Context(), system(), organization, options, changes...)
	require.NoError(s.t, err)
	return result
}

// request is a call of a key of acme from an address.
func (s *service) request(key apikey.ID, secret apikey.Secret, client, project string) policy.Request {
	return policy.Request{Key: key, Secret: secret, Client: netip.MustParseAddr(client), Organization: "acme", Project: project}
}

// call makes a call with a seeded key, and records it as usage.
func (s *service) call(key apikey.ID, client, project string) policy.Decision {
	s.t.Helper()
	d := s.counted.Decide(s.t.Context(), s.request(key, s.secrets[key], client, project))
	require.NoError(s.t, s.recorder.Flush(s.t.Context()))
	return d
}

// decides asks an engine on the store for the answer to a call. Nothing is recorded.
func (s *service) decides(want policy.Reason, key apikey.ID, secret apikey.Secret, client, project string) {
	s.t.Helper()
	d := policy.New(s.store).Decide(s.t.Context(), s.request(key, secret, client, project))
	require.Equal(s.t, want.String(), d.Reason.String(), d.Explain())
}

// key reads a key of the store.
func (s *service) key(id apikey.ID) apikey.Key {
	s.t.Helper()
	key, err := s.store.Key(s.t.Context(), id)
	require.NoError(s.t, err)
	return key
}

// position returns that of the store. Every change moves it.
func (s *service) position() store.Position {
	s.t.Helper()
	position, err := s.store.Position(s.t.Context())
	require.NoError(s.t, err)
	return position
}
