package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Store is a store.Store in etcd. It is also a store.Watcher, a store.UsageRecorder and a
// store.Journal. Make one with [New].
type Store struct {
	client *clientv3.Client
	kv     clientv3.KV
	watch  pb.WatchClient
	names  names
	marker atomic.Pointer[marker] // as last read
	owners owners
	line   line
	turns  chan struct{} // has room for one: see turn

	closing context.Context // done once the store is closed
	close   context.CancelFunc
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Watcher       = (*Store)(nil)
	_ store.UsageRecorder = (*Store)(nil)
	_ store.Journal       = (*Store)(nil)
	_ policy.Source       = (*Store)(nil)
)

// New returns the store under a prefix, and founds it if the prefix is empty. Any number of
// programs may do so at the same time. The prefix ends with a slash, such as "/sallyport/".
//
// The client stays the caller's: it must stay open as long as the store is used, and Close
// does not close it. The package documentation has its configuration. Replacements of its
// KV and Watcher, such as those of package namespace, are not used.
//
// New fails, without a write, if the prefix has something else, or a layout of a later version
// of this package that this one may not read (store.ErrNewer).
func New(ctx context.Context, client *clientv3.Client, prefix string) (*Store, error) {
	switch {
	case client == nil || client.ActiveConnection() == nil:
		return nil, errors.New("store/etcd: the client is nil, or has no connection: want one that clientv3.New returned")
	case !strings.HasSuffix(prefix, "/"):
		return nil, fmt.Errorf(`store/etcd: prefix %q: want one that ends with a slash, such as "/sallyport/"`, prefix)
	}
	s := &Store{
		client: client,
		kv:     clientv3.NewKVFromKVClient(transactor{clientv3.RetryKVClient(client)}, client),
		watch:  pb.NewWatchClient(client.ActiveConnection()),
		names:  names{prefix},
		turns:  make(chan struct{}, 1),
	}
	s.closing, s.close = context.WithCancel(context.Background())
	if err := s.found(ctx); err != nil {
		s.close()
		return nil, err
	}
	go s.leaveWhenCut(client.ActiveConnection())
	return s, nil
}

// found checks the marker, and writes one if the prefix is empty. It writes only then, so
// that a read-only role can open a store.
func (s *Store) found(ctx context.Context) error {
	reading := clientv3.OpGet(s.names.layout())
	// To compare that a prefix is empty, every member reads all of it, and takes no other
	// write meanwhile. So the first name is asked for before.
	response, err := s.kv.Do(ctx, clientv3.OpTxn([]clientv3.Cmp{isThere(s.names.layout())}, []clientv3.Op{reading},
		[]clientv3.Op{clientv3.OpGet(s.names.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())}))
	if err != nil {
		return err
	}
	first := valuesOf(response.Txn())[0]
	switch {
	case response.Txn().Succeeded:
		return s.remember(first)
	case first != nil:
		return s.remember(nil)
	}
	nothing := clientv3.Compare(clientv3.CreateRevision(s.names.prefix).WithPrefix(), "=", 0)
	response, err = s.kv.Do(ctx, clientv3.OpTxn([]clientv3.Cmp{nothing},
		append(s.latestIn(rand.Text()), clientv3.OpPut(s.names.layout(), founding.text), reading), []clientv3.Op{reading}))
	if err != nil {
		return err
	}
	values := valuesOf(response.Txn())
	return s.remember(values[len(values)-1])
}

// remember keeps a marker, or returns why the store cannot be read.
func (s *Store) remember(stored *mvccpb.KeyValue) error {
	m, err := s.names.marker(stored)
	s.marker.Store(&m)
	return err
}

// ready returns why a call cannot be served: S23 and S2.
func (s *Store) ready(ctx context.Context) error {
	if s.closing.Err() != nil {
		return fmt.Errorf("store/etcd: %w", store.ErrClosed)
	}
	return ctx.Err()
}

// Close implements [store.Store]. It ends every watch and leaves the client open.
func (s *Store) Close() error {
	s.close()
	return nil
}
