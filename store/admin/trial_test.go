package admin_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
)

// wouldDeny records a served call that would have been denied, as the guard decides it under
// the present records. Its request names no role.
func (w *world) wouldDeny(id, address string, ago time.Duration) {
	w.t.Helper()
	subject, _, err := w.memory.Lookup(w.ctx, apikey.ID(id))
	require.NoError(w.t, err)
	request := policy.Request{Key: apikey.ID(id), Secret: w.secrets[apikey.ID(id)], Client: netip.MustParseAddr(address), Organization: "acme"}
	decision := policy.Evaluate(subject, request, w.now.Add(-ago))
	require.True(w.t, decision.Allowed())
	require.NotZero(w.t, decision.WouldDeny)
	record, ok := store.UsageOf(decision)
	require.True(w.t, ok)
	require.NoError(w.t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(record)))
}

// A list on trial denies nobody, whoever sets it and whatever is on it (rule Q4).
func TestQ4TrialDeniesNobody(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.used("boss", "198.51.100.1", time.Hour, 5)
	self := w.by("boss", "198.51.100.1")
	for _, words := range []string{"203.0.113.7", "203.0.113.7-1h", "192.0.2.1 2001:db8::/64"} {
		preview := w.preview(self, admin.SetTrialList("boss", w.entries(words)...))
		require.Empty(t, preview.Findings)
		require.Empty(t, preview.Keys)
		require.Equal(t, 1, preview.Totals.Unchanged)
		w.apply(self, plain, admin.SetTrialList("boss", w.entries(words)...))
		require.True(t, w.by("boss", "198.51.100.1").Kind() == store.ActorKey, "it is served")
	}
	// On trial alone a key is open: that is no list yet (rules A10, Q4).
	refusal := w.refuse(admin.Refused, ann, plain, admin.CreateKey(admin.NewKey{ID: "k"}), admin.SetTrialList("k", w.entries("203.0.113.7")...))
	require.Equal(t, list(admin.Opens), kinds(refusal.Findings))
	result := w.apply(ann, accept(admin.Opens), admin.CreateKey(admin.NewKey{ID: "k"}), admin.SetTrialList("k", w.entries("203.0.113.7")...))
	require.Equal(t, []string{"key.created"}, types(result.Events))
	require.Contains(t, string(result.Events[0].After), `"trialEntries":[{"address":"203.0.113.7"}]`)
	require.Empty(t, w.preview(ann, admin.EndTrial("k")).Keys)
}

// Wide entries are told where they are put on trial, and again where they come into force
// (rules A8, M14).
func TestM14WideOnTrial(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	wide := admin.SetTrialList("k", w.entries("10.0.0.0/7 203.0.113.7")...)
	refusal := w.refuse(admin.Refused, ann, plain, wide)
	require.Equal(t, list(admin.OverBroad), kinds(refusal.Findings))
	require.Equal(t, []string{"10.0.0.0/7"}, refusal.Findings[0].Entries)
	require.Equal(t, `The change is refused. Over-broad entries are added to the list on trial of key "k": 10.0.0.0/7. To go ahead, accept over_broad with a reason.`, refusal.Message)
	w.apply(ann, accept(admin.OverBroad), wide)
	w.apply(ann, plain, admin.SetTrialList("k", w.entries("10.0.0.0/7 203.0.113.7 203.0.113.8")...)) // the wide one stands

	refusal = w.refuse(admin.Refused, ann, plain, admin.EnforceTrial("k"))
	require.Equal(t, list(admin.OverBroad), kinds(refusal.Findings))
	require.Equal(t, `The change is refused. Over-broad entries are added to the list of key "k": 10.0.0.0/7. To go ahead, accept over_broad with a reason.`, refusal.Message)

	// Several new keys are one finding.
	preview := w.preview(ann, admin.CreateKey(admin.NewKey{Entries: w.entries("12.0.0.0/7")}), admin.CreateKey(admin.NewKey{Entries: w.entries("14.0.0.0/7")}))
	require.Equal(t, list(admin.OverBroad), kinds(preview.Findings))

	// Both lists in one step, and several new keys.
	preview = w.preview(ann, admin.AddEntries("k", w.entries("64.0.0.0/7")...), admin.SetTrialList("k", w.entries("32.0.0.0/7")...),
		admin.CreateKey(admin.NewKey{Entries: w.entries("12.0.0.0/7")}), admin.CreateKey(admin.NewKey{Entries: w.entries("14.0.0.0/7")}))
	var entries []string
	for _, finding := range preview.Findings {
		require.Equal(t, admin.OverBroad, finding.Kind)
		entries = append(entries, fmt.Sprint(finding.Keys, finding.Entries))
	}
	require.Equal(t, []string{"[k] [64.0.0.0/7]", "[k] [32.0.0.0/7]", "[] [12.0.0.0/7 14.0.0.0/7]"}, entries)
}

