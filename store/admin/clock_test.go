package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// endings are the ways to end the key last after some time.
var endings = map[string]func(w *world, after time.Duration) admin.Change{
	"its secret": func(w *world, after time.Duration) admin.Change {
		return admin.EndSecret("last", w.stored("last").Secrets[0].ID(), w.now.Add(after))
	},
	"its validity": func(w *world, after time.Duration) admin.Change {
		return admin.SetValidity("last", time.Time{}, w.now.Add(after))
	},
	"its entry": func(w *world, after time.Duration) admin.Change {
		return admin.EditEntries("last", until(entry("203.0.113.7", ""), w.now.Add(after)))
	},
	"its list": func(w *world, after time.Duration) admin.Change {
		return admin.ReplaceEntries("last", until(entry("203.0.113.7", ""), w.now.Add(after)))
	},
}

// An end within the notice locks out as one at once does (rules M11 to M13). A later one is
// reported.
func TestM12ByTheClock(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("last", "203.0.113.7", "owner")
			w.used("last", "203.0.113.7", time.Minute, 3)
			for _, after := range []time.Duration{time.Millisecond, time.Second, time.Hour} {
				terms := accept(admin.BreaksKey, admin.OrganizationLockout)
				refusal := w.refuse(admin.Refused, ann, terms, end(w, after))
				require.Equal(t, list(admin.LastManager), kinds(refusal.Findings))
				require.Equal(t, start.Add(after), refusal.Findings[0].At)
				require.Equal(t, "No key could manage the organization any more from "+start.Add(after).Format(time.RFC3339)+" on.", refusal.Findings[0].Text)
				preview := w.preview(ann, end(w, after))
				require.Equal(t, list(admin.LastManager, admin.OrganizationLockout, admin.BreaksKey), kinds(preview.Findings))
				require.Equal(t, name != "its secret", preview.Findings[1].Refuses, "ending a secret is never in the way (rule M23)")
				require.Equal(t, name != "its secret", preview.Findings[2].Refuses)
				require.Equal(t, map[apikey.ID]admin.KeyClass{"last": admin.KeyBreaks}, classes(preview))
				require.Equal(t, start.Add(after), preview.Keys[0].At)
				require.Equal(t, "203.0.113.7", preview.Keys[0].Address.String())
			}
			after := time.Hour + time.Microsecond
			preview := w.preview(ann, end(w, after))
			require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(preview.Findings))
			require.Empty(t, preview.Needs(), "it is only reported")
			require.Equal(t, start.Add(after), preview.Findings[1].At)
			require.Equal(t, map[apikey.ID]admin.KeyClass{"last": admin.KeyBreaks}, classes(preview))
			require.Equal(t, start.Add(after), preview.Keys[0].At)
			w.apply(ann, plain, end(w, after))

			// With a second one nobody is locked out; k's own calls are.
			w.key("second", "203.0.113.7", "owner")
			require.Equal(t, list(admin.BreaksKey), kinds(w.preview(ann, end(w, time.Minute)).Findings))
		})
	}
}

// What is left must last: a witness that ends within the notice is none.
func TestM12WitnessEnds(t *testing.T) {
	for name, test := range map[string]struct {
		list   string
		change func(k *apikey.Key)
		at     time.Duration
	}{
		"its entry":          {"203.0.113.8+1ms", func(*apikey.Key) {}, time.Millisecond},
		"its last entry":     {"203.0.113.8+1ms 203.0.113.9+30m", func(*apikey.Key) {}, 30 * time.Minute},
		"itself":             {"203.0.113.8", func(k *apikey.Key) { k.Expires = start.Add(time.Hour) }, time.Hour},
		"its secret":         {"203.0.113.8", func(k *apikey.Key) { k.Secrets[0].Expires = start.Add(time.Second) }, time.Second},
		"it is not here yet": {"203.0.113.8", func(k *apikey.Key) { k.NotBefore = start.Add(time.Second) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("a", "203.0.113.7", "owner")
			w.key("b", test.list, "owner")
			w.edit("b", test.change)
			w.key("z", "203.0.113.7", "reader")
			for _, change := range []admin.Change{admin.DeleteKey("a"), admin.DisableKey("a"), admin.RemoveGrants("a", apikey.Grant{Role: "owner"})} {
				refusal := w.refuse(admin.Refused, ann, plain, change)
				require.Equal(t, list(admin.LastManager), kinds(refusal.Findings))
				if test.at != 0 {
					require.Equal(t, start.Add(test.at), refusal.Findings[0].At)
				}
			}
			// An end that was there before is no finding: a temporary key works.
			w.apply(ann, plain, admin.Describe("b", "x"), admin.AddEntries("b", w.entries("192.0.2.1+10m")...))
			w.key("c", "203.0.113.8", "owner")
			w.apply(ann, plain, admin.DeleteKey("a"))
		})
	}
}

