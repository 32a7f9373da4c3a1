package storetest

import (
	"context"
	"crypto/sha256"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var usageCases = []testCase{
	{sentence: "U1", name: "counts are added up", run: countsAddUp},
	{sentence: "U1", name: "counts of several at once are added up", run: countsAddUpAtOnce},
	{sentence: "U1", name: "each entry is counted by itself", run: entriesAreCountedApart},
	{sentence: "U1", name: "counts of many entries are kept", run: manyEntriesAreCounted},
	{sentence: "U1", name: "a count beyond 53 bits is exact", run: largeCounts},
	{sentence: "U1", name: "counting changes no record and no revision", run: countingChangesNothing},
	{sentence: "U1", name: "counts go on after reopening", run: countsAfterReopening, needs: "Reopen"},
	{sentence: "U2", name: "the latest call is kept, in whatever order calls are reported", run: latestCallIsKept},
	{sentence: "U2", name: "the latest call is kept at any time and from any address", run: latestCallOfAnyKind},
	{sentence: "U3", name: "records of a missing key are passed over", run: missingKeyIsPassedOver},
	{sentence: "U4", name: "with an error nothing is recorded", run: nothingOfABatch},
	{sentence: "U5", name: "usage of remaining entries is kept", run: usageOfTheRest},
	{sentence: "U5", name: "usage of the secrets that the key still has is kept", run: usageOfSecrets},
	{sentence: "U6", name: "the result of Usage may be changed", run: usageIsNotShared},
}

// used is a record of calls covered by an entry and proven by one secret.
func used(id apikey.ID, entry string, count uint64, last time.Time) store.UsageRecord {
	prefix, err := netip.ParsePrefix(entry)
	if err != nil {
		prefix = netip.PrefixFrom(netip.MustParseAddr(entry), netip.MustParseAddr(entry).BitLen())
	}
	return store.UsageRecord{
		Key: id, Entry: prefix, Secret: "5ec2e700",
		Usage: accesslist.Usage{Count: count, Last: last, LastAddress: prefix.Addr()},
	}
}

// recorder returns the usage recorder of the store, and stores a key for it.
func (k *kit) recorder() store.UsageRecorder {
	k.Helper()
	recorder, ok := store.As[store.UsageRecorder](k.store)
	if !ok {
		k.Fatalf("store.As finds no store.UsageRecorder in this store, though it did in another")
	}
	k.organization("acme")
	k.put(fixture.Plain("key", "acme", "192.0.2.1", "198.51.100.0/24"))
	return recorder
}

func (k *kit) record(r store.UsageRecorder, batch ...store.UsageRecord) {
	k.Helper()
	if err := r.RecordUsage(k.ctx, adapter.UsageBatch(batch...)); err != nil {
		k.Fatalf("RecordUsage of %d records: %v", len(batch), err)
	}
}

func (k *kit) usage(r store.UsageRecorder, id apikey.ID) store.KeyUsage {
	k.Helper()
	all, err := r.Usage(k.ctx, id)
	if err != nil {
		k.Fatalf("Usage(%q): %v", id, err)
	}
	usage, ok := all[id]
	if !ok || len(all) != 1 {
		k.Fatalf("Usage(%q): the usage of %d keys, of this one: %t; want that of this key", id, len(all), ok)
	}
	return usage
}

// wantUsage checks the usage of an entry, or of the secret if the entry is empty.
func (k *kit) wantUsage(r store.UsageRecorder, entry string, want accesslist.Usage) {
	k.Helper()
	usage := k.usage(r, "key")
	got := usage.Secrets["5ec2e700"]
	if entry != "" {
		got = usage.Entries[used("", entry, 0, fixture.Moment).Entry]
	}
	if got.Count != want.Count || !got.Last.Equal(want.Last) || got.LastAddress != want.LastAddress {
		k.Errorf("usage of entry %q (empty: of the secret) is %+v; want %+v", entry, got, want)
	}
}

func address(text string) netip.Addr { return netip.MustParseAddr(text) }

func countsAddUp(k *kit) {
	r := k.recorder()
	k.put(fixture.Plain("other", "acme"))
	k.record(r)
	k.record(r, used("key", "192.0.2.1", 2, fixture.Moment))
	k.record(r, used("key", "192.0.2.1", 3, fixture.Moment.Add(time.Second)), used("other", "192.0.2.1", 100, fixture.Moment),
		used("key", "198.51.100.0/24", 10, fixture.Moment.Add(2*time.Second)), used("key", "192.0.2.1", 1<<40, fixture.Moment.Add(3*time.Second)))
	k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: 5 + 1<<40, Last: fixture.Moment.Add(3 * time.Second), LastAddress: address("192.0.2.1")})
	k.wantUsage(r, "198.51.100.0/24", accesslist.Usage{Count: 10, Last: fixture.Moment.Add(2 * time.Second), LastAddress: address("198.51.100.0")})
	k.wantUsage(r, "", accesslist.Usage{Count: 15 + 1<<40, Last: fixture.Moment.Add(3 * time.Second), LastAddress: address("192.0.2.1")})

	// An open list has no entry, and another proof has no secret. Each is counted
	// without the other.
	open, proven := used("key", "192.0.2.1", 4, fixture.Moment), used("key", "192.0.2.1", 8, fixture.Moment)
	open.Entry, proven.Secret = netip.Prefix{}, ""
	k.record(r, open, proven)
	k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: 13 + 1<<40, Last: fixture.Moment.Add(3 * time.Second), LastAddress: address("192.0.2.1")})
	k.wantUsage(r, "", accesslist.Usage{Count: 19 + 1<<40, Last: fixture.Moment.Add(3 * time.Second), LastAddress: address("192.0.2.1")})
	if usage := k.usage(r, "key"); len(usage.Entries) != 2 || len(usage.Secrets) != 1 {
		k.Errorf("Usage is %+v; want two entries and one secret", usage)
	}
}

