package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// confirmed are the terms of somebody who accepts what a preview shows.
func confirmed(preview admin.Preview) admin.ApplyOptions {
	return admin.ApplyOptions{Token: preview.Token, Accept: preview.Needs(), Reason: "it was looked at"}
}

// A token holds for every step: what others change in between is not overwritten.
func TestM18TokenHoldsForEveryStep(t *testing.T) {
	root := func(w *world) {
		w.edit("c", func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "root", AllProjects: true}} })
	}
	opened := []admin.Change{admin.Describe("a", "n"), admin.RemoveEntries("c", prefixes("203.0.113.9")...)}
	for name, test := range map[string]struct {
		changes  []admin.Change
		overtake func(*world)
	}{
		"a record not written yet":    {opened, root},
		"a record written before":     {[]admin.Change{opened[0], admin.Describe("c", "x"), admin.Describe("a", "m")}, func(w *world) { w.edit("a", func(k *apikey.Key) { k.Description = "other" }) }},
		"a key that the step hits":    {[]admin.Change{opened[0], admin.SetRequirement(policy.Required)}, func(w *world) { w.edit("open", func(k *apikey.Key) { k.Description = "x" }) }},
		"one key more that it hits":   {[]admin.Change{opened[0], admin.SetRequirement(policy.Required)}, func(w *world) { w.key("late", "", "reader") }},
		"one key less that it hits":   {[]admin.Change{opened[0], admin.SetRequirement(policy.Required)}, func(w *world) { require.NoError(t, w.memory.DeleteKey(w.ctx, "open", 0)) }},
		"the organization":            {opened, requires},
		"a key deleted, and back":     {[]admin.Change{admin.DeleteKey("c"), opened[0], admin.CreateKey(admin.NewKey{ID: "c", Entries: nil})}, func(w *world) { w.key("c", "203.0.113.9", "root") }},
		"the organization, and again": {[]admin.Change{admin.SetRequirement(policy.ReportOnly), opened[0], admin.SetRequirement(policy.NotRequired)}, suspended(0)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty()
			w := worldOf(t, f, f.Store)
			w.key("a", "203.0.113.7", "owner")
			w.key("c", "203.0.113.9", "x")
			w.key("open", "", "x")
			preview := w.preview(ann, test.changes...)
			f.before = func(call string) error { // after the first write, and before the last
				if call == "Write" && len(f.writes) == len(test.changes)-1 {
					f.after = func(string) error { test.overtake(w); f.after = func(string) error { return nil }; return nil }
				}
				return nil
			}
			result, err := w.admin.Apply(w.ctx, ann, "acme", confirmed(preview), test.changes...)
			if name == "a key deleted, and back" {
				requireClass(t, admin.Conflict, err)
			} else {
				requireClass(t, admin.Changed, err)
			}
			require.Equal(t, len(test.changes)-1, result.Made)

			// Undisturbed it is made.
			f = newFaulty()
			w = worldOf(t, f, f.Store)
			w.key("a", "203.0.113.7", "owner")
			w.key("c", "203.0.113.9", "x")
			w.key("open", "", "x")
			w.apply(ann, confirmed(w.preview(ann, test.changes...)), test.changes...)
		})
	}

	// A conflict with another's write is judged by the token again.
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("a", "203.0.113.7", "owner")
	w.key("c", "203.0.113.9", "x")
	preview := w.preview(ann, opened...)
	f.before = func(call string) error {
		if call == "Write" && len(f.writes) == 2 {
			root(w)
		}
		return nil
	}
	_, err := w.admin.Apply(w.ctx, ann, "acme", confirmed(preview), opened...)
	requireClass(t, admin.Changed, err)
	require.Equal(t, 1, w.stored("c").AccessList.Len())
}

