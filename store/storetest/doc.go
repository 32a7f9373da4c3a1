// Package storetest checks a store.Store against the contract of package store. It is for
// authors of adapters and of wrappers:
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
// Every case has the name of its sentence:
//
//	go test -race -run 'TestStore/^S13$'
//
// runs the cases of S13. A failure cites the sentence. Run the kit under the race
// detector: stores often share a record between two goroutines. With -short, cases that
// repeat something repeat it less, and wait half as long.
//
// The kit ends, whatever the store does. A call fails its case if it has not returned
// after 20 seconds, and so does a feed that delivers nothing while the case waits for
// it. A case may take five minutes. The failure names the method and the sentence. A case
// whose store does not return even when its context is done is left behind, with its
// goroutines. After the first wait in vain the kit waits a twentieth as long.
//
// internal/fixture/clauses.md lists every clause of the contract with its cases.
//
// Three other tools stand beside the kit. Package crashtest kills a process or a server
// and checks the records afterwards. Package staletest checks the bound on staleness of a
// replica. Package faulty has a store that fails on demand.
//
// Do not use the kit as a program's own test of its store: it writes, deletes and
// closes. The options [Reopen], [Restore], [Damage], [Compact] and [Migrate] let it see what it
// otherwise could not. It needs nothing but the standard library and this module.
package storetest
