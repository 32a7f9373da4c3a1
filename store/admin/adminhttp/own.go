package adminhttp

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store/admin"
)

// An operation is a route of our own API. Exactly one of read, change and stream is set.
type operation struct {
	id, method string
	pattern    string // behind ownPrefix
	access     access
	query      []string // names of its parameters, beside pretty

	// read returns the answer. It writes nothing.
	read func(h *handler, c *call) (any, error)

	// change returns the changes of one record that the request asks for. They are previewed
	// with ?preview=true, and otherwise made. A creation has no record yet for an If-Match.
	change  func(h *handler, c *call, b *body) ([]admin.Change, error)
	creates bool
	several bool // changes of several records: each has its own revision

	stream func(h *handler, w http.ResponseWriter, c *call)
}

const (
	ownOrganization = "/organizations/{org}"
	ownKeys         = ownOrganization + "/keys"
	ownKey          = ownKeys + "/{key}"
)

var operations = []operation{
	{id: "getOpenAPI", method: "GET", pattern: "/openapi.json", access: anyKey, stream: (*handler).document},
	{id: "getMe", method: "GET", pattern: "/me", access: anyKey, read: (*handler).me},
	{id: "listOrganizations", method: "GET", pattern: "/organizations", access: anyKey, query: []string{"cursor", "limit"}, read: (*handler).ownOrganizations},
	{id: "getOrganization", method: "GET", pattern: ownOrganization, access: read, read: (*handler).ownOrganization},
	{id: "editOrganization", method: "PATCH", pattern: ownOrganization, access: manage, change: (*handler).editOrganization},
	{id: "setRequirement", method: "PUT", pattern: ownOrganization + "/requirement", access: manage, change: (*handler).setRequirement},
	{id: "suspendRequirement", method: "PUT", pattern: ownOrganization + "/suspension", access: manage, change: (*handler).suspend},
	{id: "resumeRequirement", method: "DELETE", pattern: ownOrganization + "/suspension", access: manage, change: (*handler).resume},

	{id: "listKeys", method: "GET", pattern: ownKeys, access: read, query: []string{"cursor", "limit", "status", "search", "label", "externalId"}, read: (*handler).ownKeys},
	{id: "createKey", method: "POST", pattern: ownKeys, access: manage, change: (*handler).ownCreateKey, creates: true},
	{id: "getKey", method: "GET", pattern: ownKey, access: read, read: (*handler).ownKey},
	{id: "editKey", method: "PATCH", pattern: ownKey, access: manage, change: (*handler).editKey},
	{id: "deleteKey", method: "DELETE", pattern: ownKey, access: manage, change: (*handler).ownDeleteKey},

	{id: "getList", method: "GET", pattern: ownKey + "/list", access: read, read: (*handler).ownList},
	{id: "replaceList", method: "PUT", pattern: ownKey + "/list", access: manage, change: (*handler).replaceList},
	{id: "addEntries", method: "POST", pattern: ownKey + "/list/entries", access: manage, change: (*handler).ownAddEntries},
	{id: "editEntry", method: "PUT", pattern: ownKey + "/list/entries/{entry...}", access: manage, change: (*handler).editEntry},
	{id: "removeEntry", method: "DELETE", pattern: ownKey + "/list/entries/{entry...}", access: manage, change: (*handler).removeEntry},
	{id: "suggestList", method: "GET", pattern: ownKey + "/list/suggestion", access: manage, query: []string{"budget", "allowIPv6", "windowSeconds"}, read: (*handler).suggest},
	{id: "reviewList", method: "GET", pattern: ownKey + "/list/findings", access: read, query: []string{"windowSeconds", "internet"}, read: (*handler).reviewList},
	{id: "setTrial", method: "PUT", pattern: ownKey + "/trial", access: manage, change: (*handler).setTrial},
	{id: "endTrial", method: "DELETE", pattern: ownKey + "/trial", access: manage, change: (*handler).endTrial},
	{id: "enforceTrial", method: "POST", pattern: ownKey + "/trial/enforcement", access: manage, change: (*handler).enforceTrial},

	{id: "getSecrets", method: "GET", pattern: ownKey + "/secrets", access: read, query: []string{"idleSeconds"}, read: (*handler).secrets},
	{id: "rotateKey", method: "POST", pattern: ownKey + "/secrets", access: manage, change: (*handler).rotate},
	{id: "endSecretAt", method: "PATCH", pattern: ownKey + "/secrets/{secret}", access: manage, change: (*handler).endSecretAt},
	{id: "endSecret", method: "DELETE", pattern: ownKey + "/secrets/{secret}", access: manage, change: (*handler).endSecret},

	{id: "getUsage", method: "GET", pattern: ownKey + "/usage", access: read, query: []string{"windowSeconds"}, read: (*handler).keyUsage},
	{id: "getPermissions", method: "GET", pattern: ownKey + "/permissions", access: read, query: []string{"address"}, read: (*handler).permissions},
	{id: "investigate", method: "POST", pattern: ownOrganization + "/investigations", access: read, read: (*handler).investigate},
	{id: "decide", method: "POST", pattern: ownOrganization + "/decisions", access: read, read: (*handler).decide},
	{id: "decideAll", method: "POST", pattern: ownOrganization + "/decisions/batch", access: read, read: (*handler).decideAll},

	{id: "makeChanges", method: "POST", pattern: ownOrganization + "/changes", access: manage, change: (*handler).severalChanges, several: true},
	{id: "listEvents", method: "GET", pattern: ownOrganization + "/events", access: read, query: []string{"cursor", "limit", "key", "order"}, read: (*handler).ownEvents},
	{id: "followEvents", method: "GET", pattern: ownOrganization + "/events/stream", access: read, query: []string{"cursor", "key"}, stream: (*handler).followEvents},
}

