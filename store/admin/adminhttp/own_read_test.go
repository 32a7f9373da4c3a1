package adminhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

func newContext(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// A hangingBody hangs up when it was read.
type hangingBody struct {
	io.ReadCloser
	hangUp func()
}

func (b *hangingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.hangUp()
	}
	return n, err
}

func TestMe(t *testing.T) {
	w := newOwnWorld(t, "")
	require.JSONEq(t, `{"actor":{"kind":"person","id":"ann","name":"ANN","address":"192.0.2.9"}}`, w.own("ann", "GET", ownPrefix+"/me", "").Body.String())
	require.JSONEq(t, `{"actor":{"kind":"key","id":"`+viewer+`","address":"192.0.2.1"},"organization":"`+acme+`","description":"key 2","status":"active",
		"grants":[{"role":"ORG_READ_ONLY"}],"permissions":{"key":"`+viewer+`","organization":"`+acme+`","time":"2026-03-01T12:00:00Z","address":"192.0.2.1","reason":"address_listed","places":[
			{"endpoints":[{"endpoint":"things.list","allowed":false,"reason":"role_missing"},{"endpoint":"things.delete","allowed":false,"reason":"role_missing"}]},
			{"allProjects":true,"endpoints":[{"endpoint":"things.list","allowed":false,"reason":"project_not_granted"},{"endpoint":"things.delete","allowed":false,"reason":"project_not_granted"}]}]}}`,
		w.own(viewer, "GET", ownPrefix+"/me", "").Body.String())
}

// A person without a key's right, and a service without people or without keys.
func TestWhoIsIt(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.config.Guard = nil })
	answer := w.serve(w.ownRequest("nobody", "GET", ownPrefix+"/me", ""))
	require.Equal(t, 403, answer.Code)
	require.Contains(t, answer.Body.String(), "SIGN_IN_REQUIRED")
	require.Equal(t, 200, w.own("ann", "GET", ownOrg, "").Code)
	w = newOwnWorld(t, "", func(w *world) { w.config.Person = nil })
	require.Equal(t, 200, w.own(owner, "GET", ownOrg, "").Code)
	w.ownRefuses("ann", "GET", ownOrg, "", 401, "API_KEY_REQUIRED")
}

func TestOrganizations(t *testing.T) {
	w := newOwnWorld(t, "")
	shown := w.own("ann", "GET", ownOrg, "")
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"name":"Acme","requirement":"not_required","disabled":false,"revision":%s}`, acme, strings.Trim(shown.Header().Get("ETag"), `"`)), shown.Body.String())
	names := func(by, query string) (ids []string, next string) {
		list := shows[organizationList](w, by, "GET", ownPrefix+"/organizations"+query, "")
		for _, o := range list.Organizations {
			ids = append(ids, o.ID)
		}
		return ids, list.Next
	}
	for by, want := range map[string][]string{"ann": {acme}, "bob": {acme}, "eve": {globex}, "max": nil, "zoe": nil, owner: {acme}, viewer: {acme}, stranger: {globex}, lead: nil} {
		ids, next := names(by, "")
		require.Equal(t, want, ids, by)
		require.Empty(t, next)
	}
	ids, next := names("eve", "?limit=1") // the first one is another's
	require.Equal(t, []string{globex}, ids)
	require.Empty(t, next)
	ids, next = names("ann", "?limit=1")
	require.Equal(t, []string{acme}, ids)
	ids, next = names("ann", "?limit=1&cursor="+next)
	require.Empty(t, ids)
	require.Empty(t, next)
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?cursor=x", "?size=1"} {
		w.ownRefuses("ann", "GET", ownPrefix+"/organizations"+query, "", 400, "INVALID_QUERY_PARAMETER")
	}
	w.ownRefuses(owner, "GET", ownPrefix+"/organizations?cursor=x", "", 400, "INVALID_QUERY_PARAMETER")
}

// A page of organizations is one call of the store: none of them is read again.
func TestOrganizationsAreReadOnce(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.store = forgetful{w.memory} })
	require.Len(t, shows[organizationList](w, "ann", "GET", ownPrefix+"/organizations", "").Organizations, 1)
}

// A forgetful store lists organizations that it does not find.
type forgetful struct{ store.Store }

func (forgetful) Organization(context.Context, string) (policy.Organization, error) {
	return policy.Organization{}, store.ErrNotFound
}

