package storetest

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in the evidence they keep: U11 to U15, and U5, U6 and S14 of it.
var brokenEvidence = []brokenStore{
	{name: "forgets addresses when the key is replaced", sentence: "U5", only: "U5/addresses and denials are kept when the key is replaced", make: replacedWithout(func(usage *store.KeyUsage) { usage.Addresses = nil })},
	{name: "forgets denials when the key is replaced", sentence: "U5", only: "U5/addresses and denials are kept when the key is replaced", make: replacedWithout(func(usage *store.KeyUsage) { usage.Denials = nil })},
	{name: "shares the addresses of a batch", sentence: "U6", only: "U6/the result of Usage may be changed", make: with(func(b *teststore.Broken, sound *memory.Store) {
		shared := map[apikey.ID]map[netip.Addr]store.AddressUsage{}
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			for id, usage := range batch {
				if shared[id] == nil {
					shared[id] = usage.Addresses
				}
			}
			return sound.RecordUsage(ctx, batch)
		}
		b.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if len(shared[id]) == 0 {
				usage.Addresses = shared[id]
			}
			return usage, nil
		})
	})},
	{name: "leaves denials behind", sentence: "S14", make: with(func(b *teststore.Broken, sound *memory.Store) {
		left := map[apikey.ID]map[policy.Reason]accesslist.Usage{}
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			usage, _ := sound.Usage(ctx, id)
			left[id] = map[policy.Reason]accesslist.Usage{policy.KeyExpired: usage[id].Secrets["5ec2e700"]}
			return sound.DeleteKey(ctx, id, revision)
		}
		b.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			usage.Denials = left[id]
			return usage, nil
		})
	})},

	{name: "keeps no addresses", sentence: "U11", make: usageRead(func(usage store.KeyUsage) store.KeyUsage {
		usage.Addresses = nil
		return usage
	})},
	{name: "keeps the first use that was reported", sentence: "U11", only: "U11/addresses are counted with their first and last use", make: addresses(func(known, more store.AddressUsage) store.AddressUsage {
		more.Count += known.Count
		if known.Count > 0 {
			more.First = known.First
		}
		if known.Last.After(more.Last) {
			more.Last = known.Last
		}
		return more
	}, oldestOfAll)},
	{name: "takes an unknown time for the first", sentence: "U11", only: "U11/addresses are counted with their first and last use", make: addresses(func(known, more store.AddressUsage) store.AddressUsage {
		if known.Count > 0 && more.First.Before(known.First) {
			known.First = more.First
		}
		sum := addAddress(known, more)
		sum.First = known.First
		if known.Count == 0 {
			sum.First = more.First
		}
		return sum
	}, oldestOfAll)},
	{name: "drops the address that is new", sentence: "U11", make: addresses(addAddress, func(_ map[netip.Addr]store.AddressUsage, added netip.Addr) netip.Addr { return added })},
	{name: "drops the address with the fewest calls", sentence: "U11", make: addresses(addAddress, func(all map[netip.Addr]store.AddressUsage, _ netip.Addr) netip.Addr {
		return slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b netip.Addr) int { return cmp.Compare(all[a].Count, all[b].Count) })
	})},
	{name: "drops the address that was first used first", sentence: "U11", make: addresses(addAddress, func(all map[netip.Addr]store.AddressUsage, _ netip.Addr) netip.Addr {
		return slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b netip.Addr) int {
			return cmp.Or(all[a].First.Compare(all[b].First), b.Compare(a))
		})
	})},
	{name: "drops the smaller of two addresses used at the same time", sentence: "U11", only: "U11/of many addresses those used last are kept", make: addresses(addAddress, func(all map[netip.Addr]store.AddressUsage, _ netip.Addr) netip.Addr {
		return slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b netip.Addr) int {
			return cmp.Or(all[a].Last.Compare(all[b].Last), a.Compare(b))
		})
	})},
	{name: "keeps any number of addresses", sentence: "U11", make: addresses(addAddress, nil)},
	{name: "does not say that it drops addresses", sentence: "U11", make: usageRead(func(usage store.KeyUsage) store.KeyUsage {
		usage.Dropped = accesslist.Usage{}
		return usage
	})},
	{name: "does not say until when it dropped addresses", sentence: "U11", make: usageRead(func(usage store.KeyUsage) store.KeyUsage {
		usage.Dropped.Last = time.Time{}
		return usage
	})},

	{name: "counts denials together", sentence: "U12", make: usageAs(func(usage *store.KeyUsage) {
		usage.Denials = asOneReason(usage.Denials)
	})},
	{name: "counts would-be denials as denials", sentence: "U12", make: usageAs(func(usage *store.KeyUsage) {
		usage.Denials, usage.WouldDeny = usage.WouldDeny, usage.Denials
	})},
	{name: "counts the address of a denial as used", sentence: "U12", make: usageAs(func(usage *store.KeyUsage) {
		for _, denied := range usage.Denials {
			if usage.Addresses == nil {
				usage.Addresses = map[netip.Addr]store.AddressUsage{}
			}
			usage.Addresses[denied.LastAddress] = store.AddressUsage{Count: denied.Count, First: denied.Last, Last: denied.Last}
		}
	})},
	{name: "overlooks denials before the proof", sentence: "U12", make: usageAs(func(usage *store.KeyUsage) {
		for _, counts := range []map[policy.Reason]accesslist.Usage{usage.Denials, usage.WouldDeny} {
			maps.DeleteFunc(counts, func(reason policy.Reason, _ accesslist.Usage) bool { return !reason.AfterProof() })
		}
		delete(usage.Addresses, netip.Addr{})
	})},

	{name: "keeps the last report alone", sentence: "U13", make: observing(func(_ store.Observation, report store.Report) store.Observation {
		return store.Observation{}.Add(report)
	})},
	{name: "keeps no gaps", sentence: "U13", make: observing(func(o store.Observation, report store.Report) store.Observation {
		o = o.Add(report)
		o.Gaps = nil
		return o
	})},
	{name: "keeps ended recorders", sentence: "U13", make: observing(func(o store.Observation, report store.Report) store.Observation {
		report.Ended = false
		return o.Add(report)
	})},
	{name: "loses reports at once", sentence: "U13", only: "U13/of reports at once none is lost", make: with(func(b *teststore.Broken, _ *memory.Store) {
		var mu sync.Mutex
		var o store.Observation
		read := make(meeting)
		b.DoObservation = func(context.Context) (store.Observation, error) {
			mu.Lock()
			defer mu.Unlock()
			return o, nil
		}
		b.DoRecordObservation = func(ctx context.Context, report store.Report) error {
			known, _ := b.DoObservation(ctx)
			read.wait()
			mu.Lock()
			defer mu.Unlock()
			o = known.Add(report)
			return nil
		}
	})},
	{name: "puts a key anew for every report", sentence: "U13", only: "U13/reporting changes no record and no revision", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordObservation = func(ctx context.Context, report store.Report) error {
			if key, err := sound.Key(ctx, "key"); err == nil {
				_, _ = sound.PutKey(ctx, key, store.AllowOpen)
			}
			return sound.RecordObservation(ctx, report)
		}
	})},
	{name: "takes any report", sentence: "U14", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var o store.Observation
		b.DoRecordObservation = func(_ context.Context, report store.Report) error {
			o = o.Add(report)
			return nil
		}
		b.DoObservation = func(context.Context) (store.Observation, error) { return o, nil }
	})},
	{name: "keeps an invalid report that it refuses", sentence: "U14", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordObservation = func(ctx context.Context, report store.Report) error {
			err := report.Validate()
			if err == nil {
				return sound.RecordObservation(ctx, report)
			}
			report.Recorder, report.Since = "one", time.Unix(1, 0)
			report.From, report.Until, report.At = report.Since, report.Since, report.Since
			_ = sound.RecordObservation(ctx, report)
			return store.ErrInvalid
		}
	})},
	{name: "keeps the times of reports in seconds", sentence: "U15", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoObservation = func(ctx context.Context) (store.Observation, error) {
			o, err := sound.Observation(ctx)
			for i, g := range o.Gaps {
				o.Gaps[i] = store.Gap{From: g.From.Truncate(time.Second), To: g.To.Truncate(time.Second), Lost: g.Lost}
			}
			return o, err
		}
	})},
	{name: "shares its observation", sentence: "U15", only: "U15/the result of Observation may be changed", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var shared store.Observation
		b.DoRecordObservation = func(ctx context.Context, report store.Report) error {
			err := sound.RecordObservation(ctx, report)
			shared, _ = sound.Observation(ctx)
			return err
		}
		b.DoObservation = func(context.Context) (store.Observation, error) { return shared, nil }
	})},
}