// ownRoutes are the routes of our own API, below ownPrefix.
func (h *handler) ownRoutes() (routes []route) {
	for i := range operations {
		o := &operations[i]
		routes = append(routes, route{method: o.method, pattern: ownPrefix + o.pattern, access: o.access, serve: func(w http.ResponseWriter, c *call) {
			if err := h.serveOperation(w, c, o); err != nil {
				writeProblem(w, c.Request, h.problem(c, err))
			}
		}})
	}
	return routes
}

func (h *handler) serveOperation(w http.ResponseWriter, c *call, o *operation) error {
	if err := c.checkQuery(o); err != nil {
		return err
	}
	switch {
	case o.stream != nil:
		o.stream(h, w, c)
		return nil
	case o.change != nil:
		return h.serveChange(w, c, o)
	}
	answer, err := o.read(h, c)
	if err != nil {
		return err
	}
	if revision := revisionOf(answer); revision != 0 {
		w.Header().Set("ETag", etag(revision))
	}
	writeJSON(w, c.Request, http.StatusOK, json1, answer)
	return nil
}

// revisionOf returns the revision of the record that an answer shows, for its ETag; 0: none.
func revisionOf(answer any) uint64 {
	switch shown := answer.(type) {
	case admin.OrganizationView:
		return shown.Revision
	case admin.KeyView:
		return shown.Revision
	case listBody:
		return shown.Revision
	case admin.Rotation:
		return shown.Revision
	case admin.Tightening:
		return shown.Key.Revision
	case admin.ListReview:
		return shown.Revision
	}
	return 0
}

// checkQuery refuses parameters that the operation lacks, and those given twice: a misspelt
// preview would make the change.
func (c *call) checkQuery(o *operation) error {
	known := append([]string{"pretty"}, o.query...)
	if o.change != nil {
		known = append(known, "preview")
	}
	query, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return badQuery("", "The query cannot be read: want & between parameters, and other signs percent-encoded.")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return badQuery(cut(name), "The parameter "+quote(name)+" is not known here: want one of "+strings.Join(known, ", ")+".")
		case len(values) > 1:
			return badQuery(name, "The parameter "+name+" occurs twice: want it once.")
		}
	}
	return nil
}

// A body is the JSON object of a change: the body of its request, or a part of one with
// several changes.
type body struct {
	value strictjson.Value
	key   string             // of the record, from the path or from the part
	extra []strictjson.Field // of every part
}

// read reads the object with these fields, and no others.
func (b *body) read(fields ...strictjson.Field) error {
	return badBody(b.value.Object(append(fields, b.extra...)...))
}
