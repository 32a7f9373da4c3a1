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
// # Crashes
//
// What a store keeps when its process or its server is killed (S25, S26) no case of Run
// can show, since somebody must do the killing. [WriteUntilKilled] is the writing for
// it and says what it does, line by line, and a [Ledger] reads the lines and checks what
// is there afterwards. For a store that lives in its process, the test starts itself
// again as the process to be killed; the Ledger is that one's Stdout:
//
//	func TestCrash(t *testing.T) {
//		if dir := os.Getenv("CRASH_DIR"); dir != "" { // the child
//			s := open(t, dir)
//			t.Fatal(storetest.WriteUntilKilled(t.Context(), s, rand.Uint64(), os.Stdout))
//		}
//		var ledger storetest.Ledger
//		for range 200 {
//			child := exec.Command(os.Args[0], "-test.run", "^TestCrash$")
//			child.Stdout = &ledger
//			… // Start it, kill it at a random moment, and Wait
//			ledger.Check(t, open(t, dir))
//		}
//	}
//
// For one that has a server, the writers run in the test and the Ledger is what they
// write to:
//
//	time.AfterFunc(random, server.Kill)
//	err := storetest.WriteUntilKilled(t.Context(), s, seed, &ledger)
//	… // err is what the first of the writers got; start the server again
//	ledger.Check(t, s)
//
// examples/customstore has the first of these in full.
//
// # Replicas
//
// A [StalenessCheck] writes to a store and asks the sources that follow it, while the
// test cuts, kills and heals, and fails for every answer that is older than the bound, is
// of the future, or was never true.
//
// # Faults
//
// [Faulty] wraps a store and fails on demand, for the tests of programs that must
// stand a failing one.
//
// Do not use the kit as a program's own test of its store: it writes, deletes and
// closes. The options [Reopen], [Damage] and [Compact] let it see what it otherwise
// could not. It needs nothing but the standard library and this module.
package storetest
