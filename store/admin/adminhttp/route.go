package adminhttp

import (
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// ownPrefix is the path of our own API. Its errors are problem+json.
const ownPrefix = "/api/sallyport/v1"

// An access is who may call a route: a key by a role, or a person by an admin.Access.
type access uint8

const (
	anyKey        access = iota + 1 // every key, in its own organization; every person
	read                            // in the organization {org}
	manage                          // in the organization {org}
	listOf                          // as manage, or the key {key} itself
	projectRead                     // in the project {group}
	projectManage                   // in the project {group}
)

// A route is one endpoint.
type route struct {
	method  string // GET answers HEAD as well
	pattern string // of http.ServeMux, without method
	access  access

	// requiresList refuses keys without an access list, whatever their organization requires.
	requiresList bool

	// serve answers a call whose caller may make it.
	serve func(w http.ResponseWriter, c *call)

	prefix string // of the documented API, for links

	// In the handler:
	own     bool         // of our own API
	guarded http.Handler // for keys; nil: no guard
}

// A call is a request by somebody who may make it.
type call struct {
	*http.Request
	actor        admin.Actor
	organization string          // judged; empty for a person on a route without {org}
	project      string          // judged; empty on a route without {group}
	decision     policy.Decision // on a key; zero for a person
	person       admin.Person    // zero for a key
	base, prefix string          // of absolute links: scheme and host, and the API's path
}

// A handler serves both APIs.
type handler struct {
	Config
	journal     store.Journal       // nil: none
	usage       store.UsageRecorder // nil: none
	crossOrigin *http.CrossOriginProtection
	shutdowns   shutdowns
	bookmarks   recent[keyPage, bookmark]
	counts      recent[string, int] // keys of organizations with many
	routes      []route
	mux         *http.ServeMux
}

func newHandler(config Config) *handler {
	h := &handler{Config: config.withDefaults(), crossOrigin: http.NewCrossOriginProtection(), mux: http.NewServeMux()}
	h.mux.HandleFunc("/", noResource)
	for _, origin := range h.TrustedOrigins {
		_ = h.crossOrigin.AddTrustedOrigin(origin) // checked by New
	}
	h.journal, _ = store.As[store.Journal](h.Store)
	h.usage, _ = store.As[store.UsageRecorder](h.Store)
	if h.Guard != nil {
		h.routes = h.documentedRoutes()
	}
	h.routes = append(h.routes, h.ownRoutes()...)
	h.mount(h.routes)
	return h
}

// mount prepares routes for requests.
func (h *handler) mount(routes []route) {
	documented, own := h.Guard.WithDeny(deny), h.Guard.WithDeny(policyhttp.WriteProblem)
	patterns := map[string][]*route{}
	for i := range routes {
		t := &routes[i]
		patterns[t.pattern] = append(patterns[t.pattern], t)
		t.own = strings.HasPrefix(t.pattern, ownPrefix)
		if h.Guard == nil {
			continue
		}
		guard := documented
		if t.own {
			guard = own
		}
		t.guarded = guard.Protect(h.endpoint(t), h.resource(t.access), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.byKey(w, r, t) }))
	}
	for pattern, there := range patterns {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, there) })
	}
}

// endpoint is a route for the rules.
func (h *handler) endpoint(t *route) policy.Endpoint {
	endpoint := policy.Endpoint{Name: t.method + " " + t.pattern, RequiresAccessList: t.requiresList}
	switch t.access {
	case read:
		endpoint.Roles = h.Roles.Read
	case manage:
		endpoint.Roles = h.Roles.Manage
	case projectRead:
		endpoint.Roles = h.Roles.ProjectRead
	case projectManage:
		endpoint.Roles = h.Roles.ProjectManage
	}
	return endpoint
}

// resource finds the judged organization and project. That of anyKey is the key's own.
func (h *handler) resource(a access) policyhttp.Resource {
	switch a {
	case anyKey:
		return func(*http.Request) (policy.Resource, error) { return policy.Resource{OfKey: true}, nil }
	case projectRead, projectManage:
		return func(r *http.Request) (policy.Resource, error) {
			project, found, err := h.Projects.Project(r.Context(), r.PathValue("group"))
			if !found {
				return policy.Resource{Organization: policy.NoOrganization}, err
			}
			return policy.Resource{Organization: project.Organization, Project: project.ID, Value: project}, err
		}
	}
	return policyhttp.PathOrganization("org")
}

