package etcd

import (
	"context"
	"math"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-go/sallyport/store/adapter"
)

// transact does one transaction: then if all comparisons hold, else otherwise. Its reads are a
// snapshot, not older than the call: transactions are linearizable. It compares the marker,
// too. If a later version has changed that, it begins again, if it still may.
func (s *Store) transact(ctx context.Context, comparisons []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	reading := clientv3.OpGet(s.names.layout())
	for {
		known := *s.marker.Load()
		refused := s.names.checkWrite(known)
		if !slices.ContainsFunc(then, clientv3.Op.IsPut) && !slices.ContainsFunc(then, clientv3.Op.IsDelete) {
			refused = nil // by the marker known; it may be another now
		}
		same := clientv3.Compare(clientv3.Value(s.names.layout()), "=", known.text)
		all, writes := slices.Concat(comparisons, []clientv3.Cmp{same}), then
		if refused != nil {
			all, writes = []clientv3.Cmp{same}, nil
		}
		response, err := s.kv.Do(ctx, clientv3.OpTxn(all, writes, slices.Concat(otherwise, []clientv3.Op{reading})))
		if err != nil {
			return nil, err
		}
		t := response.Txn()
		if t.Succeeded {
			return t, refused
		}
		values := valuesOf(t)
		now, err := s.names.marker(values[len(values)-1])
		if err != nil {
			return nil, err
		}
		s.marker.Store(&now)
		if now == known {
			t.Responses = t.Responses[:len(values)-1]
			return t, nil
		}
	}
}

// get reads names in one snapshot. The value of an absent name is nil.
func (s *Store) get(ctx context.Context, names ...string) (values []*mvccpb.KeyValue, err error) {
	response, err := s.transact(ctx, nil, reads(names), nil)
	if err != nil {
		return nil, err
	}
	return valuesOf(response), nil
}

func reads(names []string, options ...clientv3.OpOption) (operations []clientv3.Op) {
	for _, name := range names {
		operations = append(operations, clientv3.OpGet(name, options...))
	}
	return operations
}

// valuesOf returns the values of single names that a transaction read.
func valuesOf(response *clientv3.TxnResponse) (values []*mvccpb.KeyValue) {
	for _, r := range response.Responses {
		var value *mvccpb.KeyValue
		if kvs := r.GetResponseRange().GetKvs(); len(kvs) > 0 {
			value = kvs[0]
		}
		values = append(values, value)
	}
	return values
}

// A transactor sends transactions unlike the client: it sends a write once and waits for it,
// and sends a read again if the member went away.
type transactor struct {
	pb.KVClient
}

const (
	// A read is sent again for this long, which outlasts the election of a leader.
	readPatience = 5 * time.Second
	readPause    = 25 * time.Millisecond

	// A write is waited for after its context has ended: a request sent cannot be called
	// back, and may happen after a read that did not see it. In a sound cluster its
	// outcome is known then; otherwise the caller is not held up for long.
	writeGrace = time.Second
)

// Txn implements pb.KVClient. Its errors are those for callers of the store.
func (t transactor) Txn(ctx context.Context, request *pb.TxnRequest, options ...grpc.CallOption) (*pb.TxnResponse, error) {
	if err := ctx.Err(); err != nil {
		err = failure(ctx, err)
		if !readsOnly(request) {
			err = adapter.NotWritten(err)
		}
		return nil, err
	}
	if !readsOnly(request) {
		lasting, cancel := lasting(ctx)
		defer cancel()
		response, err := t.once(lasting, request, options)
		if err != nil {
			return nil, writeFailure(ctx, err)
		}
		return response, nil
	}
	for began := time.Now(); ; {
		response, err := t.once(ctx, request, options)
		if err == nil {
			return response, nil
		}
		if status.Code(err) != codes.Unavailable || time.Since(began) > readPatience {
			return nil, failure(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(readPause):
		}
		if ctx.Err() != nil {
			return nil, failure(ctx, err) // with the last failure
		}
	}
}

// once sends a transaction and does not let the client send it again. The client would if
// a server, or a proxy, answered "cancelled" or "deadline exceeded" while the context goes
// on. If the first write had happened, the second answer would be a conflict, with the
// caller's own write (S3).
//
// A member without a leader must refuse at once, as it does a watch, not hold the call as
// long as the context: the client goes round all members, and another can answer. The size
// of answers is not bounded, since they have only what was asked for.
func (t transactor) once(ctx context.Context, request *pb.TxnRequest, options []grpc.CallOption) (*pb.TxnResponse, error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	return t.KVClient.Txn(ctx, request, append(slices.Clone(options), grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.OnFinish(func(err error) {
		if code := status.Code(err); code == codes.Canceled || code == codes.DeadlineExceeded {
			cancel()
		}
	}))...)
}

// lasting returns a context that outlives another by writeGrace.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(writeGrace):
			cancel()
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

func readsOnly(request *pb.TxnRequest) bool {
	return !slices.ContainsFunc(slices.Concat(request.Success, request.Failure), func(operation *pb.RequestOp) bool {
		return operation.GetRequestRange() == nil
	})
}
