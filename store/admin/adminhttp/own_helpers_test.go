package adminhttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

const (
	ownOrg    = ownPrefix + "/organizations/" + acme
	ownWorker = ownOrg + "/keys/" + worker
)

// An ownWorld is a world with people. Ann reads and manages acme, Bob reads it, Max manages it
// without reading, and Eve does all of globex.
type ownWorld struct {
	*world
	checker
}

// newOwnWorld returns a world in which this operation succeeds with its body of ownBodies.
func newOwnWorld(t testing.TB, operation string, options ...func(*world)) *ownWorld {
	t.Helper()
	w := &ownWorld{newWorld(t, append([]func(*world){func(w *world) {
		w.config.Person = person
		w.config.Endpoints = []policy.Endpoint{{Name: "things.list", Roles: []string{seesInside}}, {Name: "things.delete", Roles: []string{leads}}}
	}}, options...)...), newChecker(t)}
	w.used(worker, "198.51.100.0/24", "198.51.100.7")
	w.edit(worker, func(k *apikey.Key) {
		var err error
		k.TrialList, err = accesslist.Parse(client, "198.51.100.0/25")
		require.NoError(t, err)
	})
	switch operation {
	case "resumeRequirement", "suspendRequirement":
		w.editOrganization(acme, func(o *policy.Organization) { o.Requirement = policy.Required })
		if operation == "resumeRequirement" {
			w.editOrganization(acme, func(o *policy.Organization) { o.SuspendedUntil = start.Add(time.Hour) })
		}
	case "endSecret", "endSecretAt":
		w.edit(worker, func(k *apikey.Key) {
			rotated, _, err := w.issuer.Rotate(*k, 48*time.Hour)
			require.NoError(t, err)
			*k = rotated
		})
	}
	return w
}

func (w *ownWorld) editOrganization(id string, change func(*policy.Organization)) {
	w.t.Helper()
	organization, err := w.memory.Organization(context.Background(), id)
	require.NoError(w.t, err)
	change(&organization)
	_, err = w.memory.PutOrganization(context.Background(), organization)
	require.NoError(w.t, err)
}

func person(r *http.Request) (admin.Person, error) {
	rights := map[string]map[string][]admin.Access{
		"ann": {acme: {admin.Read, admin.Manage}}, "bob": {acme: {admin.Read}}, "max": {acme: {admin.Manage}},
		"eve": {globex: {admin.Read, admin.Manage}}, "zoe": {},
	}
	id := r.Header.Get("Person")
	if rights[id] == nil {
		return admin.Person{}, errors.New("not signed in")
	}
	return admin.Person{ID: id, Name: strings.ToUpper(id), Address: netip.MustParseAddr("192.0.2.9"), May: func(organization string, access admin.Access) bool {
		for _, has := range rights[id][organization] {
			if has == access {
				return true
			}
		}
		return false
	}}, nil
}

