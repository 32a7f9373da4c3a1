package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// day0 is the time of every test.
var day0 = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

var errFault = errors.New("the disk is full of bees")

// A faulty store fails the calls named in fail.
type faulty struct {
	*memory.Store
	fail   string
	writes int
	keys   int            // calls of Key
	calls  map[string]int // nil: they are not counted
}

func (f *faulty) err(call string) error {
	if f.calls != nil {
		f.calls[call]++
	}
	if f.fail == call {
		return errFault
	}
	return nil
}

func (f *faulty) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := f.err("Organization"); err != nil {
		return policy.Organization{}, err
	}
	return f.Store.Organization(ctx, id)
}

func (f *faulty) Organizations(ctx context.Context, r store.PageRequest) (store.Page[policy.Organization], error) {
	if err := f.err("Organizations"); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	return f.Store.Organizations(ctx, r)
}

func (f *faulty) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	f.keys++
	if err := f.err("Key"); err != nil || f.keys == 2 && f.fail == "second Key" {
		return apikey.Key{}, errFault
	}
	return f.Store.Key(ctx, id)
}

func (f *faulty) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if err := f.err("Lookup"); err != nil {
		return policy.Subject{}, false, err
	}
	return f.Store.Lookup(ctx, id)
}

func (f *faulty) Keys(ctx context.Context, organization string, r store.PageRequest) (store.Page[apikey.Key], error) {
	if err := f.err("Keys"); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	return f.Store.Keys(ctx, organization, r)
}

func (f *faulty) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	if err := f.err("Usage"); err != nil {
		return nil, err
	}
	return f.Store.Usage(ctx, ids...)
}

func (f *faulty) Observation(ctx context.Context) (store.Observation, error) {
	if err := f.err("Observation"); err != nil {
		return store.Observation{}, err
	}
	return f.Store.Observation(ctx)
}

func (f *faulty) Events(ctx context.Context, r store.EventRequest) (store.EventPage, error) {
	if err := f.err("Events"); err != nil {
		return store.EventPage{}, err
	}
	return f.Store.Events(ctx, r)
}

func (f *faulty) Write(ctx context.Context, w store.Write) (uint64, error) {
	if err := f.err("Write"); err != nil {
		return 0, err
	}
	f.writes++
	return f.Store.Write(ctx, w)
}

// A site is a console of two organizations. Ann manages acme; globex is of others.
type site struct {
	testing.TB
	store  *faulty
	admin  *admin.Admin
	config Config
	routes []route
	person admin.Person
	err    error // of Config.Person
	told   []error
}

func newSite(t testing.TB) *site {
	s := &site{TB: t, store: &faulty{Store: memory.New()}, routes: routes()}
	clock := func() time.Time { return day0 }
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: clock})
	require.NoError(t, err)
	s.admin, err = admin.New(s.store, admin.WithClock(clock), admin.WithIssuer(issuer), admin.WithManagers("owner"), admin.WithPeopleManaging())
	require.NoError(t, err)
	s.person = admin.Person{ID: "ann", May: func(o string, _ admin.Access) bool { return o == "acme" || o == "absent" || o == "../x" }}
	s.config = Config{
		Admin: s.admin, Store: s.store, Clock: clock, Person: func(*http.Request) (admin.Person, error) { return s.person, s.err },
		Observe:   func(_ context.Context, err error) { s.told = append(s.told, err) },
		Endpoints: []policy.Endpoint{{Name: "read"}, {Name: "write", Roles: []string{"owner"}}},
	}
	s.populate()
	return s
}

func (s *site) populate() {
	s.Helper()
	s.apply("acme", admin.CreateOrganization(policy.NotRequired))
	s.apply("globex", admin.CreateOrganization(policy.NotRequired))
	s.key("acme", admin.NewKey{ID: "k1", Description: "first", Grants: []apikey.Grant{{Role: "owner"}}}, "203.0.113.7")
	s.key("globex", admin.NewKey{ID: "foreign", Description: "of others"}, "203.0.113.8")
}

