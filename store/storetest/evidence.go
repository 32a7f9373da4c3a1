package storetest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// evidenceCases are about the usage of a key as evidence of whom a change hits: addresses,
// denials, and served calls with the reason of a denial to come.
var evidenceCases = []testCase{
	{sentence: "U5", name: "addresses and denials are kept when the key is replaced", run: evidenceOfReplacedKey},
	{sentence: "U11", name: "addresses are counted with their first and last use", run: addressesAreCounted},
	{sentence: "U11", name: "of many addresses those used last are kept", run: addressesUsedLast},
	{sentence: "U11", name: "the same addresses are kept of one batch and of many", run: addressesOfOneBatch},
	{sentence: "U11", name: "addresses dropped earlier are counted as dropped", run: droppedBefore},
	{sentence: "U11", name: "evidence goes on after reopening", run: evidenceAfterReopening, needs: "Reopen"},
	{sentence: "U12", name: "denials are counted by reason and apart from served calls", run: denialsByReason},
	{sentence: "U12", name: "denials before the proof are refused", run: denialsBeforeProof},
}

// from is usage of one address.
func from(text string, count uint64, first, last time.Time) store.KeyUsage {
	return store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{address(text): {Count: count, First: first, Last: last}}}
}

// numbered returns the i-th of many addresses, in ascending order.
func numbered(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

func (k *kit) recordOf(r store.UsageRecorder, usage store.KeyUsage) {
	k.Helper()
	if err := r.RecordUsage(k.ctx, map[apikey.ID]store.KeyUsage{"key": usage}); err != nil {
		k.Fatalf("RecordUsage of %+v: %v", usage, err)
	}
}

// wantKeyUsage checks all usage of the key.
func (k *kit) wantKeyUsage(r store.UsageRecorder, want store.KeyUsage) {
	k.Helper()
	if got := k.usage(r, "key"); !sameUsage(got, want) {
		k.Errorf("Usage is\n%+v; want\n%+v", got, want)
	}
}

func sameUsage(a, b store.KeyUsage) bool {
	return maps.EqualFunc(a.Entries, b.Entries, sameCalls) && maps.EqualFunc(a.Secrets, b.Secrets, sameCalls) &&
		maps.EqualFunc(a.Addresses, b.Addresses, func(a, b store.AddressUsage) bool {
			return a.Count == b.Count && a.First.Equal(b.First) && a.Last.Equal(b.Last)
		}) && sameCalls(a.Dropped, b.Dropped) &&
		maps.EqualFunc(a.Denials, b.Denials, sameCalls) && maps.EqualFunc(a.WouldDeny, b.WouldDeny, sameCalls)
}

func sameCalls(a, b accesslist.Usage) bool {
	return a.Count == b.Count && a.Last.Equal(b.Last) && a.LastAddress == b.LastAddress
}

func unused(usage store.KeyUsage) bool { return sameUsage(usage, store.KeyUsage{}) }

func addressesAreCounted(k *kit) {
	r := k.recorder()
	at := fixture.Moment
	k.recordOf(r, from("192.0.2.1", 2, at, at.Add(time.Minute)))
	k.recordOf(r, from("2001:db8::1", 3, at, at))
	k.recordOf(r, from("192.0.2.1", 5, at.Add(-time.Hour), at.Add(-time.Microsecond))) // late
	k.recordOf(r, from("192.0.2.1", 7, at.Add(time.Hour), at.Add(time.Hour)))
	k.recordOf(r, from("fe80::1", 1, time.Time{}, time.Time{})) // at an unknown time
	k.recordOf(r, from("fe80::1", 1, at, at))
	k.recordOf(r, from("fe80::1", 1, time.Time{}, time.Time{}))
	k.recordOf(r, from("0.0.0.0", 1<<63, at, at))
	k.wantKeyUsage(r, store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{
		address("192.0.2.1"):   {Count: 14, First: at.Add(-time.Hour), Last: at.Add(time.Hour)},
		address("2001:db8::1"): {Count: 3, First: at, Last: at},
		address("fe80::1"):     {Count: 3, First: at, Last: at},
		address("0.0.0.0"):     {Count: 1 << 63, First: at, Last: at},
	}})
}

