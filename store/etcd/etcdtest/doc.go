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
// no program to build and no etcd to install. With the race detector it is slow, and searches
// etcd, too; SALLYPORT_ETCDTEST_BINARY names another test binary to start instead, built
// without the detector from this package's tests or from tests that import it.
//
// It is for tests only. The server is half a hundred modules, and package store/etcd needs
// none of them; so its tests with a cluster are here.
package etcdtest
