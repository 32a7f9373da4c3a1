// Package crashtest checks what a store keeps when its process or its server is killed
// (S25, S26). No case of storetest can show that, because somebody must do the killing.
//
// [WriteUntilKilled] writes to the store and announces each write on lines. A [Ledger]
// reads the lines, and its Check compares them with the store afterwards.
//
// If the store lives in the process, the test starts itself again as the process to be
// killed. The Ledger is the child's Stdout:
//
//	func TestCrash(t *testing.T) {
//		if dir := os.Getenv("CRASH_DIR"); dir != "" { // the child
//			s := open(t, dir)
//			t.Fatal(crashtest.WriteUntilKilled(t.Context(), s, rand.Uint64(), os.Stdout))
//		}
//		var ledger crashtest.Ledger
//		for range 200 {
//			child := exec.Command(os.Args[0], "-test.run", "^TestCrash$")
//			child.Stdout = &ledger
//			… // Start it, kill it at a random moment, and Wait
//			ledger.Check(t, open(t, dir))
//		}
//	}
//
// If the store has a server, the writers run in the test and write to the Ledger:
//
//	time.AfterFunc(random, server.Kill)
//	err := crashtest.WriteUntilKilled(t.Context(), s, seed, &ledger)
//	… // err is the first writer's; start the server again
//	ledger.Check(t, s)
//
// examples/customstore has the first of these in full. The package writes and deletes
// keys: do not use it on a store in use. It needs only the standard library
// and this module.
package crashtest
