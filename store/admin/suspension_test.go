package admin_test

import (
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

// suspended lets the organization require a list, and suspends that for some time.
func suspended(length time.Duration) func(*world) {
	return func(w *world) {
		requires(w)
		organization, err := w.memory.Organization(w.ctx, "acme")
		require.NoError(w.t, err)
		organization.SuspendedUntil = w.now.Add(length)
		_, err = w.memory.PutOrganization(w.ctx, organization)
		require.NoError(w.t, err)
	}
}

// suspensionWorld requires a list, and has a manager with one, a used key without one, and
// one with.
func suspensionWorld(t *testing.T) *world {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("listed", "203.0.113.7", "reader")
	w.key("open", "", "reader")
	w.used("open", "203.0.113.7", time.Hour, 3)
	requires(w)
	return w
}

// answer is that of a call with a key at a time, by the stored records.
func (w *world) answer(id, address string, at time.Time) string {
	w.t.Helper()
	subject, _, err := w.memory.Lookup(w.ctx, apikey.ID(id))
	require.NoError(w.t, err)
	return policy.Evaluate(subject, policy.Request{
		Key: apikey.ID(id), Secret: w.secrets[apikey.ID(id)], Client: netip.MustParseAddr(address), Organization: "acme",
	}, at).Reason.String()
}

func (w *world) acme() admin.OrganizationView {
	w.t.Helper()
	view, err := w.admin.Organization(w.ctx, "acme")
	require.NoError(w.t, err)
	return view
}

// A suspension lasts 1 hour unless said and 24 hours at most, is told as opening, and ends by
// the clock alone.
func TestM20Suspension(t *testing.T) {
	for name, test := range map[string]struct{ until, end time.Time }{
		"1 hour unless said":   {time.Time{}, start.Add(time.Hour)},
		"until an instant":     {start.Add(3 * time.Hour), start.Add(3 * time.Hour)},
		"at most 24 hours":     {start.Add(24 * time.Hour), start.Add(24 * time.Hour)},
		"as stores keep times": {start.Add(time.Hour + time.Nanosecond).In(time.FixedZone("", 3600)), start.Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			w := suspensionWorld(t)
			suspend := admin.SuspendRequirement(test.until)
			require.Equal(t, "suspend_requirement", suspend.Kind())
			refusal := w.refuse(admin.Refused, ann, plain, suspend)
			require.Equal(t, list(admin.Opens), kinds(refusal.Findings))
			require.Equal(t, []apikey.ID{"open"}, refusal.Findings[0].Keys)
			require.Equal(t, map[apikey.ID]admin.KeyClass{"open": admin.KeyOpens}, classes(*refusal.Preview))
			require.Equal(t, policy.OrganizationRequiresAccessList, refusal.Preview.Keys[0].Before)
			require.Equal(t, policy.OpenList, refusal.Preview.Keys[0].After)

			result := w.apply(ann, accept(admin.Opens), suspend)
			require.Equal(t, []string{"organization.requirement_suspended"}, types(result.Events))
			require.Empty(t, result.Events[0].Before)
			require.JSONEq(t, `{"suspendedUntil":"`+test.end.Format(time.RFC3339)+`"}`, string(result.Events[0].After))
			require.Equal(t, []string{"opens"}, result.Events[0].Accepted)
			require.Equal(t, "it was agreed", result.Events[0].Reason)
			require.Equal(t, test.end, result.Organizations[0].SuspendedUntil)
			require.Equal(t, policy.Required, w.acme().Requirement)
			require.Equal(t, test.end, w.acme().SuspendedUntil)

			require.Equal(t, "open_list", w.answer("open", "192.0.2.1", start))
			require.Equal(t, "address_not_listed", w.answer("listed", "192.0.2.1", start), "no other line is touched")
			require.Equal(t, "open_list", w.answer("open", "192.0.2.1", test.end.Add(-time.Nanosecond)))
			require.Equal(t, "organization_requires_access_list", w.answer("open", "192.0.2.1", test.end))
			w.now = test.end
			require.Zero(t, w.acme().SuspendedUntil, "it has ended by itself")
			require.Empty(t, w.apply(ann, plain, admin.ResumeRequirement()).Events, "there is nothing to resume")
		})
	}
}