// To put the list on trial into force is one write, judged like any change of the list: for
// the actor, the last manager, and others (rules M3, M11, M12, M13).
func TestQ4EnforceIsJudged(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	self := w.by("boss", "198.51.100.1")
	w.refuse(admin.Conflict, ann, plain, admin.EnforceTrial("k"))

	w.apply(ann, plain, admin.SetTrialList("boss", w.entries("192.0.2.1")...))
	refusal := w.refuse(admin.Refused, self, plain, admin.EnforceTrial("boss"))
	require.Equal(t, list(admin.SelfLockout), kinds(refusal.Findings))
	require.Equal(t, "198.51.100.1", refusal.Findings[0].Covers)
	w.apply(ann, plain, admin.SetTrialList("boss", w.entries("198.51.100.1-1m")...))
	require.Equal(t, list(admin.LastManager), kinds(w.refuse(admin.Refused, ann, plain, admin.EnforceTrial("boss")).Findings), "all of it has expired")
	w.apply(ann, plain, admin.SetTrialList("boss", w.entries("198.51.100.0/24+30m")...))
	require.Equal(t, list(admin.SelfLockout, admin.LastManager), kinds(w.refuse(admin.Refused, self, plain, admin.EnforceTrial("boss")).Findings), "within the notice")
	w.apply(self, plain, admin.SetTrialList("boss", w.entries("198.51.100.0/24")...), admin.EnforceTrial("boss"))

	w.used("k", "203.0.113.70", day, 3)
	w.apply(ann, plain, admin.SetTrialList("k", w.entries("203.0.113.0/28")...))
	preview := w.preview(ann, admin.EnforceTrial("k"))
	require.Equal(t, list(admin.BreaksKey), kinds(preview.Findings))
	terms := accept(admin.BreaksKey)
	terms.Token = preview.Token
	w.edit("k", func(k *apikey.Key) { k.TrialList = w.list("203.0.113.0/29") })
	w.refuse(admin.Changed, ann, terms, admin.EnforceTrial("k")) // another list than the one previewed (rule M18)
	result := w.apply(ann, accept(admin.BreaksKey), admin.EnforceTrial("k"))
	require.Empty(t, result.Keys[0].TrialEntries)
	require.Equal(t, "203.0.113.0/29", result.Keys[0].Entries[0].Address)
	w.refuse(admin.Conflict, ann, plain, admin.EnforceTrial("k"))
}

// Entries on both lists keep the time of adding, and all else of the list on trial.
func TestQ4EnforceKeepsTimes(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	w.edit("k", func(k *apikey.Key) {
		k.AccessList, _ = accesslist.New(stamped(entry("203.0.113.7", "old"), start.Add(-day)), stamped(entry("203.0.113.9", ""), start.Add(-day)))
		k.TrialList, _ = accesslist.New(stamped(entry("203.0.113.7", "new"), start.Add(-time.Hour)), stamped(until(entry("203.0.113.8", ""), start.Add(day)), start.Add(-time.Hour)))
	})
	w.apply(ann, plain, admin.EnforceTrial("k"))
	want, _ := accesslist.New(stamped(entry("203.0.113.7", "new"), start.Add(-day)), stamped(until(entry("203.0.113.8", ""), start.Add(day)), start.Add(-time.Hour)))
	require.True(t, want.Equal(w.stored("k").AccessList))
	require.True(t, w.stored("k").TrialList.IsEmpty())
}

