package adminhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The IDs of the world: two organizations with a project and keys each.
const (
	acme, globex      = "0000000000000000000000a1", "0000000000000000000000b1"
	alpha, beta       = "0000000000000000000000a2", "0000000000000000000000b2"
	second            = "0000000000000000000000a3" // another project of acme
	owner, viewer     = "aaaaaaaaaaaaaaaaaaaaaaa1", "aaaaaaaaaaaaaaaaaaaaaaa2"
	lead, worker      = "aaaaaaaaaaaaaaaaaaaaaaa3", "aaaaaaaaaaaaaaaaaaaaaaa4"
	stranger          = "bbbbbbbbbbbbbbbbbbbbbbb1" // of globex
	absent            = "ffffffffffffffffffffffff"
	client            = "192.0.2.1" // of httptest
	org               = "/api/atlas/v1.0/orgs/" + acme
	group             = "/api/atlas/v1.0/groups/" + alpha
	workerPath        = org + "/apiKeys/" + worker
	list              = workerPath + "/accessList"
	created           = "cccccccccccccccccccccccc"
	manages, sees     = "ORG_OWNER", "ORG_READ_ONLY"
	leads, seesInside = "GROUP_OWNER", "GROUP_READ_ONLY"
)

// A world is a service with two organizations.
type world struct {
	t       testing.TB
	now     time.Time
	memory  *memory.Store
	store   store.Store // of the handler
	admin   *admin.Admin
	issuer  *apikey.Issuer
	engine  *policy.Engine
	config  Config
	handler *handler
	secrets map[apikey.ID]apikey.Secret
	logged  *strings.Builder
}

func newWorld(t testing.TB, options ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, now: start, memory: memory.New(), secrets: map[apikey.ID]apikey.Secret{}, logged: new(strings.Builder)}
	w.store = w.memory
	clock := func() time.Time { return w.now }
	var err error
	w.issuer, err = apikey.NewIssuer(apikey.IssuerConfig{Clock: clock})
	require.NoError(t, err)
	w.engine = policy.New(w.memory, policy.WithClock(clock))
	guard, err := policyhttp.New(policyhttp.Config{Engine: w.engine, Issuer: w.issuer})
	require.NoError(t, err)
	w.config = Config{
		Guard:             guard,
		Roles:             Roles{Read: []string{sees, manages}, Manage: []string{manages}, ProjectRead: []string{seesInside, leads}, ProjectManage: []string{leads}},
		OrganizationRoles: []string{"ORG_MEMBER", sees, manages}, ProjectRoles: []string{seesInside, leads}, MemberRole: "ORG_MEMBER",
		Projects: projects{
			{ID: alpha, Organization: acme, Name: "Alpha", Created: start}, {ID: second, Organization: acme}, {ID: beta, Organization: globex, Name: "Beta"},
		},
		NewID:  func() (apikey.ID, error) { return created, nil },
		Logger: slog.New(slog.NewTextHandler(w.logged, nil)),
	}
	for _, option := range options {
		option(w)
	}
	w.admin, err = admin.New(w.store, admin.WithClock(clock), admin.WithIssuer(w.issuer), admin.WithManagers(manages),
		admin.WithEvents(func(context.Context, []store.Event) error { return errBroken })) // asked only without a journal
	require.NoError(t, err)
	w.config.Admin, w.config.Store = w.admin, w.store
	made, err := New(w.config)
	require.NoError(t, err)
	w.handler = made.(*handler)
	for id, name := range map[string]string{acme: "Acme", globex: ""} {
		_, err := w.memory.PutOrganization(t.Context(), policy.Organization{ID: id, Name: name})
		require.NoError(t, err)
	}
	w.put(owner, acme, []string{client}, apikey.Grant{Role: manages})
	w.put(viewer, acme, []string{client}, apikey.Grant{Role: sees})
	w.put(lead, acme, []string{client}, apikey.Grant{Role: leads, Project: alpha}, apikey.Grant{Role: "ORG_MEMBER"})
	w.put(worker, acme, []string{client, "198.51.100.0/24"}, apikey.Grant{Role: seesInside, Project: second}, apikey.Grant{Role: "ORG_MEMBER"}, apikey.Grant{Role: "AUDITOR", AllProjects: true})
	w.put(stranger, globex, []string{client}, apikey.Grant{Role: manages}, apikey.Grant{Role: leads, Project: beta})
	require.NoError(t, w.memory.RecordObservation(t.Context(), store.Report{Recorder: "recorder", Since: start.Add(-60 * 24 * time.Hour), From: start.Add(-60 * 24 * time.Hour), Until: start, At: start}))
	return w
}

// put stores a key, past the Admin.
func (w *world) put(id apikey.ID, organization string, entries []string, grants ...apikey.Grant) apikey.Key {
	w.t.Helper()
	key := apikey.Key{ID: id, Organization: organization, Grants: grants, Description: "key " + string(id[23:]), Created: start}
	if len(entries) > 0 {
		var parsed []accesslist.Entry
		for _, text := range entries {
			entry, err := accesslist.ParseEntry(text)
			require.NoError(w.t, err)
			entry.Added = start
			parsed = append(parsed, entry)
		}
		var err error
		key.AccessList, err = accesslist.New(parsed...)
		require.NoError(w.t, err)
	}
	key, secret, err := w.issuer.Issue(key)
	require.NoError(w.t, err)
	key, err = w.memory.PutKey(context.Background(), key, store.AllowOpen)
	require.NoError(w.t, err)
	w.secrets[id] = secret
	return key
}