// Two keys that follow one another are a witness together, and the write depends on both.
func TestM19WitnessesInTurn(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("a", "203.0.113.7", "owner")
	w.key("b", "203.0.113.7+1m", "owner")
	w.key("c", "203.0.113.8+30m", "owner")
	w.key("d", "203.0.113.9", "owner")
	w.edit("d", func(k *apikey.Key) { k.NotBefore = start.Add(20 * time.Minute) })
	w.apply(ann, plain, admin.DeleteKey("a"))
	require.Equal(t, []store.Condition{
		{Organization: "acme", Revision: w.acme().Revision},
		{Organization: "acme", Key: "c", Revision: w.stored("c").Revision},
		{Organization: "acme", Key: "d", Revision: w.stored("d").Revision},
	}, f.writes[0].If)
	refusal := w.refuse(admin.Refused, ann, plain, admin.DeleteKey("c"))
	require.Equal(t, start.Add(time.Minute), refusal.Findings[0].At, "from the end of b until d begins")
}

// A manager to come counts: an organization must not lose it.
func TestM12ManagerToCome(t *testing.T) {
	w := newWorld(t)
	w.key("last", "203.0.113.7", "owner")
	w.edit("last", func(k *apikey.Key) { k.NotBefore = start.Add(time.Second) })
	refusal := w.refuse(admin.Refused, ann, plain, admin.DeleteKey("last"))
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(refusal.Findings))
	require.Equal(t, start.Add(time.Second), refusal.Findings[0].At)
}

// An acting key, too, cannot be the last manager by the clock.
func TestM12ActorEndsByTheClock(t *testing.T) {
	w := newWorld(t)
	w.key("me", "203.0.113.7", "owner")
	me := w.by("me", "203.0.113.7")
	w.apply(me, plain, admin.Rotate("me", 30*time.Minute))
	end := admin.EndSecret("me", w.stored("me").Secrets[1].ID(), time.Time{})
	require.Equal(t, list(admin.SelfLockout, admin.LastManager), kinds(w.refuse(admin.Refused, me, plain, end).Findings))
	require.Equal(t, list(admin.LastManager), kinds(w.refuse(admin.Refused, ann, plain, end).Findings))
	require.Equal(t, start.Add(30*time.Minute), w.preview(me, end).Findings[1].At)
}

// A temporary key can work, end others, and be ended while another one lasts.
func TestM21TemporaryKeyWorks(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "203.0.113.7", "owner")
	w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "other", Entries: w.entries("203.0.113.9"), Grants: []apikey.Grant{{Role: "owner"}}, Expires: start.Add(20 * time.Minute)}))
	result := w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "glass", Entries: w.entries("203.0.113.8"), Grants: []apikey.Grant{{Role: "owner"}}, Expires: start.Add(10 * time.Minute)}))
	w.secrets["glass"] = result.Secrets[0].Secret
	glass := w.by("glass", "203.0.113.8")
	require.Empty(t, w.preview(glass, admin.Describe("boss", "x"), admin.AddEntries("boss", w.entries("192.0.2.1+10m")...), admin.DisableKey("other")).Findings)
	w.apply(glass, plain, admin.Describe("glass", "x"))
	w.apply(glass, plain, admin.DisableKey("other"))
	require.Equal(t, list(admin.LastManager), kinds(w.refuse(admin.Refused, glass, plain, admin.DisableKey("boss")).Findings))

	// Even alone.
	w.apply(ann, accept(admin.LastManager, admin.OrganizationLockout), admin.DeleteKey("boss"))
	w.apply(glass, plain, admin.Describe("glass", "y"))
	w.apply(glass, plain, admin.AddEntries("glass", w.entries("192.0.2.1")...))
}