// ServeHTTP implements [http.Handler]. The documentation links some paths with a slash at their
// end, which is ignored.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w)
	trimmed := *r.URL
	if strings.HasSuffix(r.URL.EscapedPath(), "/") {
		trimmed.Path, trimmed.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	}
	escaped := trimmed.EscapedPath()
	if !strings.HasPrefix(escaped, "/") || path.Clean(escaped) != escaped { // ServeMux would redirect
		noResource(w, r)
		return
	}
	r = r.WithContext(r.Context()) // a copy
	r.URL = &trimmed
	h.mux.ServeHTTP(w, r)
}

func noResource(w http.ResponseWriter, r *http.Request) {
	writeError(w, r, &apiError{status: http.StatusNotFound, code: "RESOURCE_NOT_FOUND", detail: "Cannot find resource " + quote(r.URL.Path) + ".", parameters: []string{cut(r.URL.Path)}})
}

// serve answers a request for the routes of one pattern.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, routes []*route) {
	var methods []string
	i := slices.IndexFunc(routes, func(t *route) bool {
		methods = append(methods, t.method)
		if t.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		return t.method == r.Method || t.method == http.MethodGet && r.Method == http.MethodHead
	})
	if i < 0 {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeError(w, r, &apiError{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", detail: "The method is not allowed here. Allowed are " + strings.Join(methods, ", ") + ".", parameters: []string{}})
		return
	}
	if err := h.crossOrigin.Check(r); err != nil {
		writeError(w, r, &apiError{status: http.StatusForbidden, code: "CROSS_ORIGIN_REQUEST", detail: "Another site's page sent this request. Changes are taken from the API's own origin, and from programs.", cause: err})
		return
	}
	if t := routes[i]; t.own {
		h.serveOwn(w, r, t)
	} else {
		t.guarded.ServeHTTP(w, r)
	}
}

// serveOwn answers a person, and anybody else as a key.
func (h *handler) serveOwn(w http.ResponseWriter, r *http.Request, t *route) {
	if h.Person != nil {
		person, err := h.Person(r)
		if err == nil && person.ID != "" {
			h.byPerson(w, r, t, person)
			return
		}
	}
	if t.guarded == nil {
		writeError(w, r, &apiError{status: http.StatusForbidden, code: "SIGN_IN_REQUIRED", detail: "Sign in first."})
		return
	}
	t.guarded.ServeHTTP(w, r)
}

// byPerson answers a person. An organization without access is answered like an absent one.
func (h *handler) byPerson(w http.ResponseWriter, r *http.Request, t *route, person admin.Person) {
	c := &call{Request: r, person: person, actor: person.Actor().Via(store.ViaAPI, ""), organization: r.PathValue("org"), base: h.base(r)}
	needs, forPeople := map[access]admin.Access{read: admin.Read, manage: admin.Manage}[t.access]
	if t.access != anyKey && !(forPeople && person.Has(c.organization, needs)) {
		writeError(w, r, &apiError{status: http.StatusNotFound, code: "ORGANIZATION_NOT_FOUND", detail: "There is no such organization, or you may not do this in it."})
		return
	}
	t.serve(w, c)
}

// byKey answers an allowed key.
func (h *handler) byKey(w http.ResponseWriter, r *http.Request, t *route) {
	decision, _ := policyhttp.DecisionOf(r.Context())
	actor, _ := admin.ByKey(decision) // allowed
	resource := decision.Resource()
	c := &call{Request: r, decision: decision, actor: actor.Via(store.ViaAPI, ""), organization: resource.Organization, project: resource.Project, base: h.base(r), prefix: t.prefix}
	if t.access == listOf && string(decision.KeyID()) != r.PathValue("key") {
		if !hasRole(decision.Subject().Key().Grants, h.Roles.Manage, "") {
			writeError(w, r, &apiError{status: http.StatusForbidden, code: "API_KEY_ACCESS_LIST_ACCESS_DENIED", detail: "The API key may not see or change the access list of another API key.", parameters: []string{cut(r.PathValue("key"))}})
			return
		}
		c.actor = c.actor.WithRoles(h.Roles.Manage...) // that copy of the key may be old: see admin.Actor
	}
	t.serve(w, c)
}

// base returns the scheme and host of absolute links.
func (h *handler) base(r *http.Request) string {
	if h.BaseURL != "" {
		return h.BaseURL
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// hasRole reports whether a grant of one of the roles holds in a project, or with "" at the
// organization itself (rule K5).
func hasRole(grants []apikey.Grant, roles []string, project string) bool {
	return slices.ContainsFunc(grants, func(g apikey.Grant) bool {
		return slices.Contains(roles, g.Role) && (project == "" && g.Project == "" && !g.AllProjects || project != "" && (g.Project == project || g.AllProjects))
	})
}
