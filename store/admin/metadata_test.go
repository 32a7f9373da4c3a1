package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Labels and the external ID are set apart from each other, and each change is in one event
// with what it changed.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	for _, step := range []struct {
		change        admin.Change
		want          *apikey.Metadata
		before, after string
	}{
		{admin.SetLabels("k", nil), nil, "", ""},
		{admin.SetExternalID("k", ""), nil, "", ""},
		{admin.SetLabels("k", map[string]string{"team": "payments", "empty": ""}),
			&apikey.Metadata{Labels: map[string]string{"team": "payments", "empty": ""}}, "", `{"labels":{"team":"payments","empty":""}}`},
		{admin.SetExternalID("k", "cus_1"),
			&apikey.Metadata{Labels: map[string]string{"team": "payments", "empty": ""}, ExternalID: "cus_1"}, "", `{"externalId":"cus_1"}`},
		{admin.SetLabels("k", map[string]string{"team": "search", "tier": "1"}),
			&apikey.Metadata{Labels: map[string]string{"team": "search", "tier": "1"}, ExternalID: "cus_1"},
			`{"labels":{"team":"payments","empty":""}}`, `{"labels":{"team":"search","tier":"1"}}`},
		{admin.SetLabels("k", map[string]string{"team": "search"}),
			&apikey.Metadata{Labels: map[string]string{"team": "search"}, ExternalID: "cus_1"}, `{"labels":{"tier":"1"}}`, ""},
		{admin.SetLabels("k", map[string]string{"team": "search"}),
			&apikey.Metadata{Labels: map[string]string{"team": "search"}, ExternalID: "cus_1"}, "", ""},
		{admin.SetExternalID("k", "cus_2"),
			&apikey.Metadata{Labels: map[string]string{"team": "search"}, ExternalID: "cus_2"}, `{"externalId":"cus_1"}`, `{"externalId":"cus_2"}`},
		{admin.SetLabels("k", nil), &apikey.Metadata{ExternalID: "cus_2"}, `{"labels":{"team":"search"}}`, ""},
		{admin.SetExternalID("k", ""), nil, `{"externalId":"cus_2"}`, ""},
	} {
		require.Empty(t, w.preview(ann, step.change).Keys, "no decision depends on it")
		result := w.apply(ann, plain, step.change)
		require.Equal(t, step.want, w.stored("k").Metadata)
		if step.before+step.after == "" {
			require.Empty(t, result.Events)
			continue
		}
		require.Equal(t, []string{string(store.EventKeyMetadataChanged)}, types(result.Events))
		require.Equal(t, step.before, sorted(t, result.Events[0].Before, step.before))
		require.Equal(t, step.after, sorted(t, result.Events[0].After, step.after))
	}

	// What the caller does with the labels afterwards does not matter.
	labels := map[string]string{"team": "payments"}
	set, create := admin.SetLabels("k", labels), admin.CreateKey(admin.NewKey{ID: "new", Entries: w.entries("192.0.2.1"), Labels: labels, ExternalID: "cus_3"})
	labels["team"] = "other"
	w.apply(ann, plain, set, create)
	for _, id := range []string{"k", "new"} {
		require.Equal(t, map[string]string{"team": "payments"}, w.stored(id).Metadata.Labels)
	}
	require.Equal(t, "cus_3", w.stored("new").ExternalID())
	token := w.preview(ann, set).Token
	require.NotEqual(t, token, w.preview(ann, admin.SetLabels("k", labels)).Token)
	require.NotEqual(t, w.preview(ann, admin.SetExternalID("k", "a")).Token, w.preview(ann, admin.SetExternalID("k", "b")).Token)
}

// sorted returns want if the text is the same JSON, and otherwise the text.
func sorted(t *testing.T, text json.RawMessage, want string) string {
	t.Helper()
	if len(text) == 0 || want == "" {
		return string(text)
	}
	require.JSONEq(t, want, string(text))
	return want
}