func (s *site) apply(organization string, changes ...admin.Change) {
	s.Helper()
	_, err := s.admin.Apply(s.Context(), admin.BySystem("test"), organization, admin.ApplyOptions{Reason: "test", Accept: []admin.Kind{admin.Opens, admin.OverBroad}}, changes...)
	require.NoError(s, err)
}

func (s *site) key(organization string, key admin.NewKey, addresses ...string) {
	s.Helper()
	for _, address := range addresses {
		entry, err := accesslist.ParseEntry(address)
		require.NoError(s, err)
		key.Entries = append(key.Entries, entry)
	}
	s.apply(organization, admin.CreateKey(key))
}

// do answers a request, at the prefix /p.
func (s *site) do(r *http.Request) *httptest.ResponseRecorder {
	s.Helper()
	c, err := build(s.config, s.routes)
	require.NoError(s, err)
	w := httptest.NewRecorder()
	http.StripPrefix("/p", c).ServeHTTP(w, r)
	checkAnswer(s, w)
	return w
}

func (s *site) get(target string) *httptest.ResponseRecorder {
	s.Helper()
	return s.do(httptest.NewRequest(http.MethodGet, "/p"+target, nil))
}

// shows asserts a page with these texts.
func (s *site) shows(target string, status int, texts ...string) string {
	s.Helper()
	w := s.get(target)
	require.Equal(s, status, w.Code, w.Body)
	for _, text := range texts {
		require.True(s, strings.Contains(w.Body.String(), text), "want %q", text)
	}
	return w.Body.String()
}

// path fills in a pattern.
func fill(pattern, organization, key string) string {
	return strings.NewReplacer("{$}", "", "{organization}", url.PathEscape(organization), "{key}", url.PathEscape(key), "{event}", "0").Replace(pattern)
}

func TestNewReportsEveryError(t *testing.T) {
	_, err := New(Config{Roles: []string{""}, Replicas: []admin.Replica{nil}, Name: "a\nb", Accent: "red", AccentDark: "#111111",
		SignIn: "//evil.example", SignOut: "https://elsewhere.example", TrustedOrigins: []string{"no origin"}})
	for _, part := range []string{"no Admin", "no Store", "no Person", "role", "replica 0", "name", "accent \"red\"", "dark accent", "sign-in", "sign-out", "trusted origin"} {
		require.ErrorContains(t, err, part)
	}
	s := newSite(t)
	s.config.SignIn, s.config.Clock, s.config.Observe, s.config.TrustedOrigins = "https://login.example/x", nil, nil, []string{"https://a.example"}
	c, err := New(s.config)
	require.NoError(t, err)
	s.err = errFault
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Body.String(), `href="https://login.example/x"`)
}

func TestAccentsAreReadable(t *testing.T) {
	require.True(t, fits("#000000", "#ffffff"))
	require.InDelta(t, 21, contrast("#000000", "#ffffff"), 0.01)
	for _, wrong := range []string{"", "000000", "#00000", "#gggggg", "#eeeeee", "#000000;}"} {
		require.False(t, fits(wrong, "#ffffff"), wrong)
	}
	s := newSite(t)
	s.config.Accent = "#aa0000"
	w := s.get("/console.css")
	require.Contains(t, w.Body.String(), "--accent: #aa0000; --on-accent: #ffffff")
	require.Contains(t, w.Body.String(), "--accent: #8ab4f8; --on-accent: #000000")
	require.Equal(t, "text/css; charset=utf-8", w.Header().Get("Content-Type"))
}