// Nothing that the change does at once hides what it does later.
func TestM11NothingHides(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24 192.0.2.1", "reader")
	w.used("k", "203.0.113.70", day, 1)
	soon := until(entry("203.0.113.0/24", ""), start.Add(time.Millisecond))
	for _, changes := range [][]admin.Change{
		{admin.EditEntries("k", soon), admin.AddEntries("k", w.entries("198.51.100.9")...)},
		{admin.EditEntries("k", soon), admin.RemoveEntries("k", prefixes("192.0.2.1")...)},
		{admin.ReplaceEntries("k", append(w.entries("203.0.113.0/28 203.0.113.70+1m"), entry("192.0.2.1", ""))...)},
	} {
		preview := w.preview(ann, changes...)
		require.Equal(t, list(admin.BreaksKey), preview.Needs())
		require.Equal(t, "203.0.113.70", preview.Keys[0].Address.String())
		require.Equal(t, policy.AddressNotListed, preview.Keys[0].After)
		require.True(t, preview.Keys[0].At.After(start))
	}
	// An entry is left beside it: as long as it covers the address, nothing breaks.
	w.apply(ann, plain, admin.AddEntries("k", w.entries("203.0.113.70+30m")...))
	require.Equal(t, start.Add(30*time.Minute), w.preview(ann, admin.EditEntries("k", soon)).Keys[0].At)
	require.Equal(t, list(admin.BreaksKey), kinds(w.preview(ann, admin.RemoveEntries("k", prefixes("203.0.113.0/24")...)).Findings), "the last one left ends within the notice")
}

// At the end of an overlap the new secret stands in for the earlier one (rule M4).
func TestM11OverlapIsNoLoss(t *testing.T) {
	w := newWorld(t, admin.WithNotice(30*time.Minute))
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7 192.0.2.1", "reader")
	w.used("k", "192.0.2.1", day, 1)
	rotate := admin.Rotate("k", 30*time.Minute)
	preview := w.preview(ann, rotate, admin.EditEntries("k", w.entries("203.0.113.7+30m")...))
	require.Empty(t, preview.Findings)
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyUnused}, classes(preview))
	require.Equal(t, list(admin.BreaksKey), kinds(w.preview(ann, rotate, admin.EditEntries("k", w.entries("192.0.2.1+30m")...)).Findings))

	// Once it is handed out, an earlier end is one.
	w.apply(ann, plain, rotate)
	old := w.stored("k").Secrets[0].ID()
	require.Equal(t, start.Add(20*time.Minute), w.preview(ann, admin.EndSecret("k", old, start.Add(20*time.Minute))).Keys[0].At)
}

// A widening that comes by the clock is told at any distance (rule M14): an end that is put
// off, and a validity to come.
func TestM14ByTheClock(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("open", "", "reader")
	w.edit("open", func(k *apikey.Key) { k.Expires = start.Add(5 * time.Hour) })
	w.key("listed", "203.0.113.7", "reader")
	w.edit("listed", func(k *apikey.Key) { k.Expires = start.Add(5 * time.Hour) })
	for _, end := range []time.Time{{}, start.Add(6 * time.Hour)} {
		refusal := w.refuse(admin.Refused, ann, plain, admin.SetValidity("open", time.Time{}, end))
		require.Equal(t, list(admin.Opens), kinds(refusal.Findings))
		require.Equal(t, start.Add(5*time.Hour), refusal.Preview.Keys[0].At)
		preview := w.preview(ann, admin.SetValidity("listed", time.Time{}, end))
		require.Empty(t, preview.Findings)
		require.Equal(t, map[apikey.ID]admin.KeyClass{"listed": admin.KeyWidens}, classes(preview))
	}
	requires(w)
	w.edit("open", func(k *apikey.Key) { k.NotBefore = start.Add(2 * time.Hour) })
	require.Equal(t, list(admin.Opens), kinds(w.refuse(admin.Refused, ann, plain, admin.SetRequirement(policy.NotRequired)).Findings))
}

