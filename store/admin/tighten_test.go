package admin_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
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

func (w *world) tighten(actor admin.Actor, key string, options admin.TightenOptions) admin.Tightening {
	w.t.Helper()
	tightening, err := w.admin.Tighten(w.ctx, actor, "acme", apikey.ID(key), options)
	require.NoError(w.t, err)
	return tightening
}

// notTightened asks for a suggestion that there must not be.
func (w *world) notTightened(class admin.Class, actor admin.Actor, key string, options admin.TightenOptions) *admin.Error {
	w.t.Helper()
	tightening, err := w.admin.Tighten(w.ctx, actor, "acme", apikey.ID(key), options)
	var refusal *admin.Error
	require.ErrorAs(w.t, err, &refusal)
	require.Equal(w.t, class.String(), refusal.Class.String(), refusal)
	require.Empty(w.t, tightening.Entries)
	require.Equal(w.t, admin.NotMade, w.notices[len(w.notices)-1].Kind)
	return refusal
}

func addressesOf(entries []admin.EntryView) []string {
	all := []string{}
	for _, entry := range entries {
		all = append(all, entry.Address)
	}
	return all
}

func clientsOf(uses []admin.AddressUse) string {
	var all []string
	for _, use := range uses {
		all = append(all, use.Address.String())
	}
	return strings.Join(all, " ")
}

// A suggestion covers what was observed in the window within the budget, has its difference
// and its preview, and is applied in one write.
func TestTighten(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24 192.0.2.0/24 198.51.100.0/24", "reader")
	for _, address := range strings.Fields("203.0.113.1 203.0.113.2 203.0.113.3 192.0.2.9") {
		w.used("k", address, day, 3)
	}
	w.used("k", "198.51.100.9", 31*day, 1) // before the window
	revision := w.position()

	for budget, want := range map[int]string{0: "192.0.2.9 203.0.113.1 203.0.113.2/31", store.MaxEntries: "192.0.2.9 203.0.113.1 203.0.113.2/31", 2: "192.0.2.9 203.0.113.0/30"} {
		tightening := w.tighten(ann, "k", admin.TightenOptions{Budget: budget})
		require.Equal(t, want, strings.Join(addressesOf(tightening.Entries), " "))
	}
	tightening := w.tighten(ann, "k", admin.TightenOptions{Budget: 2})
	require.Equal(t, revision, w.position(), "nothing is written")
	require.Equal(t, "192.0.2.9 203.0.113.1 203.0.113.2 203.0.113.3", clientsOf(tightening.Observed))
	require.EqualValues(t, 3, tightening.Observed[0].Count)
	require.Empty(t, tightening.LeftOut)
	require.Empty(t, tightening.Gaps)
	require.Equal(t, tightening.Entries, tightening.Added)
	require.Equal(t, []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}, addressesOf(tightening.Removed))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyUnused}, classes(tightening.Preview))
	require.Empty(t, tightening.Preview.Needs())
	data, err := json.Marshal(tightening)
	require.NoError(t, err)
	require.Contains(t, string(data), `"leftOut":[],"gaps":[],"entries":[{"address":"192.0.2.9","added":"2026-03-01T12:00:00Z"},`)

	result := w.apply(ann, admin.ApplyOptions{Token: tightening.Preview.Token, Reason: "observed"}, tightening.Change)
	require.Equal(t, tightening.Entries, result.Keys[0].Entries)
	require.Len(t, result.Events, 5)
	again := w.tighten(ann, "k", admin.TightenOptions{Budget: 2})
	require.Empty(t, again.Added)
	require.Empty(t, again.Removed)
	require.Empty(t, w.apply(ann, plain, again.Change).Events, "it is as tight as that")
}

// A suggestion holds for the key as it was: another revision is a conflict, with the token or
// without, and for the trial as well.
func TestM18TightenedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	w.used("k", "203.0.113.1", day, 3)
	tightening := w.tighten(ann, "k", admin.TightenOptions{})
	w.apply(ann, plain, tightening.Trial)
	require.Equal(t, []string{"203.0.113.1"}, addressesOf(w.tighten(ann, "k", admin.TightenOptions{}).Key.TrialEntries))
	w.refuse(admin.Conflict, ann, admin.ApplyOptions{Token: tightening.Preview.Token}, tightening.Change)
	w.refuse(admin.Conflict, ann, plain, tightening.Change)
	w.refuse(admin.Conflict, ann, plain, tightening.Trial)
}

