package etcd

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A fake is as much of one member of etcd as the store needs, in memory, with faults on
// demand. That it does as etcd does is shown by the same tests, which package etcdtest
// runs with etcd itself.
type fake struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer

	mu        sync.Mutex
	revision  int64
	compacted int64
	names     []string // ascending, of all that ever was
	versions  map[string][]*mvccpb.KeyValue
	events    []*mvccpb.Event
	changed   chan struct{} // closed and replaced with every write

	fragments  bool // have watches tell what is due in fragments of 1, 2, 4, 8, … events
	early      bool // have watches tell what was before their beginning first
	restored   int  // number of times
	leaderless bool // as a member that is cut off from the others is
	// before may refuse a request; after replaces the answer of one that was done.
	before, after func(request any) error
}

// startFake returns a client of a new fake.
func startFake(t testing.TB) (*fake, *clientv3.Client) {
	t.Helper()
	return startFakeFor(t, clientv3.Config{})
}

// startFakeFor is startFake with more of the client's configuration.
func startFakeFor(t testing.TB, config clientv3.Config) (*fake, *clientv3.Client) {
	t.Helper()
	f := &fake{revision: 1, versions: map[string][]*mvccpb.KeyValue{}, changed: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	pb.RegisterKVServer(server, f)
	pb.RegisterWatchServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	config.Endpoints, config.Logger = []string{listener.Addr().String()}, zap.NewNop()
	client, err := clientv3.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return f, client
}

// errCanceled has a watch be cancelled by an answer, and not by the end of its stream.
var errCanceled = errors.New("etcdserver: permission denied")

// inject sets what happens before and after requests are done.
func (f *fake) inject(before, after func(request any) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

// set changes the fake while it runs.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func call(hook func(any) error, request any) error {
	if hook == nil {
		return nil
	}
	return hook(request)
}

// led returns the error for a call without a leader. Where the call does not require
// one, etcd holds it for seven seconds before.
func (f *fake) led(ctx context.Context) error {
	metadata, _ := metadata.FromIncomingContext(ctx)
	switch requires := metadata.Get(rpctypes.MetadataRequireLeaderKey); {
	case !f.leaderless:
		return nil
	case slices.Equal(requires, []string{rpctypes.MetadataHasLeader}):
		return rpctypes.ErrGRPCNoLeader
	}
	return rpctypes.ErrGRPCTimeout
}

func (f *fake) Txn(ctx context.Context, request *pb.TxnRequest) (*pb.TxnResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.led(ctx); err != nil {
		return nil, err
	}
	if err := call(f.before, request); err != nil {
		return nil, err
	}
	if n := max(len(request.Compare), len(request.Success), len(request.Failure)); n > 128 {
		return nil, rpctypes.ErrGRPCTooManyOps
	}
	response := &pb.TxnResponse{Succeeded: true}
	for _, c := range request.Compare {
		response.Succeeded = response.Succeeded && f.holds(c)
	}
	operations := request.Success
	if !response.Succeeded {
		operations = request.Failure
	}
	before := len(f.events)
	for _, operation := range operations {
		done := &pb.ResponseOp{}
		switch o := operation.Request.(type) {
		case *pb.RequestOp_RequestRange:
			found, err := f.scan(o.RequestRange)
			if err != nil {
				return nil, err
			}
			done.Response = &pb.ResponseOp_ResponseRange{ResponseRange: found}
		case *pb.RequestOp_RequestPut:
			f.write(mvccpb.Event_PUT, o.RequestPut.Key, o.RequestPut.Value)
		case *pb.RequestOp_RequestDeleteRange:
			found, _ := f.scan(&pb.RangeRequest{Key: o.RequestDeleteRange.Key, RangeEnd: o.RequestDeleteRange.RangeEnd})
			for _, kv := range found.Kvs {
				f.write(mvccpb.Event_DELETE, kv.Key, nil)
			}
		}
		response.Responses = append(response.Responses, done)
	}
	if len(f.events) > before {
		f.commit()
	}
	response.Header = &pb.ResponseHeader{Revision: f.revision}
	return response, call(f.after, request)
}

func (f *fake) holds(c *pb.Compare) bool {
	if len(c.RangeEnd) > 0 { // the only such comparison is that there is nothing
		found, _ := f.scan(&pb.RangeRequest{Key: c.Key, RangeEnd: c.RangeEnd})
		return len(found.Kvs) == 0
	}
	kv := f.at(string(c.Key), 0)
	switch c.Target {
	case pb.Compare_VALUE:
		return kv != nil && (string(kv.Value) == string(c.GetValue())) == (c.Result == pb.Compare_EQUAL)
	case pb.Compare_MOD:
		if c.Result == pb.Compare_GREATER {
			return kv.GetModRevision() > c.GetModRevision()
		}
		return kv.GetModRevision() == c.GetModRevision()
	case pb.Compare_CREATE:
		return kv.GetCreateRevision() > c.GetCreateRevision()
	}
	panic(c)
}

// at returns what a name had at a revision, nil if nothing.
func (f *fake) at(name string, revision int64) *mvccpb.KeyValue {
	versions := f.versions[name]
	for i := len(versions) - 1; i >= 0; i-- {
		if revision == 0 || versions[i].ModRevision <= revision {
			if versions[i].CreateRevision == 0 {
				return nil
			}
			return versions[i]
		}
	}
	return nil
}

func (f *fake) scan(r *pb.RangeRequest) (*pb.RangeResponse, error) {
	response := &pb.RangeResponse{}
	if r.Revision > f.revision {
		return nil, rpctypes.ErrGRPCFutureRev
	}
	if r.Revision != 0 && r.Revision < f.compacted {
		return nil, rpctypes.ErrGRPCCompacted
	}
	names := []string{string(r.Key)}
	if len(r.RangeEnd) > 0 {
		begin, _ := slices.BinarySearch(f.names, string(r.Key))
		end, _ := slices.BinarySearch(f.names, string(r.RangeEnd))
		names = f.names[begin:max(begin, end)]
	}
	for _, name := range names {
		kv := f.at(name, r.Revision)
		if kv == nil || kv.ModRevision < r.MinModRevision || r.MaxModRevision > 0 && kv.ModRevision > r.MaxModRevision {
			continue
		}
		if r.Limit > 0 && int64(len(response.Kvs)) == r.Limit {
			response.More = true
			break
		}
		response.Kvs = append(response.Kvs, kv)
	}
	return response, nil
}

// write is part of the transaction that is under way.
func (f *fake) write(kind mvccpb.Event_EventType, key, value []byte) {
	name, kv := string(key), &mvccpb.KeyValue{Key: key, Value: value, ModRevision: f.revision + 1}
	if kind == mvccpb.Event_PUT {
		kv.CreateRevision = kv.ModRevision
		if old := f.at(name, 0); old != nil {
			kv.CreateRevision = old.CreateRevision
		}
	}
	if i, found := slices.BinarySearch(f.names, name); !found {
		f.names = slices.Insert(f.names, i, name)
	}
	f.versions[name] = append(f.versions[name], kv)
	f.events = append(f.events, &mvccpb.Event{Type: kind, Kv: kv})
}

func (f *fake) commit() {
	f.revision++
	close(f.changed)
	f.changed = make(chan struct{})
}

// put is somebody else's writing, of all names in one transaction.
func (f *fake) put(name, value string, namesAndValues ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for put := range slices.Chunk(append([]string{name, value}, namesAndValues...), 2) {
		f.write(mvccpb.Event_PUT, []byte(put[0]), []byte(put[1]))
	}
	f.commit()
}

// compact forgets the history so far.
func (f *fake) compact() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compacted = f.revision
}

