package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/store/adapter"
)

// forget moves the mark. The events up to it are deleted by sweep, which holds up no Write.
func (s *Store) forget(ctx context.Context, beside *beside) (revision uint64, err error) {
	response, err := s.write(ctx, beside, nil, nil, nil)
	if err != nil {
		return 0, err
	}
	if !response.Succeeded {
		return 0, fmt.Errorf("store/etcd: forgetting events up to revision %d was refused, with nothing to speak against it", beside.write.Forget.Revision)
	}
	return uint64(response.Header.Revision), nil
}

// errOvertaken ends a sweep after another Write has forgotten more events: its sweep deletes
// all of them.
var errOvertaken = errors.New("store/etcd: more events were forgotten meanwhile")

// sweep deletes the forgotten events, also those left by an interrupted sweep, and the names
// of the histories before them.
func (s *Store) sweep(ctx context.Context, through uint64) error {
	err := s.sweepEvents(ctx, through)
	if err == nil {
		err = s.sweepHistories(ctx, through)
	}
	if err == nil || errors.Is(err, errOvertaken) {
		return nil
	}
	return adapter.UndeletedEvents(through, err)
}

func (s *Store) sweepEvents(ctx context.Context, through uint64) error {
	for {
		operations, err := s.forgottenEvents(ctx, through)
		if err != nil || len(operations) == 0 {
			return err
		}
		if err := s.deleteForgotten(ctx, through, operations); err != nil {
			return err
		}
	}
}

func (s *Store) sweepHistories(ctx context.Context, through uint64) error {
	for begin := s.names.histories(); begin != ""; {
		operations, next, err := s.forgottenHistories(ctx, begin, through)
		if err != nil {
			return err
		}
		if len(operations) > 0 {
			if err := s.deleteForgotten(ctx, through, operations); err != nil {
				return err
			}
		}
		begin = next
	}
	return nil
}

// deleteForgotten does some operations. It returns errOvertaken, and does nothing, if more
// events were forgotten meanwhile.
func (s *Store) deleteForgotten(ctx context.Context, through uint64, operations []clientv3.Op) error {
	head := s.names.journal()
	same := clientv3.Compare(clientv3.Value(head), "=", strconv.FormatUint(through, 10))
	response, err := s.transact(ctx, []clientv3.Cmp{same}, operations, []clientv3.Op{clientv3.OpGet(head)})
	if err != nil || response.Succeeded {
		return err
	}
	now, err := forgottenIn(valuesOf(response)[0])
	switch {
	case err != nil:
		return err
	case now < through:
		return fmt.Errorf("%s is %d: the cluster was restored meanwhile", head, now)
	}
	return errOvertaken
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
