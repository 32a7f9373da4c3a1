package adminhttp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

type eventPage struct {
	Links      []link
	Results    []eventBody
	TotalCount *int
}

func (w *world) eventPage(by apikey.ID, path string) eventPage {
	w.t.Helper()
	answer := w.call(by, "GET", path, "")
	require.Equal(w.t, 200, answer.Code, "%s", answer.Body)
	var page eventPage
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &page))
	return page
}

func typesOf(page eventPage) (types []string) {
	for _, event := range page.Results {
		types = append(types, event.Type)
	}
	return types
}

// Each change has the documented events, of the organization or of the project.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	step := func(by apikey.ID, method, path, body string) {
		t.Helper()
		w.now = w.now.Add(time.Minute)
		require.Less(t, w.call(by, method, path, body).Code, 300)
	}
	step(owner, "POST", list, `[{"ipAddress":"203.0.113.7"},{"cidrBlock":"203.0.113.0/24"}]`)
	step(owner, "DELETE", list+"/203.0.113.0/24", "")
	step(owner, "PATCH", workerPath, `{"desc":"new","roles":["ORG_READ_ONLY"]}`)
	step(lead, "PATCH", group+"/apiKeys/"+worker, `{"roles":["GROUP_OWNER"]}`)
	step(lead, "DELETE", group+"/apiKeys/"+worker, "")
	step(lead, "POST", group+"/apiKeys", `{"desc":"ci","roles":["GROUP_READ_ONLY"]}`)
	step(owner, "PATCH", org+"/settings", `{"apiAccessListRequired":false}`)
	step(owner, "DELETE", org+"/apiKeys/"+created, "")
	step(owner, "PATCH", org+"/settings", `{"apiAccessListRequired":true}`)
	step(owner, "PATCH", org+"/settings", `{"apiAccessListRequired":false}`)
	ann := admin.ByPerson("ann@example.com", "Ann", netip.Addr{})
	_, err := w.admin.Apply(t.Context(), ann, acme, admin.ApplyOptions{}, admin.SetRequirement(policy.ReportOnly))
	require.NoError(t, err)
	_, err = w.admin.Apply(t.Context(), ann, acme, admin.ApplyOptions{}, admin.Rotate(worker, time.Hour))
	require.NoError(t, err)
	_, err = w.admin.Apply(t.Context(), ann, acme, admin.ApplyOptions{}, admin.Describe(worker, "newer"))
	require.NoError(t, err)
	_, err = w.admin.Apply(t.Context(), admin.BySystem("set-up"), "initech", admin.ApplyOptions{}, admin.CreateOrganization(policy.NotRequired))
	require.NoError(t, err)

	events := org + "/events"
	page := w.eventPage(viewer, events)
	require.Equal(t, []string{
		"API_KEY_DESCRIPTION_CHANGED", "ORG_PUBLIC_API_ACCESS_LIST_NOT_REQUIRED", "ORG_PUBLIC_API_ACCESS_LIST_REQUIRED", "API_KEY_DELETED", "API_KEY_CREATED",
		"API_KEY_ROLES_CHANGED", "API_KEY_DESCRIPTION_CHANGED", "API_KEY_ACCESS_LIST_ENTRY_DELETED",
		"API_KEY_ACCESS_LIST_ENTRY_ADDED", "API_KEY_ACCESS_LIST_ENTRY_ADDED",
	}, typesOf(page))
	require.Equal(t, "ann@example.com", page.Results[0].UserID)
	require.Equal(t, "Ann", page.Results[0].UserName)
	require.Empty(t, page.Results[0].Remote)
	last := page.Results[9]
	block := fmt.Sprintf(`{"apiKeyId":"%s","created":"2026-03-01T12:01:00Z","eventTypeName":"API_KEY_ACCESS_LIST_ENTRY_ADDED","id":"%s","isGlobalAdmin":false,`+
		`"links":[{"href":"%s/orgs/%s/events/%s","rel":"self"}],"orgId":"%s","publicKey":"%s","remoteAddress":"192.0.2.1","targetPublicKey":"%s","whitelistEntry":"203.0.113.0/24"}`,
		owner, last.ID, base, acme, last.ID, acme, owner, worker)
	w.answers(viewer, "GET", events+"/"+last.ID, "", 200, block)
	require.Equal(t, "203.0.113.7", page.Results[8].Entry)

	require.Equal(t, []string{"API_KEY_DELETED", "API_KEY_CREATED"}, typesOf(w.eventPage(viewer, events+"?eventType=API_KEY_CREATED&eventType=API_KEY_DELETED")))
	require.Len(t, w.eventPage(viewer, events+"?minDate=2026-03-01T12%3A03%3A00Z&maxDate=2026-03-01T12%3A03%3A00Z").Results, 2)
	require.Empty(t, w.eventPage(viewer, events+"?minDate=2026-03-02").Results)
	require.Len(t, w.eventPage(viewer, events+"?minDate=2026-03-01").Results, 10)
	require.Len(t, w.eventPage(viewer, events+"?itemsPerPage=3&pageNum=4").Results, 1)
	short := w.eventPage(viewer, events+"?itemsPerPage=3&includeCount=false&eventType=API_KEY_ACCESS_LIST_ENTRY_ADDED&eventType=API_KEY_DELETED&eventType=API_KEY_CREATED")
	require.Len(t, short.Results, 3)
	require.Nil(t, short.TotalCount)
	require.Equal(t, "next", short.Links[1].Rel)
	require.Contains(t, short.Links[1].Href, "eventType=API_KEY_ACCESS_LIST_ENTRY_ADDED&eventType=API_KEY_DELETED")
	for _, name := range []string{"minDate", "maxDate"} {
		w.refuses(viewer, "GET", events+"?"+name+"=yesterday", "", 400, "INVALID_QUERY_PARAMETER", name)
	}
	raw := w.call(viewer, "GET", events+"/"+last.ID+"?includeRaw=true", "").Body.String()
	require.Contains(t, raw, `"raw":{"revision":`)
	require.Contains(t, w.call(viewer, "GET", events+"?includeRaw=true", "").Body.String(), `"raw":{"revision":`)
	for _, secret := range w.secrets {
		require.NotContains(t, raw, secret.Reveal())
	}

	// Of the project.
	events = group + "/events"
	page = w.eventPage(lead, events)
	require.Equal(t, []string{"API_KEY_ADDED_TO_GROUP", "API_KEY_REMOVED_FROM_GROUP", "API_KEY_ROLES_CHANGED", "API_KEY_ADDED_TO_GROUP", "API_KEY_ROLES_CHANGED"}, typesOf(page))
	removed := page.Results[1]
	w.answers(lead, "GET", events+"/"+removed.ID, "", 200, fmt.Sprintf(`{"apiKeyId":"%s","created":"2026-03-01T12:05:00Z","eventTypeName":"API_KEY_REMOVED_FROM_GROUP","groupId":"%s","id":"%s","isGlobalAdmin":false,`+
		`"links":[{"href":"%s/groups/%s/events/%s","rel":"self"}],"publicKey":"%s","remoteAddress":"192.0.2.1","targetPublicKey":"%s"}`, lead, alpha, removed.ID, base, alpha, removed.ID, lead, worker))

	for _, id := range []string{absent, "x", "%20", last.ID} { // the last one is not of the project
		w.refuses(lead, "GET", events+"/"+id, "", 404, "RESOURCE_NOT_FOUND", strings.ReplaceAll(id, "%20", " "))
	}
	w.refuses(viewer, "GET", org+"/events/"+removed.ID, "", 404, "RESOURCE_NOT_FOUND", removed.ID)
	found, err := w.memory.Events(t.Context(), store.EventRequest{Organization: "initech"})
	require.NoError(t, err)
	w.refuses(viewer, "GET", org+"/events/"+found.Events[0].ID(), "", 404, "RESOURCE_NOT_FOUND", found.Events[0].ID())
	require.Equal(t, "ORG_CREATED", documentedName(found.Events[0], ""))
}

