package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// The JSON of views has stable names, no null lists, and nothing of a secret.
func TestViews(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "owner")
	stored := w.edit("k", func(k *apikey.Key) {
		k.Description = "CI"
		k.AccessList, _ = k.AccessList.Replace(stamped(until(entry("203.0.113.7", "office"), start.Add(-time.Hour)), start.Add(-day)))
		k.Grants = append(k.Grants, apikey.Grant{Role: "r", Project: "p"}, apikey.Grant{Role: "s", AllProjects: true})
		k.TrialList = w.list("192.0.2.0/28+1h")
		k.NotBefore, k.Expires = start.Add(-day), start.Add(day)
		k.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "payments"}, ExternalID: "cus_1"}
	})
	view, err := w.admin.Key(w.ctx, "acme", "k")
	require.NoError(t, err)
	data, err := json.Marshal(view)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"id":"k","organization":"acme","description":"CI","labels":{"team":"payments"},"externalId":"cus_1","status":"active","disabled":false,
		"notBefore":"2026-02-28T12:00:00Z","expires":"2026-03-02T12:00:00Z","created":"2025-09-01T12:00:00Z",
		"grants":[{"role":"owner"},{"role":"r","project":"p"},{"role":"s","allProjects":true}],
		"entries":[{"address":"203.0.113.7","comment":"office","added":"2026-02-28T12:00:00Z","expires":"2026-03-01T11:00:00Z","expired":true}],
		"trialEntries":[{"address":"192.0.2.0/28","expires":"2026-03-01T13:00:00Z"}],
		"secrets":[{"id":%q,"created":"2026-03-01T12:00:00Z"}],"revision":%d}`, stored.Secrets[0].ID(), stored.Revision), string(data))
	require.NotContains(t, string(data), fmt.Sprintf("%x", stored.Secrets[0].Sum[:8]))

	w.edit("k", func(k *apikey.Key) {
		k.AccessList, k.TrialList, k.Grants, k.Metadata = w.list(""), w.list(""), nil, nil
	})
	page, err := w.admin.Keys(w.ctx, "acme", store.PageRequest{})
	require.NoError(t, err)
	data, err = json.Marshal(page.Items)
	require.NoError(t, err)
	require.Contains(t, string(data), `"grants":[],"entries":[],"trialEntries":[]`)
	require.Contains(t, string(data), `"labels":{}`)

	md5 := strings.Repeat("0a", 16)
	w.edit("k", func(k *apikey.Key) { k.Secrets[0].Digest, err = apikey.NewDigestCredentials("api", md5, "") })
	require.NoError(t, err)
	view, err = w.admin.Key(w.ctx, "acme", "k")
	require.NoError(t, err)
	data, err = json.Marshal(view)
	require.NoError(t, err)
	require.Contains(t, string(data), `"created":"2026-03-01T12:00:00Z","digest":true}`)
	require.NotContains(t, string(data), md5)

	organization, err := w.admin.Organization(w.ctx, "acme")
	require.NoError(t, err)
	data, err = json.Marshal(organization)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"id":"acme","name":"","requirement":"not_required","disabled":false,"revision":%d}`, organization.Revision), string(data))

	suspended(time.Hour)(w)
	data, err = json.Marshal(w.apply(ann, plain, admin.SetName("Acme Inc.")).Organizations[0])
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"id":"acme","name":"Acme Inc.","requirement":"required","disabled":false,"suspendedUntil":"2026-03-01T13:00:00Z","revision":%d}`, w.acme().Revision), string(data))
}

// So has the JSON of previews.
func TestPreviewInJSON(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("self", "203.0.113.7", "owner")
	w.key("k", "", "reader")
	w.used("k", "192.0.2.1", time.Hour, 2)
	actor := w.by("self", "203.0.113.7")
	preview := w.preview(actor, admin.SetRequirement(policy.Required), admin.EditEntries("self", until(entry("203.0.113.7", ""), start.Add(2*time.Hour))))
	data, err := json.Marshal(preview)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"token":%q,
		"findings":[
			{"kind":"self_lockout_at","refuses":false,"acceptable":false,"text":"The key that makes this change, from the address 203.0.113.7, would be denied from 2026-03-01T14:00:00Z: no entry of its access list covers the address. An entry 203.0.113.7 would cover it.","keys":["self"],"count":1,"reason":"address_not_listed","address":"203.0.113.7","at":"2026-03-01T14:00:00Z","covers":"203.0.113.7"},
			{"kind":"breaks_key","refuses":true,"acceptable":true,"text":"1 key was used in the last 30 days and would be denied: key \"k\".","keys":["k"],"count":1}],
		"keys":[
			{"key":"self","description":"","revision":%d,"class":"unused","before":"address_listed","after":"address_not_listed","at":"2026-03-01T14:00:00Z","address":"203.0.113.7"},
			{"key":"k","description":"","revision":%d,"class":"breaks","before":"open_list","after":"organization_requires_access_list","address":"192.0.2.1",
			"uses":[{"secret":%q,"count":2,"last":"2026-03-01T11:00:00Z","address":"192.0.2.1"}],"useCount":1,
			"addresses":[{"address":"192.0.2.1","count":2,"first":"2026-03-01T11:00:00Z","last":"2026-03-01T11:00:00Z"}],"addressCount":1}],
		"totals":{"breaks":1,"mayBreak":0,"unused":1,"unknown":0,"opens":0,"widens":0,"unchanged":1},
		"evidence":{"time":"2026-03-01T12:00:00Z","revision":%d,"begin":"2026-01-30T12:00:00Z","since":"2025-03-01T12:00:00Z","until":"2026-03-01T12:00:00Z"}}`,
		preview.Token, w.stored("self").Revision, w.stored("k").Revision, w.stored("k").Secrets[0].ID(), w.stored("k").Revision), string(data))
	data, err = json.Marshal(w.preview(actor, admin.Describe("k", "x")))
	require.NoError(t, err)
	require.Contains(t, string(data), `"findings":[],"keys":[]`)
}

// One search for the console and the API.
func TestAKeyHasATextInAnyOfItsWords(t *testing.T) {
	key := admin.KeyView{ID: "K-7", Description: "Nightly report", ExternalID: "svc-1042", Labels: map[string]string{"team": "Finance"},
		Entries: []admin.EntryView{{Address: "198.51.100.0/24", Comment: "the Office"}}}
	for _, text := range []string{"", "k-7", "NIGHTLY", "y r", "SVC", "team", "finance", "Team=fin", "100.0/24", "office"} {
		require.True(t, key.Has(text), text)
	}
	for _, text := range []string{"k-8", "finance=team", "svc-1043", " ", "198.51.100.1"} {
		require.Equal(t, text == " ", key.Has(text), text)
	}
	require.False(t, admin.KeyView{}.Has("x"))
}