func countsAddUpAtOnce(k *kit) {
	r := k.recorder()
	each := k.rounds(20)
	together(writers, func(int) {
		for range each {
			if err := r.RecordUsage(k.ctx, adapter.UsageBatch(used("key", "192.0.2.1", 1, fixture.Moment), used("key", "198.51.100.0/24", 2, fixture.Moment))); err != nil {
				k.Errorf("RecordUsage: %v", err)
			}
		}
	})
	n := uint64(writers * each)
	k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: n, Last: fixture.Moment, LastAddress: address("192.0.2.1")})
	k.wantUsage(r, "198.51.100.0/24", accesslist.Usage{Count: 2 * n, Last: fixture.Moment, LastAddress: address("198.51.100.0")})
}

// entriesAreCountedApart counts entries that differ in their length or family alone, and
// calls that no entry covered.
func entriesAreCountedApart(k *kit) {
	r := k.recorder()
	want := map[netip.Prefix]uint64{}
	var batch []store.UsageRecord
	for _, addr := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified(), address("10.0.0.0"), address("2001:db8::"), address("255.255.255.255"), address("ffff:ffff::")} {
		for bits := range addr.BitLen() + 1 {
			entry := netip.PrefixFrom(addr, bits).Masked()
			count := uint64(len(batch) + 1)
			want[entry] += count
			record := used("key", "192.0.2.1", count, fixture.Moment)
			record.Entry, record.LastAddress = entry, entry.Addr()
			batch = append(batch, record)
		}
	}
	for part := range slices.Chunk(batch, 50) {
		k.record(r, part...)
	}
	usage := k.usage(r, "key")
	for entry, count := range want {
		if got := usage.Entries[entry]; got.Count != count || got.LastAddress != entry.Addr() {
			k.Errorf("usage of entry %v is %+v; want the count %d and the address %v", entry, got, count, entry.Addr())
		}
	}
	if len(usage.Entries) != len(want) {
		k.Errorf("Usage has %d entries; want %d", len(usage.Entries), len(want))
	}

	// Neither an entry nor a secret: nothing to count.
	neither := used("key", "192.0.2.1", 1, fixture.Moment)
	neither.Entry, neither.Secret = netip.Prefix{}, ""
	k.record(r, neither)
	if now := k.usage(r, "key"); len(now.Entries) != len(usage.Entries) || !maps.Equal(now.Secrets, usage.Secrets) {
		k.Errorf("after a record without an entry and a secret, Usage has %d entries and the secrets %v; want %d and %v", len(now.Entries), now.Secrets, len(usage.Entries), usage.Secrets)
	}
}

func manyEntriesAreCounted(k *kit) {
	r := k.recorder()
	var batch []store.UsageRecord
	for i := range store.MaxEntries + 1 {
		record := used("key", "192.0.2.1", uint64(i+1), fixture.Moment)
		record.Entry = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 32)
		batch = append(batch, record)
	}
	for part := range slices.Chunk(batch, 300) {
		k.record(r, part...)
	}
	usage := k.usage(r, "key")
	for _, record := range batch {
		if got := usage.Entries[record.Entry]; got.Count != record.Count {
			k.Fatalf("of %d entries that were used, Usage has %d, and entry %v with the count %d; want %d", len(batch), len(usage.Entries), record.Entry, got.Count, record.Count)
		}
	}
}

