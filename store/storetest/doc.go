// Package storetest checks that a store.Store keeps the contract that package store
// states. It is for whoever writes an adapter, and for whoever wraps one:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) store.Store {
//			s, err := mystore.Open(filepath.Join(t.TempDir(), "keys.db"))
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		})
//	}
//
//	func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, open) }
//
// Every case has the name of the sentence that it checks, so that
//
//	go test -race -run 'TestStore/^S13$'
//
// picks those of S13, and a failure cites the sentence. Run it under the race
// detector: much of what stores get wrong is a record that two goroutines share.
// With -short the cases that count on repetition repeat less.
//
// Three other tools stand beside the kit: package crashtest checks what a store keeps when
// its process or its server is killed, package staletest checks the bound on staleness of
// a replica, and package faulty has a store that fails on demand.
//
// Do not use the kit as a program's own test of its store: it writes, deletes and
// closes. The options [Reopen], [Damage] and [Compact] let it see what it otherwise
// could not. It needs nothing but the standard library and this module.
package storetest