// The events of a whole key have its metadata, or the number of labels if they are too many.
func TestMetadataInEvents(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	many := map[string]string{}
	for i := range apikey.MaxLabels {
		many[fmt.Sprint(i)] = strings.Repeat("<", apikey.MaxName)
	}
	for _, test := range []struct {
		labels map[string]string
		want   any
	}{
		{map[string]string{"team": "payments"}, map[string]any{"team": "payments"}},
		{many, float64(apikey.MaxLabels)},
	} {
		created := w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "k", Entries: w.entries("192.0.2.1"), Labels: test.labels, ExternalID: "cus_1"}))
		require.Equal(t, "key.created", string(created.Events[0].Type))
		deleted := w.apply(ann, plain, admin.DeleteKey("k"))
		for _, text := range []json.RawMessage{created.Events[0].After, deleted.Events[0].Before} {
			var got map[string]any
			require.NoError(t, json.Unmarshal(text, &got))
			require.Equal(t, test.want, got["labels"])
			require.Equal(t, "cus_1", got["externalId"])
		}
	}
	result := w.apply(ann, plain, admin.SetLabels("boss", many))
	require.JSONEq(t, `{"labels":32}`, string(result.Events[0].After))
}

// Keys are found by their labels and external IDs, of the organization only.
func TestFindKeys(t *testing.T) {
	w := newWorld(t)
	w.organization("other", policy.NotRequired)
	w.keyOf("other", "theirs", "203.0.113.7")
	for i, id := range []string{"a", "b", "c", "theirs"} {
		if id != "theirs" {
			w.key(id, "203.0.113.7", "reader")
		}
		w.edit(id, func(k *apikey.Key) {
			k.Metadata = &apikey.Metadata{Labels: map[string]string{"team": []string{"payments", "search", "payments", "payments"}[i]}, ExternalID: "cus_1"}
		})
	}
	w.apply(ann, plain, admin.SetExternalID("b", "cus_2"))
	find := func(filter store.Filter, limit int) (ids []string) {
		request := store.PageRequest{Filter: filter, Limit: limit}
		for {
			page, err := w.admin.Keys(w.ctx, "acme", request)
			require.NoError(t, err)
			for _, key := range page.Items {
				ids = append(ids, string(key.ID))
			}
			if request.Cursor = page.Next; page.Next == "" {
				return ids
			}
		}
	}
	for _, limit := range []int{0, 1} {
		require.Equal(t, []string{"a", "b", "c"}, find(store.Filter{Label: "team"}, limit))
		require.Equal(t, []string{"a", "c"}, find(store.Filter{Label: "team=payments"}, limit))
		require.Equal(t, []string{"b"}, find(store.Filter{ExternalID: "cus_2"}, limit))
		require.Empty(t, find(store.Filter{Label: "team=payments", ExternalID: "cus_2"}, limit))
	}
	_, err := w.admin.Keys(w.ctx, "nowhere", store.PageRequest{Filter: store.Filter{Label: "team"}})
	requireClass(t, admin.NotFound, err)
	view, err := w.admin.Key(w.ctx, "acme", "a")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"team": "payments"}, view.Labels)
	require.Equal(t, "cus_1", view.ExternalID)
	view.Labels["team"] = "other"
	require.Equal(t, []string{"a", "c"}, find(store.Filter{Label: "team=payments"}, 0), "a view shares nothing")
}

// An organization has a name, from its creation on or later.
func TestName(t *testing.T) {
	w := newWorld(t)
	result, err := w.admin.Apply(w.ctx, ann, "new", plain, admin.CreateOrganization(policy.Required), admin.SetName("New Inc."))
	require.NoError(t, err)
	require.Equal(t, []string{"organization.created"}, types(result.Events))
	require.JSONEq(t, `{"disabled":false,"name":"New Inc.","requirement":"required"}`, string(result.Events[0].After))
	require.Equal(t, "New Inc.", result.Organizations[0].Name)

	result = w.apply(ann, plain, admin.SetName("Acme"))
	require.Equal(t, []string{string(store.EventOrganizationRenamed)}, types(result.Events))
	require.JSONEq(t, `{"name":""}`, string(result.Events[0].Before))
	require.JSONEq(t, `{"name":"Acme"}`, string(result.Events[0].After))
	require.Equal(t, "Acme", w.acme().Name)
	require.Empty(t, w.apply(ann, plain, admin.SetName("Acme")).Events)
	w.apply(ann, plain, admin.SetName(""))
	require.Empty(t, w.acme().Name)
	require.NotEqual(t, w.preview(ann, admin.SetName("a")).Token, w.preview(ann, admin.SetName("b")).Token)
}