// The events of a trial have the list before and after (rule M27).
func TestM27Trial(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	event := func(change admin.Change) store.Event {
		events := w.apply(ann, plain, change).Events
		require.Equal(t, store.EventTrialListChanged, events[len(events)-1].Type)
		return events[len(events)-1]
	}
	first := event(admin.SetTrialList("k", until(entry("203.0.113.7", "office"), start.Add(time.Hour))))
	require.Empty(t, first.Before)
	require.JSONEq(t, `{"trialEntries":[{"address":"203.0.113.7","comment":"office","expires":"2026-03-01T13:00:00Z"}]}`, string(first.After))
	second := event(admin.SetTrialList("k", w.entries("203.0.113.8")...))
	require.JSONEq(t, string(first.After), string(second.Before))
	require.JSONEq(t, `{"trialEntries":[{"address":"203.0.113.8"}]}`, string(second.After))
	third := event(admin.EnforceTrial("k"))
	require.JSONEq(t, string(second.After), string(third.Before))
	require.Empty(t, third.After)
	w.apply(ann, plain, admin.SetTrialList("k", w.entries("203.0.113.9")...))
	require.Empty(t, event(admin.EndTrial("k")).After)
	require.Empty(t, w.apply(ann, plain, admin.EndTrial("k")).Events, "there is none")
}

// Calls that would have been denied are shown for each key that a switch from report only to
// required would hit, and make it break (rules Q2, M15).
func TestM15WouldDenyRequired(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("a", "", "reader")
	w.key("b", "", "reader")
	w.key("old", "", "reader")
	w.key("listed", "203.0.113.7", "reader")
	w.apply(ann, plain, admin.SetRequirement(policy.ReportOnly))
	w.wouldDeny("a", "192.0.2.1", 2*day)
	w.wouldDeny("a", "::ffff:192.0.2.2", day)
	w.wouldDeny("old", "192.0.2.1", 31*day)
	w.used("listed", "203.0.113.7", day, 1)
	preview := w.preview(ann, admin.SetRequirement(policy.Required))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"a": admin.KeyBreaks, "b": admin.KeyUnused, "old": admin.KeyUnused}, classes(preview))
	require.Equal(t, []admin.DenialUse{{Reason: policy.OrganizationRequiresAccessList, Count: 2, Last: start.Add(-day), Address: netip.MustParseAddr("192.0.2.2")}}, preview.Keys[0].WouldDeny)
	require.Empty(t, preview.Keys[1].WouldDeny)
	require.Empty(t, preview.Keys[2].WouldDeny, "before the window")
	require.Equal(t, []apikey.ID{"a"}, preview.Findings[0].Keys)
}