// edit changes a stored key, past the Admin.
func (w *world) edit(id apikey.ID, change func(*apikey.Key)) {
	w.t.Helper()
	key, err := w.memory.Key(context.Background(), id)
	require.NoError(w.t, err)
	change(&key)
	_, err = w.memory.PutKey(context.Background(), key, store.AllowOpen)
	require.NoError(w.t, err)
}

// outdate takes a key's grants away, which the guard does not learn.
func (w *world) outdate(id apikey.ID) {
	w.t.Helper()
	old, found, err := w.memory.Lookup(w.t.Context(), id)
	require.NoError(w.t, err)
	require.True(w.t, found)
	frozen := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) { return old, true, nil })
	w.config.Guard, err = policyhttp.New(policyhttp.Config{Engine: policy.New(frozen, policy.WithClock(func() time.Time { return w.now })), Issuer: w.issuer})
	require.NoError(w.t, err)
	w.handler = newHandler(w.config)
	w.edit(id, func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "ORG_MEMBER"}} })
}

// used records that a key was called from an address, by its entry.
func (w *world) used(id apikey.ID, entry, from string) {
	w.t.Helper()
	use := accesslist.Usage{Count: 3, Last: start.Add(-time.Hour), LastAddress: netip.MustParseAddr(from)}
	usage := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{use.LastAddress: {Count: 3, First: use.Last, Last: use.Last}}}
	if entry != "" {
		usage.Entries = map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix(entry): use}
	}
	require.NoError(w.t, w.memory.RecordUsage(context.Background(), map[apikey.ID]store.KeyUsage{id: usage}))
}

func (w *world) request(by apikey.ID, method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if by != "" {
		r.Header.Set("Authorization", "Bearer "+w.secrets[by].Reveal())
	}
	return r
}

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}

// call makes a call, and checks what holds of every answer.
func (w *world) call(by apikey.ID, method, path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	answer := w.serve(w.request(by, method, path, body))
	checkAnswer(w.t, method, answer)
	return answer
}

// checkAnswer checks what holds of every answer: its headers, and JSON or nothing.
func checkAnswer(t testing.TB, method string, answer *httptest.ResponseRecorder) {
	t.Helper()
	header := answer.Header()
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	require.Equal(t, "DENY", header.Get("X-Frame-Options"))
	require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
	require.Equal(t, "default-src 'none'; frame-ancestors 'none'", header.Get("Content-Security-Policy"))
	if answer.Code == 204 {
		require.Empty(t, answer.Body.String())
		require.Empty(t, header.Get("Content-Type"))
		return
	}
	require.Equal(t, fmt.Sprint(answer.Code >= 400), fmt.Sprint(header.Get("X-Error-Code") != "" || strings.HasPrefix(header.Get("Content-Type"), "application/problem+json")))
	require.Contains(t, header.Get("Content-Type"), "json")
	if method == "HEAD" {
		require.Empty(t, answer.Body.String())
		return
	}
	require.True(t, json.Valid(answer.Body.Bytes()), "%s", answer.Body)
	require.Equal(t, fmt.Sprint(answer.Body.Len()), header.Get("Content-Length"))
	require.Equal(t, answer.Code == 401, header.Get("WWW-Authenticate") != "")
}

// answers makes a call, and compares status and body.
func (w *world) answers(by apikey.ID, method, path, body string, status int, want string) {
	w.t.Helper()
	answer := w.call(by, method, path, body)
	require.Equal(w.t, status, answer.Code, "%s", answer.Body)
	if want == "" {
		require.Empty(w.t, answer.Body.String())
		return
	}
	require.Empty(w.t, cmp.Diff(strings.ReplaceAll(want, "\n", ""), answer.Body.String()))
}

// refuses makes a call, and compares the status, the code and the parameters.
func (w *world) refuses(by apikey.ID, method, path, body string, status int, code string, parameters ...string) errorAnswer {
	w.t.Helper()
	answer := w.call(by, method, path, body)
	var got errorAnswer
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &got), "%s", answer.Body)
	require.Equal(w.t, status, answer.Code, "%s", answer.Body)
	require.Equal(w.t, status, got.Error)
	require.Equal(w.t, http.StatusText(status), got.Reason)
	require.Equal(w.t, code, got.ErrorCode, "%s", answer.Body)
	require.Equal(w.t, code, answer.Header().Get("X-Error-Code"))
	require.Equal(w.t, append([]string{}, parameters...), got.Parameters)
	require.NotEmpty(w.t, got.Detail)
	return got
}

type errorAnswer struct {
	Detail, ErrorCode, Reason string
	Error                     int
	Parameters                []string
	BadRequestDetail          struct{ Fields []fieldError }
}

// records is everything stored but events, for comparing.
func (w *world) records() string {
	var b strings.Builder
	for o, err := range store.AllOrganizations(context.Background(), w.memory) {
		require.NoError(w.t, err)
		fmt.Fprintln(&b, o)
		for k, err := range store.AllKeys(context.Background(), w.memory, o.ID) {
			require.NoError(w.t, err)
			data, err := json.Marshal(k)
			require.NoError(w.t, err)
			fmt.Fprintln(&b, string(data))
		}
	}
	return b.String()
}

// stored returns the key as stored.
func (w *world) stored(id apikey.ID) apikey.Key {
	w.t.Helper()
	key, err := w.memory.Key(context.Background(), id)
	require.NoError(w.t, err)
	return key
}

// private is the redacted private key of a key.
func (w *world) private(id apikey.ID) string {
	return "********-****-****-0000" + w.stored(id).Secrets[0].ID()
}

// projects is Projects of a list.
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
	i := slices.IndexFunc(p, func(p admin.Project) bool { return p.ID == id })
	if i < 0 {
		return admin.Project{}, false, nil
	}
	return p[i], true, nil
}