// asOneReason counts all denials as one.
func asOneReason(counts map[policy.Reason]accesslist.Usage) map[policy.Reason]accesslist.Usage {
	all := map[policy.Reason]accesslist.Usage{}
	for reason, used := range counts {
		if reason.AfterProof() {
			reason = policy.AddressNotListed
		}
		all[reason] = addUsage(all[reason], used)
	}
	return all
}

// replacedWithout is a store that loses usage of a key when the key is replaced.
func replacedWithout(change func(*store.KeyUsage)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		replaced := map[apikey.ID]bool{}
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			replaced[key.ID] = key.Revision != 0
			return sound.PutKey(ctx, key, o...)
		}
		b.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if replaced[id] {
				change(&usage)
			}
			return usage, nil
		})
	})
}

// observing is a store that adds reports in another way.
func observing(add func(store.Observation, store.Report) store.Observation) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		var mu sync.Mutex
		var o store.Observation
		b.DoRecordObservation = func(ctx context.Context, report store.Report) error {
			mu.Lock()
			defer mu.Unlock()
			if err := sound.RecordObservation(ctx, report); err != nil {
				return err
			}
			o = add(o, report)
			return nil
		}
		b.DoObservation = func(ctx context.Context) (store.Observation, error) {
			mu.Lock()
			defer mu.Unlock()
			return o, ctx.Err()
		}
	})
}

