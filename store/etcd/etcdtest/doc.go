// Package etcdtest starts clusters of etcd for tests: each member a process of its
// own, on the loopback address, with its own directory and with fsync, so that a test
// can kill one as a power cut would, or cut it off from the others.
//
//	func TestStore(t *testing.T) {
//		cluster := etcdtest.Start(t, 3)
//		client := cluster.Client(t)
//		...
//		cluster.Kill(t, cluster.Leader(t))
//	}
//
// A member's process is the test binary itself, started again. Whoever imports the
// package needs no TestMain for that, no program to build and no etcd to install.
//
// It is for tests only: the server is half a hundred modules, which package store/etcd
// has nothing to do with. For the same reason the tests of package store/etcd that need
// a cluster are here.
package etcdtest