func largeCounts(k *kit) {
	r := k.recorder()
	count := uint64(0)
	for _, more := range []uint64{1<<53 + 1, 1, 1, 1 << 61, 1} {
		k.record(r, used("key", "192.0.2.1", more, fixture.Moment))
		count += more
		k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: count, Last: fixture.Moment, LastAddress: address("192.0.2.1")})
		k.wantUsage(r, "", accesslist.Usage{Count: count, Last: fixture.Moment, LastAddress: address("192.0.2.1")})
	}
}

func countingChangesNothing(k *kit) {
	r := k.recorder()
	before := k.snapshot()
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment))
	k.wantUnchanged(before, "RecordUsage")
	if _, err := k.store.PutKey(k.ctx, before.Keys[0], store.AllowOpen); err != nil {
		k.Errorf("PutKey with the revision from before RecordUsage: %v", err)
	}
}

func countsAfterReopening(k *kit) {
	r := k.recorder()
	k.record(r, used("key", "192.0.2.1", 2, fixture.Moment))
	k.reopen()
	r, ok := store.As[store.UsageRecorder](k.store)
	if !ok {
		k.Fatalf("after reopening store.As finds no store.UsageRecorder")
	}
	k.record(r, used("key", "192.0.2.1", 3, fixture.Moment.Add(-time.Hour)))
	k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: 5, Last: fixture.Moment, LastAddress: address("192.0.2.1")})
}

func latestCallIsKept(k *kit) {
	r := k.recorder()
	call := func(last time.Time, from string) store.UsageRecord {
		record := used("key", "198.51.100.0/24", 1, last)
		record.LastAddress = address(from)
		return record
	}
	want := accesslist.Usage{Last: fixture.Moment, LastAddress: address("198.51.100.7")}
	for _, batch := range [][]store.UsageRecord{
		{call(fixture.Moment, "198.51.100.7")},
		{call(fixture.Moment.Add(-time.Hour), "198.51.100.8")}, // late
		{call(fixture.Moment.Add(-time.Microsecond), "198.51.100.9"), call(fixture.Moment.Add(-time.Hour), "203.0.113.1")}, // late, twice
		{call(time.Time{}, "203.0.113.2")}, // at an unknown time
	} {
		k.record(r, batch...)
		want.Count += uint64(len(batch))
		k.wantUsage(r, "198.51.100.0/24", want)
		k.wantUsage(r, "", want)
	}
	later := fixture.Moment.Add(time.Microsecond).UTC()
	k.record(r, call(later, "2001:db8::1"), call(fixture.Moment, "198.51.100.8")) // the latest comes first
	k.wantUsage(r, "198.51.100.0/24", accesslist.Usage{Count: want.Count + 2, Last: later, LastAddress: address("2001:db8::1")})
}

// latestCallOfAnyKind records calls later and later, from addresses of every kind.
func latestCallOfAnyKind(k *kit) {
	r := k.recorder()
	addresses := []netip.Addr{
		address("0.0.0.0"), address("255.255.255.255"), address("192.0.2.1"), address("::"), address("::1"), address("2001:db8::"),
		address("2001:db8:ffff:5a5a:a5a5:ffff:5a5a:a5a5"), address("fe80::1"), address("64:ff9b::192.0.2.1"), {},
	}
	want := accesslist.Usage{}
	for i, at := range hardTimes {
		record := used("key", "192.0.2.1", 1, at)
		record.LastAddress = addresses[i%len(addresses)]
		k.record(r, record)
		want.Count++
		want.Last, want.LastAddress = at, record.LastAddress
		k.wantUsage(r, "192.0.2.1", want)
		k.wantUsage(r, "", want)
	}
}

func missingKeyIsPassedOver(k *kit) {
	r := k.recorder()
	k.put(fixture.Plain("deleted", "acme"))
	k.delete("deleted")
	if err := r.RecordUsage(k.ctx, adapter.UsageBatch(
		used("deleted", "192.0.2.1", 1, fixture.Moment), used("key", "192.0.2.1", 1, fixture.Moment), used("never", "192.0.2.1", 1, fixture.Moment),
		used("", "192.0.2.1", 1, fixture.Moment), used("key", "192.0.2.1", 2, fixture.Moment),
	)); err != nil {
		k.Errorf("RecordUsage with records of keys that are not there: %v; want no error", err)
	}
	k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: 3, Last: fixture.Moment, LastAddress: address("192.0.2.1")})
	for _, id := range []apikey.ID{"deleted", "never"} {
		k.wantNoUsage(r, id)
		k.put(fixture.Plain(id, "acme"))
		if usage := k.usage(r, id); !unused(usage) {
			k.Errorf("a key that was created after calls to its ID were counted has the usage %+v; want none", usage)
		}
	}
}

