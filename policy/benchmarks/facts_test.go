package main

import "testing"

// TestFacts guards what benchmarks have to do with and what is the same on every machine. It looks
// at no time: those are in the table that the command prints.
func TestFacts(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a store with 200,000 keys")
	}
	f, err := measureFacts()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if f.allocations != 0 {
		t.Errorf("a decision makes %v allocations: want none", f.allocations)
	}
	if most := max(f.keyBytes, f.keyBytesApart); most > 400 {
		t.Errorf("a key with one secret, one role and no list has %d bytes: want at most 400", most)
	}
	for i, between := range entryBytesBetween {
		if f.entryBytes[i] > 48 {
			t.Errorf("an entry from the %d. to the %d. has %d bytes: want at most 48", between[0]+1, between[1], f.entryBytes[i])
		}
	}
	if f.listBytes > f.listBytesOther {
		t.Errorf("a list of %d entries has %d bytes: want at most the %d of bart.Lite", factEntries, f.listBytes, f.listBytesOther)
	}
}
