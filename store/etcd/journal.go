package etcd

import (
	"context"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// The events of one write are one value. etcd gives a revision only at the end of a
// transaction, and events are to be found by it. So the name of the value has the revision
// of the cluster before the write, its place:
//
//   - The transaction compares that the head is as it was read at the place, and rewrites
//     it. So two writes with events do not overlap: each comes after the place of the
//     later one, or before it. Names are in the order of revisions.
//   - The value is never rewritten, so that the revision of its creation is that of the
//     write.
//
// The value of the head is the revision up to which events were forgotten. To forget is to
// move this mark, in one transaction, and no read returns the events from then on. They are
// deleted afterwards, in as many transactions as that takes.

// Write implements [store.Journal]. It takes the round trips of the Put or Delete. With
// events or conditions there is one before them, and another for each Write with events of
// another process that was faster.
func (s *Store) Write(ctx context.Context, write store.Write) (revision uint64, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if err := adapter.CheckWrite(write); err != nil {
		return 0, err
	}
	beside := &beside{names: s.names, write: write}
	if revision, err = s.inTurn(ctx, beside); err != nil || write.Forget == nil {
		return revision, err
	}
	if err := s.sweep(ctx, beside.forgets()); err != nil {
		return 0, err
	}
	return revision, nil
}

// inTurn makes the change of a Write, in its turn if it rewrites the head.
func (s *Store) inTurn(ctx context.Context, beside *beside) (revision uint64, err error) {
	if beside.keeps() {
		done, err := s.turn(ctx)
		if err != nil {
			return 0, err
		}
		defer done()
	}
	if err := beside.prepare(ctx, s); err != nil {
		return 0, err
	}
	switch write := beside.write; {
	case write.PutOrganization != nil:
		put, err := s.putOrganization(ctx, *write.PutOrganization, beside)
		return put.Revision, err
	case write.PutKey != nil:
		put, err := s.putKey(ctx, *write.PutKey, write.Options, beside)
		return put.Revision, err
	case write.Delete != nil && write.Delete.Key != "":
		given := *write.Delete
		revision, actual, err := s.deleteKey(ctx, given.Organization, given.Key, given.Revision, beside)
		if err == nil && actual != given.Organization {
			err = adapter.CheckDeleteOf(given, 0)
		}
		return revision, err
	case write.Delete != nil:
		return s.deleteOrganization(ctx, write.Delete.Organization, write.Delete.Revision, beside)
	}
	return s.forget(ctx, beside)
}

// turn waits until no other goroutine makes a Write that rewrites the head. Without that
// only one of all would succeed at a time, and the others would try again.
func (s *Store) turn(ctx context.Context) (done func(), err error) {
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-ctx.Done():
	case <-s.closing.Done():
	}
	return nil, s.ready(ctx)
}

// beside is what a Write does beside the change of its record. It is nil for a Put or a
// Delete.
type beside struct {
	names     names
	write     store.Write
	document  string           // of the events
	place     uint64           // revision of the cluster when head was read
	head      *mvccpb.KeyValue // nil before the first event
	forgotten uint64
}

// keeps reports whether the Write rewrites the head.
func (b *beside) keeps() bool { return len(b.write.Events) > 0 || b.write.Forget != nil }

// prepare reads what the Write depends on, and refuses it if that does not hold.
func (b *beside) prepare(ctx context.Context, s *Store) error {
	document, err := adapter.EncodeEvents(b.write.Events)
	if err != nil {
		return err
	}
	b.document = string(document)
	reads := b.reads()
	if len(reads) == 0 {
		return nil
	}
	response, err := s.transact(ctx, nil, reads, nil)
	if err != nil {
		return err
	}
	_, err = b.check(valuesOf(response), response.Header.Revision)
	return err
}

// reads reads what check checks.
func (b *beside) reads() []clientv3.Op {
	if b == nil {
		return nil
	}
	var names []string
	for _, condition := range b.write.If {
		names = append(names, b.nameOf(condition))
	}
	if b.keeps() {
		names = append(names, b.names.journal())
	}
	if b.write.Forget != nil {
		names = append(names, b.names.revision(), b.names.history(b.write.Forget.History))
	}
	return reads(names)
}

// check returns why the Write is refused by the values read at a revision, and whether it
// is to be tried again, with what was read.
func (b *beside) check(values []*mvccpb.KeyValue, revision int64) (moved bool, err error) {
	if b == nil {
		return false, nil
	}
	for i, condition := range b.write.If {
		if err := b.checkCondition(condition, values[i]); err != nil {
			return false, err
		}
	}
	if !b.keeps() {
		return false, nil
	}
	values = values[len(b.write.If):]
	moved = revisionOf(b.head) != revisionOf(values[0])
	b.place, b.head = uint64(revision), values[0]
	if b.forgotten, err = forgottenIn(b.head); err != nil || b.write.Forget == nil {
		return moved, err
	}
	latest, err := b.names.position(values[1])
	if err != nil {
		return false, err
	}
	return moved, adapter.CheckForget(inPast(*b.write.Forget, latest, values[2]), latest)
}

func (b *beside) checkCondition(condition store.Condition, stored *mvccpb.KeyValue) (err error) {
	switch {
	case stored == nil:
	case condition.Key != "":
		_, err = decodeKey(stored, condition.Organization, condition.Key)
	default:
		_, err = decodeOrganization(stored, condition.Organization)
	}
	if err != nil {
		return err
	}
	return adapter.CheckCondition(condition, revisionOf(stored))
}

// nameOf returns the name of the record of a condition. One of another organization has
// another name.
func (b *beside) nameOf(condition store.Condition) string {
	if condition.Key != "" {
		return b.names.key(condition.Organization, condition.Key)
	}
	return b.names.organization(condition.Organization)
}

// comparisons compares that what was read is unchanged.
func (b *beside) comparisons() (all []clientv3.Cmp) {
	if b == nil {
		return nil
	}
	for _, condition := range b.write.If {
		all = append(all, hasRevision(b.nameOf(condition), condition.Revision))
	}
	if b.keeps() {
		all = append(all, hasRevision(b.names.journal(), revisionOf(b.head)))
	}
	return all
}

// operations keep the events, and forget.
func (b *beside) operations() []clientv3.Op {
	if b == nil || !b.keeps() {
		return nil
	}
	all := []clientv3.Op{clientv3.OpPut(b.names.journal(), strconv.FormatUint(b.forgets(), 10))}
	if b.document == "" {
		return all
	}
	kept := keptEvents{place: b.place}
	kept.organization, kept.key = b.write.Subject()
	all = append(all, clientv3.OpPut(b.names.oldest("").name(kept), b.document), clientv3.OpPut(b.names.newest("").name(kept), ""))
	if kept.organization != "" {
		all = append(all, clientv3.OpPut(b.names.oldest(kept.organization).name(kept), ""), clientv3.OpPut(b.names.newest(kept.organization).name(kept), ""))
	}
	return all
}

// forgets returns the revision up to which events are forgotten after the Write.
func (b *beside) forgets() uint64 {
	if b.write.Forget == nil {
		return b.forgotten
	}
	return max(b.forgotten, b.write.Forget.Revision)
}

// forgottenIn returns the revision in a head.
func forgottenIn(head *mvccpb.KeyValue) (uint64, error) {
	if head == nil {
		return 0, nil
	}
	forgotten, err := strconv.ParseUint(string(head.Value), 10, 64)
	if err != nil {
		return 0, unreadable(head, fmt.Errorf("%.40q: want a revision", head.Value))
	}
	return forgotten, nil
}

// inPast returns a position of the store's past with the latest history, and any other as
// it is. history is the value of the name of its history, nil if it is absent.
func inPast(p, latest store.Position, history *mvccpb.KeyValue) store.Position {
	if history != nil && p.Revision <= revisionOf(history) {
		p.History = latest.History
	}
	return p
}