// The preview shows what each step does, so that what it accepts can be made.
func TestM26PreviewOfSteps(t *testing.T) {
	owner := apikey.Grant{Role: "owner"}
	listed := func(w *world) admin.NewKey {
		return admin.NewKey{ID: "a", Grants: []apikey.Grant{owner}, Entries: w.entries("203.0.113.7")}
	}
	for name, test := range map[string]struct {
		changes func(*world) []admin.Change
		needs   []admin.Kind
	}{
		"one manager after another": {func(*world) []admin.Change { return []admin.Change{admin.DisableKey("a"), admin.EnableKey("b")} }, list(admin.LastManager, admin.OrganizationLockout)}, // no emergency: rule M23 is of the call
		"a role moves": {func(*world) []admin.Change {
			return []admin.Change{admin.EnableKey("b"), admin.RemoveGrants("b", owner), admin.RemoveGrants("a", owner), admin.AddGrants("b", owner)}
		}, list(admin.LastManager)},
		"a key made anew": {func(w *world) []admin.Change { return []admin.Change{admin.DeleteKey("a"), admin.CreateKey(listed(w))} }, list(admin.LastManager, admin.OrganizationLockout)},
		"a list in between": {func(w *world) []admin.Change {
			return []admin.Change{admin.RemoveEntries("a", prefixes("203.0.113.7")...), admin.Describe("b", "x"), admin.AddEntries("a", w.entries("203.0.113.7")...)}
		}, list(admin.Opens)},
		"a requirement passes": {func(*world) []admin.Change {
			return []admin.Change{admin.CreateKey(admin.NewKey{}), admin.SetRequirement(policy.Required), admin.CreateKey(admin.NewKey{}), admin.SetRequirement(policy.NotRequired)}
		}, list(admin.Opens)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("a", "203.0.113.7", "owner")
			w.key("b", "203.0.113.8", "owner")
			w.edit("b", func(k *apikey.Key) { k.Disabled = true })
			changes := test.changes(w)
			preview := w.preview(ann, changes...)
			require.Equal(t, test.needs, preview.Needs())
			for _, finding := range w.refuse(admin.Refused, ann, admin.ApplyOptions{Token: preview.Token}, changes...).Findings {
				require.Contains(t, test.needs, finding.Kind)
			}
			w.apply(ann, confirmed(preview), changes...)
		})
	}

	// A new organization.
	w := newWorld(t)
	changes := []admin.Change{admin.CreateOrganization(policy.NotRequired), admin.CreateKey(admin.NewKey{}), admin.SetRequirement(policy.Required)}
	preview, err := w.admin.Preview(w.ctx, ann, "new", changes...)
	require.NoError(t, err)
	require.Equal(t, list(admin.Opens, admin.OrganizationLockout), preview.Needs())
	require.Equal(t, "After 3 of 3 changes: The organization would have no usable key any more.", preview.Findings[len(preview.Findings)-1].Text)
	result, err := w.admin.Apply(w.ctx, ann, "new", accept(admin.Opens), changes...)
	requireClass(t, admin.Refused, err)
	require.Zero(t, result.Made)
	result, err = w.admin.Apply(w.ctx, ann, "new", confirmed(preview), changes...)
	require.NoError(t, err)
	require.Equal(t, 3, result.Made)

	// A key that ends itself first could not go on, and nothing is written.
	w.key("me", "203.0.113.7", "owner")
	w.key("other", "203.0.113.7", "owner")
	me := w.by("me", "203.0.113.7")
	again := listed(w)
	again.ID = "me"
	changes = []admin.Change{admin.DeleteKey("me"), admin.CreateKey(again), admin.Describe("other", "x")}
	preview = w.preview(me, changes...)
	require.False(t, preview.Findings[0].Acceptable)
	refusal := w.refuse(admin.Refused, me, accept(admin.SelfLockout), changes...)
	require.Equal(t, "After 1 of 3 changes: The key that makes this change, from the address 203.0.113.7, would be denied after the change: there is no such key. No later change could be made.", refusal.Findings[0].Text)
	changes = []admin.Change{admin.Describe("other", "x"), admin.DeleteKey("me")}
	w.apply(me, confirmed(w.preview(me, changes...)), changes...)
}