// A wide entry is as wide when its end is put off.
func TestM14WideForLonger(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "10.0.0.0/7+2h", "reader")
	for _, end := range []time.Time{{}, start.Add(3 * time.Hour)} {
		refusal := w.refuse(admin.Refused, ann, plain, admin.EditEntries("k", until(entry("10.0.0.0/7", ""), end)))
		require.Equal(t, list(admin.OverBroad), kinds(refusal.Findings))
		require.Equal(t, []string{"10.0.0.0/7"}, refusal.Findings[0].Entries)
		require.Equal(t, admin.KeyWidens, refusal.Preview.Keys[0].Class)
	}
	for _, end := range []time.Time{start.Add(2 * time.Hour), start.Add(time.Minute)} {
		w.apply(ann, plain, admin.EditEntries("k", until(entry("10.0.0.0/7", "x"), end)))
	}
}

// An organization that is switched off must not lose its last manager either: it would have
// none once it is switched on again.
func TestM12SwitchedOff(t *testing.T) {
	for name, test := range map[string]struct {
		list    string
		changes []admin.Change
		finds   []admin.Kind
	}{
		"its last manager is deleted":    {"203.0.113.7", []admin.Change{admin.DeleteKey("last")}, list(admin.LastManager)},
		"and it is switched on":          {"203.0.113.7", []admin.Change{admin.DeleteKey("last"), admin.EnableOrganization()}, list(admin.LastManager, admin.Opens)},
		"by the clock":                   {"203.0.113.7", []admin.Change{admin.SetValidity("last", time.Time{}, start.Add(time.Minute))}, list(admin.LastManager)},
		"a list is required":             {"", []admin.Change{admin.SetRequirement(policy.Required)}, list(admin.LastManager, admin.OrganizationLockout)},
		"it is switched on":              {"203.0.113.7", []admin.Change{admin.EnableOrganization()}, list(admin.Opens)},
		"it is switched off once more":   {"203.0.113.7", []admin.Change{admin.DisableOrganization()}, list()},
		"a key beside the last manager":  {"203.0.113.7", []admin.Change{admin.DisableKey("open")}, list()},
		"both, and there is none usable": {"203.0.113.7", []admin.Change{admin.DisableKey("open"), admin.DisableKey("last")}, list(admin.LastManager, admin.OrganizationLockout)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("last", test.list, "owner")
			w.key("open", "", "reader")
			organization, err := w.memory.Organization(w.ctx, "acme")
			require.NoError(t, err)
			organization.Disabled = true
			_, err = w.memory.PutOrganization(w.ctx, organization)
			require.NoError(t, err)
			require.Equal(t, append([]admin.Kind{}, test.finds...), kinds(w.preview(ann, test.changes...).Findings))
			require.Equal(t, "key_disabled", w.answer("open", "192.0.2.1", start))
		})
	}
	// Switching off loses them all.
	w := newWorld(t)
	w.key("last", "203.0.113.7", "owner")
	require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(w.preview(ann, admin.DisableOrganization()).Findings))
}

// A requirement that begins leaves those with a list, as long as that lasts.
func TestM12RequiredByTheClock(t *testing.T) {
	w := newWorld(t)
	w.key("open", "", "owner")
	w.key("listed", "203.0.113.7+30m", "owner")
	for _, actor := range []admin.Actor{ann, w.by("listed", "203.0.113.7")} {
		refusal := w.refuse(admin.Refused, actor, plain, admin.SetRequirement(policy.Required))
		require.Equal(t, list(admin.LastManager, admin.OrganizationLockout), kinds(refusal.Findings))
		require.Equal(t, start.Add(30*time.Minute), refusal.Findings[0].At)
	}
}