// addresses is a store that counts addresses one by one: add sums up, and drop chooses among
// too many. A nil drop keeps all.
func addresses(add func(known, more store.AddressUsage) store.AddressUsage, drop func(all map[netip.Addr]store.AddressUsage, added netip.Addr) netip.Addr) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		var mu sync.Mutex
		kept := map[apikey.ID]*store.KeyUsage{}
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			if err := sound.RecordUsage(ctx, batch); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for id, more := range batch {
				if kept[id] == nil {
					kept[id] = &store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{}}
				}
				usage := kept[id]
				usage.Dropped = addUsage(usage.Dropped, more.Dropped)
				for _, added := range slices.SortedFunc(maps.Keys(more.Addresses), netip.Addr.Compare) {
					usage.Addresses[added] = add(usage.Addresses[added], more.Addresses[added])
					if drop == nil || len(usage.Addresses) <= store.MaxUsageAddresses {
						continue
					}
					gone := drop(usage.Addresses, added)
					used := usage.Addresses[gone]
					usage.Dropped = addUsage(usage.Dropped, accesslist.Usage{Count: used.Count, Last: used.Last, LastAddress: gone})
					delete(usage.Addresses, gone)
				}
			}
			return nil
		}
		b.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			mu.Lock()
			defer mu.Unlock()
			if own := kept[id]; own != nil {
				usage.Addresses, usage.Dropped = maps.Clone(own.Addresses), own.Dropped
			}
			return usage, nil
		})
	})
}

func addAddress(known, more store.AddressUsage) store.AddressUsage {
	more.Count += known.Count
	if more.First.IsZero() || !known.First.IsZero() && known.First.Before(more.First) {
		more.First = known.First
	}
	if known.Last.After(more.Last) {
		more.Last = known.Last
	}
	return more
}

// oldestOfAll is the sound choice.
func oldestOfAll(all map[netip.Addr]store.AddressUsage, _ netip.Addr) netip.Addr {
	return slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b netip.Addr) int {
		return cmp.Or(all[a].Last.Compare(all[b].Last), b.Compare(a))
	})
}