// What is wrong with a suspension.
func TestM20Bounds(t *testing.T) {
	w := suspensionWorld(t)
	for until, message := range map[time.Time]string{
		start:                 "The suspension would end before it begins. Choose an end in the future.",
		start.Add(-time.Hour): "The suspension would end before it begins. Choose an end in the future.",
		start.Add(24*time.Hour + time.Microsecond): "A suspension lasts 24 hours at most. Choose an earlier end.",
	} {
		require.Equal(t, message, w.refuse(admin.Invalid, ann, accept(admin.Opens), admin.SuspendRequirement(until)).Message)
	}
	for _, requirement := range []policy.Requirement{policy.NotRequired, policy.ReportOnly} {
		w.apply(ann, accept(admin.Opens), admin.SetRequirement(requirement))
		require.Equal(t, "The organization does not require access lists, so there is nothing to suspend.",
			w.refuse(admin.Conflict, ann, plain, admin.SuspendRequirement(time.Time{})).Message)
	}
}

// No key may suspend or resume, a manager no more than others; a person and the system may.
func TestM20NeverAKey(t *testing.T) {
	w := suspensionWorld(t)
	actor := w.by("boss", "198.51.100.1")
	for _, change := range []admin.Change{admin.SuspendRequirement(time.Time{}), admin.ResumeRequirement()} {
		for _, changes := range [][]admin.Change{{change}, {admin.Describe("boss", "x"), change}} {
			refusal := w.refuse(admin.Forbidden, actor, accept(admin.Opens), changes...)
			require.Equal(t, "A key cannot suspend the requirement, nor resume it. A person can: in the console, or by the command with --store.", refusal.Message)
			_, err := w.admin.Preview(w.ctx, actor, "acme", changes...)
			requireClass(t, admin.Forbidden, err)
		}
	}
	for _, actor := range []admin.Actor{ann, admin.BySystem("on-call")} {
		w.apply(actor, accept(admin.Opens), admin.SuspendRequirement(time.Time{}))
		require.Equal(t, "open_list", w.answer("open", "192.0.2.1", start))
		result := w.apply(actor, accept(admin.BreaksKey), admin.ResumeRequirement())
		require.Equal(t, []string{"organization.requirement_resumed"}, types(result.Events))
		require.JSONEq(t, `{"suspendedUntil":"2026-03-01T13:00:00Z"}`, string(result.Events[0].Before))
		require.Empty(t, result.Events[0].After)
		require.Equal(t, "organization_requires_access_list", w.answer("open", "192.0.2.1", start))
	}
}

// To resume is judged like a switch to required.
func TestM20Resume(t *testing.T) {
	w := suspensionWorld(t)
	w.apply(ann, accept(admin.Opens), admin.SetRequirement(policy.NotRequired))
	want := w.preview(ann, admin.SetRequirement(policy.Required))
	w.apply(ann, accept(admin.BreaksKey), admin.SetRequirement(policy.Required))
	w.apply(ann, accept(admin.Opens), admin.SuspendRequirement(time.Time{}))
	got := w.preview(ann, admin.ResumeRequirement())
	require.Equal(t, want.Findings, got.Findings)
	require.Equal(t, want.Keys, got.Keys)
	require.Equal(t, want.Totals, got.Totals)
	require.Equal(t, list(admin.BreaksKey), got.Needs())

}

// Keys that only a suspension makes usable are managers and usable keys until it ends. Its end
// by the clock must lock nobody out either.
func TestM20Lockout(t *testing.T) {
	owner := apikey.Grant{Role: "owner"}
	terms := accept(admin.Opens, admin.BreaksKey)
	w := suspensionWorld(t)
	w.edit("open", func(k *apikey.Key) { k.Grants = []apikey.Grant{owner} })
	w.apply(ann, terms, admin.SuspendRequirement(time.Time{}))
	require.Equal(t, list(admin.LastManager), kinds(w.refuse(admin.Refused, ann, terms, admin.DeleteKey("boss")).Findings))
	require.Equal(t, list(admin.LastManager), kinds(w.refuse(admin.Refused, ann, terms, admin.RemoveEntries("boss", prefixes("198.51.100.1")...)).Findings))
	w.apply(ann, terms, admin.DeleteKey("listed"))
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(w.refuse(admin.Refused, ann, terms, admin.DeleteKey("boss")).Findings))
	require.Empty(t, w.preview(ann, admin.DisableKey("open"), admin.EnableKey("open")).Findings)

	w.key("second", "198.51.100.2", "owner")
	w.apply(ann, terms, admin.DeleteKey("boss"))
	w.apply(ann, accept(admin.LastManager, admin.OrganizationLockout), admin.DeleteKey("second"))

	// To resume loses those that are left.
	require.Empty(t, w.preview(ann, admin.Describe("open", "x")).Findings, "there is none to lose")
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(w.refuse(admin.Refused, ann, terms, admin.ResumeRequirement()).Findings))

	// A requirement that begins by the clock locks out as one at once does.
	w.apply(ann, terms, admin.SetRequirement(policy.NotRequired))
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(w.refuse(admin.Refused, ann, terms,
		admin.SetRequirement(policy.Required), admin.SuspendRequirement(time.Time{})).Findings))
}

