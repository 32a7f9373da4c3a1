package adminhttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// clocks is how far the clocks of the processes that write events may be apart: the order of
// events is that of the writes.
const clocks = time.Hour

// An eventBody is an event in the documented form.
type eventBody struct {
	ActorKey     string          `json:"apiKeyId,omitempty"`
	Created      string          `json:"created"`
	Type         string          `json:"eventTypeName"`
	Group        string          `json:"groupId,omitempty"`
	ID           string          `json:"id"`
	GlobalAdmin  bool            `json:"isGlobalAdmin"`
	Links        []link          `json:"links"`
	Organization string          `json:"orgId,omitempty"`
	ActorPublic  string          `json:"publicKey,omitempty"`
	Raw          json.RawMessage `json:"raw,omitempty"`
	Remote       string          `json:"remoteAddress,omitempty"`
	TargetPublic apikey.ID       `json:"targetPublicKey,omitempty"`
	UserID       string          `json:"userId,omitempty"`
	UserName     string          `json:"username,omitempty"`
	Entry        string          `json:"whitelistEntry,omitempty"`
}

// names are the documented names of events of the organization. Other events have none and
// are left out.
var names = map[store.EventType]string{
	store.EventKeyCreated:          "API_KEY_CREATED",
	store.EventKeyDeleted:          "API_KEY_DELETED",
	store.EventKeyDescribed:        "API_KEY_DESCRIPTION_CHANGED",
	store.EventEntryAdded:          "API_KEY_ACCESS_LIST_ENTRY_ADDED",
	store.EventEntryRemoved:        "API_KEY_ACCESS_LIST_ENTRY_DELETED",
	store.EventOrganizationCreated: "ORG_CREATED",
}

// documentedName returns the name of an event of the organization or of one project; empty:
// none.
func documentedName(e store.Event, project string) string {
	switch e.Type {
	case store.EventKeyProjectAdded:
		return ofProject(e, project, "API_KEY_ADDED_TO_GROUP")
	case store.EventKeyProjectRemoved:
		return ofProject(e, project, "API_KEY_REMOVED_FROM_GROUP")
	case store.EventKeyGrantsChanged:
		if grantsIn(e.Before, project) || grantsIn(e.After, project) {
			return "API_KEY_ROLES_CHANGED"
		}
		return ""
	}
	if project != "" {
		return ""
	}
	if e.Type == store.EventRequirementChanged {
		before, after := requirementIn(e.Before), requirementIn(e.After)
		switch {
		case after == policy.Required:
			return "ORG_PUBLIC_API_ACCESS_LIST_REQUIRED"
		case before == policy.Required:
			return "ORG_PUBLIC_API_ACCESS_LIST_NOT_REQUIRED"
		}
	}
	return names[e.Type]
}

func ofProject(e store.Event, project, name string) string {
	if project == "" || e.Project != project {
		return ""
	}
	return name
}

// grantsIn reports whether the changed fields of an event have a grant in the project, or with
// "" one at the organization. Very many grants are only counted there: they are of the
// organization.
func grantsIn(fields json.RawMessage, project string) bool {
	var listed struct{ Grants []admin.GrantView }
	if err := json.Unmarshal(fields, &listed); err != nil {
		return len(fields) > 0 && project == ""
	}
	return slices.ContainsFunc(listed.Grants, func(g admin.GrantView) bool { return !g.AllProjects && g.Project == project })
}

func requirementIn(fields json.RawMessage) policy.Requirement {
	var changed struct{ Requirement policy.Requirement }
	_ = json.Unmarshal(fields, &changed) // as admin wrote it
	return changed.Requirement
}

func (c *call) eventBody(e store.Event, name string, raw bool) eventBody {
	body := eventBody{
		Created: seconds(e.Time), Type: name, ID: e.ID(), TargetPublic: e.Key,
		Organization: e.Organization, Links: []link{{c.href("orgs", e.Organization, "events", e.ID()), "self"}},
	}
	if c.project != "" {
		body.Organization, body.Group = "", c.project
		body.Links[0].Href = c.href("groups", c.project, "events", e.ID())
	}
	switch e.Actor.Kind {
	case store.ActorKey:
		body.ActorKey, body.ActorPublic = e.Actor.ID, e.Actor.ID
	case store.ActorPerson:
		body.UserID, body.UserName = e.Actor.ID, e.Actor.Name
	}
	if e.Address.IsValid() {
		body.Remote = e.Address.String()
	}
	if e.Entry.IsValid() {
		body.Entry = e.Entry.String()
		if e.Entry.IsSingleIP() {
			body.Entry = e.Entry.Addr().String()
		}
	}
	if raw {
		body.Raw, _ = e.MarshalJSON() // as read from the journal
	}
	return body
}

// An eventQuery selects events.
type eventQuery struct {
	types    []string
	min, max time.Time
	raw      bool
}

func readEventQuery(c *call) (q eventQuery, err error) {
	query := c.URL.Query()
	q.types, q.raw = query["eventType"], isTrue(query.Get("includeRaw"))
	if q.min, err = readTime(query, "minDate"); err != nil {
		return q, err
	}
	q.max, err = readTime(query, "maxDate")
	return q, err
}

// readTime reads a parameter with an ISO 8601 time, or with the beginning of a day in UTC.
func readTime(query url.Values, name string) (t time.Time, err error) {
	text := query.Get(name)
	if text == "" {
		return t, nil
	}
	if t, err = time.Parse(time.DateOnly, text); err != nil {
		t, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		err = badQuery(name, "The parameter "+name+" is "+quote(text)+": want a time such as 2026-08-01T00:00:00Z.")
	}
	return t, err
}

// selects reports whether the query selects an event with this documented name.
func (q eventQuery) selects(e store.Event, name string) bool {
	return name != "" && (len(q.types) == 0 || slices.Contains(q.types, name)) &&
		(q.min.IsZero() || !e.Time.Before(q.min)) && (q.max.IsZero() || !e.Time.After(q.max))
}

// events lists the events of the organization, or of the project, newest first.
func (h *handler) events(c *call) (any, error) {
	p, err := readPage(c.URL.Query())
	if err != nil {
		return nil, err
	}
	q, err := readEventQuery(c)
	if err != nil {
		return nil, err
	}
	scanned := 0
	for e, err := range store.AllEvents(c.Context(), h.journal, store.EventRequest{Organization: c.organization, Newest: true, Limit: maxPage}) {
		if err != nil {
			return nil, err
		}
		if !q.min.IsZero() && e.Time.Before(q.min.Add(-clocks)) {
			break
		}
		if scanned++; scanned > maxCounted && p.more() {
			p.total = -1
			break
		}
		name := documentedName(e, c.project)
		if q.selects(e, name) && !p.add(func() any { return c.eventBody(e, name, q.raw) }) {
			break
		}
	}
	return c.pageBody(p), nil
}

func (h *handler) event(c *call) (any, error) {
	id := c.PathValue("event")
	e, err := store.FindEvent(c.Context(), h.journal, c.organization, id)
	name := documentedName(e, c.project)
	if errors.Is(err, store.ErrNotFound) || err == nil && name == "" {
		return nil, &apiError{status: http.StatusNotFound, code: "RESOURCE_NOT_FOUND", detail: "No event with ID " + cut(id) + " exists.", parameters: []string{cut(id)}}
	}
	if err != nil {
		return nil, err
	}
	return c.eventBody(e, name, isTrue(c.URL.Query().Get("includeRaw"))), nil
}
