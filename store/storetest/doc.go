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
// [Faulty] wraps a store and fails on demand, for the tests of programs that must
// stand a failing one.
//
// Do not use the kit as a program's own test of its store: it writes, deletes and
// closes. It cannot see what only a crash or a second process shows; [Reopen],
// [Damage] and [Compact] let it see some of that. It needs nothing but the standard
// library and this module.
package storetest
