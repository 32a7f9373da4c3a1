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

const day = 24 * time.Hour

// What a change does to another key k, by how it was used (rules M11, M15, M16).
func TestM15Classes(t *testing.T) {
	reader := apikey.Grant{Role: "reader"}
	for _, test := range []struct {
		name          string
		list          string
		before        func(w *world)
		change        func(w *world) []admin.Change
		class         admin.KeyClass
		was, is       policy.Reason
		finds         []admin.Kind
		usesListed    int
		more          bool // addresses, perhaps
		unobserved    bool
		organizations bool
	}{
		{name: "the used entry goes", list: "203.0.113.7 192.0.2.1", before: used("203.0.113.7", day, 5), change: remove2("203.0.113.7"),
			class: admin.KeyBreaks, was: policy.AddressListed, is: policy.AddressNotListed, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "another entry goes", list: "203.0.113.7 192.0.2.1", before: used("203.0.113.7", day, 5), change: remove2("192.0.2.1"),
			class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "another entry goes, without observation", list: "203.0.113.7 192.0.2.1", before: used("203.0.113.7", day, 5), change: remove2("192.0.2.1"),
			unobserved: true, class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "another entry goes unused, without observation", list: "203.0.113.7 192.0.2.1", change: remove2("192.0.2.1"),
			unobserved: true, class: admin.KeyUnknown, was: policy.AddressListed, is: policy.AddressNotListed},
		{name: "the used entry goes, without observation", list: "203.0.113.7 192.0.2.1", before: used("203.0.113.7", day, 5), change: remove2("203.0.113.7"),
			unobserved: true, class: admin.KeyBreaks, was: policy.AddressListed, is: policy.AddressNotListed, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "it was used before the window", list: "203.0.113.7 192.0.2.1", before: used("203.0.113.7", 31*day, 5), change: remove2("203.0.113.7"),
			class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed},
		{name: "a block shrinks around its last address", list: "203.0.113.0/24", before: used("203.0.113.7", day, 5),
			change: replace2("203.0.113.0/28"), class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "a block shrinks away from an earlier address", list: "203.0.113.0/24", before: func(w *world) {
			w.used("k", "203.0.113.70", 2*day, 1)
			w.used("k", "203.0.113.7", day, 5)
		}, change: replace2("203.0.113.0/28"), class: admin.KeyBreaks, was: policy.AddressListed, is: policy.AddressNotListed, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "a block shrinks away from an address of before the window", list: "203.0.113.0/24", before: func(w *world) {
			w.used("k", "203.0.113.70", 31*day, 1)
			w.used("k", "203.0.113.7", day, 5)
		}, change: replace2("203.0.113.0/28"), class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "a block shrinks around those addresses that are kept", list: "203.0.113.0/24", before: func(w *world) {
			for i := range store.MaxUsageAddresses + 1 {
				w.used("k", fmt.Sprintf("203.0.113.%d", i), day, 1)
			}
		}, change: replace2("203.0.113.0/25"), class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2, more: true},
		{name: "a block shrinks around all addresses since the dropped ones", list: "203.0.113.0/24", before: func(w *world) {
			w.used("k", "203.0.113.200", 31*day, 1)
			for i := range store.MaxUsageAddresses {
				w.used("k", fmt.Sprintf("203.0.113.%d", i), day, 1)
			}
		}, change: replace2("203.0.113.0/25"), class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "a mapped address is the IPv4 one", list: "203.0.113.0/24", before: used("::ffff:203.0.113.70", day, 1),
			change: replace2("203.0.113.0/28"), class: admin.KeyBreaks, was: policy.AddressListed, is: policy.AddressNotListed, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "calls whose addresses nobody kept", list: "203.0.113.0/24", before: func(w *world) {
			require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"k": {
				Entries: map[netip.Prefix]accesslist.Usage{prefixes("203.0.113.0/24")[0]: {Count: 1, Last: start}},
			}}))
		}, change: replace2("203.0.113.0/28"), class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 1, more: true},
		{name: "calls without a secret of a key without a list", before: func(w *world) {
			require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: "k",
				Usage: accesslist.Usage{Count: 1, Last: start, LastAddress: netip.MustParseAddr("203.0.113.7")}})))
		}, change: add2("192.0.2.1"), class: admin.KeyBreaks, was: policy.OpenList, is: policy.AddressNotListed, finds: list(admin.BreaksKey)},
		{name: "a block shrinks away", list: "203.0.113.0/24", before: used("203.0.113.70", day, 1),
			change: replace2("203.0.113.0/28"), class: admin.KeyBreaks, was: policy.AddressListed, is: policy.AddressNotListed, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "a block is split without a gap", list: "203.0.113.0/24", before: used("203.0.113.7", day, 5),
			change: replace2("203.0.113.0/25 203.0.113.128/25")},
		{name: "a block is split with a gap of one address", list: "203.0.113.0/30", before: used("203.0.113.1", day, 1),
			change: replace2("203.0.113.0 203.0.113.1 203.0.113.3"), class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "a first entry without the caller", before: used("203.0.113.7", day, 5), change: add2("192.0.2.1"),
			class: admin.KeyBreaks, was: policy.OpenList, is: policy.AddressNotListed, finds: list(admin.BreaksKey), usesListed: 1},
		{name: "a first entry with the last caller", before: used("203.0.113.7", day, 5), change: add2("203.0.113.7"),
			class: admin.KeyUnused, was: policy.OpenList, is: policy.AddressNotListed, usesListed: 1},
		{name: "another entry", list: "203.0.113.7", change: add2("192.0.2.1"), class: admin.KeyWidens, was: policy.AddressNotListed, is: policy.AddressListed},
		{name: "a comment", list: "203.0.113.7", change: func(w *world) []admin.Change {
			return []admin.Change{admin.EditEntries("k", entry("203.0.113.7", "x"))}
		}},
		{name: "the last entry", list: "203.0.113.7", before: used("203.0.113.7", day, 5), change: remove2("203.0.113.7"),
			class: admin.KeyOpens, was: policy.AddressNotListed, is: policy.OpenList, finds: list(admin.Opens), usesListed: 2},
		{name: "the last entry, of every address", list: "0.0.0.0/0", change: remove2("0.0.0.0/0"),
			class: admin.KeyOpens, was: policy.AddressNotListed, is: policy.OpenList, finds: list(admin.Opens)},
		{name: "the last entry of a disabled key", list: "203.0.113.7", before: disabled, change: remove2("203.0.113.7"), finds: list(admin.Opens)},
		{name: "the last entry while a list is required", list: "203.0.113.7", before: requires, change: remove2("203.0.113.7"),
			class: admin.KeyUnused, was: policy.AddressListed, is: policy.OrganizationRequiresAccessList, finds: list(admin.Opens)},
		{name: "it is disabled", list: "203.0.113.7", before: used("203.0.113.7", day, 5), change: one(admin.DisableKey("k")),
			class: admin.KeyBreaks, was: policy.AddressListed, is: policy.KeyDisabled, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "it is disabled unused", list: "203.0.113.7", change: one(admin.DisableKey("k")),
			class: admin.KeyUnused, was: policy.AddressListed, is: policy.KeyDisabled},
		{name: "it is deleted", before: used("203.0.113.7", day, 5), change: one(admin.DeleteKey("k")),
			class: admin.KeyBreaks, was: policy.OpenList, is: policy.UnknownKey, finds: list(admin.BreaksKey), usesListed: 1},
		{name: "it is deleted after the entry was replaced", list: "203.0.113.0/24", before: func(w *world) {
			used("203.0.113.7", day, 5)(w)
			w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("192.0.2.1") })
		}, change: one(admin.DeleteKey("k")), class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.UnknownKey, usesListed: 2},
		{name: "the block around a former entry shrinks", list: "203.0.113.128/25", before: func(w *world) {
			used("203.0.113.200", day, 5)(w)
			w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("203.0.112.0/22") })
		}, change: replace2("203.0.113.192/26"), class: admin.KeyUnused, was: policy.AddressListed, is: policy.AddressNotListed, usesListed: 2},
		{name: "it is enabled with a list", list: "203.0.113.7", before: disabled, change: one(admin.EnableKey("k")),
			class: admin.KeyWidens, was: policy.KeyDisabled, is: policy.AddressListed},
		{name: "it is enabled without a list", before: disabled, change: one(admin.EnableKey("k")),
			class: admin.KeyOpens, was: policy.KeyDisabled, is: policy.OpenList, finds: list(admin.Opens)},
		{name: "its role goes", list: "203.0.113.7", before: used("203.0.113.7", day, 1), change: one(admin.RemoveGrants("k", reader)),
			class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.RoleMissing, usesListed: 2},
		{name: "its role goes unused", list: "203.0.113.7", change: one(admin.RemoveGrants("k", reader)),
			class: admin.KeyUnused, was: policy.AddressListed, is: policy.RoleMissing},
		{name: "its role becomes one for projects", change: one(admin.SetGrants("k", apikey.Grant{Role: "reader", AllProjects: true})),
			class: admin.KeyUnused, was: policy.OpenList, is: policy.RoleMissing},
		{name: "its role for all projects becomes one for a project", before: func(w *world) {
			w.edit("k", func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "reader", AllProjects: true}} })
		}, change: one(admin.SetGrants("k", apikey.Grant{Role: "reader", Project: "p"})),
			class: admin.KeyUnused, was: policy.OpenList, is: policy.ProjectNotGranted},
		{name: "a role more", change: one(admin.AddGrants("k", apikey.Grant{Role: "writer", Project: "p"})),
			class: admin.KeyWidens, was: policy.ProjectNotGranted, is: policy.OpenList},
		{name: "its used secret ends", list: "203.0.113.7", before: used("203.0.113.7", day, 5), change: rotate,
			class: admin.KeyBreaks, was: policy.AddressListed, is: policy.WrongSecret, finds: list(admin.BreaksKey), usesListed: 2},
		{name: "its used secret ends, unused from here", before: func(w *world) {
			used("203.0.113.7", day, 5)(w)
			w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("192.0.2.1") })
		}, change: rotate, class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.WrongSecret, usesListed: 1},
		{name: "its unused secret ends", list: "203.0.113.7", change: rotate, class: admin.KeyUnused, was: policy.AddressListed, is: policy.WrongSecret},
		{name: "its old secret ends, and the new one is used", before: func(w *world) {
			w.edit("k", func(k *apikey.Key) { *k, _, _ = w.issuer.Rotate(*k, time.Hour) })
			require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: "k", Secret: w.stored("k").Secrets[1].ID(),
				Usage: accesslist.Usage{Count: 5, Last: start, LastAddress: netip.MustParseAddr("203.0.113.7")}})))
		}, change: func(w *world) []admin.Change {
			return []admin.Change{admin.EndSecret("k", w.stored("k").Secrets[0].ID(), time.Time{})}
		}, class: admin.KeyUnused, was: policy.OpenList, is: policy.WrongSecret, usesListed: 1},
		{name: "its secret ends later", list: "203.0.113.7", before: used("203.0.113.7", day, 5), change: one(admin.Rotate("k", time.Hour))},
		{name: "a list is required", before: used("203.0.113.7", day, 5), change: one(admin.SetRequirement(policy.Required)),
			class: admin.KeyBreaks, was: policy.OpenList, is: policy.OrganizationRequiresAccessList, finds: list(admin.BreaksKey), usesListed: 1, organizations: true},
		{name: "a list is required, and it has one", list: "203.0.113.7", before: used("203.0.113.7", day, 5), change: one(admin.SetRequirement(policy.Required)), organizations: true},
		{name: "a list is required, and its entries have expired", list: "203.0.113.7-1m", change: one(admin.SetRequirement(policy.Required)), organizations: true},
		{name: "requiring is tried", before: used("203.0.113.7", day, 5), change: one(admin.SetRequirement(policy.ReportOnly)), organizations: true},
		{name: "a list is required no more", before: requires, change: one(admin.SetRequirement(policy.NotRequired)),
			class: admin.KeyOpens, was: policy.OrganizationRequiresAccessList, is: policy.OpenList, finds: list(admin.Opens), organizations: true},
		{name: "its validity ends", list: "203.0.113.7", change: one(admin.SetValidity("k", time.Time{}, start)),
			class: admin.KeyUnused, was: policy.AddressListed, is: policy.KeyExpired},
		{name: "a call at an unknown time", list: "203.0.113.7", before: func(w *world) {
			require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: "k", Entry: prefixes("203.0.113.7")[0], Usage: accesslist.Usage{Count: 1}})))
		}, change: one(admin.DisableKey("k")), class: admin.KeyMayBreak, was: policy.AddressListed, is: policy.KeyDisabled, usesListed: 1, more: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := unobserved(t)
			w.observed(map[bool]time.Duration{true: 29 * day, false: 30 * day}[test.unobserved])
			w.key("boss", "198.51.100.1", "owner")
			w.key("k", test.list, "reader")
			if test.before != nil {
				test.before(w)
			}
			before := w.position()
			preview := w.preview(ann, test.change(w)...)
			require.Equal(t, before, w.position())
			want := map[apikey.ID]admin.KeyClass{}
			if test.class != "" {
				want["k"] = test.class
			}
			require.Equal(t, want, classes(preview))
			require.Equal(t, append([]admin.Kind{}, test.finds...), kinds(preview.Findings))
			all := preview.Totals
			require.Equal(t, map[bool]int{true: 2, false: 1}[test.organizations], all.Breaks+all.MayBreak+all.Unused+all.Unknown+all.Opens+all.Widens+all.Unchanged)
			require.Equal(t, test.class == "", all.Breaks+all.MayBreak+all.Unused+all.Unknown+all.Opens+all.Widens == 0)
			require.NotZero(t, preview.Evidence.Revision)
			if test.class == "" {
				return
			}
			effect := preview.Keys[0]
			require.Equal(t, test.was.String(), effect.Before.String())
			require.Equal(t, test.is.String(), effect.After.String())
			require.Len(t, effect.Uses, test.usesListed)
			require.Equal(t, test.more, effect.MoreAddresses)
			require.Equal(t, w.stored("k").Revision, effect.Revision)
			for _, finding := range preview.Findings {
				require.True(t, finding.Acceptable)
				require.Equal(t, []apikey.ID{"k"}, finding.Keys)
				require.Equal(t, 1, finding.Count)
			}
		})
	}
}

