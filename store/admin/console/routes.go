package console

import (
	"net/http"

	"github.com/sallyport-go/sallyport/store/admin"
)

// A route is one page or one form's target. Tests run over all of them.
//
// To add a page: a file with its functions, a template of the same name, a line here. A
// pattern has no trailing slash. Its wildcards are "organization", "key" and "event": see
// [visit.link] for the other direction.
type route struct {
	Method  string       // GET, which serves HEAD, or POST
	Pattern string       // of http.ServeMux, without method
	Access  admin.Access // Read or Manage of the pattern's organization; "": anybody signed in
	serve   func(*visit) (answer, error)
}

// routes returns the route table.
func routes() []route {
	return []route{
		{http.MethodGet, "/{$}", "", showOrganizations},
		{http.MethodGet, "/o/{organization}", admin.Read, showOverview},
		{http.MethodGet, "/o/{organization}/keys", admin.Read, showKeys},
		{http.MethodGet, "/o/{organization}/keys/{key}", admin.Read, showKey},
		{http.MethodGet, "/o/{organization}/events", admin.Read, showEvents},
		{http.MethodGet, "/o/{organization}/create", admin.Manage, showEdit},
		{http.MethodPost, "/o/{organization}/create/preview", admin.Manage, previewEdit},
		{http.MethodPost, "/o/{organization}/create/apply", admin.Manage, applyEdit},
		{http.MethodGet, "/o/{organization}/keys/{key}/edit", admin.Manage, showEdit},
		{http.MethodPost, "/o/{organization}/keys/{key}/preview", admin.Manage, previewEdit},
		{http.MethodPost, "/o/{organization}/keys/{key}/apply", admin.Manage, applyEdit},
		{http.MethodGet, "/o/{organization}/keys/{key}/tighten", admin.Manage, showTighten},
		{http.MethodGet, "/o/{organization}/keys/{key}/offboard", admin.Read, showOffboard},
		{http.MethodGet, "/o/{organization}/settings", admin.Read, showSettings},
		{http.MethodGet, "/o/{organization}/investigate", admin.Read, showInvestigation},
		{http.MethodPost, "/o/{organization}/preview", admin.Manage, previewChange},
		{http.MethodPost, "/o/{organization}/apply", admin.Manage, applyChange},
	}
}

// A tab is an entry of an organization's navigation.
type tab struct{ Name, Title, Path string }

// tabs are in the order of the page.
var tabs = []tab{
	{"overview", "Overview", ""},
	{"keys", "Keys", "keys"},
	{"events", "Events", "events"},
	{"investigate", "Investigate", "investigate"},
	{"settings", "Settings", "settings"},
}

// notices are what a page says after a redirect, by the code of its query parameter "done". A
// code from elsewhere says nothing.
var notices = map[string]string{
	"saved":    "Saved.",
	"in-force": "Saved, and in force everywhere.",
	"stored":   "Saved. Not every copy is known to have it yet: for some time calls may be answered as before.",
}
