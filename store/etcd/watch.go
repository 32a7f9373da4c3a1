package etcd

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Position implements [store.Watcher]. The history is named by the last Store to begin
// writing.
func (s *Store) Position(ctx context.Context) (store.Position, error) {
	latest, _, err := s.latest(ctx)
	if err == nil {
		s.line.saw(latest)
	}
	return latest, err
}

// latest returns the position of the latest write to the store, and the revision of the
// cluster at the same moment. Others raise the latter, too.
func (s *Store) latest(ctx context.Context) (latest store.Position, cluster int64, err error) {
	if err := s.ready(ctx); err != nil {
		return store.Position{}, 0, err
	}
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(s.names.revision())}, nil)
	if err != nil {
		return store.Position{}, 0, err
	}
	latest, err = s.names.position(valuesOf(response)[0])
	return latest, response.Header.Revision, err
}

// Watch implements [store.Watcher]. It reaches back as far as the cluster's history, and
// delivers each write when it happens. A watcher that has fallen behind receives each
// record once for many writes. It is waited for by the member and not by writers, and
// costs no memory here; if it falls behind the history, it gets store.ErrCompacted.
//
// The watch ends with a failure when the member that serves it ends or loses its leader.
// Called again with the last mark, it is served by another.
func (s *Store) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return adapter.Watch(func(deliver adapter.Deliver) error {
		watching, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()
		err := s.deliver(watching, after, func(change store.Change) error {
			if err := watching.Err(); err != nil {
				return err
			}
			return deliver(change)
		})
		if done := s.ready(ctx); done != nil {
			return done
		}
		return err
	})
}

// deliver delivers what was written after a position, everything after the zero Position,
// until it fails.
func (s *Store) deliver(ctx context.Context, after store.Position, deliver adapter.Deliver) error {
	if after == (store.Position{}) {
		latest, at, err := s.snapshot(ctx, deliver)
		if err != nil {
			return err
		}
		return s.follow(ctx, latest, true, at+1, deliver)
	}
	latest, cluster, err := s.since(ctx, after)
	if err != nil {
		return err
	}
	if after.Revision < latest.Revision {
		return s.follow(ctx, after, false, int64(after.Revision)+1, deliver)
	}
	// Writes by others since then may have been compacted already. They reach no watcher
	// that was away, not even if they wrote records.
	return s.follow(ctx, after, true, cluster+1, deliver)
}

// follow delivers a mark of a position, unless changes follow anyway, and then what is
// written from a revision on, which may be a future one.
//
// It does not use the client's own watcher. The client's keeps untaken events in memory
// without a bound (W7). After a failure it goes on without asking whether the cluster is
// still the same (W4). Here events wait in the member's history.
func (s *Store) follow(ctx context.Context, from store.Position, mark bool, revision int64, deliver adapter.Deliver) error {
	// A member that is cut off from the others has no leader. It must say so, not be
	// silent.
	stream, err := s.watch.Watch(clientv3.WithRequireLeader(ctx), grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return failure(ctx, err)
	}
	begin, end := s.names.watched()
	_ = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(begin), RangeEnd: []byte(end), StartRevision: revision, Fragment: true,
	}}}) // if it fails, Recv says why
	now := from
	var events []*mvccpb.Event // not delivered yet
	for {
		response, err := stream.Recv()
		if err != nil {
			return failure(ctx, err)
		}
		if response.CompactRevision != 0 {
			return fmt.Errorf("store/etcd: the cluster's history begins at revision %d, after %d: %w", response.CompactRevision, revision, store.ErrCompacted)
		}
		if response.Canceled {
			return fmt.Errorf("store/etcd: the cluster ended the watch: %s", response.CancelReason)
		}
		if response.Created {
			// The cluster may have been restored before the stream began. Later it would
			// end the stream.
			if _, _, err := s.since(ctx, from); err != nil {
				return err
			}
			if mark {
				if err := deliver(store.Change{History: from.History, Revision: from.Revision}); err != nil {
					return err
				}
			}
		}
		for _, event := range response.Events {
			// Other names are not delivered and hide no record. Marks must not go back where
			// a server sends earlier revisions than it was asked for.
			name := string(event.Kv.Key)
			if name == s.names.layout() {
				if err := s.changedLayout(ctx, event); err != nil {
					return err
				}
			}
			if _, _, ok := s.names.record(name); (ok || name == s.names.revision()) && event.Kv.ModRevision >= revision {
				events = append(events, event)
			}
		}
		whole := len(events)
		for response.Fragment && whole > 0 && events[whole-1].Kv.ModRevision == events[len(events)-1].Kv.ModRevision {
			whole-- // the next response may have more of the last revision
		}
		if now, err = s.deliverLatest(now, events[:whole], deliver); err != nil {
			return err
		}
		events = slices.Clone(events[whole:])
	}
}

// changedLayout returns why a watch ends when somebody has written the marker, nil if it goes
// on. Behind a marker that this version may not read there may be anything. If that is over
// meanwhile, a watcher begins from zero: it would meet the marker again and again.
func (s *Store) changedLayout(ctx context.Context, event *mvccpb.Event) error {
	stored := event.Kv
	if event.Type == mvccpb.Event_DELETE {
		stored = nil
	}
	_, err := s.names.marker(stored)
	if err == nil {
		return nil
	}
	if _, present := s.Position(ctx); present != nil {
		return err
	}
	return fmt.Errorf("store/etcd: a watch over revision %d, at which this version might not read the store: %w", revisionOf(event.Kv), store.ErrCompacted)
}

// deliverLatest delivers the latest event of each record, and a mark, and returns the
// position of the mark. The events are all those of some revisions.
func (s *Store) deliverLatest(from store.Position, events []*mvccpb.Event, deliver adapter.Deliver) (store.Position, error) {
	if len(events) == 0 {
		return from, nil
	}
	mark := from
	for _, event := range adapter.Latest(events, s.nameOf) {
		if string(event.Kv.Key) == s.names.revision() {
			latest, err := s.names.position(event.Kv)
			if err != nil {
				return from, err
			}
			mark.History = latest.History
			continue
		}
		if err := deliver(s.change(event.Kv, event.Type == mvccpb.Event_DELETE)); err != nil {
			return from, err
		}
	}
	mark.Revision = revisionOf(events[len(events)-1].Kv)
	return mark, deliver(store.Change{History: mark.History, Revision: mark.Revision})
}

func (s *Store) nameOf(event *mvccpb.Event) adapter.Name {
	organization, key, _ := s.names.record(string(event.Kv.Key))
	return adapter.NameOf(store.Change{Organization: organization, Key: key})
}