func used(address string, ago time.Duration, times uint64) func(*world) {
	return func(w *world) { w.used("k", address, ago, times) }
}

func list(kinds ...admin.Kind) []admin.Kind { return kinds }

func disabled(w *world) { w.edit("k", func(k *apikey.Key) { k.Disabled = true }) }

func rotate(*world) []admin.Change { return []admin.Change{admin.Rotate("k", 0)} }

func remove2(words string) func(*world) []admin.Change {
	return one(admin.RemoveEntries("k", prefixes(words)...))
}

func add2(words string) func(*world) []admin.Change {
	return func(w *world) []admin.Change { return []admin.Change{admin.AddEntries("k", w.entries(words)...)} }
}

func replace2(words string) func(*world) []admin.Change {
	return func(w *world) []admin.Change { return []admin.Change{admin.ReplaceEntries("k", w.entries(words)...)} }
}

// A change of another key that breaks it needs to be accepted, and one's own calls from
// elsewhere are another key's as much (rule M11).
func TestM11BreaksKey(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7 192.0.2.1", "owner")
	w.used("k", "192.0.2.1", day, 3)
	for _, actor := range []admin.Actor{ann, w.by("boss", "198.51.100.1"), w.by("k", "203.0.113.7")} {
		refusal := w.refuse(admin.Refused, actor, plain, admin.RemoveEntries("k", prefixes("192.0.2.1")...))
		require.Equal(t, list(admin.BreaksKey), kinds(refusal.Findings))
		require.Equal(t, `The change is refused. 1 key was used in the last 30 days and would be denied: key "k". To go ahead, accept breaks_key with a reason.`, refusal.Message)
	}
	// Where it locks itself out, that is told once.
	w.used("k", "203.0.113.7", day, 3)
	require.Equal(t, list(admin.SelfLockout), kinds(w.preview(w.by("k", "203.0.113.7"), admin.RemoveEntries("k", prefixes("203.0.113.7")...)).Findings))
	w.apply(ann, accept(admin.BreaksKey), admin.RemoveEntries("k", prefixes("192.0.2.1")...))
}

