package upgrade_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

// A system is a new store of one kind.
type system struct {
	kind    string
	address string // for workers
}

// eachSystem runs a test with a new store of each kind, all at once: they mostly wait.
func eachSystem(t *testing.T, test func(t *testing.T, s system)) {
	for kind, newSystem := range map[string]func(t *testing.T) system{"sqlite": newSQLite, "postgres": newPostgres, "etcd": newEtcd} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, newSystem(t))
		})
	}
}

func newSQLite(t *testing.T) system {
	return system{kind: "sqlite", address: "sqlite " + filepath.Join(t.TempDir(), "keys.db")}
}

func newPostgres(t *testing.T) system {
	return system{kind: "postgres", address: "postgres " + postgrestest.Shared(t).Database(t)}
}

func newEtcd(t *testing.T) system {
	cluster := etcdtest.Start(t, 1)
	return system{kind: "etcd", address: "etcd " + strings.Join(cluster.Endpoints(), ",")}
}
