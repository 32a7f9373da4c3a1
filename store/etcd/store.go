package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
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
// New fails, without a write, if the prefix has the layout of a later version of this
// package, or something else.
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
	marker := clientv3.OpGet(s.names.version())
	// To compare that a prefix is empty, every member reads all of it, and takes no other
	// write meanwhile. So the first name is asked for before.
	response, err := s.kv.Do(ctx, clientv3.OpTxn([]clientv3.Cmp{isThere(s.names.version())}, []clientv3.Op{marker},
		[]clientv3.Op{clientv3.OpGet(s.names.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())}))
	if err != nil {
		return err
	}
	first := response.Txn().Responses[0].GetResponseRange()
	switch {
	case response.Txn().Succeeded:
		return s.names.checkVersion(first)
	case len(first.Kvs) > 0:
		return s.names.checkVersion(nil)
	}
	nothing := clientv3.Compare(clientv3.CreateRevision(s.names.prefix).WithPrefix(), "=", 0)
	response, err = s.kv.Do(ctx, clientv3.OpTxn([]clientv3.Cmp{nothing},
		append(s.latestIn(rand.Text()), clientv3.OpPut(s.names.version(), layoutVersion), marker), []clientv3.Op{marker}))
	if err != nil {
		return err
	}
	responses := response.Txn().Responses
	return s.names.checkVersion(responses[len(responses)-1].GetResponseRange())
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