// A key that ends its proven secret goes on with the new one (rule M4).
func TestM26RotateFirst(t *testing.T) {
	w := newWorld(t)
	w.key("me", "203.0.113.7", "owner")
	w.key("k", "203.0.113.7", "reader")
	me := w.by("me", "203.0.113.7")
	proven := w.stored("me").Secrets[0].ID()
	changes := []admin.Change{admin.Rotate("me", 0), admin.Describe("k", "x"), admin.Describe("me", "y")}
	preview := w.preview(me, changes...)
	require.Empty(t, preview.Findings)
	result := w.apply(me, confirmed(preview), changes...)
	for _, event := range result.Events {
		require.Equal(t, proven, event.Actor.Secret, "the call was proven by it")
	}

	// Its entry's end is found, whichever secret proves the call.
	w.key("you", "203.0.113.7", "owner")
	you := w.by("you", "203.0.113.7")
	changes = []admin.Change{admin.Rotate("you", 0), admin.Describe("k", "z"), admin.EditEntries("you", w.entries("203.0.113.7+20m")...)}
	require.Equal(t, list(admin.SelfLockout), w.preview(you, changes...).Needs())

	// Other proof stays.
	request := w.request("k", "203.0.113.7")
	request.Secret, request.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
	w.edit("k", func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "owner"}} })
	w.apply(w.byRequest(request), plain, admin.Rotate("k", 0), admin.Describe("you", "x"), admin.Describe("k", "y"))
}

// What is accepted for one key is accepted for no other (rule M22).
func TestM22AcceptanceIsByKey(t *testing.T) {
	start := func() (*faulty, *world) {
		f := newFaulty()
		w := worldOf(t, f, f.Store)
		w.observed(365 * day)
		w.key("boss", "203.0.113.7", "owner")
		for _, id := range []string{"a", "b"} {
			w.key(id, "203.0.113.9", "x")
			w.key("open"+id, "", "x")
		}
		return f, w
	}
	// Of a step.
	last := prefixes("203.0.113.9")
	_, w := start()
	changes := []admin.Change{admin.RemoveEntries("b", last...), admin.RemoveEntries("a", last...), admin.AddEntries("b", w.entries("203.0.113.9")...)}
	preview := w.preview(ann, changes...)
	require.Equal(t, [][]apikey.ID{{"a"}, {"b"}}, [][]apikey.ID{preview.Findings[0].Keys, preview.Findings[1].Keys})

	// Usage that makes another key break is looked at first.
	require.NotEmpty(t, preview.Token)
	w.used("opena", "192.0.2.1", time.Hour, 1)
	require.Equal(t, preview.Token, w.preview(ann, changes...).Token)
	switching := admin.SetRequirement(policy.Required)
	preview = w.preview(ann, switching)
	w.used("opena", "192.0.2.2", time.Hour, 1)
	w.used("openb", "192.0.2.1", time.Hour, 1)
	refusal := w.refuse(admin.Changed, ann, confirmed(preview), switching)
	require.EqualValues(t, []apikey.ID{"opena", "openb"}, refusal.Preview.Findings[0].Keys)

	// So is such usage between two steps, with a token and without.
	for class, terms := range map[admin.Class]func(admin.Preview) admin.ApplyOptions{
		admin.Changed:  confirmed,
		admin.Conflict: func(p admin.Preview) admin.ApplyOptions { return accept(p.Needs()...) },
	} {
		f, w := start()
		w.used("opena", "192.0.2.1", time.Hour, 1)
		changes = []admin.Change{admin.Describe("a", "x"), switching}
		preview = w.preview(ann, changes...)
		f.after = func(string) error { w.used("openb", "192.0.2.1", time.Hour, 1); return nil }
		result, err := w.admin.Apply(w.ctx, ann, "acme", terms(preview), changes...)
		requireClass(t, class, err)
		require.Equal(t, 1, result.Made)
		require.Equal(t, policy.NotRequired, w.acme().Requirement)
	}
}

