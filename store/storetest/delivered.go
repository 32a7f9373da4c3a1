package storetest

import (
	"fmt"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var deliveryCases = []testCase{
	{sentence: "W2", name: "a watch from a mark delivers all of many changes", run: manyAreDelivered},
	{sentence: "W6", name: "a watch from zero begins with all of many records", run: beginsWithMany},
	{sentence: "W6", name: "difficult records are delivered in every field", run: hardKeysAreDelivered},
	{sentence: "W6", name: "a delivered record is as it was at its revision", run: deliveredAsItWas},
}

// manyOf is a number of records beyond a page, and beyond the largest page where it costs
// little.
func (k *kit) manyOf() int {
	if _, loads := store.As[store.Loader](k.store); testing.Short() && !loads {
		return store.DefaultPageSize + 1
	}
	return store.MaxPageSize + 1
}

func manyAreDelivered(k *kit) {
	k.organization("acme")
	before := k.mirror()
	k.createMany("acme", k.manyOf())
	k.reach(before, k.revision())
	k.wantMirror("by a watch from the mark before many writes", before)
}

func beginsWithMany(k *kit) {
	n := k.manyOf()
	k.organization("acme")
	k.createMany("acme", n)
	together(writers, func(i int) {
		for ; i < n; i += writers {
			if _, err := k.store.PutOrganization(k.ctx, policy.Organization{ID: fmt.Sprintf("organization %04d", i)}); err != nil {
				k.Errorf("PutOrganization: %v", err)
				return
			}
		}
	})
	m := fixture.NewMirror()
	k.firstMark("from zero, with many records", m)
	k.wantMirror("by a watch from zero up to its first mark, with many records", m)
}

// hardKeysAreDelivered compares delivered records with those written, not with those read.
func hardKeysAreDelivered(k *kit) {
	k.organization("acme")
	before, all := k.mirror(), hardKeys("acme")
	for i, key := range all {
		all[i].Revision = k.put(key.Clone()).Revision
	}
	k.reach(before, k.revision())
	for _, m := range []*fixture.Mirror{before, k.mirror()} {
		for _, want := range all {
			k.wantDeliveredKey(m, want)
		}
	}
}

// deliveredAsItWas holds a watcher at its first change, and writes every record again before it
// goes on. Each record delivered afterwards is the earlier or the later version, as written,
// with the revision of that version.
func deliveredAsItWas(k *kit) {
	t := newTimeline(k)
	organization, ok := t.putOrganization(policy.Organization{ID: "acme"})
	if !ok {
		return
	}
	before, keys := k.mirror(), make([]apikey.Key, 10)
	for n := range 3 {
		for i := range keys {
			next := fixture.Whole(apikey.ID(fmt.Sprint("key-", i)), "acme", 10*n+i)
			next.Revision = keys[i].Revision
			if keys[i], ok = t.putKey(next); !ok {
				return
			}
		}
		for _, from := range []*fixture.Mirror{fixture.NewMirror(), before.Clone()} {
			held, latest := false, k.revision()
			err := from.Follow(k.ctx, k.watcher(), func(change store.Change) bool {
				if change.IsMark() {
					return change.Revision < latest
				}
				if err := t.checkDelivered(change); err != nil {
					k.Errorf("%v", err)
				}
				if held {
					return true
				}
				held = true
				organization.Requirement = policy.Requirement((n + 1) % 3)
				if organization, ok = t.putOrganization(organization); !ok {
					return false
				}
				for i := range keys {
					next := fixture.Whole(keys[i].ID, "acme", 100*n+50+i)
					next.Revision = keys[i].Revision
					if keys[i], ok = t.putKey(next); !ok {
						return false
					}
				}
				return true
			})
			if err != nil {
				k.Fatalf("Watch: %v", err)
			}
		}
	}
}
