package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// attempts is how often a write is begun again. After each loss another's write is there,
// which as a rule is the answer: a conflict.
const attempts = 10

// retry does a write: it reads what is stored, judges by it, and then writes in one short
// transaction, in which it first takes the lock that all writes take, and next sees that
// what it has read is still so. Nothing else is locked before, so writes cannot deadlock
// with each other. It is begun again if another was quicker, or if the server says that
// the transaction should be tried again. If another was quicker each time, the error says
// what was to be written.
func (s *Store) retry(what string, try func() error) (err error) {
	for range attempts {
		err = try()
		switch state := sqlState(err); {
		case errors.Is(err, errChanged), state == foreignKeyViolation:
		case s.tx == nil && (state == serializationFailure || state == deadlockDetected):
		default:
			return err // in a transaction of the caller's, that is what to begin again
		}
	}
	if errors.Is(err, errChanged) {
		return fmt.Errorf("%w: %s: try again", err, what)
	}
	return err
}

// atRevision names a record as the caller of a write does.
func atRevision[ID ~string](kind string, id ID, revision uint64) string {
	return fmt.Sprintf("%s %q at revision %d", kind, id, revision)
}

// PutOrganization is as store.Store says.
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Organization{}, err
	}
	defer leave()
	err = s.retry(atRevision("organization", put.ID, put.Revision), func() error {
		var stored *policy.Organization
		if isOrganization(put.ID) {
			if _, stored, err = s.readPair(ctx, s.querier(), s.sql.organization, put.ID); err != nil {
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

// DeleteOrganization is as store.Store says.
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(atRevision("organization", id, revision), func() error {
		var stored uint64
		if isOrganization(id) {
			// One that cannot be read can be deleted, if its revision can be read.
			if _, err := s.read(ctx, s.querier(), sink{organization: func(o storedOrganization) error {
				stored = o.Revision
				return unless(stored > 0, o.err)
			}}, s.sql.organization, id); err != nil {
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
			return fmt.Errorf("store/postgres: organization %q: %w", id, store.ErrNotEmpty)
		}
		return err
	})
}

// PutKey is as store.Store says. Times are cut to microseconds, and what is returned has
// them so.
func (s *Store) PutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return apikey.Key{}, err
	}
	defer leave()
	put = storable(put)
	err = s.retry(atRevision("key", put.ID, put.Revision), func() error {
		var (
			stored *apikey.Key
			owner  *policy.Organization
		)
		if isKey(put.ID) && isOrganization(put.Organization) {
			if stored, owner, err = s.readPair(ctx, s.querier(), s.sql.forPut, string(put.ID), put.Organization); err != nil {
				return err
			}
		}
		if err := adapter.CheckPutKey(stored, put, options...); err != nil {
			return err
		}
		if owner == nil {
			return noOrganization(put)
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

func noOrganization(key apikey.Key) error {
	return fmt.Errorf("store/postgres: key %q: its organization %q: %w", key.ID, key.Organization, store.ErrNotFound)
}

// DeleteKey is as store.Store says. What the key has goes with it.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.retry(atRevision("key", id, revision), func() error {
		var stored apikey.Key
		if isKey(id) {
			// As with organizations; and who is told of it must be told whose it was.
			if _, err := s.read(ctx, s.querier(), sink{key: func(k storedKey) error {
				stored = k.Key
				return unless(k.Revision > 0 && k.Organization != "", k.err)
			}}, s.sql.key, string(id)); err != nil {
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

// storable returns the key as it can be stored, which shares nothing with it.
func storable(key apikey.Key) apikey.Key {
	key = key.Clone()
	key.NotBefore, key.Expires, key.Created = cut(key.NotBefore), cut(key.Expires), cut(key.Created)
	for i := range key.Secrets {
		secret := &key.Secrets[i]
		secret.Created, secret.Expires = cut(secret.Created), cut(secret.Expires)
	}
	key.AccessList = cutList(key.AccessList)
	return key
}

// cut returns the time in microseconds, which is what the server keeps. The zero time is
// kept apart, since as an expiry it means never: what comes right after it does not
// become it.
func cut(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	if cut := t.UTC().Truncate(time.Microsecond); !cut.IsZero() {
		return cut
	}
	return time.Time{}.Add(time.Microsecond)
}

// cutList cuts the times of the entries. A list without finer ones is left as it is.
func cutList(list accesslist.List) accesslist.List {
	var finer []accesslist.Entry
	for entry := range list.All() {
		if added, expires := cut(entry.Added), cut(entry.Expires); !added.Equal(entry.Added) || !expires.Equal(entry.Expires) {
			entry.Added, entry.Expires = added, expires
			finer = append(finer, entry)
		}
	}
	list, _ = list.Replace(finer...) // beside an error is a list that nothing takes
	return list
}