func TestListKeys(t *testing.T) {
	w := newOwnWorld(t, "")
	w.edit(viewer, func(k *apikey.Key) { k.Disabled = true })
	w.edit(lead, func(k *apikey.Key) {
		k.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "Payments"}, ExternalID: "customer-7"}
	})
	ids := func(query string) (ids []string) {
		t.Helper()
		for cursor := ""; ; {
			list := shows[keyList](w, "ann", "GET", ownOrg+"/keys?cursor="+cursor+"&"+query, "")
			for _, key := range list.Keys {
				ids = append(ids, string(key.ID))
			}
			if cursor = list.Next; cursor == "" {
				return ids
			}
		}
	}
	for query, want := range map[string][]string{
		"":                                {owner, viewer, lead, worker},
		"limit=1":                         {owner, viewer, lead, worker},
		"limit=3":                         {owner, viewer, lead, worker},
		"status=disabled":                 {viewer},
		"limit=1&status=disabled":         {viewer},
		"status=expired":                  nil,
		"status=active&limit=2":           {owner, lead, worker},
		"search=KEY+4":                    {worker},
		"search=payments":                 {lead},
		"search=TEAM":                     {lead},
		"search=customer-7":               {lead},
		"search=198.51.100":               {worker},
		"search=" + owner:                 {owner},
		"search=none&limit=1":             nil,
		"label=team":                      {lead},
		"label=team%3DPayments&limit=1":   {lead},
		"externalId=customer-7":           {lead},
		"externalId=customer-7&search=xx": nil,
	} {
		require.Equal(t, want, ids(query), query)
	}
	for _, query := range []string{"status=gone", "status=", "limit=0", "cursor=%00"} {
		w.ownRefuses("ann", "GET", ownOrg+"/keys?"+query, "", 400, "INVALID_QUERY_PARAMETER")
	}
	key := w.own("ann", "GET", ownOrg+"/keys/"+viewer, "")
	require.JSONEq(t, fmt.Sprintf(`{"id":%q,"organization":%q,"description":"key 2","labels":{},"status":"disabled","disabled":true,"created":"2026-03-01T12:00:00Z","grants":[{"role":"ORG_READ_ONLY"}],
		"entries":[{"address":"192.0.2.1","added":"2026-03-01T12:00:00Z"}],"trialEntries":[],"secrets":[{"id":%q,"created":"2026-03-01T12:00:00Z"}],"revision":%s}`,
		viewer, acme, w.stored(viewer).Secrets[0].ID(), strings.Trim(key.Header().Get("ETag"), `"`)), key.Body.String())
	list := w.own("ann", "GET", ownWorker+"/list", "")
	require.JSONEq(t, fmt.Sprintf(`{"key":%q,"entries":[{"address":"192.0.2.1","added":"2026-03-01T12:00:00Z"},{"address":"198.51.100.0/24","added":"2026-03-01T12:00:00Z"}],
		"trialEntries":[{"address":"192.0.2.1"},{"address":"198.51.100.0/25"}],"revision":%s}`, worker, strings.Trim(list.Header().Get("ETag"), `"`)), list.Body.String())
}

// A search reads a bounded number of pages, and goes on with the next call.
func TestSearchIsBounded(t *testing.T) {
	w := newOwnWorld(t, "")
	for i := range maxPages + 5 {
		w.put(apikey.ID(fmt.Sprintf("dddddddddddddddddddddd%02d", i)), acme, nil)
	}
	first := shows[keyList](w, "ann", "GET", ownOrg+"/keys?limit=1&search=nothing", "")
	require.Empty(t, first.Keys)
	require.NotEmpty(t, first.Next)
	second := shows[keyList](w, "ann", "GET", ownOrg+"/keys?limit=1&search=nothing&cursor="+first.Next, "")
	require.Empty(t, second.Keys)
	require.Empty(t, second.Next)
}

func TestUsageOfAKey(t *testing.T) {
	w := newOwnWorld(t, "")
	usage := shows[admin.KeyUsage](w, "ann", "GET", ownWorker+"/usage", "")
	require.Equal(t, "198.51.100.7", usage.Addresses[0].Address.String())
	require.Equal(t, "198.51.100.0/24", usage.Uses[0].Entry)
	require.Empty(t, usage.Gaps)
	unused := w.own("ann", "GET", ownOrg+"/keys/"+lead+"/usage", "").Body.String()
	for _, name := range []string{"uses", "addresses", "denials", "wouldDeny", "gaps"} {
		require.Contains(t, unused, `"`+name+`":[]`)
	}
	w.ownRefuses("ann", "GET", ownOrg+"/keys/"+absent+"/usage", "", 404, "NOT_FOUND")
}

