package adapter

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/sallyport-go/sallyport/store"
)

// A Deliver function passes a change to a watcher. Its error is [ErrLeft] if the watcher
// wants no more.
type Deliver func(store.Change) error

// ErrLeft is returned by a [Deliver] function when the watcher has left its loop.
var ErrLeft = errors.New("store: the watcher has left")

var errEnded = errors.New("store: the watch ended without an error")

// Watch returns the sequence of a store.Watcher's Watch. follow delivers changes and
// marks until it fails. Its error ends the sequence (W5), unless the watcher has left.
func Watch(follow func(Deliver) error) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		left := false
		err := follow(func(change store.Change) error {
			if left = left || !yield(change, nil); left {
				return ErrLeft
			}
			return nil
		})
		switch {
		case left:
		case err == nil:
			yield(store.Change{}, errEnded)
		default:
			yield(store.Change{}, err)
		}
	}
}

// Follow delivers the changes after a position and then those to come, with a mark after
// each batch (W6). It ends when read or deliver fails, and returns that error.
//
// read delivers a batch and returns the position of its mark. The batch has the changes
// after the position given, each record once. After the zero Position it has every record
// in the store. read MUST return an error when ctx is done or the store is closed.
//
// Between batches Follow waits until woken has a token, see [Waker], or ctx is done.
func Follow(ctx context.Context, after store.Position, woken <-chan struct{}, read func(after store.Position, deliver Deliver) (mark store.Position, err error), deliver Deliver) error {
	for first := true; ; first = false {
		mark, err := read(after, deliver)
		if err != nil {
			return err
		}
		if first || mark != after {
			if err := deliver(store.Change{History: mark.History, Revision: mark.Revision}); err != nil {
				return err
			}
		}
		after = mark
		select {
		case <-woken:
		case <-ctx.Done():
		}
	}
}

// Own returns the change with copies of its records (W8). An adapter with records in memory
// delivers such copies.
func Own(change store.Change) store.Change {
	if change.KeyRecord != nil {
		key := change.KeyRecord.Clone()
		change.KeyRecord = &key
	}
	if change.OrganizationRecord != nil {
		organization := *change.OrganizationRecord
		change.OrganizationRecord = &organization
	}
	return change
}

// Confirm returns a change of the log with its record, as found in the same snapshot of
// the store; found is nil if the record is absent. It is for adapters whose log has only
// the names of records.
//
// If the record is not as its latest change left it, it was written by other means and is
// delivered with Err (W8). An absent record is delivered as deleted.
func Confirm(change store.Change, found *store.Change) store.Change {
	if found == nil {
		change.Deleted = true
		return change
	}
	err := found.Err
	if err == nil {
		err = contradiction(change, *found)
	}
	if err == nil {
		return *found
	}
	change.Deleted, change.Err = false, err
	return change
}

func contradiction(change, found store.Change) error {
	var problem error
	switch {
	case change.Deleted:
		problem = fmt.Errorf("it exists, and its latest change, of revision %d, deleted it", change.Revision)
	case found.Revision != change.Revision:
		problem = fmt.Errorf("it has revision %d, and its latest change has %d", found.Revision, change.Revision)
	case found.Organization != change.Organization:
		problem = fmt.Errorf("it is of organization %.300q, and its latest change of %.300q", found.Organization, change.Organization)
	default:
		return nil
	}
	return Unreadable(NameOf(change), fmt.Errorf("%w: it was written by other means than the store", problem))
}
