package adapter

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// AddUsage adds usage of a key to what is known of it: U1, U2, U11 and U12. A call at no
// known time is never the latest. A count that would exceed the largest uint64 stays there.
// Times of more are cut to the microsecond, in UTC. known shares no map with more.
func AddUsage(known *store.KeyUsage, more store.KeyUsage) {
	addAll(&known.Entries, more.Entries, addCut)
	addAll(&known.Secrets, more.Secrets, addCut)
	addAll(&known.Addresses, more.Addresses, func(known, more store.AddressUsage) store.AddressUsage {
		more.First, more.Last = cut(more.First), cut(more.Last)
		return addAddress(known, more)
	})
	known.Dropped = addCut(known.Dropped, more.Dropped)
	addAll(&known.Denials, more.Denials, addCut)
	addAll(&known.WouldDeny, more.WouldDeny, addCut)
	drop(known)
}

// addCut compares times as they will be stored.
func addCut(known, more accesslist.Usage) accesslist.Usage {
	more.Last = cut(more.Last)
	return AddCalls(known, more)
}

func cut(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// addAll adds every value of a map.
func addAll[K comparable, V any](known *map[K]V, more map[K]V, add func(known, more V) V) {
	for k, v := range more {
		addTo(known, k, v, add)
	}
}

// addTo adds one value. A nil map is made.
func addTo[K comparable, V any](known *map[K]V, k K, more V, add func(known, more V) V) {
	if *known == nil {
		*known = map[K]V{}
	}
	(*known)[k] = add((*known)[k], more)
}

// AddCalls returns the sum of two counts: the latest call of both is kept (U2).
func AddCalls(known, more accesslist.Usage) accesslist.Usage {
	known.Count = addCounts(known.Count, more.Count)
	if more.Last.After(known.Last) {
		known.Last, known.LastAddress = more.Last, more.LastAddress
	}
	return known
}

func addCounts(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

func addAddress(known, more store.AddressUsage) store.AddressUsage {
	known.Count = addCounts(known.Count, more.Count)
	known.First = earliest(known.First, more.First)
	if more.Last.After(known.Last) {
		known.Last = more.Last
	}
	return known
}

// earliest returns the earlier of two times. The zero time is unknown.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// drop removes the addresses beyond the bound, those not used for longest (U11).
func drop(usage *store.KeyUsage) {
	beyond := len(usage.Addresses) - store.MaxUsageAddresses
	if beyond <= 0 {
		return
	}
	older := func(a, b netip.Addr) int {
		if byTime := usage.Addresses[a].Last.Compare(usage.Addresses[b].Last); byTime != 0 {
			return byTime
		}
		return b.Compare(a)
	}
	for _, address := range slices.SortedFunc(maps.Keys(usage.Addresses), older)[:beyond] {
		used := usage.Addresses[address]
		usage.Dropped = AddCalls(usage.Dropped, accesslist.Usage{Count: used.Count, Last: used.Last, LastAddress: address})
		delete(usage.Addresses, address)
	}
}

// CountUsage adds like calls to the usage of their key. Served calls without an address
// count as dropped.
func CountUsage(usage *store.KeyUsage, record store.UsageRecord) {
	if record.Denied == 0 && record.LastAddress.IsValid() {
		used := store.AddressUsage{Count: record.Count, First: earliest(record.First, record.Last), Last: record.Last}
		addTo(&usage.Addresses, record.LastAddress, used, addAddress)
		drop(usage)
	} else if record.Denied == 0 {
		usage.Dropped = AddCalls(usage.Dropped, record.Usage)
	}
	countCalls(usage, record)
}

// CountDropped is CountUsage, with the address of served calls dropped at once.
func CountDropped(usage *store.KeyUsage, record store.UsageRecord) {
	if record.Denied == 0 {
		usage.Dropped = AddCalls(usage.Dropped, record.Usage)
	}
	countCalls(usage, record)
}

// countCalls counts all but the address.
func countCalls(usage *store.KeyUsage, record store.UsageRecord) {
	calls := record.Usage
	if record.Denied != 0 {
		addTo(&usage.Denials, record.Denied, calls, AddCalls)
		return
	}
	if record.Entry.IsValid() {
		addTo(&usage.Entries, record.Entry, calls, AddCalls)
	}
	if record.Secret != "" {
		addTo(&usage.Secrets, record.Secret, calls, AddCalls)
	}
	if record.WouldDeny != 0 {
		addTo(&usage.WouldDeny, record.WouldDeny, calls, AddCalls)
	}
}

// UsageBatch returns a batch for RecordUsage with like calls of any keys.
func UsageBatch(records ...store.UsageRecord) map[apikey.ID]store.KeyUsage {
	batch := map[apikey.ID]store.KeyUsage{}
	for _, record := range records {
		usage := batch[record.Key]
		CountUsage(&usage, record)
		batch[record.Key] = usage
	}
	return batch
}

// CloneUsage returns a copy that shares no map (U6).
func CloneUsage(usage store.KeyUsage) (clone store.KeyUsage) {
	AddUsage(&clone, usage)
	return clone
}

// largeUsage is the size in bytes of a stored form from which it is pruned: otherwise it
// would grow forever.
const largeUsage = 64 << 10

// AddToDocument returns the stored form of a key's usage with more of it, as [AddUsage] adds.
// document is the form up to now, {} for none. If it is large, what the key no longer has
// is removed (U5). readKey returns the key, and nil for one that cannot be read: all stays
// then.
//
// An unreadable document is the error of [UnreadableUsage] (U8). An error of readKey is
// returned as it is.
func AddToDocument(id apikey.ID, document []byte, more store.KeyUsage, readKey func() (*apikey.Key, error)) ([]byte, error) {
	usage, err := DecodeUsage(document)
	if err != nil {
		return nil, UnreadableUsage(id, err)
	}
	if len(document) > largeUsage {
		key, err := readKey()
		if err != nil {
			return nil, err
		}
		if key != nil {
			PruneUsage(&usage, *key)
		}
	}
	AddUsage(&usage, more)
	return EncodeUsage(usage)
}

// PruneUsage removes usage of entries and secrets that the key does not have (U5). Without it
// the usage of a key grows with every change of its list.
func PruneUsage(usage *store.KeyUsage, key apikey.Key) {
	maps.DeleteFunc(usage.Entries, func(entry netip.Prefix, _ accesslist.Usage) bool {
		_, has := key.AccessList.Find(entry)
		return !has
	})
	maps.DeleteFunc(usage.Secrets, func(id string, _ accesslist.Usage) bool {
		return !slices.ContainsFunc(key.Secrets, func(secret apikey.StoredSecret) bool { return secret.ID() == id })
	})
}