// The flow of C.2: a suggestion is applied by its token, as one write.
func TestSuggestionIsApplied(t *testing.T) {
	w := newOwnWorld(t, "")
	w.used(worker, "", "198.51.100.9")
	answer := w.own("ann", "GET", ownWorker+"/list/suggestion?budget=5&allowIPv6=false", "")
	require.Equal(t, 200, answer.Code, "%s", answer.Body)
	found := shows[struct {
		Entries []map[string]any
		Preview admin.Preview
	}](w, "ann", "GET", ownWorker+"/list/suggestion?budget=5", "")
	entries := strings.Builder{}
	require.NoError(t, jsonEncode(&entries, map[string]any{"entries": found.Entries}))
	w.now = w.now.Add(time.Minute) // a person reads it
	made := shows[outcome](w, "ann", "PUT", ownWorker+"/list", entries.String(), "If-Match", answer.Header().Get("ETag"), headerToken, found.Preview.Token)
	require.Len(t, made.Keys[0].Entries, len(found.Entries))
	w.ownRefuses("ann", "PUT", ownWorker+"/list", entries.String(), 412, "REVISION_CHANGED", "If-Match", answer.Header().Get("ETag"))
	for _, query := range []string{"budget=0", "budget=x", "allowIPv6=perhaps"} {
		w.ownRefuses("ann", "GET", ownWorker+"/list/suggestion?"+query, "", 400, "INVALID_QUERY_PARAMETER")
	}
	w.ownRefuses("ann", "GET", ownOrg+"/keys/"+lead+"/list/suggestion", "", 409, "CONFLICT")
}

// The flow of C.3: rotate, see whether the earlier secret is still used, end it.
func TestRotation(t *testing.T) {
	w := newOwnWorld(t, "")
	w.now = w.now.Add(time.Minute)
	made := shows[outcome](w, "ann", "POST", ownWorker+"/secrets", `{"overlapSeconds":172800}`)
	require.Len(t, made.Keys[0].Secrets, 2)
	rotation := shows[admin.Rotation](w, "ann", "GET", ownWorker+"/secrets?idleSeconds=3600", "")
	require.Len(t, rotation.Secrets, 2)
	require.False(t, rotation.Secrets[0].SafeToEnd)
	require.NotEmpty(t, rotation.Secrets[0].Why)
	w.ownRefuses("ann", "GET", ownWorker+"/secrets?idleSeconds=0", "", 400, "INVALID_QUERY_PARAMETER")
	later := shows[outcome](w, "ann", "PATCH", ownWorker+"/secrets/"+rotation.Secrets[0].ID, `{"expires":"2026-03-02T00:00:00Z"}`)
	require.Equal(t, "2026-03-02T00:00:00Z", later.Keys[0].Secrets[0].Expires.Format(time.RFC3339))
	shows[outcome](w, "ann", "DELETE", ownWorker+"/secrets/"+rotation.Secrets[0].ID, "")
	secret := made.Secrets[0].Secret // by mistake in the path: it is nowhere in the answer
	require.NotContains(t, w.own("ann", "DELETE", ownWorker+"/secrets/"+secret, "").Body.String(), secret)
}

func TestPermissions(t *testing.T) {
	w := newOwnWorld(t, "")
	may := shows[admin.Permissions](w, "ann", "GET", ownWorker+"/permissions?address=203.0.113.7", "")
	require.Equal(t, policy.AddressNotListed, may.Reason)
	may = shows[admin.Permissions](w, "ann", "GET", ownWorker+"/permissions", "")
	require.True(t, may.AnyListed)
	require.True(t, may.Places[1].Endpoints[0].Allowed)
	for _, address := range []string{"", "x", "fe80::1%25eth0"} {
		w.ownRefuses("ann", "GET", ownWorker+"/permissions?address="+address, "", 400, "INVALID_QUERY_PARAMETER")
	}
}

