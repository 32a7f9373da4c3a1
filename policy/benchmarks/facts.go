package main

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/benchmarks/internal/sally"
	"github.com/sallyport-go/sallyport/policy/benchmarks/internal/work"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Facts are what does not depend on how busy the machine is.
type facts struct {
	allocations    float64 // of one decision, the most of all list sizes, with a secret and without
	keyBytes       uint64  // of a key with one secret, one grant and no list, its ID included
	keyBytesApart  uint64  // the same when the names of organization and role are the key's own text
	entryBytes     [2]uint64
	listBytes      uint64 // of a long list
	listBytesOther uint64 // of the same in bart.Lite
}

// The bounds of the entries whose bytes are counted: from the first number to the second.
var entryBytesBetween = [2][2]int{{1, 20}, {20, 200}}

const (
	factKeys    = 100_000
	factEntries = 200_000 // of the long list
)

func measureFacts() (f facts, err error) {
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
	if f.keyBytes, err = bytesAKey(factKeys, accesslist.List{}, shared); err != nil {
		return f, err
	}
	if f.keyBytesApart, err = bytesAKey(factKeys, accesslist.List{}, apart); err != nil {
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

	blocks := work.Set(seed, factEntries)
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

// bytesAKey returns what a store of n keys leaves on the heap, by n. The table's spare room and
// the journal of changes are in it.
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
				_, err = s.PutKey(ctx, key)
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

// bytesAList returns what one list of plain entries leaves on the heap: no comment and no times.
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
