package main

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"sallyport.test/benchmarks/internal/sally"
	"sallyport.test/benchmarks/internal/work"
)

// Facts do not depend on how busy the machine is.
type facts struct {
	allocations    float64 // of one decision, the maximum over list sizes, with a secret and without
	keyBytes       uint64  // of a key with one secret, one grant and no list, its ID included
	keyBytesApart  uint64  // the same when each key has its own copy of its organization's and role's name
	firstEntry     uint64  // of a list of one entry, the List included
	entryBytes     [2]uint64
	listBytes      uint64 // of a long list
	listBytesOther uint64 // of the same in bart.Lite
}

// entryBytesBetween are the lengths of lists between which the bytes of an entry are counted.
var entryBytesBetween = [2][2]int{{1, 20}, {20, 200}}

const longList = 200_000 // entries

func measureFacts(keys int) (f facts, err error) {
	for _, n := range listSizes {
		for _, secrets := range []bool{false, true} {
			w := &work.World{Seed: seed, Keys: 100, Entries: n, Secrets: secrets}
			e, err := sally.New(w)
			if err != nil {
				return f, err
			}
			requests, next := w.Requests(1000), 0
			f.allocations = max(f.allocations, testing.AllocsPerRun(len(requests)-1, func() {
				e.Decide(&requests[next%len(requests)])
				next++
			}))
		}
	}

	shared := func(int) (string, string) { return "acme", "service.reader" }
	apart := func(i int) (string, string) {
		return fmt.Sprintf("acme-%05d", i%100), fmt.Sprintf("service.role-%02d", i%10)
	}
	if f.keyBytes, err = bytesAKey(keys, accesslist.List{}, shared); err != nil {
		return f, err
	}
	if f.keyBytesApart, err = bytesAKey(keys, accesslist.List{}, apart); err != nil {
		return f, err
	}
	if f.firstEntry, err = bytesAList(1); err != nil {
		return f, err
	}
	for i, between := range entryBytesBetween {
		var bytes [2]uint64
		for j, n := range between {
			if bytes[j], err = bytesAList(n); err != nil {
				return f, err
			}
		}
		f.entryBytes[i] = (bytes[1] - bytes[0]) / uint64(between[1]-between[0])
	}

	blocks := work.Set(seed, longList)
	for _, m := range setMakers {
		switch m.name {
		case sallyport:
			_, f.listBytes, _ = retained(func() any { return m.compile(blocks) })
		case "bart.Lite":
			_, f.listBytesOther, _ = retained(func() any { return m.compile(blocks) })
		}
	}
	runtime.KeepAlive(blocks)
	return f, nil
}

// TestFacts guards figures that are the same on every machine.
func TestFacts(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it fills a store with 200,000 keys")
	}
	f, err := measureFacts(100_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if f.allocations != 0 {
		t.Errorf("a decision makes %v allocations: want none", f.allocations)
	}
	if most := max(f.keyBytes, f.keyBytesApart); most > 424 {
		t.Errorf("a key with one secret, one role and no list has %d bytes: want at most 424", most)
	}
	if f.firstEntry > 16 {
		t.Errorf("a list of one entry has %d bytes: want the 16 of a List", f.firstEntry)
	}
	for i, between := range entryBytesBetween {
		if f.entryBytes[i] > 24 {
			t.Errorf("an entry from the %d. to the %d. has %d bytes: want at most 24", between[0]+1, between[1], f.entryBytes[i])
		}
	}
	if f.listBytes > f.listBytesOther {
		t.Errorf("a list of %d entries has %d bytes: want at most the %d of bart.Lite", longList, f.listBytes, f.listBytesOther)
	}
}

// BenchmarkMemory reports the same figures as benchmark results. Its times mean nothing.
func BenchmarkMemory(b *testing.B) {
	keys := fewer(100_000)
	f, err := measureFacts(keys)
	if err != nil {
		b.Fatal(err)
	}
	report := func(of string, value float64, unit string) {
		b.Run("of="+of, func(b *testing.B) {
			b.ReportMetric(0, "ns/op") // a zero removes it
			b.ReportMetric(value, unit)
		})
	}
	report("decision", f.allocations, "allocations")
	report("key", float64(f.keyBytes), "bytes")
	report("key-with-names-of-its-own", float64(f.keyBytesApart), "bytes")
	report("first-entry", float64(f.firstEntry), "bytes")
	for i, between := range entryBytesBetween {
		report(fmt.Sprintf("entry-%d-to-%d", between[0]+1, between[1]), float64(f.entryBytes[i]), "bytes")
	}
	report(fmt.Sprintf("list-of-%d", longList), float64(f.listBytes), "bytes")
	report(fmt.Sprintf("list-of-%d-in-bart.Lite", longList), float64(f.listBytesOther), "bytes")
}

// bytesAKey returns the heap that a store of n keys retains, divided by n. It includes the
// table's spare room and the journal of changes.
func bytesAKey(n int, list accesslist.List, names func(i int) (organization, role string)) (uint64, error) {
	ctx := context.Background()
	var failed error
	s, bytes, _ := retained(func() *memory.Store {
		s := memory.New()
		for i := range n {
			organization, role := names(i)
			if _, err := s.Organization(ctx, organization); err != nil {
				_, failed = s.PutOrganization(ctx, policy.Organization{ID: organization})
			}
			key, _, err := apikey.New(organization, apikey.Grant{Role: role})
			key.AccessList = list
			if err == nil {
				_, err = s.PutKey(ctx, key, store.AllowOpen)
			}
			if err != nil {
				failed = err
			}
		}
		return s
	})
	runtime.KeepAlive(s)
	return bytes / uint64(n), failed
}

// bytesAList returns the heap that one list retains. Its entries have no comments and no times.
func bytesAList(n int) (uint64, error) {
	const lists = 1000
	w := &work.World{Seed: seed, Keys: lists, Entries: n}
	var failed error
	kept, bytes, _ := retained(func() []accesslist.List {
		kept := make([]accesslist.List, lists)
		for i := range kept {
			if kept[i], failed = sally.List(w.Key(i).List); failed != nil {
				return nil
			}
		}
		return kept
	})
	runtime.KeepAlive(kept)
	return bytes / lists, failed
}