// Every live secret that was handed out is in the Result.
func TestResultHasEveryLiveSecret(t *testing.T) {
	w := newWorld(t)
	check := func(live int, changes ...admin.Change) {
		t.Helper()
		result := w.apply(ann, plain, changes...)
		require.Len(t, result.Secrets, live)
		stored := w.stored("c")
		for _, handed := range result.Secrets {
			proven, err := handed.Secret.Verify(stored.Secrets, w.now)
			require.NoError(t, err)
			require.Equal(t, handed.ID, stored.Secrets[proven].ID())
			require.EqualValues(t, "c", handed.Key)
		}
	}
	w.key("boss", "203.0.113.7", "owner")
	check(2, admin.CreateKey(admin.NewKey{ID: "c", Entries: w.entries("203.0.113.7")}), admin.Rotate("c", time.Hour))
	check(1, admin.Rotate("c", 0))
	old := w.stored("c").Secrets[0].ID()
	check(2, admin.Rotate("c", time.Hour), admin.EndSecret("c", old, time.Time{}), admin.Rotate("c", time.Hour))
	check(1, admin.Rotate("c", 0), admin.Rotate("c", 0))
	result := w.apply(ann, plain, admin.CreateKey(admin.NewKey{Entries: w.entries("203.0.113.7")}))
	require.Equal(t, result.Keys[0].ID, result.Secrets[0].Key)
}

// Without a token each step is judged all the same, and its conditions hold.
func TestM26StepsAreJudgedAgain(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "203.0.113.7", "owner")
	w.key("a", "203.0.113.7", "owner")
	w.key("k", "203.0.113.9", "x")
	f.after = func(string) error { w.edit("boss", func(k *apikey.Key) { k.Disabled = true }); return nil }
	result, err := w.admin.Apply(w.ctx, ann, "acme", plain, admin.Describe("k", "x"), admin.DeleteKey("a"))
	require.EqualError(t, err, "store/admin: refused: 1 of 2 changes were made. The change is refused. No key could manage the organization any more. To go ahead, accept last_manager with a reason.")
	require.Equal(t, 1, result.Made)
	f.after = func(string) error { return nil }

	revision := w.acme().Revision
	w.apply(ann, plain, admin.SetRequirement(policy.ReportOnly).At(revision), admin.Describe("k", "y"), admin.SetName("Acme").At(revision))

	// After a part was made, no error says that nothing was.
	f.before = func(call string) error {
		if call == "Key" && len(f.writes) > 0 {
			return errFault
		}
		return nil
	}
	f.writes = nil
	_, err = w.admin.Apply(w.ctx, ann, "acme", plain, admin.SetName("Acme Inc."), admin.Describe("k", "z"))
	require.ErrorContains(t, err, "store/admin: unavailable: 1 of 2 changes were made. The records could not be read. Try again later. (")

	// Records that cannot be read for a step make the whole unavailable.
	reads := 0
	f.before = func(call string) error {
		if reads++; call == "Keys" && reads > 4 {
			return errFault
		}
		return nil
	}
	w.refuse(admin.Unavailable, ann, plain, admin.SetRequirement(policy.NotRequired), admin.Describe("k", "x"), admin.SetRequirement(policy.Required))
}

// A wide entry of a step is covered by a finding that names it, not by one of the same kind.
func TestM22AcceptanceIsByEntry(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "203.0.113.7", "owner")
	w.key("k", "203.0.113.9", "x")
	preview := w.preview(ann, admin.AddEntries("k", w.entries("10.0.0.0/7")...), admin.Describe("boss", "b"), admin.ReplaceEntries("k", w.entries("20.0.0.0/7")...))
	var wide [][]string
	for _, finding := range preview.Findings {
		if finding.Kind == admin.OverBroad {
			wide = append(wide, finding.Entries)
		}
	}
	require.Equal(t, [][]string{{"20.0.0.0/7"}, {"10.0.0.0/7"}}, wide)
}