// snapshot returns a function that restores what there is. The cluster is not the same one
// then, but has the same ID, and ends its watches. With bump it is as etcdutl makes it with
// --bump-revision and --mark-compacted.
func (f *fake) snapshot() (restore func(bump int64)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	revision, compacted, names, events := f.revision, f.compacted, slices.Clone(f.names), slices.Clone(f.events)
	versions := map[string][]*mvccpb.KeyValue{}
	for name, all := range f.versions {
		versions[name] = slices.Clone(all)
	}
	return func(bump int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.revision, f.compacted, f.names, f.events = revision+bump, compacted, slices.Clone(names), slices.Clone(events)
		f.versions = map[string][]*mvccpb.KeyValue{}
		for name, all := range versions {
			f.versions[name] = slices.Clone(all)
		}
		if bump > 0 {
			f.compacted = f.revision
		}
		f.restored++
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

func (f *fake) Watch(stream pb.Watch_WatchServer) error {
	request, err := stream.Recv()
	if err != nil {
		return err
	}
	create := request.GetCreateRequest()
	f.mu.Lock()
	if err = f.led(stream.Context()); err == nil {
		err = call(f.before, create)
	}
	f.mu.Unlock()
	if errors.Is(err, errCanceled) {
		return stream.Send(&pb.WatchResponse{Created: true, Canceled: true, CancelReason: err.Error()})
	}
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.WatchResponse{Created: true}); err != nil {
		return err
	}
	f.mu.Lock()
	life := f.restored
	f.mu.Unlock()
	next := create.StartRevision
	if f.early {
		next = 1
	}
	for {
		f.mu.Lock()
		if f.restored != life {
			f.mu.Unlock()
			return status.Error(codes.Unavailable, "the server has ended")
		}
		if next <= f.compacted && next <= f.revision {
			compacted := f.compacted
			f.mu.Unlock()
			return stream.Send(&pb.WatchResponse{Canceled: true, CompactRevision: compacted})
		}
		var events []*mvccpb.Event
		first, _ := slices.BinarySearchFunc(f.events, next, func(event *mvccpb.Event, next int64) int { return cmp.Compare(event.Kv.ModRevision, next) })
		// Like etcd, it tells what is due in batches of whole revisions. A watch that is
		// soon left then costs little.
		due := f.revision + 1
		for _, event := range f.events[first:] {
			if len(events) >= 64 && event.Kv.ModRevision > events[len(events)-1].Kv.ModRevision {
				due = event.Kv.ModRevision
				break
			}
			if name := string(event.Kv.Key); name >= string(create.Key) && name < string(create.RangeEnd) {
				events = append(events, event)
			}
		}
		next = max(next, due)
		changed, fragments, more := f.changed, f.fragments, next <= f.revision
		err := call(f.after, create)
		f.mu.Unlock()
		if err != nil {
			return err
		}
		for size := 1; len(events) > 0; size *= 2 {
			n := len(events)
			if fragments {
				n = min(n, size)
			}
			if err := stream.Send(&pb.WatchResponse{Events: events[:n], Fragment: n < len(events)}); err != nil {
				return err
			}
			events = events[n:]
		}
		if more {
			continue
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