// A write depends on the manager left now and on the one left after the suspension (rule M19).
func TestM20Conditions(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("a", "", "owner")
	w.key("boss", "198.51.100.1", "owner")
	w.key("second", "198.51.100.1", "owner")
	second := w.edit("second", func(k *apikey.Key) { k.NotBefore = start.Add(time.Hour) }).Revision
	suspended(time.Hour)(w)
	f.overtake(func() { w.edit("second", func(k *apikey.Key) { k.Disabled = true }) })
	_, err := w.admin.Apply(w.ctx, ann, "acme", plain, admin.DisableKey("boss"))
	requireClass(t, admin.Refused, err)
	require.ErrorContains(t, err, "No key could manage the organization any more from 2026-03-01T13:00:00Z on.")
	require.False(t, w.stored("boss").Disabled)
	require.Equal(t, []store.Condition{
		{Organization: "acme", Revision: w.acme().Revision},
		{Organization: "acme", Key: "a", Revision: w.stored("a").Revision},
		{Organization: "acme", Key: "second", Revision: second},
	}, f.writes[0].If)
}

// A running suspension that is to end later opens as much as a new one, and one that is to
// end earlier breaks: as of the earlier end.
func TestM20MovedEnd(t *testing.T) {
	w := suspensionWorld(t)
	w.apply(ann, accept(admin.Opens), admin.SuspendRequirement(start.Add(2*time.Hour)))
	require.Empty(t, w.apply(ann, plain, admin.SuspendRequirement(start.Add(2*time.Hour))).Events, "it ends then already")

	refusal := w.refuse(admin.Refused, ann, plain, admin.SuspendRequirement(start.Add(3*time.Hour)))
	require.Equal(t, list(admin.Opens), kinds(refusal.Findings))
	refusal = w.refuse(admin.Refused, ann, plain, admin.SuspendRequirement(start.Add(time.Hour)))
	require.Equal(t, list(admin.BreaksKey), kinds(refusal.Findings))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"open": admin.KeyBreaks}, classes(*refusal.Preview))

	result := w.apply(ann, accept(admin.BreaksKey), admin.SuspendRequirement(start.Add(time.Hour)))
	require.Equal(t, []string{"organization.requirement_suspended"}, types(result.Events))
	require.JSONEq(t, `{"suspendedUntil":"2026-03-01T14:00:00Z"}`, string(result.Events[0].Before))
	require.JSONEq(t, `{"suspendedUntil":"2026-03-01T13:00:00Z"}`, string(result.Events[0].After))

	// What changes at once is not judged by the later instant.
	preview := w.preview(ann, admin.DisableKey("listed"), admin.SuspendRequirement(start.Add(3*time.Hour)))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"listed": admin.KeyUnused, "open": admin.KeyOpens}, classes(preview))
}

// A switch of the requirement ends a suspension: another one must be asked for.
func TestM20Switch(t *testing.T) {
	w := suspensionWorld(t)
	w.apply(ann, accept(admin.Opens), admin.SuspendRequirement(start.Add(5*time.Hour)))
	refusal := w.refuse(admin.Refused, ann, plain, admin.SetRequirement(policy.NotRequired))
	require.Equal(t, list(admin.Opens), kinds(refusal.Findings), "open for longer than was accepted")
	w.apply(ann, plain, admin.SetRequirement(policy.Required))
	require.Equal(t, start.Add(5*time.Hour), w.acme().SuspendedUntil, "that was no switch")
	require.Equal(t, []string{"organization.requirement_changed"}, types(w.apply(ann, accept(admin.Opens), admin.SetRequirement(policy.ReportOnly)).Events))
	w.apply(ann, accept(admin.BreaksKey), admin.SetRequirement(policy.Required))
	require.Zero(t, w.acme().SuspendedUntil)
	require.Equal(t, "organization_requires_access_list", w.answer("open", "192.0.2.1", start))

	// Both in one write: it breaks by the clock.
	w.apply(ann, accept(admin.Opens), admin.SetRequirement(policy.NotRequired))
	require.Equal(t, list(admin.BreaksKey), kinds(w.refuse(admin.Refused, ann, plain, admin.SetRequirement(policy.Required), admin.SuspendRequirement(time.Time{})).Findings))
	result := w.apply(ann, accept(admin.BreaksKey), admin.SetRequirement(policy.Required), admin.SuspendRequirement(time.Time{}))
	require.Equal(t, []string{"organization.requirement_changed", "organization.requirement_suspended"}, types(result.Events))
	require.Equal(t, "open_list", w.answer("open", "192.0.2.1", start))
}