// What the evidence lacks is told, in every way that it can lack something (rule M16).
func TestM16TightenGaps(t *testing.T) {
	w := unobserved(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	w.used("k", "203.0.113.1", day, 3)
	options := admin.TightenOptions{}
	require.Equal(t, []string{"Usage was not observed in the last 30 days.", "The usage of the latest calls is not known yet."}, w.tighten(ann, "k", options).Gaps)
	w.report(store.Report{Since: start.Add(-60 * day), Until: start.Add(-time.Hour), At: start.Add(-time.Hour)})
	w.report(store.Report{Recorder: "b", Since: start.Add(-60 * day), Until: start, At: start, Lost: 2})
	gaps := w.tighten(ann, "k", options).Gaps
	require.Equal(t, []string{"Usage was not observed in the last 30 days.", "2 calls are known to be lost."}, gaps)

	for seen, want := range map[time.Duration]string{31 * time.Second: "Usage was observed for 31s of the last 30 days.", 20 * day: "Usage was not observed for 10 days of the last 30 days."} {
		w := unobserved(t)
		w.key("boss", "198.51.100.1", "owner")
		w.key("k", "", "reader")
		w.used("k", "203.0.113.1", 10*time.Second, 3)
		w.observed(seen)
		require.Equal(t, []string{want}, w.tighten(ann, "k", options).Gaps)
	}

	w = newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	for i := range store.MaxUsageAddresses + 1 {
		w.used("k", fmt.Sprintf("203.0.113.%d", i), day, 1)
	}
	tightening := w.tighten(ann, "k", options)
	require.Equal(t, []string{"The addresses of some calls are not known: a store keeps a bounded number."}, tightening.Gaps)
	require.Equal(t, admin.KeyMayBreak, tightening.Preview.Keys[0].Class)
}

// Each known address of a served call is covered, also where it is only the last one of an
// entry, a secret or a call that would have been denied.
func TestTightenEveryAddress(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	last := func(address string) accesslist.Usage {
		return accesslist.Usage{Count: 4, Last: start.Add(-day), LastAddress: netip.MustParseAddr(address)}
	}
	require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"k": {
		Addresses: map[netip.Addr]store.AddressUsage{netip.MustParseAddr("203.0.113.4"): {Count: 1, Last: start}},
		Secrets:   map[string]accesslist.Usage{w.stored("k").Secrets[0].ID(): last("203.0.113.1")},
		Entries:   map[netip.Prefix]accesslist.Usage{prefixes("203.0.113.0/24")[0]: last("203.0.113.2")},
		WouldDeny: map[policy.Reason]accesslist.Usage{policy.AddressNotListed: last("203.0.113.3"), policy.OrganizationRequiresAccessList: {Count: 1, Last: start}},
	}}))
	tightening := w.tighten(ann, "k", admin.TightenOptions{})
	require.Equal(t, "203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4", clientsOf(tightening.Observed))
	require.Equal(t, admin.AddressUse{Address: netip.MustParseAddr("203.0.113.1"), Count: 1, Last: start.Add(-day)}, tightening.Observed[0])
	require.Equal(t, []string{"203.0.113.1", "203.0.113.2/31", "203.0.113.4"}, addressesOf(tightening.Entries))
	require.Equal(t, map[apikey.ID]admin.KeyClass{"k": admin.KeyUnused}, classes(tightening.Preview))
}

