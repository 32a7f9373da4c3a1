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
)

// transact does one transaction: then if all comparisons hold and the layout is ours,
// otherwise else. What it reads is as of one moment, and of no earlier one than that at
// which it was called: transactions are linearizable.
func (s *Store) transact(ctx context.Context, comparisons []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	ours := clientv3.Compare(clientv3.Value(s.names.version()), "=", layoutVersion)
	marker := clientv3.OpGet(s.names.version())
	response, err := s.kv.Do(ctx, clientv3.OpTxn(append(comparisons, ours), then, append(otherwise, marker)))
	if err != nil {
		return nil, err
	}
	t := response.Txn()
	if !t.Succeeded {
		last := len(t.Responses) - 1
		if err := s.names.checkVersion(t.Responses[last].GetResponseRange()); err != nil {
			return nil, err
		}
		t.Responses = t.Responses[:last]
	}
	return t, nil
}

// get reads some names as of one moment. What is not there is nil.
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

// valuesOf returns what a transaction read of single names.
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

// A transactor sends transactions, with differences from the client: a write is sent
// once and waited for, and a read is sent again if the member that was asked went away.
type transactor struct {
	pb.KVClient
}

const (
	// A read is sent again for this long, which outlasts the election of a leader.
	readPatience = 5 * time.Second
	readPause    = 25 * time.Millisecond

	// A write is waited for when its context has ended: what was sent cannot be called
	// back, and may happen after a read that did not see it. Where the cluster is sound
	// this tells what became of it; else the caller is not held up for long.
	writeGrace = time.Second
)

// Txn is as in pb.KVClient. Its errors are those that callers of the store get.
func (t transactor) Txn(ctx context.Context, request *pb.TxnRequest, options ...grpc.CallOption) (*pb.TxnResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, failure(ctx, err)
	}
	if !readsOnly(request) {
		lasting, cancel := lasting(ctx)
		defer cancel()
		response, err := t.once(lasting, request, options)
		if err != nil {
			return nil, failure(ctx, err)
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
			return nil, failure(ctx, err) // with what was in the way
		}
	}
}

// once sends a transaction and does not let the client send it again. The client would,
// if a server or what is between answered "cancelled" or "deadline exceeded" although
// the context goes on: with a write that had happened the second answer would be that
// the record had changed, and the caller would not know that it was by itself (S3).
//
// A member that has no leader must refuse it at once, as it does a watch, and not hold
// it for as long as the context lasts: the client goes round all members, and another
// can answer. And what the client takes is not bounded, since the answers are only what
// was asked for.
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