// A suspension stored by other means, of no requirement, is none.
func TestM20NothingToSuspend(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "", "owner")
	organization, err := w.memory.Organization(w.ctx, "acme")
	require.NoError(t, err)
	organization.Requirement, organization.SuspendedUntil = policy.ReportOnly, start.Add(time.Hour)
	_, err = w.memory.PutOrganization(w.ctx, organization)
	require.NoError(t, err)
	require.Zero(t, w.acme().SuspendedUntil)
	require.Empty(t, w.apply(ann, plain, admin.ResumeRequirement()).Events)
	w.apply(ann, accept(admin.LastManager, admin.OrganizationLockout), admin.SetRequirement(policy.Required))
	require.Equal(t, "organization_requires_access_list", w.answer("boss", "192.0.2.1", start), "it is not suspended by chance")
}

// A suspension that begins, moves or ends between a preview and its change is noticed.
func TestM20Token(t *testing.T) {
	w := suspensionWorld(t)
	suspend := admin.SuspendRequirement(start.Add(time.Hour))
	token := w.preview(ann, suspend).Token
	require.NotEqual(t, token, w.preview(ann, admin.SuspendRequirement(start.Add(2*time.Hour))).Token)
	require.NotEqual(t, token, w.preview(ann, admin.SuspendRequirement(time.Time{})).Token)
	suspended(time.Minute)(w)
	w.refuse(admin.Changed, ann, admin.ApplyOptions{Token: token, Accept: list(admin.Opens), Reason: "x"}, suspend)

	// An end by the clock is no write, but what it changes is.
	resume := admin.ResumeRequirement()
	token = w.preview(ann, resume).Token
	w.now = start.Add(time.Hour)
	w.refuse(admin.Changed, ann, admin.ApplyOptions{Token: token, Accept: list(admin.BreaksKey), Reason: "x"}, resume)
}

// What is broken open ends by the clock: a suspension, an entry and a key, each by itself.
func TestM21BreakGlass(t *testing.T) {
	w := suspensionWorld(t)
	end := start.Add(time.Hour)
	w.apply(ann, accept(admin.Opens), admin.SuspendRequirement(end))
	w.apply(ann, plain, admin.AddEntries("listed", until(entry("192.0.2.1", "on call"), end)))
	result := w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "glass", Entries: []accesslist.Entry{entry("192.0.2.1", "")}, Expires: end}))
	w.secrets["glass"] = result.Secrets[0].Secret
	position := w.position()
	for id, denied := range map[string]string{
		"open": "organization_requires_access_list", "listed": "address_not_listed", "glass": "key_expired",
	} {
		require.Contains(t, []string{"open_list", "address_listed"}, w.answer(id, "192.0.2.1", end.Add(-time.Nanosecond)))
		require.Equal(t, denied, w.answer(id, "192.0.2.1", end))
	}
	require.Equal(t, position, w.position(), "nobody did anything")
}

// Nobody is exempt from the guard while it lasts, and nobody is exempt from asking.
func TestM21NobodyIsExempt(t *testing.T) {
	w := suspensionWorld(t)
	for _, actor := range []admin.Actor{ann, admin.BySystem("on-call")} {
		require.Equal(t, list(admin.Opens), kinds(w.refuse(admin.Refused, actor, plain, admin.SuspendRequirement(time.Time{})).Findings))
	}
	suspended(time.Hour)(w)
	for _, actor := range []admin.Actor{ann, admin.BySystem("on-call"), w.by("boss", "198.51.100.1")} {
		refusal := w.refuse(admin.Refused, actor, plain, admin.RemoveEntries("boss", prefixes("198.51.100.1")...))
		require.Contains(t, kinds(refusal.Findings), admin.Opens)
		w.refuse(admin.Refused, actor, plain, admin.DeleteKey("boss"))
	}
}