// nothingOfABatch ends the context before a batch, or during it. During it the store may
// fail and still have recorded the whole batch (S3).
func nothingOfABatch(k *kit) {
	r := k.recorder()
	k.put(fixture.Plain("other", "acme"))
	batch := adapter.UsageBatch(used("key", "192.0.2.1", 200, fixture.Moment), used("other", "192.0.2.1", 200, fixture.Moment))
	entry := used("", "192.0.2.1", 0, fixture.Moment).Entry
	count := uint64(0)
	for n := range k.rounds(30) {
		ctx, cancel := context.WithTimeout(k.ctx, time.Duration(n)*50*time.Microsecond)
		before := n%3 == 0
		if before {
			cancel()
		}
		err := r.RecordUsage(ctx, batch)
		cancel()
		one, other := k.usage(r, "key").Entries[entry].Count, k.usage(r, "other").Entries[entry].Count
		added := one - count
		if one != other || added != 0 && added != 200 || err == nil && added != 200 || before && added != 0 {
			k.Fatalf("after RecordUsage of 200 calls of two keys, with error %s, the counts are %d and %d and were %d; want all added or none", quoted(err), one, other, count)
		}
		count = one
	}
}

func usageOfTheRest(k *kit) {
	r := k.recorder()
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment), used("key", "198.51.100.0/24", 2, fixture.Moment), used("key", "203.0.113.99", 3, fixture.Moment))
	key := k.readKey("key")
	key.Description = "changed"
	key.AccessList = fixture.Must(accesslist.Parse("198.51.100.0/24", "203.0.113.0/24")) // one removed, one kept, one new
	k.put(key)
	k.wantUsage(r, "198.51.100.0/24", accesslist.Usage{Count: 2, Last: fixture.Moment, LastAddress: address("198.51.100.0")})
	k.wantUsage(r, "203.0.113.0/24", accesslist.Usage{})
}

// usageOfSecrets replaces a key and then one of its two secrets.
func usageOfSecrets(k *kit) {
	r := k.recorder()
	key := k.readKey("key")
	second := apikey.StoredSecret{Sum: sha256.Sum256([]byte("second"))}
	key.Secrets = append(key.Secrets, second)
	key = k.put(key)
	for i, secret := range key.Secrets {
		record := used("key", "192.0.2.1", uint64(i+1), fixture.Moment)
		record.Secret = secret.ID()
		k.record(r, record)
	}
	key.Description = "changed"
	key = k.put(key)
	key.Secrets = []apikey.StoredSecret{second, {Sum: sha256.Sum256([]byte("third"))}}
	key = k.put(key)
	usage := k.usage(r, "key")
	if got := usage.Secrets[second.ID()]; got.Count != 2 || !got.Last.Equal(fixture.Moment) {
		k.Errorf("after the key was replaced, the usage of a secret that it still has is %+v; want the count 2", got)
	}
	if got, ok := usage.Secrets[key.Secrets[1].ID()]; ok {
		k.Errorf("a new secret has the usage %+v; want none", got)
	}
}

func usageIsNotShared(k *kit) {
	r := k.recorder()
	record := used("key", "192.0.2.1", 1, fixture.Moment)
	batch := adapter.UsageBatch(record)
	k.wantError(r.RecordUsage(k.ctx, batch), nil, "RecordUsage")
	batch["key"].Entries[record.Entry] = accesslist.Usage{Count: 1000}
	clear(batch["key"].Secrets)
	clear(batch["key"].Addresses)
	want := accesslist.Usage{Count: 1, Last: fixture.Moment, LastAddress: address("192.0.2.1")}
	before := k.usage(r, "key")
	usage := k.usage(r, "key")
	for entry := range usage.Entries {
		usage.Entries[entry] = accesslist.Usage{Count: 1000}
	}
	clear(usage.Secrets)
	clear(usage.Addresses)
	k.wantUsage(r, "192.0.2.1", want)
	k.wantUsage(r, "", want)
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment))
	if got := before.Entries[record.Entry]; got.Count != 1 {
		k.Errorf("what Usage returned before another RecordUsage has the count %d now; want 1", got.Count)
	}
	k.wantKeyUsage(r, adapter.UsageBatch(record, record)["key"])
}