// addressesUsedLast records one address more than are kept, again and again.
func addressesUsedLast(k *kit) {
	r := k.recorder()
	at := func(i int) time.Time { return fixture.Moment.Add(time.Duration(i) * time.Second) }
	want := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{}}
	all := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{}}
	for i := range store.MaxUsageAddresses {
		// The later the address in order, the earlier its last use; two each at the same time.
		all.Addresses[numbered(i)] = store.AddressUsage{Count: uint64(i + 1), First: at(i - 5000), Last: at(-i / 2)}
	}
	k.recordOf(r, all)
	maps.Copy(want.Addresses, all.Addresses)
	k.wantKeyUsage(r, want)

	for i := range 5 {
		// The last two addresses were used at the same time; the greater one goes first.
		gone := numbered(store.MaxUsageAddresses - 1 - i)
		used := want.Addresses[gone]
		delete(want.Addresses, gone)
		want.Dropped = accesslist.Usage{Count: want.Dropped.Count + used.Count, Last: used.Last, LastAddress: gone}
		if i%2 == 1 { // the same time as before: the address stays
			want.Dropped.LastAddress = numbered(store.MaxUsageAddresses - i)
		}
		added := store.AddressUsage{Count: 1, First: at(100 + i), Last: at(100 + i)}
		k.recordOf(r, store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{numbered(1000 + i): added}})
		want.Addresses[numbered(1000+i)] = added
		k.wantKeyUsage(r, want)
	}

	// An address older than all others goes at once.
	k.recordOf(r, from("203.0.113.9", 9, at(-1000), at(-1000)))
	want.Dropped.Count += 9
	k.wantKeyUsage(r, want)

	// One that comes back is counted from then on.
	back := numbered(store.MaxUsageAddresses - 1)
	k.recordOf(r, from(back.String(), 4, at(200), at(201)))
	gone := numbered(store.MaxUsageAddresses - 6)
	want.Dropped.Count += want.Addresses[gone].Count
	if want.Addresses[gone].Last.After(want.Dropped.Last) {
		want.Dropped.Last, want.Dropped.LastAddress = want.Addresses[gone].Last, gone
	}
	delete(want.Addresses, gone)
	want.Addresses[back] = store.AddressUsage{Count: 4, First: at(200), Last: at(201)}
	k.wantKeyUsage(r, want)
}

// addressesOfOneBatch records many addresses at once, and for another key one by one.
func addressesOfOneBatch(k *kit) {
	r := k.recorder()
	k.put(fixture.Plain("other", "acme"))
	batch := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{}}
	want := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{}}
	for i := range 100 {
		at := fixture.Moment.Add(time.Duration(i) * time.Second)
		used := store.AddressUsage{Count: 1, First: at, Last: at}
		batch.Addresses[numbered(i)] = used
		if i >= 100-store.MaxUsageAddresses {
			want.Addresses[numbered(i)] = used
		} else {
			want.Dropped = accesslist.Usage{Count: uint64(i + 1), Last: at, LastAddress: numbered(i)}
		}
	}
	k.recordOf(r, batch)
	k.wantKeyUsage(r, want)
	for i := range 100 {
		one := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{numbered(i): batch.Addresses[numbered(i)]}}
		if err := r.RecordUsage(k.ctx, map[apikey.ID]store.KeyUsage{"other": one}); err != nil {
			k.Fatalf("RecordUsage: %v", err)
		}
	}
	if got := k.usage(r, "other"); !sameUsage(got, want) {
		k.Errorf("after calls from 100 addresses, recorded one by one, Usage is\n%+v; want that of one batch\n%+v", got, want)
	}
}

func droppedBefore(k *kit) {
	r := k.recorder()
	usage := from("192.0.2.1", 2, fixture.Moment, fixture.Moment)
	usage.Dropped = accesslist.Usage{Count: 5, Last: fixture.Moment, LastAddress: address("192.0.2.9")}
	k.recordOf(r, usage)
	k.wantKeyUsage(r, usage)
	usage.Dropped.Last, usage.Dropped.LastAddress = fixture.Moment.Add(-time.Hour), address("192.0.2.8")
	k.recordOf(r, usage)
	want := from("192.0.2.1", 4, fixture.Moment, fixture.Moment)
	want.Dropped = accesslist.Usage{Count: 10, Last: fixture.Moment, LastAddress: address("192.0.2.9")}
	k.wantKeyUsage(r, want)
}