// The flow of C.4: a refused call, why, and the change that lets it pass, by its token.
func TestInvestigationIsApplied(t *testing.T) {
	w := newOwnWorld(t, "")
	body := `{"key":"` + worker + `","address":"203.0.113.7","endpoint":"things.list","project":"` + second + `","time":"2026-03-01T12:00:00Z"}`
	before := w.state()
	decision := shows[decisionBody](w, "bob", "POST", ownOrg+"/decisions", body)
	require.Equal(t, []any{false, policy.AddressNotListed, 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", start}, []any{decision.Allowed, decision.Reason, decision.Status, decision.Code, decision.Time})
	require.Contains(t, decision.Explanation, "address")
	found := shows[admin.Investigation](w, "ann", "POST", ownOrg+"/investigations", body)
	require.Equal(t, policy.AddressNotListed, found.Reason)
	require.Equal(t, before, w.state()) // nothing is written or counted
	proposal := found.Remedies[0].Proposals[0]
	require.Equal(t, "add_entries", proposal.Kind)
	entry := fmt.Sprintf(`{"address":%q,"expires":%q}`, proposal.Entry.Address, proposal.Entry.Expires.Format(time.RFC3339Nano))
	w.ownRefuses("ann", "POST", ownWorker+"/list/entries", `{"entries":[{"address":"203.0.113.8"}]}`, 409, "PREVIEW_CHANGED", headerToken, found.Remedies[0].Preview.Token)
	headers := []string{headerToken, found.Remedies[0].Preview.Token}
	shows[outcome](w, "ann", "POST", ownWorker+"/list/entries", `{"entries":[`+entry+`]}`, headers...)
	decision = shows[decisionBody](w, "bob", "POST", ownOrg+"/decisions", body)
	require.Equal(t, []any{true, policy.AddressListed, 200, ""}, []any{decision.Allowed, decision.Reason, decision.Status, decision.Code})

	unknown := shows[decisionBody](w, "bob", "POST", ownOrg+"/decisions", `{"key":"`+stranger+`","address":"192.0.2.1"}`)
	require.Equal(t, policy.UnknownKey, unknown.Reason)
	require.WithinDuration(t, time.Now(), unknown.Time, time.Hour)
}

func TestDecideFails(t *testing.T) {
	w := newOwnWorld(t, "", func(w *world) { w.store = unfound{w.memory} })
	w.ownRefuses("ann", "POST", ownOrg+"/decisions", `{"key":"`+worker+`","address":"192.0.2.1"}`, 503, "SERVICE_UNAVAILABLE")
}

type unfound struct{ store.Store }

func (unfound) Lookup(context.Context, apikey.ID) (policy.Subject, bool, error) {
	return policy.Subject{}, false, errBroken
}

// No page of a filtered list is read further than its bound, and every answer is pretty where
// asked.
func TestPretty(t *testing.T) {
	w := newOwnWorld(t, "")
	require.Contains(t, w.own("ann", "GET", ownOrg+"?pretty=true", "").Body.String(), "\n  \"id\"")
	require.Equal(t, 405, w.own("ann", http.MethodPut, ownOrg, "").Code)
	require.Contains(t, w.own("ann", http.MethodPut, ownOrg, "").Header().Get("Allow"), "GET")
	w.ownRefuses("ann", "GET", ownPrefix+"/nothing", "", 404, "RESOURCE_NOT_FOUND")
}

// A list with entries of IPv6 is written back as it was read, and so is one suggested from it. A
// list without them gets none.
func TestIPv6EntriesAreWrittenBack(t *testing.T) {
	w := newOwnWorld(t, "")
	type answered struct {
		Entries []map[string]any
		LeftOut []admin.AddressUse
		Preview admin.Preview
	}
	body := func(entries []map[string]any) string {
		text, err := json.Marshal(map[string]any{"entries": entries})
		require.NoError(t, err)
		return string(text)
	}
	w.used(worker, "", "2001:db8::7")
	w.edit(worker, func(k *apikey.Key) { k.AccessList = accesslist.List{} })
	open := shows[answered](w, "ann", "GET", ownWorker+"/list/suggestion?allowIPv6=true", "")
	require.Len(t, open.Entries, 1, "the other address could not be written")
	require.Len(t, open.LeftOut, 1)

	w.edit(worker, func(k *apikey.Key) {
		var err error
		k.AccessList, err = accesslist.Parser{AllowIPv6: true}.Parse("198.51.100.0/24", "2001:db8::/32")
		require.NoError(t, err)
	})
	read := shows[answered](w, "ann", "GET", ownWorker+"/list", "")
	before := w.records()
	for _, change := range []struct{ method, path, body string }{
		{"PUT", ownWorker + "/list", body(read.Entries)}, {"PUT", ownWorker + "/trial", body(read.Entries)},
		{"POST", ownOrg + "/changes", `{"changes":[{"kind":"edit_entries","key":"` + worker + `",` + body(read.Entries)[1:] + `]}`},
	} {
		shows[outcome](w, "ann", change.method, change.path+"?preview=true", change.body)
	}
	require.Equal(t, before, w.records())
	suggested := shows[answered](w, "ann", "GET", ownWorker+"/list/suggestion?allowIPv6=true", "")
	require.Len(t, suggested.Entries, 2)
	answer := w.own("ann", "GET", ownWorker, "")
	made := shows[outcome](w, "ann", "PUT", ownWorker+"/list", body(suggested.Entries), "If-Match", answer.Header().Get("ETag"), headerToken, suggested.Preview.Token)
	require.Equal(t, "2001:db8::/64", made.Keys[0].Entries[1].Address)
}
