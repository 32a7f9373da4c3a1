package main

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// An opened store has its address without a password, and its end.
type opened struct {
	store.Store
	shown string
	close func() error
}

// An opener opens the store at an address. It makes an absent one, or brings an older one up
// to date, only if told to.
type opener func(ctx context.Context, address string, getenv func(string) string, migrate bool) (opened, error)

func openStore(ctx context.Context, address string, getenv func(string) string, migrate bool) (opened, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, strings.TrimPrefix(rest, "//"), migrate)
	case "postgres", "postgresql":
		return openPostgres(ctx, address, migrate)
	case "etcd":
		return openEtcd(ctx, address, getenv, migrate)
	}
	return opened{}, usageError{errors.New("the address of the store is unknown: want sqlite:/path, postgres://… or etcd://h1,h2/prefix")}
}

func openSQLite(ctx context.Context, path string, migrate bool) (opened, error) {
	if path == "" {
		return opened{}, usageError{errors.New("the address of the store has no path: want sqlite:/path/to/keys.db")}
	}
	open := sqlite.OpenExisting
	if migrate {
		open = sqlite.Open
	}
	keys, err := open(ctx, path)
	if err != nil {
		return opened{}, absent(err)
	}
	return opened{keys, "sqlite:" + path, keys.Close}, nil
}

// An absentError says how to make the store.
type absentError struct{ error }

func (e absentError) Error() string {
	return "there is no such store: " + strings.TrimPrefix(e.error.Error(), "store/sqlite: ") + " (to make one: sallyport migrate)"
}
func (e absentError) Unwrap() error { return e.error }

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return absentError{err}
	}
	return err
}

// isToMigrate reports whether a store could not be opened because it is not there, or is of an earlier
// version.
func isToMigrate(err error) bool {
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains([]string{"3F000", "42P01", "42703"}, failure.Code) // no schema, table or column
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, sqlite.ErrOlder)
}

func openPostgres(ctx context.Context, address string, migrate bool) (opened, error) {
	parsed, err := url.Parse(address)
	if err != nil { // its text has the password
		return opened{}, usageError{errors.New("the address of the store is no URL: want postgres://user@host/database")}
	}
	var options []postgres.Option
	query := parsed.Query()
	if schema := query.Get("schema"); schema != "" {
		options = append(options, postgres.Schema(schema))
		query.Del("schema")
	}
	shown := parsed.Redacted()
	parsed.RawQuery = query.Encode()
	config, err := pgxpool.ParseConfig(parsed.String())
	if err != nil {
		return opened{}, usageError{err}
	}
	if query.Has("password") {
		return opened{}, usageError{errors.New("the address of the store has a password as a parameter: want PGPASSWORD, or ~/.pgpass")}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return opened{}, err
	}
	if migrate {
		err = postgres.Migrate(ctx, pool, options...)
	}
	var keys *postgres.Store
	if err == nil {
		keys, err = postgres.New(ctx, pool, options...)
	}
	if err != nil {
		pool.Close()
		return opened{}, err
	}
	return opened{keys, shown, func() error { defer pool.Close(); return keys.Close() }}, nil
}

func openEtcd(ctx context.Context, address string, getenv func(string) string, migrate bool) (opened, error) {
	hosts, prefix, _ := strings.Cut(strings.TrimPrefix(address, "etcd://"), "/")
	prefix = "/" + strings.TrimSuffix(prefix, "/") + "/"
	if hosts == "" || prefix == "//" || strings.ContainsAny(hosts, "@?") {
		return opened{}, usageError{errors.New("the address of the store is incomplete: want etcd://host1,host2/prefix, and a user by ETCDCTL_USER")}
	}
	config := clientv3.Config{DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		DialTimeout: 10 * time.Second, Context: ctx, Logger: zap.NewNop()}
	certificates := transport.TLSInfo{TrustedCAFile: getenv("ETCDCTL_CACERT"), CertFile: getenv("ETCDCTL_CERT"), KeyFile: getenv("ETCDCTL_KEY")}
	scheme := "http://"
	if !certificates.Empty() || certificates.TrustedCAFile != "" {
		var err error
		if config.TLS, err = certificates.ClientConfig(); err != nil {
			return opened{}, err
		}
		scheme = "https://"
	}
	config.Username, config.Password, _ = strings.Cut(getenv("ETCDCTL_USER"), ":")
	for host := range strings.SplitSeq(hosts, ",") {
		if !strings.Contains(host, ":") {
			host += ":2379"
		}
		config.Endpoints = append(config.Endpoints, scheme+host)
	}
	config.Context = context.WithoutCancel(ctx)
	client, err := clientv3.New(config)
	if err != nil {
		return opened{}, err
	}
	if !migrate {
		err = found(ctx, client, prefix)
	}
	var keys *etcd.Store
	if err == nil {
		keys, err = etcd.New(ctx, client, prefix)
	}
	if err != nil {
		return opened{}, errors.Join(err, client.Close())
	}
	return opened{keys, "etcd://" + hosts + strings.TrimSuffix(prefix, "/"), func() error { return errors.Join(keys.Close(), client.Close()) }}, nil
}

// found returns an error if there is nothing under a prefix, where etcd.New would found a
// store.
func found(ctx context.Context, client *clientv3.Client, prefix string) error {
	version, err := client.Get(ctx, prefix+"layout")
	if err == nil && len(version.Kvs) == 0 {
		err = absent(&fs.PathError{Op: "get", Path: prefix + "layout", Err: fs.ErrNotExist})
	}
	return err
}

// hidePassword returns an address of a store without a password.
func hidePassword(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "the store"
	}
	if query := parsed.Query(); query.Has("password") {
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	return parsed.Redacted()
}