func TestM12LastManager(t *testing.T) {
	owner := apikey.Grant{Role: "owner"}
	changes := map[string]admin.Change{
		"its role goes":              admin.RemoveGrants("boss", owner),
		"its role is for projects":   admin.SetGrants("boss", apikey.Grant{Role: "owner", AllProjects: true}),
		"its role is for a project":  admin.SetGrants("boss", apikey.Grant{Role: "owner", Project: "p"}),
		"it is disabled":             admin.DisableKey("boss"),
		"it is deleted":              admin.DeleteKey("boss"),
		"its validity ends":          admin.SetValidity("boss", time.Time{}, start),
		"its list covers nobody now": admin.EditEntries("boss", until(entry("198.51.100.1", ""), start)),
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("a", "203.0.113.7", "reader")
			w.key("boss", "198.51.100.1", "owner")
			w.key("z", "203.0.113.7", "reader")
			refusal := w.refuse(admin.Refused, ann, plain, change)
			require.Equal(t, list(admin.LastManager), kinds(refusal.Findings))
			require.Equal(t, "The change is refused. No key could manage the organization any more. To go ahead, accept last_manager with a reason.", refusal.Message)

			// Not all owners are managers: they have to be usable.
			w.key("off", "203.0.113.7", "owner")
			w.edit("off", func(k *apikey.Key) { k.Disabled = true })
			w.key("expired", "203.0.113.7-1m", "owner")
			w.key("project", "203.0.113.7")
			w.edit("project", func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "owner", AllProjects: true}} })
			w.refuse(admin.Refused, ann, plain, change)

			w.key("second", "203.0.113.7", "owner")
			w.apply(ann, plain, change)
		})
	}

	// A key without a live secret is not usable.
	dead := newWorld(t)
	end := admin.EndSecret("boss", dead.key("boss", "198.51.100.1", "owner").Secrets[0].ID(), time.Time{})
	require.Equal(t, list(admin.LastManager), kinds(dead.refuse(admin.Refused, ann, plain, end).Findings))

	// Where people manage as well it is reported.
	w := newWorld(t, admin.WithPeopleManaging())
	w.key("a", "203.0.113.7", "reader")
	w.key("boss", "198.51.100.1", "owner")
	preview := w.preview(ann, admin.DeleteKey("boss"))
	require.Equal(t, list(admin.LastManager), kinds(preview.Findings))
	require.Empty(t, preview.Needs())
	w.apply(ann, plain, admin.DeleteKey("boss"))
	// An organization without a manager loses none.
	require.Empty(t, w.preview(ann, admin.Describe("a", "x")).Findings)
	require.Equal(t, list(admin.OrganizationLockout), kinds(w.preview(ann, admin.DeleteKey("a")).Findings))
}