// A call that would have been denied shows an address that is not kept among the others.
func TestM15WouldDenyAddress(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	w.apply(ann, plain, admin.SetTrialList("k", w.entries("203.0.113.0/25")...))
	w.wouldDeny("k", "203.0.113.200", 20*day)
	for i := range store.MaxUsageAddresses {
		w.used("k", fmt.Sprintf("203.0.113.%d", i), day, 1)
	}
	preview := w.preview(ann, admin.EnforceTrial("k"))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyBreaks}, classes(preview))
	effect := preview.Keys[0]
	require.Equal(t, "203.0.113.200", effect.Address.String())
	require.True(t, effect.MoreAddresses)
	require.Equal(t, []admin.DenialUse{{Reason: policy.AddressNotListed, Count: 1, Last: start.Add(-20 * day), Address: netip.MustParseAddr("203.0.113.200")}}, effect.WouldDeny)

	// It is judged by its address under the list to come: a corrected list covers it.
	w.apply(ann, plain, admin.SetTrialList("k", w.entries("203.0.113.0/25 203.0.113.200")...))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyMayBreak}, classes(w.preview(ann, admin.EnforceTrial("k"))))

	// Without an address it is a use all the same.
	w.key("l", "203.0.113.7 203.0.113.8", "reader")
	require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"l": {WouldDeny: map[policy.Reason]accesslist.Usage{policy.AddressNotListed: {Count: 1, Last: start}}}}))
	preview = w.preview(ann, admin.RemoveEntries("l", prefixes("203.0.113.7")...))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"l": admin.KeyMayBreak}, classes(preview))
	require.True(t, preview.Keys[0].MoreAddresses)
}

// An overlap of another key's rotation that is shorter than the notice is an end of the
// earlier secret (rules M7, M11). An actor has its own new secret at once (rule M4).
func TestM11ShortOverlap(t *testing.T) {
	for _, test := range []struct {
		overlap  time.Duration
		class    admin.KeyClass
		finds    []admin.Kind
		refuses  bool
		rotation string
	}{
		{0, admin.KeyBreaks, list(admin.BreaksKey), false, "an emergency (rule M23)"},
		{time.Millisecond, admin.KeyBreaks, list(admin.BreaksKey), true, "no time"},
		{time.Hour - time.Microsecond, admin.KeyBreaks, list(admin.BreaksKey), true, "hardly time"},
		{time.Hour, "", list(), false, "the notice"},
		{day, "", list(), false, "longer"},
	} {
		t.Run(test.rotation, func(t *testing.T) {
			w := newWorld(t)
			w.key("boss", "198.51.100.1", "owner")
			w.key("k", "203.0.113.7", "owner")
			old := w.stored("k").Secrets[0].ID()
			rotate := admin.Rotate("k", test.overlap)
			require.Empty(t, w.preview(ann, rotate).Findings, "not used")
			w.used("k", "203.0.113.7", day, 3)
			for _, actor := range []admin.Actor{ann, w.by("boss", "198.51.100.1")} {
				preview := w.preview(actor, rotate)
				require.Equal(t, append([]admin.Kind{}, test.finds...), kinds(preview.Findings))
				require.Equal(t, test.refuses, len(preview.Needs()) > 0)
				if test.class == "" {
					require.Empty(t, preview.Keys)
					continue
				}
				effect := preview.Keys[0]
				require.Equal(t, test.class, effect.Class)
				require.Equal(t, policy.WrongSecret.String(), effect.After.String())
				require.Equal(t, old, effect.Secret)
				if test.overlap > 0 {
					require.Equal(t, start.Add(test.overlap), effect.At)
				}
			}
			if test.overlap > 0 {
				w.apply(w.by("k", "203.0.113.7"), plain, rotate)
				require.Empty(t, w.preview(ann, admin.Describe("k", "x")).Findings)
			}
		})
	}
	// The other users of an actor's key are told of: at once, if there is no overlap.
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.used("boss", "198.51.100.1", day, 3)
	require.Equal(t, list(admin.BreaksKey), kinds(w.preview(w.by("boss", "198.51.100.1"), admin.Rotate("boss", 0)).Findings))
	require.Empty(t, w.preview(w.by("boss", "198.51.100.1"), admin.Rotate("boss", time.Microsecond)).Findings)

	// An end of its own that comes as soon is none of the rotation's.
	w = newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	w.used("k", "203.0.113.7", day, 3)
	w.edit("k", func(k *apikey.Key) { k.Secrets[0].Expires = start.Add(time.Minute) })
	require.Empty(t, w.preview(ann, admin.Rotate("k", day)).Findings)
	require.Empty(t, w.preview(ann, admin.Rotate("k", time.Minute)).Findings)
}
