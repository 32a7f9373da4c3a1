package adminhttp

import (
	"errors"
	"mime"
	"net/http"
	"strings"
)

// prefixes are the paths of the documented API: of Ops Manager, of Atlas, and of its version 2
// with media types.
var prefixes = []string{"/api/public/v1.0", "/api/atlas/v1.0", v2}

const (
	v2      = "/api/atlas/v2"
	version = "2023-01-01" // of every resource of v2
	jsonV2  = "application/vnd.atlas." + version + "+json;charset=utf-8"
	json1   = "application/json"
)

// An endpoint is a documented route. Its pattern goes behind each prefix.
type endpoint struct {
	method, pattern string
	access          access
	answer          func(h *handler, c *call) (any, error) // nil, nil: 204
	requiresList    bool                                   // unless Config.OpenEntryEndpoints
	only            string                                 // the one prefix; empty: all of them
	events          bool                                   // needs a journal
}

var endpoints = []endpoint{
	{method: "GET", pattern: "/orgs", access: anyKey, answer: (*handler).organizations},
	{method: "GET", pattern: "/orgs/{org}", access: read, answer: (*handler).organization},
	{method: "GET", pattern: "/orgs/{org}/groups", access: read, answer: (*handler).organizationGroups},
	{method: "GET", pattern: "/orgs/{org}/settings", access: read, answer: (*handler).settings},
	{method: "PATCH", pattern: "/orgs/{org}/settings", access: manage, answer: (*handler).changeSettings},
	{method: "GET", pattern: "/orgs/{org}/events", access: read, answer: (*handler).events, events: true},
	{method: "GET", pattern: "/orgs/{org}/events/{event}", access: read, answer: (*handler).event, events: true},

	{method: "GET", pattern: "/orgs/{org}/apiKeys", access: read, answer: (*handler).keys},
	{method: "POST", pattern: "/orgs/{org}/apiKeys", access: manage, answer: (*handler).createKey},
	{method: "GET", pattern: "/orgs/{org}/apiKeys/{key}", access: read, answer: (*handler).key},
	{method: "PATCH", pattern: "/orgs/{org}/apiKeys/{key}", access: manage, answer: (*handler).changeKey},
	{method: "DELETE", pattern: "/orgs/{org}/apiKeys/{key}", access: manage, answer: (*handler).deleteKey},

	{method: "GET", pattern: "/orgs/{org}/apiKeys/{key}/accessList", access: listOf, answer: (*handler).entries},
	{method: "POST", pattern: "/orgs/{org}/apiKeys/{key}/accessList", access: listOf, answer: (*handler).addEntries, requiresList: true},
	{method: "GET", pattern: "/orgs/{org}/apiKeys/{key}/accessList/{entry...}", access: listOf, answer: (*handler).entry},
	{method: "DELETE", pattern: "/orgs/{org}/apiKeys/{key}/accessList/{entry...}", access: listOf, answer: (*handler).deleteEntry, requiresList: true},

	{method: "GET", pattern: "/groups", access: anyKey, answer: (*handler).groups},
	{method: "GET", pattern: "/groups/{group}", access: projectRead, answer: (*handler).group},
	{method: "GET", pattern: "/groups/{group}/events", access: projectRead, answer: (*handler).events, events: true},
	{method: "GET", pattern: "/groups/{group}/events/{event}", access: projectRead, answer: (*handler).event, events: true},

	{method: "GET", pattern: "/groups/{group}/apiKeys", access: projectRead, answer: (*handler).keys},
	{method: "POST", pattern: "/groups/{group}/apiKeys", access: projectManage, answer: (*handler).createKey},
	{method: "PATCH", pattern: "/groups/{group}/apiKeys/{key}", access: projectManage, answer: (*handler).changeKey},
	{method: "POST", pattern: "/groups/{group}/apiKeys/{key}", access: projectManage, answer: (*handler).addProjectRoles, only: v2},
	{method: "DELETE", pattern: "/groups/{group}/apiKeys/{key}", access: projectManage, answer: (*handler).removeFromProject},
}

// ipinfo is the one documented path outside of the prefixes.
const ipinfo = "/api/private/ipinfo"

func (h *handler) documentedRoutes() []route {
	routes := []route{{method: "GET", pattern: ipinfo, access: anyKey, serve: h.documented((*handler).clientAddress)}}
	for _, prefix := range prefixes {
		for _, e := range endpoints {
			if e.only != "" && e.only != prefix || e.events && h.journal == nil {
				continue
			}
			routes = append(routes, route{
				method: e.method, pattern: prefix + e.pattern, prefix: prefix, access: e.access,
				requiresList: e.requiresList && !h.OpenEntryEndpoints, serve: h.documented(e.answer),
			})
		}
	}
	return routes
}

// documented answers a call in the documented form.
func (h *handler) documented(answer func(h *handler, c *call) (any, error)) func(w http.ResponseWriter, c *call) {
	return func(w http.ResponseWriter, c *call) {
		mediaType, err := c.mediaType()
		var body any
		if err == nil && isTrue(c.URL.Query().Get("envelope")) {
			err = badQuery("envelope", "Answers have no envelope here: leave it out, and read the status of the response.")
		}
		if err == nil {
			body, err = answer(h, c)
		}
		switch {
		case err != nil:
			e, ok := errors.AsType[*apiError](err)
			if !ok {
				e = h.adminError(c, err)
			}
			writeError(w, c.Request, e)
		case body == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, c.Request, http.StatusOK, mediaType, body)
		}
	}
}

// mediaType returns that of the answer. The latest version of every resource is the only one,
// for requests that ask for it or a later one.
func (c *call) mediaType() (string, error) {
	best := ""
	header := c.Header.Values("Accept")
	if len(header) == 0 {
		header = []string{"*/*"}
	}
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil || strings.Trim(parameters["q"], "0.") == "" && parameters["q"] != "" {
			continue
		}
		date, versioned := versionOf(name)
		switch {
		case versioned && (c.prefix != v2 || date >= version), name == "*/*", name == "application/*":
			best = jsonV2
		case name == json1 && best == "":
			best = json1
		}
	}
	switch {
	case best == "":
		return "", &apiError{status: http.StatusNotAcceptable, code: "NOT_ACCEPTABLE", detail: "The Accept header excludes every form of the answer: want " + json1 + ", or application/vnd.atlas." + version + "+json or later."}
	case c.prefix != v2:
		return json1, nil
	}
	return best, nil
}

// versionOf returns the date in a media type such as application/vnd.atlas.2023-01-01+json.
func versionOf(name string) (date string, ok bool) {
	date, ok = strings.CutPrefix(name, "application/vnd.atlas.")
	if date, found := strings.CutSuffix(date, "+json"); ok && found && len(date) == len(version) {
		return date, true
	}
	return "", false
}