// Every route answers, with the headers (do checks them); for nobody, for an organization of others, and for an
// absent one it says the same whatever exists; and GET changes nothing.
func TestEveryRoute(t *testing.T) {
	for _, r := range routes() {
		t.Run(r.Method+r.Pattern, func(t *testing.T) {
			s := newSite(t)
			before := s.store.writes
			request := func(target string) *httptest.ResponseRecorder {
				q := httptest.NewRequest(r.Method, "/p"+target, strings.NewReader(""))
				q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				return s.do(q)
			}
			w := request(fill(r.Pattern, "acme", "k1"))
			if r.Method == http.MethodGet {
				require.Equal(t, http.StatusOK, w.Code, w.Body)
				require.Equal(t, before, s.store.writes)
			}
			if r.Access != "" {
				foreign, absent, gone := request(fill(r.Pattern, "globex", "foreign")), request(fill(r.Pattern, "nobody", "nokey")), request(fill(r.Pattern, "absent", "k1"))
				require.Equal(t, http.StatusNotFound, foreign.Code)
				require.Equal(t, http.StatusNotFound, gone.Code)
				require.Equal(t, foreign.Body.String(), absent.Body.String())
				require.Equal(t, foreign.Body.String(), gone.Body.String())
			}
			if strings.Contains(r.Pattern, "{key}") {
				foreign, absent, invalid := request(fill(r.Pattern, "acme", "foreign")), request(fill(r.Pattern, "acme", "nokey")), request(fill(r.Pattern, "acme", "no key"))
				require.Equal(t, http.StatusNotFound, foreign.Code)
				require.Equal(t, foreign.Body.String(), absent.Body.String())
				require.Equal(t, foreign.Body.String(), invalid.Body.String())
			}
			q := httptest.NewRequest(r.Method, "/p"+fill(r.Pattern, "acme", "k1"), nil)
			q.Header.Set("Authorization", "Bearer x")
			key := s.do(q)
			require.Equal(t, http.StatusForbidden, key.Code)
			s.person = admin.Person{}
			nobody := request(fill(r.Pattern, "acme", "k1"))
			require.Equal(t, http.StatusForbidden, nobody.Code)
		})
	}
}

func TestAFailingStoreIsUnavailable(t *testing.T) {
	for target, calls := range map[string][]string{
		"/": {"Organizations"}, "/o/acme": {"Organization", "Keys", "Usage", "Observation"}, "/o/acme/keys": {"Keys", "Usage"},
		"/o/acme/keys/k1": {"Key", "Usage", "Observation", "Events"}, "/o/acme/events": {"Events"},
	} {
		for _, call := range calls {
			s := newSite(t)
			s.store.fail = call
			page := s.shows(target, http.StatusServiceUnavailable, "Not available now", `role="alert"`)
			require.NotContains(t, page, "bees")
			require.ErrorIs(t, s.told[len(s.told)-1], errFault)
		}
	}
}

