package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// benchmarkKeys is the number of keys in the measured store.
const benchmarkKeys = 10_000

// Benchmark measures a store with 10,000 keys, in ten organizations, with three entries
// each. It measures look-ups of existing and absent keys, by one goroutine and by one
// per processor. It also measures a read of a key, a page of 100 keys, writes that replace
// or create, and a Journal's. newStore is as in [Run] and is called once.
func Benchmark(b *testing.B, newStore func(tb testing.TB) store.Store) {
	ctx := context.Background()
	s := newStore(b)
	b.Cleanup(func() { _ = s.Close() })
	fill(ctx, b, s)

	// Large strides over the keys defeat caches.
	const stride = 7919
	lookup := func(b *testing.B, id apikey.ID, want bool) {
		if _, found, err := s.Lookup(ctx, id); found != want || err != nil {
			b.Errorf("Lookup(%q): found %v, error %v", id, found, err)
		}
	}
	b.Run("Lookup/hit", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n += stride {
			lookup(b, benchmarkIDs[n%benchmarkKeys], true)
		}
	})
	b.Run("Lookup/miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			lookup(b, "not-there", false)
		}
	})
	b.Run("Lookup/parallel", func(b *testing.B) {
		b.ReportAllocs()
		var goroutines atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			for n := int(goroutines.Add(1)); pb.Next(); n += stride {
				lookup(b, benchmarkIDs[n%benchmarkKeys], true)
			}
		})
	})
	b.Run("Key", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n += stride {
			if _, err := s.Key(ctx, benchmarkIDs[n%benchmarkKeys]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Keys/page of 100", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if page, err := s.Keys(ctx, benchmarkOrganization(0), store.PageRequest{}); err != nil || len(page.Items) != 100 {
				b.Fatalf("Keys: %d keys, error %v", len(page.Items), err)
			}
		}
	})
	b.Run("PutKey/replace", func(b *testing.B) {
		b.ReportAllocs()
		key, err := s.Key(ctx, benchmarkIDs[0])
		for b.Loop() {
			if err != nil {
				b.Fatal(err)
			}
			key, err = s.PutKey(ctx, key, store.AllowOpen)
		}
	})
	if journal, ok := store.As[store.Journal](s); ok {
		b.Run("Write/replace with an event", func(b *testing.B) {
			b.ReportAllocs()
			key, err := s.Key(ctx, benchmarkIDs[0])
			for b.Loop() {
				if err != nil {
					b.Fatal(err)
				}
				key.Revision, err = journal.Write(ctx, putOf(key, "benchmark", 1))
			}
		})
		if _, err := journal.Write(ctx, putOrganizationOf(policy.Organization{ID: "journalled"}, "benchmark", 100)); err != nil {
			b.Fatal(err)
		}
		b.Run("Events/page of 100", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if page, err := journal.Events(ctx, store.EventRequest{Organization: "journalled"}); err != nil || len(page.Events) != 100 {
					b.Fatalf("Events: %d events, error %v", len(page.Events), err)
				}
			}
		})
	}
	created := 0 // over all runs of the next benchmark
	b.Run("PutKey/create", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			created++
			if _, err := s.PutKey(ctx, fixture.Plain(apikey.ID(fmt.Sprint("created-", created)), benchmarkOrganization(1)), store.AllowOpen); err != nil {
				b.Fatal(err)
			}
		}
	})
}

var benchmarkIDs = func() (all [benchmarkKeys]apikey.ID) {
	for i := range all {
		all[i] = apikey.ID(fmt.Sprintf("benchmark-%05d", i))
	}
	return all
}()

func benchmarkOrganization(i int) string { return fmt.Sprintf("organization %d", i%10) }

// fill stores the keys, from several goroutines because a database may be far away.
func fill(ctx context.Context, b *testing.B, s store.Store) {
	for i := range 10 {
		if _, err := s.PutOrganization(ctx, policy.Organization{ID: benchmarkOrganization(i)}); err != nil {
			b.Fatal(err)
		}
	}
	together(writers, func(w int) {
		for i := w; i < benchmarkKeys; i += writers {
			key := fixture.Plain(benchmarkIDs[i], benchmarkOrganization(i))
			key.AccessList = fixture.Must(accesslist.Parse(fmt.Sprintf("10.%d.%d.0/24", i>>8, i&0xff), "192.0.2.7", "2.0.0.0/8"))
			key.Grants = []apikey.Grant{{Role: "reader", AllProjects: true}}
			if _, err := s.PutKey(ctx, key, store.AllowOpen); err != nil {
				b.Errorf("PutKey: %v", err)
				return
			}
		}
	})
	if b.Failed() {
		b.FailNow()
	}
}
