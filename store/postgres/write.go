package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// attempts is how often a write is tried. After each loss another's write is stored, which
// as a rule is the answer: a conflict.
const attempts = 10

// retry tries a write. A try reads the stored record, judges by it, and writes in one short
// transaction. There it first takes the lock of all writes, then checks that nothing it read
// has changed. No other lock comes before that one, so writes cannot deadlock with each
// other. It is tried again if another write was quicker, or if the server asks for it. If
// another was quicker each time, the error names the record.
//
// An error is [store.ErrNotWritten], unless a commit was sent whose answer is unknown.
func (s *Store) retry(ctx context.Context, what string, try func() error) (err error) {
	defer func() {
		if _, unsure := errors.AsType[unsure](err); !unsure {
			err = adapter.NotWritten(err)
		}
	}()
	for range attempts {
		err = try()
		switch state := sqlState(err); {
		case errors.Is(err, errChanged), state == foreignKeyViolation:
		case errors.Is(err, errElsewhere):
			if err := s.rename(ctx); err != nil {
				return err
			}
		case s.tx == nil && (state == serializationFailure || state == deadlockDetected):
		default:
			return err // the caller has to restart a transaction of its own
		}
	}
	if errors.Is(err, errChanged) {
		return fmt.Errorf("%w: %s: try again", err, what)
	}
	return err
}

// atRevision names a record and the caller's revision of it.
func atRevision[ID ~string](kind string, id ID, revision uint64) string {
	return fmt.Sprintf("%s %.80q at revision %d", kind, id, revision)
}

// A plan is a write that was judged by what is stored: its entry in the change log, and its
// statements. They see whether that has changed since.
type plan struct {
	change change
	queue  func(*batch)
}

// do commits a plan, and returns the revision of the record.
func (s *Store) do(ctx context.Context, p plan) (uint64, error) {
	b := s.newBatch(p.change)
	p.queue(b)
	return s.commit(ctx, b)
}

// PutOrganization implements [store.Store].
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Organization{}, err
	}
	defer leave()
	err = s.retry(ctx, atRevision("organization", put.ID, put.Revision), func() error {
		p, err := s.planPutOrganization(ctx, put)
		if err != nil {
			return err
		}
		revision, err := s.do(ctx, p)
		if err == nil {
			put.Revision = revision
		}
		return err
	})
	if err != nil {
		return policy.Organization{}, err
	}
	return put, nil
}

func (s *Store) planPutOrganization(ctx context.Context, put policy.Organization) (p plan, err error) {
	var stored *policy.Organization
	if isOrganization(put.ID) {
		if _, stored, err = s.readPair(ctx, organizationSQL, put.ID); err != nil {
			return plan{}, err
		}
	}
	if err := adapter.CheckPutOrganization(stored, put); err != nil {
		return plan{}, err
	}
	return plan{change{organization: put.ID}, func(b *batch) {
		if stored == nil {
			b.insertOrganizations([]policy.Organization{put})
		} else {
			b.replaceOrganization(put)
		}
	}}, nil
}

// DeleteOrganization implements [store.Store].
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, atRevision("organization", id, revision), func() error {
		p, err := s.planDeleteOrganization(ctx, id, revision)
		if err != nil {
			return err
		}
		_, err = s.do(ctx, p)
		return notEmpty(id, err)
	})
}

func (s *Store) planDeleteOrganization(ctx context.Context, id string, revision uint64) (plan, error) {
	var stored uint64
	if isOrganization(id) {
		// An unreadable organization can be deleted, if its revision can be read.
		if err := s.readRecords(ctx, s.querier(), func(r *records) error {
			o := r.organization.asOrganization()
			stored = o.Revision
			return unless(stored > 0, o.err)
		}, organizationSQL, id); err != nil {
			return plan{}, err
		}
	}
	if err := adapter.CheckDelete(adapter.OrganizationName(id), stored, revision); err != nil {
		return plan{}, err
	}
	return plan{change{organization: id, deleted: true}, func(b *batch) { b.deleteOrganization(id, revision) }}, nil
}

// notEmpty returns the error of the deletion of an organization.
func notEmpty(id string, err error) error {
	if sqlState(err) == foreignKeyViolation {
		return adapter.NotEmpty(id)
	}
	return err
}

// PutKey implements [store.Store].
func (s *Store) PutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return apikey.Key{}, err
	}
	defer leave()
	put = put.Clone()
	err = s.retry(ctx, atRevision("key", put.ID, put.Revision), func() error {
		p, err := s.planPutKey(ctx, put, options...)
		if err != nil {
			return err
		}
		revision, err := s.do(ctx, p)
		if err == nil {
			put.Revision = revision
		}
		return err
	})
	if err != nil {
		return apikey.Key{}, err
	}
	return put, nil
}

func (s *Store) planPutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (p plan, err error) {
	var (
		stored *apikey.Key
		owner  *policy.Organization
	)
	if isKey(put.ID) && isOrganization(put.Organization) {
		if stored, owner, err = s.readPair(ctx, forPutSQL, string(put.ID), put.Organization); err != nil {
			return plan{}, err
		}
	}
	if err := adapter.CheckPutKey(stored, put, options...); err != nil {
		return plan{}, err
	}
	if owner == nil {
		return plan{}, adapter.NoOrganization(put)
	}
	return plan{changeOf(put.Organization, put.ID, false), func(b *batch) {
		if stored == nil {
			b.insertKeys([]apikey.Key{put})
		} else {
			b.replaceKey(put)
		}
	}}, nil
}

// DeleteKey implements [store.Store]. The key's usage goes with it.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, atRevision("key", id, revision), func() error {
		p, err := s.planDeleteKey(ctx, id, revision, "")
		if err != nil {
			return err
		}
		_, err = s.do(ctx, p)
		return err
	})
}

// planDeleteKey is for a key of an organization, or of any if that is empty.
func (s *Store) planDeleteKey(ctx context.Context, id apikey.ID, revision uint64, of string) (plan, error) {
	var stored apikey.Key
	if isKey(id) {
		// An unreadable key can be deleted, if its revision and its organization can be
		// read: watchers receive both.
		if err := s.readRecords(ctx, s.querier(), func(r *records) error {
			k := r.key.asKey()
			if of == "" || of == k.Organization {
				stored = k.Key
			}
			return unless(k.Revision > 0 && k.Organization != "", k.err)
		}, keySQL, string(id)); err != nil {
			return plan{}, err
		}
	}
	if err := adapter.CheckDelete(adapter.KeyName(id), stored.Revision, revision); err != nil {
		return plan{}, err
	}
	return plan{changeOf(stored.Organization, id, true), func(b *batch) { b.deleteKey(id, revision, stored.Organization) }}, nil
}

func unless(fine bool, err error) error {
	if fine {
		return nil
	}
	return err
}
