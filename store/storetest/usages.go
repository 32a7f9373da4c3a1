package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// usageOfManyCases are about one call for several keys, and keys without usage.
var usageOfManyCases = []testCase{
	{sentence: "U7", name: "a batch of too many keys is refused and one of many is not", run: largestBatch},
	{sentence: "U9", name: "an unused key has no usage, and an absent key is left out", run: unusedKey},
	{sentence: "U9", name: "the usage of many keys is that of each by itself", run: usageOfMany},
	{sentence: "U10", name: "too many keys in one call are refused", run: usageOfTooMany},
}

func unusedKey(k *kit) {
	r := k.recorder()
	if usage := k.usage(r, "key"); !unused(usage) {
		k.Errorf("Usage of a key that was not used is %+v; want none", usage)
	}
	k.wantNoUsage(r, "gone")
	k.wantNoUsage(r)
}

// wantNoUsage asks for keys that are not there, or for none.
func (k *kit) wantNoUsage(r store.UsageRecorder, ids ...apikey.ID) {
	k.Helper()
	if usage, err := r.Usage(k.ctx, ids...); err != nil || len(usage) > 0 {
		k.Errorf("Usage(%q): usage of %d keys, error %s; want none and no error", ids, len(usage), quoted(err))
	}
}

// usageOfMany asks for as many keys as may be asked for: used, not used, not there, and one
// of them twice.
func usageOfMany(k *kit) {
	r := k.recorder()
	k.organization("other")
	var ids []apikey.ID
	want := map[apikey.ID]uint64{"key": 7} // calls
	batch := []store.UsageRecord{used("key", "192.0.2.1", 7, fixture.Moment)}
	for i := range store.MaxUsageKeys - 3 {
		id := apikey.ID(fmt.Sprint("many-", i))
		ids = append(ids, id)
		if i%7 == 6 {
			continue // not there
		}
		k.put(fixture.Plain(id, []string{"acme", "other"}[i%2], "192.0.2.1"))
		want[id] = uint64(i % 5)
		if want[id] > 0 {
			batch = append(batch, used(id, "192.0.2.1", want[id], fixture.Moment.Add(time.Duration(i)*time.Second)))
		}
	}
	k.put(fixture.Plain("not-asked-for", "acme", "192.0.2.1"))
	k.record(r, append(batch, used("not-asked-for", "192.0.2.1", 1, fixture.Moment))...)
	ids = append(ids, "key", "never\x00", "key")
	all, err := r.Usage(k.ctx, ids...)
	if err != nil {
		k.Fatalf("Usage of %d keys: %v", len(ids), err)
	}
	entry := used("", "192.0.2.1", 0, fixture.Moment).Entry
	for id, calls := range want {
		usage, ok := all[id]
		if got := usage.Entries[entry].Count; !ok || got != calls || usage.Secrets["5ec2e700"].Count != calls {
			k.Errorf("Usage of %d keys: key %q, which is there: %t, has %d calls of an entry and %d of a secret; want %d of each",
				len(ids), id, ok, got, usage.Secrets["5ec2e700"].Count, calls)
		}
		if calls == 0 && !unused(usage) {
			k.Errorf("Usage of %d keys: key %q, which was not used, has %+v; want none", len(ids), id, usage)
		}
		if alone := k.usage(r, id); !sameUsage(alone, usage) {
			k.Errorf("Usage of %d keys: key %q has %+v, and asked for alone %+v", len(ids), id, usage, alone)
		}
	}
	for id := range all {
		if _, ok := want[id]; !ok {
			k.Errorf("Usage of %d keys has key %q; want none that is not there or was not asked for", len(ids), id)
		}
	}
}

func usageOfTooMany(k *kit) {
	r := k.recorder()
	ids := make([]apikey.ID, store.MaxUsageKeys)
	for i := range ids {
		ids[i] = apikey.ID(fmt.Sprint("gone-", i))
	}
	k.wantNoUsage(r, ids...)
	_, err := r.Usage(k.ctx, append(ids, "key")...)
	k.wantError(err, store.ErrInvalid, "Usage of %d keys", store.MaxUsageKeys+1)
}

func largestBatch(k *kit) {
	r := k.recorder()
	var full []store.UsageRecord
	for range 3 { // the maximum of keys, with three records each
		full = append(full, used("key", "192.0.2.1", 1, fixture.Moment))
		for i := range store.MaxUsageKeys - 1 {
			full = append(full, used(apikey.ID(fmt.Sprint("gone-", i)), "192.0.2.1", 1, fixture.Moment))
		}
	}
	tooMany := append(slices.Clone(full), used("one-too-many", "192.0.2.1", 1, fixture.Moment))
	k.wantError(r.RecordUsage(k.ctx, adapter.UsageBatch(tooMany...)), store.ErrInvalid, "RecordUsage of a batch of %d keys", store.MaxUsageKeys+1)
	if usage := k.usage(r, "key"); !unused(usage) {
		k.Errorf("after a batch that was refused, Usage is %+v; want none", usage)
	}
	k.wantError(r.RecordUsage(k.ctx, adapter.UsageBatch(full...)), nil, "RecordUsage of a batch of %d records of %d keys", len(full), store.MaxUsageKeys)
	k.wantUsage(r, "192.0.2.1", accesslist.Usage{Count: 3, Last: fixture.Moment, LastAddress: address("192.0.2.1")})
}