func TestM13OrganizationLockout(t *testing.T) {
	w := newWorld(t)
	w.key("a", "203.0.113.7", "reader")
	w.key("b", "", "reader")
	w.key("gone", "203.0.113.7-1m", "reader")
	w.apply(ann, plain, admin.DeleteKey("gone"))
	refusal := w.refuse(admin.Refused, ann, plain, admin.DisableOrganization())
	require.Equal(t, list(admin.OrganizationLockout), kinds(refusal.Findings))
	require.Contains(t, refusal.Message, "The organization would have no usable key any more.")
	w.refuse(admin.Refused, ann, plain, admin.DeleteKey("a"), admin.DeleteKey("b"))
	w.apply(ann, plain, admin.DeleteKey("a"))
	require.Equal(t, list(admin.OrganizationLockout), kinds(w.refuse(admin.Refused, ann, plain, admin.SetRequirement(policy.Required)).Findings), "b has no list")
	require.Equal(t, list(admin.OrganizationLockout), kinds(w.refuse(admin.Refused, ann, plain, admin.DeleteKey("b")).Findings), "the last key")
	w.apply(ann, accept(admin.OrganizationLockout), admin.DeleteKey("b"))
	require.Empty(t, w.preview(ann, admin.DisableOrganization()).Findings, "there is none to lose")
}