// The suggestion stays inside the present list, in space and in time, and keeps its comments.
func TestTightenStaysInside(t *testing.T) {
	for name, test := range map[string]struct{ list, used, want string }{
		"a block around two entries":         {"203.0.113.1 203.0.113.4", "203.0.113.1 203.0.113.4", "203.0.113.1 203.0.113.4"},
		"an unused entry between":            {"203.0.113.1 203.0.113.3 203.0.113.4", "203.0.113.1 203.0.113.4", "203.0.113.1 203.0.113.4"},
		"inside a temporary block":           {"203.0.113.0/24+48h", "203.0.113.1 203.0.113.2", "203.0.113.0/30+48h"},
		"inside the longer one of two":       {"203.0.113.0/24+48h 203.0.113.0/25+72h", "203.0.113.1 203.0.113.2", "203.0.113.0/30+72h"},
		"a lasting entry in a temporary one": {"203.0.113.0/24+48h 203.0.113.1", "203.0.113.1 203.0.113.2", "203.0.113.0/30+48h 203.0.113.1"},
		"a temporary entry in a lasting one": {"203.0.113.0/24 203.0.113.1+48h", "203.0.113.1", "203.0.113.1"},
		"expired entries go":                 {"203.0.113.0/24 203.0.113.128/25-1h 192.0.2.1-1h", "203.0.113.1", "203.0.113.1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("boss", "198.51.100.1", "owner")
			w.key("k", test.list, "reader")
			for _, address := range strings.Fields(test.used) {
				w.used("k", address, day, 1)
			}
			tightening := w.tighten(ann, "k", admin.TightenOptions{Budget: 1})
			require.Empty(t, tightening.Preview.Needs())
			result := w.apply(ann, plain, tightening.Change)
			got := w.stored("k").AccessList
			var words []string
			for entry := range got.All() {
				word := entry.String()
				if !entry.Expires.IsZero() {
					word += fmt.Sprintf("+%.0fh", entry.Expires.Sub(start).Hours())
				}
				words = append(words, word)
			}
			require.Equal(t, test.want, strings.Join(words, " "))
			require.Equal(t, tightening.Entries, result.Keys[0].Entries)
		})
	}
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	w.edit("k", func(k *apikey.Key) {
		k.AccessList, _ = accesslist.New(stamped(entry("203.0.113.0/24", "office"), start.Add(-day)))
	})
	w.used("k", "203.0.113.1", day, 1)
	tightening := w.tighten(ann, "k", admin.TightenOptions{})
	require.Equal(t, []admin.EntryView{{Address: "203.0.113.1", Comment: "office", Added: start}}, tightening.Added)
	require.Equal(t, []admin.EntryView{{Address: "203.0.113.0/24", Comment: "office", Added: start.Add(-day)}}, tightening.Removed)
}

// Whatever the list and the budget: each observed address is admitted as long as before, and
// none is that was not. An acting key is not denied, now or later, where it was not (rule M3).
func TestTightenRandomly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		w := newWorld(t)
		w.key("boss", "198.51.100.1", "owner")
		var words []string
		seen := map[string]bool{}
		for range random.IntN(6) {
			bits := 27 + random.IntN(6)
			prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(random.IntN(64))}), bits).Masked()
			word := prefix.String()
			if !seen[word] && prefix.Addr() != netip.MustParseAddr("203.0.113.0") {
				words = append(words, word+[]string{"", "", "+2h", "+4h", "-1h"}[random.IntN(5)])
			}
			seen[word] = true
		}
		w.key("k", strings.Join(words, " "), "owner")
		before := w.stored("k").AccessList
		actor, self := ann, netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + random.IntN(63))})
		if before.IsEmpty() || before.Contains(self, start) {
			actor = w.by("k", self.String())
		}
		for range 1 + random.IntN(5) {
			w.used("k", fmt.Sprintf("203.0.113.%d", 1+random.IntN(63)), time.Hour, 1)
		}
		tightening, err := w.admin.Tighten(w.ctx, actor, "acme", "k", admin.TightenOptions{Budget: 1 + random.IntN(4)})
		if err != nil {
			requireClass(t, admin.Conflict, err)
			continue
		}
		require.NotEmpty(t, tightening.Entries)
		require.Zero(t, tightening.Preview.Totals.Breaks+tightening.Preview.Totals.Widens+tightening.Preview.Totals.Opens)
		w.apply(actor, admin.ApplyOptions{Token: tightening.Preview.Token}, tightening.Change)
		if actor.Kind() == store.ActorKey {
			w.by("k", self.String())
		}
		after, observed := w.stored("k").AccessList, map[string]bool{}
		for _, use := range tightening.Observed {
			observed[use.Address.String()] = true
		}
		for _, at := range []time.Time{start, start.Add(3 * time.Hour), start.Add(5 * time.Hour)} {
			for i := range 64 {
				address := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
				was, is := before.IsEmpty() || before.Contains(address, at), after.Contains(address, at)
				require.True(t, was || !is, "%v: %s from %s", address, words, addressesOf(tightening.Entries))
				if own := actor.Kind() == store.ActorKey && address == self; (own || observed[address.String()]) && before.Contains(address, start) {
					require.Equal(t, was, is, "%v: %s from %s", address, words, addressesOf(tightening.Entries))
				}
			}
		}
	}
}