func TestPathsAndLinks(t *testing.T) {
	s := newSite(t)
	s.shows("/nope", http.StatusNotFound)
	s.shows("/o//acme", http.StatusNotFound)
	s.shows("/o/acme/", http.StatusNotFound)
	w := s.do(httptest.NewRequest(http.MethodGet, "/p?x=1", nil))
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "./p/", w.Header().Get("Location"))
	s.apply("../x", admin.CreateOrganization(policy.Required))
	s.shows("/o/..%2Fx", http.StatusOK, `href="./../o/..%2Fx/keys"`)
	for _, id := range []string{".", "..", "~", "~..", "a/b", "%2F"} {
		require.Equal(t, id, unsegment(segment(id)))
		require.NotEqual(t, ".", path.Clean("/" + segment(id))[1:])
	}
	w = s.do(httptest.NewRequest(http.MethodDelete, "/p/o/acme", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET", w.Header().Get("Allow"))
	w = s.do(httptest.NewRequest(http.MethodHead, "/p/o/acme", nil))
	require.Equal(t, http.StatusOK, w.Code)
	s.shows("/o/acme?done=saved", http.StatusOK, `role="status">Saved.`)
	require.NotContains(t, s.shows("/o/acme?done=%3Cb%3E", http.StatusOK), `role="status"`)
	s.err = errFault
	s.shows("/", http.StatusForbidden, "Sign in first")
}

func TestForms(t *testing.T) {
	s := newSite(t)
	posted := 0
	s.routes = append(s.routes, route{http.MethodPost, "/o/{organization}", admin.Manage, func(v *visit) (answer, error) {
		posted++
		require.True(t, v.mayManage())
		if text := v.r.PostForm.Get("fail"); text != "" {
			return answer{}, map[string]error{
				"refused": &admin.Error{Class: admin.Refused, Message: "It would lock you out."},
				"absent":  &admin.Error{Class: admin.NotFound}, "down": &admin.Error{Cause: errFault}, "gone": store.ErrNotFound,
			}[text]
		}
		if v.r.PostForm.Has("page") {
			return answer{Page: "problem", Body: 7}, nil // not its body
		}
		return v.done("saved", "keys"), nil
	}})
	send := func(body, kind, site string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/p/o/acme", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Sec-Fetch-Site", site)
		return s.do(r)
	}
	const form = "application/x-www-form-urlencoded"
	w := send("a=b", form+"; charset=utf-8", "same-origin")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "./../o/acme/keys?done=saved", w.Header().Get("Location"))
	require.Equal(t, http.StatusConflict, send("fail=refused", form, "same-origin").Code)
	require.Contains(t, send("fail=refused", form, "same-origin").Body.String(), "It would lock you out.")
	require.Equal(t, http.StatusNotFound, send("fail=absent", form, "same-origin").Code)
	require.Equal(t, http.StatusNotFound, send("fail=gone", form, "same-origin").Code)
	require.Equal(t, http.StatusServiceUnavailable, send("fail=down", form, "same-origin").Code)
	require.Equal(t, http.StatusInternalServerError, send("page=1", form, "same-origin").Code)
	require.Equal(t, 7, posted)
	require.Equal(t, http.StatusForbidden, send("", form, "cross-site").Code)
	require.Equal(t, http.StatusUnsupportedMediaType, send("{}", "application/json", "same-origin").Code)
	require.Equal(t, http.StatusBadRequest, send("a=%zz", form, "same-origin").Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, send(strings.Repeat("a", maxBody+1), form, "same-origin").Code)
	s.person.May = func(_ string, access admin.Access) bool { return access == admin.Read }
	require.Equal(t, http.StatusForbidden, send("", form, "same-origin").Code)
	s.config.ReadOnly = true
	require.Contains(t, send("", form, "same-origin").Body.String(), "Read only")
	require.Equal(t, 7, posted)
	require.Contains(t, notFound.Error(), "404")
}

func TestPicker(t *testing.T) {
	s := newSite(t)
	page := s.shows("/", http.StatusOK, `href="./o/acme"`, "You can manage")
	require.NotContains(t, page, "globex")
	s.shows("/?cursor=nonsense%00", http.StatusBadRequest)
	may := s.person.May
	s.person.May = nil
	s.shows("/", http.StatusOK, "No organization yet")
	for i := range 60 {
		s.apply(fmt.Sprintf("more%02d", i), admin.CreateOrganization(policy.Required))
	}
	s.person.May = func(string, admin.Access) bool { return true }
	page = s.shows("/", http.StatusOK, "Next page")
	next := page[strings.Index(page, "./?cursor="):]
	next = next[1:strings.Index(next, `"`)]
	s.shows(next, http.StatusOK, "First page", "more59")
	s.person.May = may
	s.person.Name, s.config.SignOut = "<b>Ann</b>", "/logout"
	s.shows("/", http.StatusOK, "&lt;b&gt;Ann", `action="/logout"`)
}

// bare hides what a memory.Store does beyond a Store.
type bare struct{ store.Store }

func TestAStoreWithoutUsageAndEvents(t *testing.T) {
	s := newSite(t)
	var err error
	s.config.Store = bare{s.store}
	s.config.Admin, err = admin.New(s.config.Store, admin.WithPeopleManaging(), admin.WithEvents(func(context.Context, []store.Event) error { return nil }))
	require.NoError(t, err)
	s.shows("/o/acme", http.StatusOK, "does not record")
	s.shows("/o/acme/keys", http.StatusOK, "not recorded")
	s.shows("/o/acme/keys/k1", http.StatusOK, "does not record")
	s.shows("/o/acme/events", http.StatusOK, "No events are kept")
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }
