package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// Revision is as store.Watcher says.
func (s *Store) Revision(ctx context.Context) (uint64, error) {
	latest, _, err := s.latest(ctx)
	return latest, err
}

// latest returns the revision of the latest write to the store, and that of the whole
// cluster at the same moment, which others raise too.
func (s *Store) latest(ctx context.Context) (latest uint64, cluster int64, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, 0, err
	}
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(s.names.revision())}, nil)
	if err != nil {
		return 0, 0, err
	}
	return revisionOf(valuesOf(response)[0]), response.Header.Revision, nil
}

// Watch is as store.Watcher says. It goes back as far as the cluster's history was not
// compacted, and tells of each write when it happens; one that has fallen behind is told
// of each record once for many writes. It ends with a failure when the member that
// serves it ends or loses its leader; called again with the last mark, it is served by
// another. One that is slow is waited for by the member, not by those who write, and
// costs no memory here; if it falls behind what the history has, it is told
// ErrCompacted.
func (s *Store) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		watching, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()
		err := s.tell(watching, after, func(change store.Change) error {
			if err := watching.Err(); err != nil {
				return err
			}
			if !yield(change, nil) {
				return errLeft
			}
			return nil
		})
		if errors.Is(err, errLeft) {
			return
		}
		if done := s.ready(ctx); done != nil {
			err = done
		}
		yield(store.Change{}, err)
	}
}

// errLeft: whoever was told wants no more.
var errLeft = errors.New("left")

// tell tells what was written since a revision, until it fails.
func (s *Store) tell(ctx context.Context, after uint64, tell func(store.Change) error) error {
	if after == 0 {
		revision, err := s.tellAll(ctx, tell)
		if err != nil {
			return err
		}
		return s.follow(ctx, revision+1, tell)
	}
	latest, cluster, err := s.latest(ctx)
	switch {
	case err != nil:
		return err
	case after > latest:
		return fmt.Errorf("store/etcd: a watch from revision %d, of a store that has come to %d: %w", after, latest, store.ErrCompacted)
	case after < latest:
		return s.follow(ctx, int64(after)+1, tell)
	}
	if err := tell(store.Change{Revision: after}); err != nil {
		return err
	}
	// What others wrote since then may have been compacted already. It is told to nobody
	// who was away, the records that they wrote included.
	return s.follow(ctx, cluster+1, tell)
}

// change returns what a write is told as, a zero Change for what is not a record.
func (s *Store) change(stored *mvccpb.KeyValue, deleted bool) store.Change {
	organization, id, ok := s.names.record(string(stored.Key))
	if !ok {
		return store.Change{}
	}
	change := store.Change{Revision: revisionOf(stored), Organization: organization, Key: id, Deleted: deleted}
	switch {
	case deleted:
	case id == "":
		record, err := decodeOrganization(stored, organization)
		if change.Err = err; err == nil {
			change.OrganizationRecord = &record
		}
	default:
		record, err := decodeKey(stored, organization, id)
		if change.Err = err; err == nil {
			change.KeyRecord = &record
		}
	}
	return change
}

// follow tells what is written from a revision on, which may be one to come.
//
// It speaks to the cluster without the client's own watcher, which keeps all that is
// not yet told in memory without a bound (W7), and which goes on by itself after a
// failure without asking whether the cluster is still the one that it was (W4). Here
// what is not told waits in the member, which keeps it in its history.
func (s *Store) follow(ctx context.Context, revision int64, tell func(store.Change) error) error {
	// A member that was cut off from the others has no leader. It must say so, rather
	// than be silent.
	stream, err := s.watch.Watch(clientv3.WithRequireLeader(ctx), grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return failure(ctx, err)
	}
	begin, end := s.names.records()
	_ = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(begin), RangeEnd: []byte(end), StartRevision: revision, Fragment: true,
	}}}) // if it fails, Recv says why
	var events []*mvccpb.Event // that were not told yet
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
		for _, event := range response.Events {
			// Other names are not told, nor may they hide a record. And the marks must not
			// go back where a server tells of earlier revisions than it was asked for.
			if _, _, ok := s.names.record(string(event.Kv.Key)); ok && event.Kv.ModRevision >= revision {
				events = append(events, event)
			}
		}
		whole := len(events)
		for response.Fragment && whole > 0 && events[whole-1].Kv.ModRevision == events[len(events)-1].Kv.ModRevision {
			whole-- // there may be more of the last revision in the next one
		}
		if err := s.tellLast(events[:whole], tell); err != nil {
			return err
		}
		events = slices.Clone(events[whole:])
	}
}

// tellLast tells the last of the events of each record, and a mark. The events are all
// those of some revisions, and of records only.
func (s *Store) tellLast(events []*mvccpb.Event, tell func(store.Change) error) error {
	type record struct {
		organization string
		key          apikey.ID
	}
	recordOf := func(event *mvccpb.Event) record {
		organization, key, _ := s.names.record(string(event.Kv.Key))
		if key != "" { // which may have been deleted in one organization and created in another
			organization = ""
		}
		return record{organization, key}
	}
	last := map[record]*mvccpb.Event{}
	for _, event := range events {
		last[recordOf(event)] = event
	}
	var mark uint64
	for _, event := range events {
		if last[recordOf(event)] != event {
			continue
		}
		change := s.change(event.Kv, event.Type == mvccpb.Event_DELETE)
		if err := tell(change); err != nil {
			return err
		}
		mark = change.Revision
	}
	if mark == 0 {
		return nil
	}
	return tell(store.Change{Revision: mark})
}
