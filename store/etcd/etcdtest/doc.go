// Package etcdtest starts clusters of etcd for tests. Each member is a process of its own,
// on the loopback address, with its own directory and with fsync. So a test can kill one
// like a power cut, or cut it off from the others.
//
//	func TestStore(t *testing.T) {
//		cluster := etcdtest.Start(t, 3)
//		client := cluster.Client(t)
//		...
//		cluster.Kill(t, cluster.Leader(t))
//	}
//
// A member's process is the test binary itself, started again: a test needs no TestMain,
// no program to build and no etcd to install. With the race detector the
// server is slow, since it is searched, too. SALLYPORT_ETCDTEST_BINARY may then name a test
// binary that was built without it, and imports this package, to start instead.
//
// It is for tests only. The server is half a hundred modules, and package store/etcd needs
// none of them; so its tests with a cluster are here.
package etcdtest