// Very many changed grants are only counted in an event: they are the organization's.
func TestEventOfManyGrants(t *testing.T) {
	e := store.Event{Type: store.EventKeyGrantsChanged, After: json.RawMessage(`{"grants":500}`)}
	require.Equal(t, "API_KEY_ROLES_CHANGED", documentedName(e, ""))
	require.Empty(t, documentedName(e, alpha))
	require.Empty(t, documentedName(store.Event{Type: store.EventKeyGrantsChanged, After: json.RawMessage(`{"grants":[{"role":"r","allProjects":true}]}`)}, ""))
}

// A long journal has no totalCount, and all of its pages.
func TestLongJournal(t *testing.T) {
	w := newWorld(t)
	stored := w.stored(worker)
	for range maxCounted/store.MaxEvents + 1 {
		events := make([]store.Event, store.MaxEvents)
		for i := range events {
			events[i] = store.Event{Time: start, Type: store.EventKeyDescribed, Organization: acme, Key: worker, Actor: store.Actor{Kind: store.ActorSystem}, Via: "test"}
		}
		revision, err := w.memory.Write(t.Context(), store.Write{PutKey: &stored, Events: events})
		require.NoError(t, err)
		stored.Revision = revision
	}
	page := w.eventPage(viewer, org+"/events?itemsPerPage=2")
	require.Nil(t, page.TotalCount)
	require.Len(t, page.Results, 2)
	require.Equal(t, "next", page.Links[1].Rel)
	page = w.eventPage(viewer, org+"/events?pageNum=21&itemsPerPage=500")
	require.NotNil(t, page.TotalCount)
	require.Equal(t, maxCounted+store.MaxEvents, *page.TotalCount)
	require.Len(t, page.Results, store.MaxEvents)
}

// A store without a journal has no events.
func TestNoJournal(t *testing.T) {
	w := newWorld(t)
	w.config.Store = onlyStore{w.memory}
	w.handler = newHandler(w.config)
	w.refuses(viewer, "GET", org+"/events", "", 404, "RESOURCE_NOT_FOUND", org+"/events")
	require.Contains(t, w.call(owner, "GET", list, "").Body.String(), `"count":0`, "nor usage")
}

type onlyStore struct{ store.Store }