// Widening is told with the same weight, and the store's permission to empty a list is given
// only where it was accepted.
func TestM14Widening(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	open := admin.CreateKey(admin.NewKey{Grants: []apikey.Grant{{Role: "reader"}}})
	refusal := w.refuse(admin.Refused, ann, plain, open)
	require.Equal(t, "The change is refused. 1 key without entries would be open to every address while nothing requires a list: the new key. To go ahead, add entries first, or accept opens with a reason.", refusal.Message)
	require.Equal(t, []apikey.ID{""}, refusal.Findings[0].Keys)
	require.Equal(t, policy.UnknownKey, refusal.Preview.Keys[0].Before)
	require.Zero(t, refusal.Preview.Keys[0].Revision)
	result := w.apply(ann, accept(admin.Opens), open)
	require.Equal(t, []string{"opens"}, result.Events[0].Accepted)
	require.Equal(t, "it was agreed", result.Events[0].Reason)

	wide := func(words string) admin.Change { return admin.AddEntries("k", w.entries(words)...) }
	refusal = w.refuse(admin.Refused, ann, accept(admin.Opens), wide("10.0.0.0/7 192.0.2.1 2001:d00::/24"))
	require.Equal(t, list(admin.OverBroad), kinds(refusal.Findings))
	require.Equal(t, []string{"10.0.0.0/7", "2001:d00::/24"}, refusal.Findings[0].Entries)
	require.Equal(t, `The change is refused. Over-broad entries are added to the list of key "k": 10.0.0.0/7, 2001:d00::/24. To go ahead, accept over_broad with a reason.`, refusal.Message)
	w.apply(ann, accept(admin.OverBroad), wide("10.0.0.0/7"))
	w.apply(ann, plain, wide("192.0.2.1")) // the wide one was there
	w.apply(ann, plain, admin.EditEntries("k", until(entry("10.0.0.0/7", ""), start)))
	w.refuse(admin.Refused, ann, plain, admin.EditEntries("k", until(entry("10.0.0.0/7", ""), start.Add(time.Hour))))
}