// A suspension that is left over is judged by the clock like a new one (rules M3, M7, M12 to
// M14).
func TestM20LeftOver(t *testing.T) {
	leftOver := func(requirement policy.Requirement, keys map[string]string) *world {
		w := newWorld(t)
		for id, list := range keys {
			w.key(id, list, "owner")
		}
		organization, err := w.memory.Organization(w.ctx, "acme")
		require.NoError(t, err)
		organization.Requirement, organization.SuspendedUntil = requirement, start.Add(10*time.Minute)
		_, err = w.memory.PutOrganization(w.ctx, organization)
		require.NoError(t, err)
		return w
	}
	one := map[string]string{"listed": "203.0.113.7", "open": ""}

	// An open key cannot switch the requirement on.
	w := leftOver(policy.NotRequired, one)
	refusal := w.refuse(admin.Refused, w.by("open", "203.0.113.7"), accept(admin.BreaksKey), admin.SetRequirement(policy.Required))
	require.Equal(t, list(admin.SelfLockout), kinds(refusal.Findings))
	w.apply(w.by("listed", "203.0.113.7"), plain, admin.SetRequirement(policy.Required))
	require.Equal(t, "organization_requires_access_list", w.answer("open", "203.0.113.7", start), "the switch ends what was left over")

	// No key takes its own last entry, and nobody the last listed manager.
	w = leftOver(policy.Required, one)
	remove := admin.RemoveEntries("listed", prefixes("203.0.113.7")...)
	refusal = w.refuse(admin.Refused, w.by("listed", "203.0.113.7"), accept(admin.Opens), remove)
	require.Equal(t, list(admin.SelfLockout, admin.LastManager, admin.OrganizationLockout), kinds(refusal.Findings))
	for _, finding := range refusal.Findings {
		require.Equal(t, start.Add(10*time.Minute), finding.At)
	}
	for _, actor := range []admin.Actor{ann, w.by("open", "203.0.113.9")} {
		for _, change := range []admin.Change{remove, admin.DeleteKey("listed"), admin.RemoveGrants("listed", apikey.Grant{Role: "owner"})} {
			require.Contains(t, kinds(w.refuse(admin.Refused, actor, accept(admin.Opens, admin.OrganizationLockout), change).Findings), admin.LastManager)
		}
	}

	// An open key is open for longer than the suspension.
	for _, requirement := range []policy.Requirement{policy.NotRequired, policy.ReportOnly} {
		refusal = w.refuse(admin.Refused, ann, plain, admin.SetRequirement(requirement))
		require.Equal(t, list(admin.Opens), kinds(refusal.Findings))
		require.Equal(t, []apikey.ID{"open"}, refusal.Findings[0].Keys)
		require.Equal(t, start.Add(10*time.Minute), refusal.Preview.Keys[0].At)
	}

	// An end that is farther than the notice locks nobody out either.
	w = leftOver(policy.Required, one)
	suspended(20 * time.Hour)(w)
	refusal = w.refuse(admin.Refused, ann, plain, admin.DeleteKey("listed"))
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(refusal.Findings))
	require.Equal(t, start.Add(20*time.Hour), refusal.Findings[0].At)
}

// A preview has both ends of a running suspension that gets another one.
func TestM20PreviewShowsBothEnds(t *testing.T) {
	w := suspensionWorld(t)
	require.Nil(t, w.preview(ann, admin.SuspendRequirement(time.Time{})).Suspension, "there was none")
	end := start.Add(2 * time.Hour)
	w.apply(ann, accept(admin.Opens), admin.SuspendRequirement(end))
	for text, test := range map[string]struct {
		change admin.Change
		will   time.Time
	}{
		"The suspension until 2026-03-01T14:00:00Z ends earlier, at 2026-03-01T13:00:00Z.":   {admin.SuspendRequirement(start.Add(time.Hour)), start.Add(time.Hour)},
		"The suspension until 2026-03-01T14:00:00Z is prolonged until 2026-03-01T15:00:00Z.": {admin.SuspendRequirement(start.Add(3 * time.Hour)), start.Add(3 * time.Hour)},
		"The suspension until 2026-03-01T14:00:00Z ends now.":                                {admin.ResumeRequirement(), time.Time{}},
		"The suspension until 2026-03-01T14:00:00Z ends now. ":                               {admin.SetRequirement(policy.ReportOnly), time.Time{}},
		"The suspension until 2026-03-01T14:00:00Z ends now.  ":                              {admin.SetRequirement(policy.NotRequired), time.Time{}},
	} {
		moved := w.preview(ann, test.change).Suspension
		require.Equal(t, &admin.MovedSuspension{Was: end, Will: test.will}, moved)
		require.Equal(t, strings.TrimSpace(text), moved.String())
	}
	for _, change := range []admin.Change{admin.SuspendRequirement(end), admin.SetRequirement(policy.Required), admin.SetName("Acme"), admin.Describe("open", "x")} {
		require.Nil(t, w.preview(ann, change).Suspension)
	}
	w.now = end
	require.Nil(t, w.preview(ann, admin.SuspendRequirement(end.Add(time.Hour))).Suspension, "it has ended by itself")
}
