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
func (s *Store) retry(ctx context.Context, what string, try func() error) (err error) {
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

// PutOrganization implements [store.Store].
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Organization{}, err
	}
	defer leave()
	err = s.retry(ctx, atRevision("organization", put.ID, put.Revision), func() error {
		var stored *policy.Organization
		if isOrganization(put.ID) {
			if _, stored, err = s.readPair(ctx, organizationSQL, put.ID); err != nil {
				return err
			}
		}
		if err := adapter.CheckPutOrganization(stored, put); err != nil {
			return err
		}
		b := s.newBatch(change{organization: put.ID})
		if stored == nil {
			b.insertOrganizations([]policy.Organization{put})
		} else {
			b.replaceOrganization(put)
		}
		revision, err := s.commit(ctx, b)
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

// DeleteOrganization implements [store.Store].
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, atRevision("organization", id, revision), func() error {
		var stored uint64
		if isOrganization(id) {
			// An unreadable organization can be deleted, if its revision can be read.
			if err := s.readRecords(ctx, s.querier(), func(r *records) error {
				o := r.organization.asOrganization()
				stored = o.Revision
				return unless(stored > 0, o.err)
			}, organizationSQL, id); err != nil {
				return err
			}
		}
		if err := adapter.CheckDelete(adapter.OrganizationName(id), stored, revision); err != nil {
			return err
		}
		b := s.newBatch(change{organization: id, deleted: true})
		b.deleteOrganization(id, revision)
		_, err := s.commit(ctx, b)
		if sqlState(err) == foreignKeyViolation {
			return adapter.NotEmpty(id)
		}
		return err
	})
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
		var (
			stored *apikey.Key
			owner  *policy.Organization
		)
		if isKey(put.ID) && isOrganization(put.Organization) {
			if stored, owner, err = s.readPair(ctx, forPutSQL, string(put.ID), put.Organization); err != nil {
				return err
			}
		}
		if err := adapter.CheckPutKey(stored, put, options...); err != nil {
			return err
		}
		if owner == nil {
			return adapter.NoOrganization(put)
		}
		b := s.newBatch(changeOf(put.Organization, put.ID, false))
		if stored == nil {
			b.insertKeys([]apikey.Key{put})
		} else {
			b.replaceKey(put)
		}
		revision, err := s.commit(ctx, b)
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

// DeleteKey implements [store.Store]. The key's usage goes with it.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(ctx, atRevision("key", id, revision), func() error {
		var stored apikey.Key
		if isKey(id) {
			// An unreadable key can be deleted, if its revision and its organization can be
			// read: watchers are told both.
			if err := s.readRecords(ctx, s.querier(), func(r *records) error {
				k := r.key.asKey()
				stored = k.Key
				return unless(k.Revision > 0 && k.Organization != "", k.err)
			}, keySQL, string(id)); err != nil {
				return err
			}
		}
		if err := adapter.CheckDelete(adapter.KeyName(id), stored.Revision, revision); err != nil {
			return err
		}
		b := s.newBatch(changeOf(stored.Organization, id, true))
		b.deleteKey(id, revision, stored.Organization)
		_, err := s.commit(ctx, b)
		return err
	})
}

func unless(fine bool, err error) error {
	if fine {
		return nil
	}
	return err
}