// Disabling a key and ending a secret are in the way of nobody but the actor and the last
// manager.
func TestM23Emergency(t *testing.T) {
	end := func(w *world) admin.Change { return admin.EndSecret("k", w.stored("k").Secrets[0].ID(), time.Time{}) }
	for name, test := range map[string]struct {
		change func(*world) admin.Change
		free   bool
	}{
		"disable":             {func(*world) admin.Change { return admin.DisableKey("k") }, true},
		"end its secret":      {end, true},
		"rotate without":      {func(*world) admin.Change { return admin.Rotate("k", 0) }, true},
		"delete":              {func(*world) admin.Change { return admin.DeleteKey("k") }, false},
		"end its validity":    {func(*world) admin.Change { return admin.SetValidity("k", time.Time{}, start) }, false},
		"switch everyone off": {func(*world) admin.Change { return admin.DisableOrganization() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("k", "203.0.113.7", "reader")
			w.used("k", "203.0.113.7", time.Minute, 9)
			preview := w.preview(ann, test.change(w))
			require.Contains(t, kinds(preview.Findings), admin.BreaksKey, "it is told all the same")
			require.Equal(t, test.free, len(preview.Needs()) == 0)
			if test.free {
				w.apply(ann, plain, test.change(w))
			} else {
				w.refuse(admin.Refused, ann, plain, test.change(w))
			}
		})
	}
	// Words about it, and its witnesses being written, are not in the way either.
	f := newFaulty()
	busy := worldOf(t, f, f.Store)
	busy.key("boss", "198.51.100.1", "owner")
	busy.key("k", "203.0.113.7", "reader")
	busy.used("k", "203.0.113.7", time.Minute, 9)
	busy.edit("boss", func(k *apikey.Key) { k.Grants = nil })
	f.before = func(call string) error {
		if call == "Write" {
			busy.edit("boss", func(k *apikey.Key) { k.Description += "x" })
		}
		return nil
	}
	busy.apply(ann, plain, admin.DisableKey("k"), admin.Describe("k", "LEAKED"),
		admin.SetLabels("k", map[string]string{"leaked": "yes"}), admin.SetExternalID("k", "incident-1"), admin.SetName("Acme"))
	require.Len(t, f.writes, 2, "no conflict")
	people := newWorld(t, admin.WithPeopleManaging())
	people.key("k", "203.0.113.7", "owner")
	people.apply(ann, plain, admin.DisableKey("k"))

	// A rotation lets an open key be used for longer than before: it is told, and not in the
	// way. A key that was not to be used any more is opened by it, and that is no narrowing.
	for _, test := range []struct {
		end   time.Duration
		needs []admin.Kind
	}{{day, nil}, {-day, list(admin.Opens)}} {
		w := newWorld(t)
		w.key("k", "", "reader")
		w.edit("k", func(k *apikey.Key) { k.Secrets[0].Expires = start.Add(test.end) })
		preview := w.preview(ann, admin.Rotate("k", 0))
		require.Equal(t, list(admin.Opens), kinds(preview.Findings))
		require.Equal(t, test.needs, preview.Needs())
		require.Equal(t, list(admin.Opens), w.preview(ann, admin.Rotate("k", 0), admin.SetGrants("k")).Needs())
		w.apply(ann, accept(test.needs...), admin.Rotate("k", 0))
	}

	// Together with a change that is no narrowing it is as any other.
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	w.used("k", "203.0.113.7", time.Minute, 9)
	w.refuse(admin.Refused, ann, plain, admin.SetGrants("k"), admin.DisableKey("k"))
	w.key("l", "203.0.113.7", "reader")
	preview := w.preview(ann, admin.AddEntries("l", w.entries("192.0.2.1")...), admin.DisableKey("k"))
	require.Equal(t, list(admin.BreaksKey), kinds(preview.Findings), "no step is an emergency of its own")

	// So is each step of it: the last usable key is not lost to what others do between two.
	f = newFaulty()
	busy = worldOf(t, f, f.Store)
	busy.key("k", "203.0.113.7", "reader")
	busy.key("other", "203.0.113.7", "reader")
	busy.key("off", "203.0.113.7", "reader")
	busy.edit("off", func(k *apikey.Key) { k.Disabled = true })
	f.overtake(func() { busy.edit("other", func(k *apikey.Key) { k.Disabled = true }) })
	result, err := busy.admin.Apply(busy.ctx, ann, "acme", plain, admin.AddEntries("off", w.entries("192.0.2.1")...), admin.DisableKey("k"))
	requireClass(t, admin.Refused, err)
	require.Equal(t, 1, result.Made)
	require.False(t, busy.stored("k").Disabled)

	w = newWorld(t)
	w.key("k", "203.0.113.7", "owner")
	w.refuse(admin.Refused, ann, plain, admin.DisableKey("k"))
	w.apply(ann, accept(admin.LastManager), admin.DisableKey("k"))
}