// ownBodies are good bodies by operation.
var ownBodies = map[string]string{
	"editOrganization":   `{"name":"Acme & Co","disabled":false}`,
	"setRequirement":     `{"requirement":"report_only"}`,
	"suspendRequirement": `{"until":"2026-03-01T13:00:00Z"}`,
	"createKey":          `{"id":"new","description":"d","labels":{"team":"a"},"externalId":"x","grants":[{"role":"GROUP_OWNER","project":"` + alpha + `"}],"entries":[{"address":"203.0.113.7","comment":"c","expires":"2027-01-01T00:00:00Z"}],"notBefore":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00Z","disabled":false}`,
	"editKey":            `{"description":"e","labels":{"team":"b"},"externalId":"y","grants":[{"role":"GROUP_READ_ONLY","project":"` + second + `"},{"role":"ORG_MEMBER"},{"role":"AUDITOR","allProjects":true},{"role":"ORG_READ_ONLY"}],"validity":{"expires":"2027-01-01T00:00:00Z"},"disabled":false}`,
	"replaceList":        `{"entries":[{"address":"` + client + `"},{"address":"198.51.100.0/24","comment":"office"}]}`,
	"addEntries":         `{"entries":[{"address":"203.0.113.0/24","comment":"c","expires":"2027-01-01T00:00:00Z"}]}`,
	"editEntry":          `{"comment":"office","expires":"2027-01-01T00:00:00Z"}`,
	"setTrial":           `{"entries":[{"address":"203.0.113.9"}]}`,
	"rotateKey":          `{"overlapSeconds":86400}`,
	"endSecretAt":        `{"expires":"2026-03-02T12:00:00Z"}`,
	"investigate":        `{"key":"` + worker + `","address":"203.0.113.7","endpoint":"things.list","project":"` + second + `","secret":"","unproven":false,"possibleProxy":false}`,
	"decide":             `{"key":"` + worker + `","address":"203.0.113.7","endpoint":"things.list","project":"` + second + `","time":"2026-03-01T12:00:00Z"}`,
	"decideAll":          `{"calls":[{"key":"` + worker + `","address":"203.0.113.7","endpoint":"things.list","project":"` + second + `"},{"key":"nobody","address":"203.0.113.7"}],"time":"2026-03-01T12:00:00Z"}`,
	"makeChanges":        `{"changes":[{"kind":"edit_key","key":"` + worker + `","description":"f"},{"kind":"edit_key","key":"` + viewer + `","description":"g"}]}`,
}

// path is the path of an operation in acme, about the worker.
func (w *ownWorld) path(o operation) string {
	values := ours()
	values["secret"] = w.stored(worker).Secrets[0].ID()
	return ownPrefix + fill(o.pattern, values)
}

// ownRequest is a request by a person, or by a key. Further texts are headers: name, value.
func (w *ownWorld) ownRequest(by, method, path, body string, headers ...string) *http.Request {
	r := w.request("", method, path, body)
	if person, _ := person(&http.Request{Header: http.Header{"Person": {by}}}); person.ID != "" {
		r.Header.Set("Person", by)
	} else if by != "" {
		r = w.request(apikey.ID(by), method, path, body)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// own makes a call, and checks what holds of every answer.
func (w *ownWorld) own(by, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	answer := w.serve(w.ownRequest(by, method, path, body, headers...))
	checkAnswer(w.t, method, answer)
	return answer
}

// shows makes a call, and returns its good answer.
func shows[T any](w *ownWorld, by, method, path, body string, headers ...string) (into T) {
	w.t.Helper()
	answer := w.own(by, method, path, body, headers...)
	require.Less(w.t, answer.Code, 300, "%s", answer.Body)
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &into), "%s", answer.Body)
	return into
}

// ownRefuses makes a call, and compares the status and the code of its problem.
func (w *ownWorld) ownRefuses(by, method, path, body string, status int, code string, headers ...string) problem {
	w.t.Helper()
	answer := w.own(by, method, path, body, headers...)
	require.Equal(w.t, status, answer.Code, "%s", answer.Body)
	require.Equal(w.t, "application/problem+json", answer.Header().Get("Content-Type"))
	w.answer(w.t, operation{}, answer.Code, answer.Body.Bytes())
	var got problem
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &got))
	require.Equal(w.t, code, got.Code, "%s", answer.Body)
	require.Equal(w.t, status, got.Status)
	require.Equal(w.t, http.StatusText(status), got.Title)
	require.NotEmpty(w.t, got.Detail)
	return got
}

// state is everything stored, events included.
func (w *ownWorld) state() string {
	w.t.Helper()
	text := w.records()
	for event, err := range store.AllEvents(context.Background(), w.memory, store.EventRequest{}) {
		require.NoError(w.t, err)
		data, err := json.Marshal(event)
		require.NoError(w.t, err)
		text += string(data) + "\n"
	}
	position, err := w.memory.Position(context.Background())
	require.NoError(w.t, err)
	return text + cursorOf(position)
}

func jsonEncode(to *strings.Builder, v any) error { return json.NewEncoder(to).Encode(v) }
