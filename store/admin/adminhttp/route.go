package adminhttp

import (
	"net/http"
	"net/url"
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

// A route is one endpoint. Its pattern has segments in braces for path values: {org}, {group},
// {key}; {entry...} takes all that is left of the path.
type route struct {
	method  string // GET answers HEAD as well
	pattern string
	access  access

	// requiresList refuses keys without an access list, whatever their organization requires.
	requiresList bool

	// serve answers a call whose caller may make it.
	serve func(w http.ResponseWriter, c *call)

	prefix string // of the documented API, for links

	// In the handler:
	segments []string
	own      bool         // of our own API
	guarded  http.Handler // for keys; nil: no guard
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
	routes      []route
}

func newHandler(config Config) *handler {
	h := &handler{Config: config.withDefaults(), crossOrigin: http.NewCrossOriginProtection()}
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
	for i := range routes {
		t := &routes[i]
		t.segments = strings.Split(t.pattern, "/")
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

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w)
	r = r.WithContext(r.Context()) // a copy, for the path values
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	t, methods := h.match(r, path)
	switch {
	case t == nil && len(methods) == 0:
		writeError(w, r, &apiError{status: http.StatusNotFound, code: "RESOURCE_NOT_FOUND", detail: "Cannot find resource " + quote(r.URL.Path) + ".", parameters: []string{cut(r.URL.Path)}})
		return
	case t == nil:
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeError(w, r, &apiError{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", detail: "The method is not allowed here. Allowed are " + strings.Join(methods, ", ") + ".", parameters: []string{}})
		return
	}
	if err := h.crossOrigin.Check(r); err != nil {
		writeError(w, r, &apiError{status: http.StatusForbidden, code: "CROSS_ORIGIN_REQUEST", detail: "Another site's page sent this request. Changes are taken from the API's own origin, and from programs.", cause: err})
		return
	}
	if t.own {
		h.serveOwn(w, r, t)
		return
	}
	t.guarded.ServeHTTP(w, r)
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
	has := map[access]admin.Access{read: admin.Read, manage: admin.Manage, listOf: admin.Manage, projectRead: admin.Read, projectManage: admin.Manage}[t.access]
	if group := r.PathValue("group"); group != "" {
		project, found, err := h.Projects.Project(r.Context(), group)
		if err != nil {
			writeError(w, r, h.failed(r, err))
			return
		}
		if found {
			c.organization, c.project = project.Organization, project.ID
		}
	}
	if t.access != anyKey && !person.Has(c.organization, has) {
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
	if t.access == listOf && string(decision.KeyID()) != r.PathValue("key") && !hasRole(decision.Subject().Key().Grants, h.Roles.Manage, "") {
		writeError(w, r, &apiError{status: http.StatusForbidden, code: "API_KEY_ACCESS_LIST_ACCESS_DENIED", detail: "The API key may not see or change the access list of another API key.", parameters: []string{cut(r.PathValue("key"))}})
		return
	}
	t.serve(w, c)
}

// match returns the route of a path, and sets its path values. Without one of the method it
// returns the methods of the path. A pattern with more literal segments goes first.
func (h *handler) match(r *http.Request, path string) (best *route, methods []string) {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i], _ = url.PathUnescape(segments[i]) // an escaped path is well formed
	}
	most := -1
	for i := range h.routes {
		t := &h.routes[i]
		literals, ok := t.matches(segments)
		if !ok {
			continue
		}
		if !slices.Contains(methods, t.method) {
			methods = append(methods, t.method)
			if t.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
		if literals > most && (t.method == r.Method || t.method == http.MethodGet && r.Method == http.MethodHead) {
			best, most = t, literals
		}
	}
	if best == nil {
		return nil, methods
	}
	for i, segment := range best.segments {
		name, isValue := strings.CutPrefix(strings.TrimSuffix(segment, "}"), "{")
		if rest, ok := strings.CutSuffix(name, "..."); ok {
			r.SetPathValue(rest, strings.Join(segments[i:], "/"))
		} else if isValue {
			r.SetPathValue(name, segments[i])
		}
	}
	return best, methods
}

// matches reports whether the pattern matches, and how many literal segments it has.
func (t *route) matches(segments []string) (literals int, ok bool) {
	for i, segment := range t.segments {
		switch {
		case i >= len(segments):
			return 0, false
		case strings.HasSuffix(segment, "...}"):
			return literals, segments[i] != ""
		case strings.HasPrefix(segment, "{"):
			if segments[i] == "" {
				return 0, false
			}
		case segment != segments[i]:
			return 0, false
		default:
			literals++
		}
	}
	return literals, len(segments) == len(t.segments)
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