// Many entries, all in use, are no cubic work: that would take minutes here.
func TestTightenManyEntries(t *testing.T) {
	const entries = 4000
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	usage := map[netip.Prefix]accesslist.Usage{}
	var words strings.Builder
	for i := range entries {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		usage[netip.PrefixFrom(address, 32)] = accesslist.Usage{Count: 1, Last: start, LastAddress: address}
		fmt.Fprintln(&words, address)
	}
	w.key("k", words.String(), "reader")
	require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"k": {Entries: usage}}))
	tightening := w.tighten(ann, "k", admin.TightenOptions{Budget: store.MaxEntries})
	require.Len(t, tightening.Observed, entries)
	require.Len(t, tightening.Entries, entries)
	require.Empty(t, tightening.Added)
	require.Empty(t, tightening.Removed)
}

// The acting key's own address is covered, although no call from there was observed; and if
// no list can cover it, none is suggested (rule M3).
func TestM3Tighten(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "", "owner")
	w.used("boss", "203.0.113.1", day, 3)
	require.Equal(t, []string{"203.0.113.1"}, addressesOf(w.tighten(ann, "boss", admin.TightenOptions{}).Entries))
	self := w.by("boss", "198.51.100.1")
	tightening := w.tighten(self, "boss", admin.TightenOptions{})
	require.Equal(t, []string{"198.51.100.1", "203.0.113.1"}, addressesOf(tightening.Entries))
	require.Equal(t, "203.0.113.1", clientsOf(tightening.Observed))

	self = w.by("boss", "2001:db8::1")
	refusal := w.notTightened(admin.Refused, self, "boss", admin.TightenOptions{})
	require.Equal(t, list(admin.SelfLockout), kinds(refusal.Findings))
	require.Equal(t, "2001:db8::1", refusal.Findings[0].Address.String())
	tightening = w.tighten(self, "boss", admin.TightenOptions{AllowIPv6: true})
	require.Equal(t, []string{"203.0.113.1", "2001:db8::/64"}, addressesOf(tightening.Entries))
	w.apply(self, plain, tightening.Change)

	// Another key's address is no matter of the list.
	w.key("k", "203.0.113.0/24", "reader")
	w.used("k", "203.0.113.1", day, 3)
	require.Equal(t, []string{"203.0.113.1"}, addressesOf(w.tighten(self, "k", admin.TightenOptions{}).Entries))
}

// Addresses that the suggestion does not cover are named.
func TestTightenLeavesOut(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	w.used("k", "203.0.113.1", day, 3)
	w.used("k", "2001:db8::1", day, 3)
	w.used("k", "0.0.0.0", day, 3)
	tightening := w.tighten(ann, "k", admin.TightenOptions{Budget: 1})
	require.Equal(t, "0.0.0.0 2001:db8::1", clientsOf(tightening.LeftOut))
	require.Equal(t, list(admin.BreaksKey), tightening.Preview.Needs())
	require.Equal(t, []string{"203.0.113.1", "2001:db8::/64"}, addressesOf(w.tighten(ann, "k", admin.TightenOptions{AllowIPv6: true}).Entries))
	refusal := w.notTightened(admin.Invalid, ann, "k", admin.TightenOptions{Budget: 1, AllowIPv6: true})
	require.Equal(t, "a budget of 1 entry for IPv4 and IPv6 addresses: want at least 2.", refusal.Message)

	// An address that is not admitted any more is not admitted again.
	w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("192.0.2.0/24 203.0.113.0/24-1h") })
	w.used("k", "192.0.2.1", day, 1)
	tightening = w.tighten(ann, "k", admin.TightenOptions{AllowIPv6: true})
	require.Equal(t, "0.0.0.0 203.0.113.1 2001:db8::1", clientsOf(tightening.LeftOut))
	require.Equal(t, []string{"192.0.2.1"}, addressesOf(tightening.Entries))
	require.Empty(t, tightening.Preview.Needs())
}

