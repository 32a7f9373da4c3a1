package etcd

import (
	"context"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// forget makes a Write that forgets events.
func (s *Store) forget(ctx context.Context, beside *beside) (revision uint64, err error) {
	response, err := s.write(ctx, beside, nil, nil, nil)
	if err != nil {
		return 0, err
	}
	if !response.Succeeded {
		return 0, fmt.Errorf("store/etcd: forgetting events up to revision %d was refused, with nothing to speak against it", beside.write.Forget.Revision)
	}
	through := max(beside.forgotten, beside.write.Forget.Revision)
	if err := s.sweep(ctx, through); err != nil {
		return 0, fmt.Errorf("store/etcd: events up to revision %d are forgotten, but not all were deleted: forget them again: %w", through, err)
	}
	return uint64(response.Header.Revision), nil
}

// sweep deletes the forgotten events, also those left by an interrupted sweep, and the names
// of the histories before them.
func (s *Store) sweep(ctx context.Context, through uint64) error {
	for more := true; more; {
		operations, err := s.forgottenEvents(ctx, through)
		if err != nil {
			return err
		}
		if more, err = s.deleteForgotten(ctx, through, operations); err != nil {
			return err
		}
	}
	for begin := s.names.histories(); begin != ""; {
		operations, next, err := s.forgottenHistories(ctx, begin, through)
		if err != nil {
			return err
		}
		if _, err := s.deleteForgotten(ctx, through, operations); err != nil {
			return err
		}
		begin = next
	}
	return nil
}

// deleteForgotten does some operations and reports whether more may follow. If more events
// were forgotten meanwhile, the rest is left to the Write of that.
func (s *Store) deleteForgotten(ctx context.Context, through uint64, operations []clientv3.Op) (more bool, err error) {
	if len(operations) == 0 {
		return false, nil
	}
	head := s.names.journal()
	same := clientv3.Compare(clientv3.Value(head), "=", strconv.FormatUint(through, 10))
	response, err := s.transact(ctx, []clientv3.Cmp{same}, operations, []clientv3.Op{clientv3.OpGet(head)})
	if err != nil || response.Succeeded {
		return err == nil, err
	}
	now, err := forgottenIn(valuesOf(response)[0])
	if err == nil && now < through {
		err = fmt.Errorf("%s is %d: the cluster was restored meanwhile", head, now)
	}
	return false, err
}

// The bounds of a transaction of sweep: the names read, and the organizations. Each takes two
// operations, of at most 128.
const (
	sweepNames         = 1000
	sweepOrganizations = 50
)

// forgottenEvents returns the operations that delete the events of the oldest writes. There
// are none if no forgotten events are left.
func (s *Store) forgottenEvents(ctx context.Context, through uint64) (operations []clientv3.Op, err error) {
	all := s.names.oldest("")
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(all.prefix, clientv3.WithRange(all.begin(through)), clientv3.WithLimit(sweepNames), clientv3.WithKeysOnly())}, nil)
	if err != nil {
		return nil, err
	}
	type span struct{ first, last uint64 } // places
	spans := map[string]*span{}            // by organization, all under ""
	for _, stored := range response.Responses[0].GetResponseRange().GetKvs() {
		k, err := all.parse(stored)
		if err != nil {
			return nil, err
		}
		if k.revision > through || len(spans) > sweepOrganizations && spans[k.organization] == nil {
			break
		}
		for _, organization := range []string{"", k.organization} {
			if spans[organization] == nil {
				spans[organization] = &span{first: k.place}
			}
			spans[organization].last = k.place
		}
	}
	for organization, span := range spans {
		oldest, newest := s.names.oldest(organization), s.names.newest(organization)
		operations = append(operations,
			clientv3.OpDelete(oldest.begin(span.first), clientv3.WithRange(oldest.after(span.last))),
			clientv3.OpDelete(newest.begin(span.last), clientv3.WithRange(newest.after(span.first))))
	}
	return operations, nil
}

// forgottenHistories reads some names of histories and returns the operations that delete
// those from before the forgotten events. next is the first name to read then, "" for none.
func (s *Store) forgottenHistories(ctx context.Context, begin string, through uint64) (operations []clientv3.Op, next string, err error) {
	const some = 100 // operations of a transaction
	response, err := s.scan(ctx, begin, clientv3.GetPrefixRangeEnd(s.names.histories()), some, 0)
	if err != nil {
		return nil, "", err
	}
	for _, stored := range response.Kvs {
		if revisionOf(stored) < through {
			operations = append(operations, clientv3.OpDelete(string(stored.Key)))
		}
		next = string(stored.Key) + "\x00"
	}
	if !response.More {
		next = ""
	}
	return operations, next, nil
}
