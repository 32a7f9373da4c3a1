package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"

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
	// What others wrote since then may have been compacted already, and is not missed.
	return s.follow(ctx, cluster+1, tell)
}

// How many records are read at a time: as many as have loadBytes, by what those before
// had. For each page, however small, the member counts all records that remain, so that a
// million in pages of a thousand would take it minutes.
const (
	firstLoad = 1000
	loadBytes = 8 << 20
)

// loadSize returns how many records to read after some were.
func loadSize(read []*mvccpb.KeyValue) int {
	size := 1
	for _, stored := range read {
		size += len(stored.Key) + len(stored.Value)
	}
	return max(1, len(read)*loadBytes/size)
}

// tellAll tells every record, as of the revision that it returns, and a mark.
func (s *Store) tellAll(ctx context.Context, tell func(store.Change) error) (revision int64, err error) {
	latest, revision, err := s.latest(ctx)
	if err != nil {
		return 0, err
	}
	type page struct {
		*pb.RangeResponse
		err error
	}
	begin, end := s.names.records()
	read := func(begin string, size int) <-chan page { // while what was read before is told
		pages := make(chan page, 1)
		go func() {
			response, err := s.scan(ctx, begin, end, size, revision)
			pages <- page{response, err}
		}()
		return pages
	}
	for next := read(begin, firstLoad); next != nil; {
		page := <-next
		if page.err != nil {
			return 0, page.err
		}
		next = nil
		if page.More {
			next = read(string(page.Kvs[len(page.Kvs)-1].Key)+"\x00", loadSize(page.Kvs))
		}
		for _, change := range s.changes(page.Kvs) {
			if err := tell(change); err != nil {
				return 0, err
			}
			latest = max(latest, change.Revision)
		}
	}
	return revision, tell(store.Change{Revision: latest})
}

// changes returns what is stored as changes, without what no record can be. Reading a
// record's JSON takes longer than reading it from the cluster, so every processor takes
// a part.
func (s *Store) changes(stored []*mvccpb.KeyValue) []store.Change {
	changes := make([]store.Change, len(stored))
	part := len(stored)/runtime.GOMAXPROCS(0) + 1
	var parts sync.WaitGroup
	for begin := 0; begin < len(stored); begin += part {
		parts.Go(func() {
			for i := begin; i < min(begin+part, len(stored)); i++ {
				changes[i] = s.change(stored[i], false)
			}
		})
	}
	parts.Wait()
	return slices.DeleteFunc(changes, store.Change.IsMark)
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
		events = append(events, response.Events...)
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
// those of some revisions.
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
		if change.IsMark() {
			continue
		}
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