// evidence is usage of every kind, and sum is twice that.
func evidence() (usage, sum store.KeyUsage) {
	at, entry := fixture.Moment, netip.MustParsePrefix("192.0.2.1/32")
	for i, u := range []*store.KeyUsage{&usage, &sum} {
		n := uint64(i + 1)
		*u = from("192.0.2.1", 7*n, at, at.Add(time.Second))
		u.Addresses[address("2001:db8::7")] = store.AddressUsage{Count: n, First: at, Last: at}
		u.Entries = map[netip.Prefix]accesslist.Usage{entry: {Count: 2 * n, Last: at, LastAddress: address("192.0.2.1")}}
		u.Secrets = map[string]accesslist.Usage{"5ec2e700": {Count: 3 * n, Last: at, LastAddress: address("192.0.2.1")}}
		u.Dropped = accesslist.Usage{Count: 4 * n, Last: at, LastAddress: address("192.0.2.3")}
		u.Denials = map[policy.Reason]accesslist.Usage{policy.AddressNotListed: {Count: 5 * n, Last: at, LastAddress: address("203.0.113.1")}}
		u.WouldDeny = map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: {Count: 6 * n, Last: at, LastAddress: address("192.0.2.1")}}
	}
	return usage, sum
}

func evidenceOfReplacedKey(k *kit) {
	r := k.recorder()
	usage, _ := evidence()
	k.recordOf(r, usage)
	key := k.readKey("key")
	key.Description = "changed"
	key.Secrets = append(key.Secrets[:0:0], fixture.Plain("another", "acme").Secrets...)
	key.AccessList = fixture.Must(accesslist.Parse("198.51.100.7"))
	k.put(key)
	got := k.usage(r, "key")
	got.Entries, got.Secrets = usage.Entries, usage.Secrets
	if !sameUsage(got, usage) {
		k.Errorf("after the key was replaced, Usage is\n%+v; want all but entries and secrets as before\n%+v", got, usage)
	}
}

func evidenceAfterReopening(k *kit) {
	r := k.recorder()
	usage, sum := evidence()
	k.recordOf(r, usage)
	k.reopen()
	r, ok := store.As[store.UsageRecorder](k.store)
	if !ok {
		k.Fatalf("after reopening store.As finds no store.UsageRecorder")
	}
	k.wantKeyUsage(r, usage)
	k.recordOf(r, usage)
	k.wantKeyUsage(r, sum)
}

func denialsByReason(k *kit) {
	r := k.recorder()
	served := from("192.0.2.1", 1, fixture.Moment, fixture.Moment)
	k.recordOf(r, served)
	want := served
	want.Denials, want.WouldDeny = map[policy.Reason]accesslist.Usage{}, map[policy.Reason]accesslist.Usage{}
	for reason := policy.KeyDisabled; reason <= policy.RoleMissing; reason++ {
		for n := range 2 {
			at := fixture.Moment.Add(time.Duration(n) * time.Second)
			denied := accesslist.Usage{Count: uint64(reason) << (8 * n), Last: at, LastAddress: numbered(int(reason))}
			would := accesslist.Usage{Count: 1, Last: at, LastAddress: address("2001:db8::1")}
			k.recordOf(r, store.KeyUsage{Denials: map[policy.Reason]accesslist.Usage{reason: denied}})
			k.recordOf(r, store.KeyUsage{WouldDeny: map[policy.Reason]accesslist.Usage{reason: would}})
			denied.Count += want.Denials[reason].Count
			would.Count += want.WouldDeny[reason].Count
			want.Denials[reason], want.WouldDeny[reason] = denied, would
			k.wantKeyUsage(r, want)
		}
	}
}

func denialsBeforeProof(k *kit) {
	r := k.recorder()
	k.put(fixture.Plain("other", "acme"))
	wrong := map[string]store.KeyUsage{"calls from no address": {Addresses: map[netip.Addr]store.AddressUsage{{}: {Count: 1}}}}
	for _, reason := range []policy.Reason{0, policy.InvalidRequest, policy.ConsoleForbidden, policy.Unavailable, policy.UnknownKey, policy.WrongSecret, policy.AddressListed, policy.OpenList, 99} {
		counts := map[policy.Reason]accesslist.Usage{policy.KeyExpired: {Count: 1}, reason: {Count: 1}}
		wrong[fmt.Sprintf("denials by %v", reason)] = store.KeyUsage{Denials: counts}
		wrong[fmt.Sprintf("calls that %v would deny", reason)] = store.KeyUsage{WouldDeny: counts}
	}
	right, _ := evidence()
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		err := r.RecordUsage(k.ctx, map[apikey.ID]store.KeyUsage{"key": wrong[name], "other": right})
		k.wantError(err, store.ErrInvalid, "RecordUsage with %s", name)
		for _, id := range []apikey.ID{"key", "other"} {
			if usage := k.usage(r, id); !unused(usage) {
				k.Errorf("after RecordUsage with %s was refused, the usage of key %q is %+v; want none", name, id, usage)
			}
		}
	}
}
