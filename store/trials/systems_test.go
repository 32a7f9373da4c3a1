package trials_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// A system is one of the stores, with its servers if it has any.
type system struct {
	name    string
	address string // of an empty store, for any process to open
	server  *postgrestest.Server
	cluster *etcdtest.Cluster
}

// systems are all stores, made anew for a test.
var systems = []func(t *testing.T) system{sqliteSystem, postgresSystem, etcdSystem}

// eachSystem runs a test with every store, one after the other.
func eachSystem(t *testing.T, test func(t *testing.T, s system)) {
	for i, name := range []string{"sqlite", "postgres", "etcd"} {
		t.Run(name, func(t *testing.T) { test(t, systems[i](t)) })
	}
}

func sqliteSystem(t *testing.T) system {
	return system{name: "sqlite", address: "sqlite " + filepath.Join(t.TempDir(), "keys.db")}
}

func postgresSystem(t *testing.T) system {
	server := postgrestest.Start(t, "max_connections=400") // four for each of many followers
	return system{name: "postgres", address: "postgres " + server.DSN(), server: server}
}

func etcdSystem(t *testing.T) system {
	cluster := etcdtest.Start(t, 3)
	return system{name: "etcd", address: "etcd " + strings.Join(cluster.Endpoints(), ","), cluster: cluster}
}

// An opened store closes what it was made with.
type opened struct {
	store.Store
	release func()
}

func (o opened) Unwrap() store.Store { return o.Store }

func (o opened) Close() error {
	defer o.release()
	return o.Store.Close()
}

// open opens the store at an address.
func open(ctx context.Context, address string) (store.Store, error) {
	kind, where, _ := strings.Cut(address, " ")
	switch kind {
	case "sqlite":
		return sqlite.Open(ctx, where)
	case "postgres":
		pool, err := pgxpool.New(ctx, where)
		if err != nil {
			return nil, err
		}
		if err := postgres.Migrate(ctx, pool); err != nil {
			pool.Close()
			return nil, err
		}
		s, err := postgres.New(ctx, pool)
		return opened{s, pool.Close}, err
	case "etcd":
		client, err := clientv3.New(clientv3.Config{
			Endpoints: strings.Split(where, ","), DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
			DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
		})
		if err != nil {
			return nil, err
		}
		s, err := etcd.New(ctx, client, "/sallyport/")
		return opened{s, func() { _ = client.Close() }}, err
	}
	return nil, fmt.Errorf("no store is at %q", address)
}

func (s system) open(t *testing.T) store.Store {
	t.Helper()
	opened, err := open(t.Context(), s.address)
	require.NoError(t, err)
	closeOnce := sync.OnceFunc(func() { _ = opened.Close() })
	t.Cleanup(closeOnce)
	return opened
}

// childVariable says what this program is to do instead of the tests.
const childVariable = "SALLYPORT_TRIALS_CHILD"

var children = map[string]func() error{}

func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		if err := children[child](); err != nil {
			fmt.Fprintln(os.Stderr, child+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// of returns how many rounds to run: all, or a few with -short.
func of(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}
