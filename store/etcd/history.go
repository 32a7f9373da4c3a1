package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/sallyport-go/sallyport/store"
)

// A cluster does not know whether it was restored from a snapshot. Its ID and those of its
// members follow from names, URLs and a token. Its values are those of the snapshot, to the
// last byte. So a Store begins a history of its own with its first write, in the same
// transaction. The history has a random name, the value of revision.
//
// etcd keeps the earlier values of revision in its own history. A position is in the past
// if revision had its name, written at its revision. In a restored cluster a lost revision
// belongs to nobody, to another program, or to a write in another history.
//
//   - A restart, or another process with its first write, leaves the past where it is:
//     watchers go on. The other Stores continue in the new history, if their latest write
//     is in its past.
//   - A position for events is longer in the past than etcd's history reaches (E6). So each
//     write also writes a name of its history, whose revision in etcd is then that of the
//     latest write in it.
//   - A write compares that the cluster has not gone back behind the latest one known here.
//   - To restore a cluster is to stop it. A Store whose connections ended meanwhile begins
//     another history.

// A line is the history in which a Store writes.
type line struct {
	mu     sync.Mutex
	known  store.Position // of the latest write in it that was done or seen here; zero: the next write begins a history
	breaks int            // number of times that the line was left
}

// current returns the position of the latest write, and the number of breaks before it.
func (l *line) current() (known store.Position, breaks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known, l.breaks
}

// reached notes a position, unless the line was left since.
func (l *line) reached(p store.Position, breaks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.breaks == breaks && p.Revision > l.known.Revision {
		l.known = p
	}
}

// saw notes a later position of the line, written by another Store.
func (l *line) saw(p store.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known.History == p.History && p.Revision > l.known.Revision {
		l.known = p
	}
}

// leave has the next write begin a history.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = store.Position{}
	l.breaks++
}

// leaveWhenCut leaves the line whenever the last connection to the cluster is lost, until
// the store is closed.
func (s *Store) leaveWhenCut(connection *grpc.ClientConn) {
	for {
		state := connection.GetState()
		if !connection.WaitForStateChange(s.closing, state) {
			return
		}
		if state == connectivity.Ready {
			s.line.leave()
		}
	}
}

// write does a transaction that writes a record, with what a Write has beside it (nil for
// nothing), and makes it the latest write. Its revision is that of the answer.
func (s *Store) write(ctx context.Context, beside *beside, comparisons []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	for {
		known, breaks := s.line.current()
		history, same := known.History, []clientv3.Cmp(nil)
		if known == (store.Position{}) {
			history = rand.Text()
		} else {
			same = []clientv3.Cmp{clientv3.Compare(clientv3.Value(s.names.revision()), "=", history),
				clientv3.Compare(clientv3.ModRevision(s.names.revision()), ">", int64(known.Revision)-1)}
		}
		response, err := s.transact(ctx,
			slices.Concat(comparisons, same, beside.comparisons()),
			slices.Concat(then, s.latestIn(history), beside.operations()),
			slices.Concat(otherwise, beside.reads(), reads([]string{s.names.revision()})))
		if err != nil {
			return nil, err
		}
		if response.Succeeded {
			s.line.reached(store.Position{History: history, Revision: uint64(response.Header.Revision)}, breaks)
			return response, nil
		}
		values := valuesOf(response)[len(otherwise):]
		response.Responses = response.Responses[:len(otherwise)]
		now := values[len(values)-1]
		moved, err := beside.check(values[:len(values)-1], response.Header.Revision)
		if err != nil {
			return nil, err
		}
		if known != (store.Position{}) && (string(now.GetValue()) != history || revisionOf(now) < known.Revision) {
			moved = true
			if err := s.enter(ctx, known, breaks); err != nil {
				return nil, err
			}
		}
		if !moved {
			return response, nil
		}
	}
}

// latestIn makes a write the latest, in a history.
func (s *Store) latestIn(history string) []clientv3.Op {
	return []clientv3.Op{clientv3.OpPut(s.names.revision(), history), clientv3.OpPut(s.names.history(history), "")}
}

// enter goes on in the history that another Store has begun, or leaves the line if the
// latest write here is not in its past.
func (s *Store) enter(ctx context.Context, known store.Position, breaks int) error {
	switch latest, _, err := s.since(ctx, known); {
	case err == nil:
		s.line.reached(latest, breaks)
	case errors.Is(err, store.ErrCompacted), errors.Is(err, errNoHistory):
		s.line.leave()
	default:
		return err
	}
	return nil
}

// since returns the latest position, and the revision of the cluster at the same moment. It
// is store.ErrCompacted if a position is not in the past of the store, or if that is no
// longer known.
func (s *Store) since(ctx context.Context, after store.Position) (latest store.Position, cluster int64, err error) {
	latest, cluster, err = s.latest(ctx)
	switch {
	case err != nil || after == latest:
		return latest, cluster, err
	case after.Revision > latest.Revision:
		return latest, cluster, fmt.Errorf("store/etcd: a watch from revision %d, of a store that has come to %d: %w", after.Revision, latest.Revision, store.ErrCompacted)
	}
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(s.names.revision(), clientv3.WithRev(int64(after.Revision)))}, nil)
	if errors.Is(err, rpctypes.ErrFutureRev) { // it went back since
		err = fmt.Errorf("%w: %w", store.ErrCompacted, err)
	}
	if err != nil {
		return latest, cluster, err
	}
	then := valuesOf(response)[0]
	is := string(then.GetValue()) == after.History
	if is && revisionOf(then) != after.Revision {
		is, err = s.isForeign(ctx, after.Revision)
	}
	if err == nil && !is {
		err = fmt.Errorf("store/etcd: a watch from revision %d of history %.80q, which is not in the past of the store: %w", after.Revision, after.History, store.ErrCompacted)
	}
	return latest, cluster, err
}

// isForeign reports whether a record was written at a revision by other means than this
// package. A running watch delivers it with a mark of its own.
func (s *Store) isForeign(ctx context.Context, revision uint64) (bool, error) {
	begin, end := s.names.records()
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(begin, clientv3.WithRange(end), clientv3.WithKeysOnly(), clientv3.WithLimit(1),
		clientv3.WithRev(int64(revision)), clientv3.WithMinModRev(int64(revision)), clientv3.WithMaxModRev(int64(revision)))}, nil)
	if err != nil {
		return false, err
	}
	return len(response.Responses[0].GetResponseRange().GetKvs()) > 0, nil
}

var errNoHistory = errors.New("want the name of a history, any text: it was changed by other means than this package")

// position returns the position of the latest write, by the value of revision.
func (n names) position(stored *mvccpb.KeyValue) (store.Position, error) {
	if len(stored.GetValue()) == 0 {
		return store.Position{}, fmt.Errorf("store/etcd: %s is absent or empty: %w", n.revision(), errNoHistory)
	}
	return store.Position{History: string(stored.Value), Revision: revisionOf(stored)}, nil
}