// An empty list is never suggested: no address is no evidence.
func TestTightenNothing(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	for _, actor := range []admin.Actor{ann, w.by("boss", "198.51.100.1")} {
		for _, key := range []string{"boss", "k"} {
			refusal := w.notTightened(admin.Conflict, actor, key, admin.TightenOptions{})
			require.Equal(t, "No address was observed from which the key is used, so no list can be suggested.", refusal.Message)
		}
	}
	w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("203.0.113.0/24-1h") })
	w.used("k", "203.0.113.1", day, 1)
	w.notTightened(admin.Conflict, ann, "k", admin.TightenOptions{})

	for name, test := range map[string]struct {
		class   admin.Class
		actor   admin.Actor
		key     string
		options admin.TightenOptions
	}{
		"a negative budget": {admin.Invalid, ann, "k", admin.TightenOptions{Budget: -1}},
		"a large budget":    {admin.Invalid, ann, "k", admin.TightenOptions{Budget: store.MaxEntries + 1}},
		"no key":            {admin.NotFound, ann, "none", admin.TightenOptions{}},
		"nobody":            {admin.Forbidden, admin.Actor{}, "k", admin.TightenOptions{}},
	} {
		t.Run(name, func(t *testing.T) { w.notTightened(test.class, test.actor, test.key, test.options) })
	}
	actor := w.by("boss", "198.51.100.1")
	disabledBoss := func(k *apikey.Key) { k.Disabled = true }
	w.edit("boss", disabledBoss)
	w.notTightened(admin.Forbidden, actor, "k", admin.TightenOptions{})
	w.organization("other", policy.NotRequired)
	w.keyOf("other", "theirs", "", "owner")
	require.Equal(t, `There is no key "theirs" in this organization.`, w.notTightened(admin.NotFound, ann, "theirs", admin.TightenOptions{}).Message)
}

// Without the usage nothing is suggested, and without its observation it is told (rule M25).
func TestM25Tighten(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.observed(60 * day)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	w.used("k", "203.0.113.1", day, 3)
	fail := func(broken string) { f.fail(broken, false) }
	fail("Usage")
	w.notTightened(admin.Unavailable, ann, "k", admin.TightenOptions{})
	fail("Observation")
	require.Contains(t, w.tighten(ann, "k", admin.TightenOptions{}).Gaps, "Some usage could not be read.")
	self := w.by("boss", "198.51.100.1")
	for _, call := range []string{"Organization", "Key"} {
		fail(call)
		w.notTightened(admin.Unavailable, ann, "k", admin.TightenOptions{})
		w.notTightened(admin.Unavailable, self, "k", admin.TightenOptions{})
	}
	// The store fails between the suggestion and its preview.
	reads := 0
	f.before = func(call string) error {
		if call == "Key" {
			reads++
		}
		if reads > 1 {
			return errFault
		}
		return nil
	}
	w.notTightened(admin.Unavailable, ann, "k", admin.TightenOptions{})
}

// Served calls, and none that was denied, are what a suggestion rests on.
func TestTightenDenials(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.0/24", "reader")
	w.used("k", "203.0.113.1", day, 3)
	require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: "k", Denied: policy.RoleMissing,
		Usage: accesslist.Usage{Count: 7, Last: start, LastAddress: netip.MustParseAddr("203.0.113.66")}})))
	require.Equal(t, []string{"203.0.113.1"}, addressesOf(w.tighten(ann, "k", admin.TightenOptions{}).Entries))
}

// A program makes the suggestion again from the entries that it was shown: the token is that of
// its own change, also for entries that stay.
func TestTheTokenOfASuggestionIsThatOfItsEntries(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.1 203.0.113.200", "reader")
	w.edit("k", func(k *apikey.Key) {
		var entries []accesslist.Entry
		for entry := range k.AccessList.All() {
			entry.Added, entry.Comment = w.now.Add(-day), "office"
			entries = append(entries, entry)
		}
		var err error
		k.AccessList, err = accesslist.New(entries...)
		require.NoError(t, err)
	})
	w.used("k", "203.0.113.1", day, 3)
	w.used("k", "203.0.113.200", day, 3)
	suggested := w.tighten(ann, "k", admin.TightenOptions{Budget: 1}) // one block is wider than the list
	require.Equal(t, []string{"203.0.113.1", "203.0.113.200"}, addressesOf(suggested.Entries))
	require.Equal(t, w.now.Add(-day), suggested.Entries[0].Added)
	var entries []accesslist.Entry
	for _, view := range suggested.Entries {
		entry, err := accesslist.ParseEntry(view.Address)
		require.NoError(t, err)
		entry.Comment = view.Comment
		entries = append(entries, entry)
	}
	again, err := w.admin.Preview(w.ctx, ann, "acme", admin.ReplaceEntries("k", entries...).At(suggested.Key.Revision))
	require.NoError(t, err)
	require.Equal(t, suggested.Preview.Token, again.Token)
}
