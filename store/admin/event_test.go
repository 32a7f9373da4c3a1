package admin_test

import (
	"fmt"
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

// The events of every change fit into a write, however much it changes and however long the
// texts are. The journal of package memory checks the bounds of each.
func TestEventsAreBounded(t *testing.T) {
	wide := strings.Repeat("<", store.MaxCorrelation) // six bytes each in JSON
	long := admin.ByPerson(wide, wide, netip.MustParseAddr("198.51.100.77")).Via(store.ViaConsole, wide)
	terms := admin.ApplyOptions{Accept: []admin.Kind{admin.Opens}, Reason: strings.Repeat("<", 500)}
	var entries, commented []accesslist.Entry
	for i := range store.MaxEntries {
		e := entry(fmt.Sprintf("10.1.%d.%d", i/256, i%256), "")
		entries = append(entries, e)
		e.Comment = strings.Repeat("<", accesslist.MaxComment)
		if len(commented) < 100 {
			commented = append(commented, e)
		}
	}
	var grants []apikey.Grant
	for i := range apikey.MaxGrants {
		grants = append(grants, apikey.Grant{Role: "r", Project: fmt.Sprintf("%04d", i) + strings.Repeat("<", 60)})
	}
	labels := map[string]string{}
	for i := range apikey.MaxLabels {
		labels[fmt.Sprint(i)] = strings.Repeat("<", apikey.MaxName)
	}
	for name, test := range map[string]struct {
		change admin.Change
		events map[string]int
	}{
		"many entries":   {admin.ReplaceEntries("k", entries...), map[string]int{"key.list_replaced": 1}},
		"long comments":  {admin.ReplaceEntries("k", commented...), map[string]int{"key.list_replaced": 1}},
		"many grants":    {admin.SetGrants("k", grants...), map[string]int{"key.grants_changed": 1}},
		"a description":  {admin.Describe("k", strings.Repeat("<", apikey.MaxDescription)), map[string]int{"key.described": 1}},
		"many labels":    {admin.SetLabels("k", labels), map[string]int{"key.metadata_changed": 1}},
		"all of a key":   {admin.CreateKey(admin.NewKey{ID: "new", Description: strings.Repeat("<", apikey.MaxDescription), Grants: grants, Entries: entries, Labels: labels, ExternalID: strings.Repeat("<", apikey.MaxName)}), map[string]int{"key.created": 1, "key.list_replaced": 1}},
		"all that fits":  {admin.CreateKey(admin.NewKey{ID: "new", Description: strings.Repeat("<", apikey.MaxDescription), Grants: grants[:9]}), map[string]int{"key.created": 1}},
		"many on trial":  {admin.SetTrialList("k", entries[1:]...), map[string]int{"key.trial_list_changed": 1}},
		"a few entries":  {admin.AddEntries("k", entries[:5]...), map[string]int{"key.entry_added": 5}},
		"a few projects": {admin.AddGrants("k", apikey.Grant{Role: "r", Project: "p"}), map[string]int{"key.grants_changed": 1, "key.project_added": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("k", "203.0.113.7", "reader")
			result := w.apply(long, terms, test.change)
			counts := map[string]int{}
			for _, event := range result.Events {
				counts[string(event.Type)]++
				if event.Type == store.EventListReplaced && name == "many entries" {
					require.JSONEq(t, `{"entries":1}`, string(event.Before))
					require.JSONEq(t, `{"added":1000,"changed":0,"entries":1000,"removed":1}`, string(event.After))
				}
				if event.Type == store.EventTrialListChanged {
					require.JSONEq(t, `{"trialEntries":999}`, string(event.After))
				}
				if event.Type == store.EventKeyDescribed {
					require.JSONEq(t, `{"description":""}`, string(event.Before))
					require.NotContains(t, string(event.After), "omitted", "the next one is longer")
				}
			}
			require.Equal(t, test.events, counts)
		})
	}
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	w.edit("k", func(k *apikey.Key) { k.Description = strings.Repeat("<", apikey.MaxDescription) })
	result := w.apply(long, terms, admin.Describe("k", strings.Repeat(">", apikey.MaxDescription)))
	require.JSONEq(t, `{"omittedBytes":6162}`, string(result.Events[0].Before))
	require.JSONEq(t, `{"omittedBytes":6162}`, string(result.Events[0].After))

	result = w.apply(long, terms, admin.CreateKey(admin.NewKey{Description: strings.Repeat("<", apikey.MaxDescription), Grants: grants[:9]}))
	require.Empty(t, result.Events[0].Before)
	require.Contains(t, string(result.Events[0].After), "omittedBytes")

	// A list that comes into force, and everything else at once.
	w = newWorld(t)
	w.key("boss", "", "owner")
	w.key("k", "", "reader")
	half := func(from int) accesslist.List {
		list, err := accesslist.New(entries[from : from+500]...)
		require.NoError(t, err)
		return list
	}
	w.edit("k", func(k *apikey.Key) {
		k.AccessList, k.TrialList, k.Description, k.Grants = half(0), half(500), strings.Repeat("<", apikey.MaxDescription), grants[:25]
	})
	result = w.apply(long, terms, admin.EnforceTrial("k"), admin.Describe("k", strings.Repeat(">", apikey.MaxDescription)), admin.SetGrants("k", grants[25:]...),
		admin.SetLabels("k", labels), admin.SetValidity("k", time.Time{}, start.Add(day)), admin.Rotate("k", day), admin.DisableKey("k"))
	require.Equal(t, []string{"key.described", "key.metadata_changed", "key.grants_changed", "key.list_replaced", "key.trial_list_changed", "key.validity_changed", "key.rotated", "key.disabled"}, types(result.Events))

	w = newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	// The last role in a project is as much an event as the first.
	w.apply(ann, plain, admin.AddGrants("k", apikey.Grant{Role: "r", Project: "p"}, apikey.Grant{Role: "s", Project: "p"}))
	require.Equal(t, []string{"key.grants_changed"}, types(w.apply(ann, plain, admin.RemoveGrants("k", apikey.Grant{Role: "r", Project: "p"})).Events))
	result = w.apply(ann, plain, admin.RemoveGrants("k", apikey.Grant{Role: "s", Project: "p"}))
	require.Equal(t, []string{"key.grants_changed", "key.project_removed"}, types(result.Events))
	require.Equal(t, "p", result.Events[1].Project)
	require.JSONEq(t, `{"grants":[{"role":"s","project":"p"}]}`, string(result.Events[0].Before))
	require.Empty(t, result.Events[0].After)
}

// The event of a deletion has the whole key: its lists, too, or their numbers if they are
// very long (rule M27).
func TestM27DeletedKey(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "203.0.113.7", "owner")
	w.key("k", "192.0.2.0/28 203.0.113.7+1h")
	stored := w.edit("k", func(k *apikey.Key) { k.TrialList = w.list("203.0.113.8") })
	result := w.apply(ann, plain, admin.DeleteKey("k"))
	require.JSONEq(t, fmt.Sprintf(`{"description":"","disabled":false,"secrets":[{"id":%q,"created":"2026-03-01T12:00:00Z"}],"grants":[],"trialEntries":[{"address":"203.0.113.8"}],
		"entries":[{"address":"192.0.2.0/28"},{"address":"203.0.113.7","expires":"2026-03-01T13:00:00Z"}]}`, stored.Secrets[0].ID()), string(result.Events[0].Before))

	var words strings.Builder
	for i := range 500 {
		fmt.Fprintf(&words, "10.1.%d.%d ", i/256, i%256)
	}
	w.key("k", words.String())
	w.edit("k", func(k *apikey.Key) { k.TrialList = w.list("203.0.113.8") })
	result = w.apply(ann, plain, admin.DeleteKey("k"))
	require.Contains(t, string(result.Events[0].Before), `"entries":500,`)
	require.Contains(t, string(result.Events[0].Before), `"trialEntries":[{"address":"203.0.113.8"}]`)

	// Beside very long texts they are omitted with them.
	long := func(n int) string { return strings.Repeat("<", n) }
	w.key("k", "203.0.113.7")
	w.edit("k", func(k *apikey.Key) {
		k.Description = long(apikey.MaxDescription)
		k.Metadata = &apikey.Metadata{Labels: map[string]string{"a": long(apikey.MaxName), "b": long(apikey.MaxName)}}
		k.Grants = []apikey.Grant{{Role: long(apikey.MaxName), Project: long(apikey.MaxName)}}
		k.AccessList = w.list(strings.Join(strings.Fields(words.String())[:150], " "))
		k.TrialList = k.AccessList
	})
	require.JSONEq(t, `{"omittedBytes":19756}`, string(w.apply(ann, plain, admin.DeleteKey("k")).Events[0].Before))

	// That of an organization has its name and its suspension.
	_, err := w.admin.Apply(w.ctx, ann, "new", plain, admin.CreateOrganization(policy.Required), admin.SetName("New"))
	require.NoError(t, err)
	_, err = w.admin.Apply(w.ctx, ann, "new", plain, admin.SuspendRequirement(start.Add(time.Hour)))
	require.NoError(t, err)
	result, err = w.admin.Apply(w.ctx, ann, "new", plain, admin.DeleteOrganization())
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"New","requirement":"required","disabled":false,"suspendedUntil":"2026-03-01T13:00:00Z"}`, string(result.Events[0].Before))
}
