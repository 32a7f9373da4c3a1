package postgres

import (
	"context"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Text that cannot be an identifier is not asked for, since no record has it, and the
// server would refuse some of it (S5).
func isKey(id apikey.ID) bool       { return id.Validate() == nil }
func isOrganization(id string) bool { return apikey.ValidateName("organization", id) == nil }

// Lookup is as policy.Source says. It is one statement, so that the key and its
// organization are as of one moment (S8).
func (s *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Subject{}, false, err
	}
	defer leave()
	if !isKey(id) {
		return policy.Subject{}, false, nil
	}
	key, organization, err := s.readPair(ctx, s.querier(), s.sql.lookup, string(id))
	if err != nil || key == nil {
		return policy.Subject{}, false, err
	}
	if organization == nil {
		return policy.Subject{}, false, unreadable("key", id, fmt.Errorf("its organization %q is not there", key.Organization))
	}
	return policy.NewSubject(key, organization), true, nil
}

// readPair reads a key and an organization; nil if there is none.
func (s *Store) readPair(ctx context.Context, q querier, sql string, args ...any) (*apikey.Key, *policy.Organization, error) {
	var key *apikey.Key
	var organization *policy.Organization
	_, err := s.read(ctx, q, sink{
		organization: func(o storedOrganization) error { organization = &o.Organization; return o.err },
		key:          func(k storedKey) error { key = &k.Key; return k.err },
	}, sql, args...)
	return key, organization, err
}

// Organization is as store.Store says.
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Organization{}, err
	}
	defer leave()
	if isOrganization(id) {
		_, organization, err := s.readPair(ctx, s.querier(), s.sql.organization, id)
		if err != nil {
			return policy.Organization{}, err
		}
		if organization != nil {
			return *organization, nil
		}
	}
	return policy.Organization{}, notFound("organization", id)
}

// Key is as store.Store says.
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return apikey.Key{}, err
	}
	defer leave()
	if isKey(id) {
		key, _, err := s.readPair(ctx, s.querier(), s.sql.key, string(id))
		if err != nil {
			return apikey.Key{}, err
		}
		if key != nil {
			return *key, nil
		}
	}
	return apikey.Key{}, notFound("key", id)
}

// Organizations is as store.Store says.
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Page[policy.Organization]{}, err
	}
	defer leave()
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[policy.Organization]{}, err
	}
	var all []policy.Organization
	_, err = s.read(ctx, s.querier(), sink{organization: func(o storedOrganization) error {
		all = append(all, o.Organization)
		return o.err
	}}, s.sql.organizations, after, request.Size()+1)
	if err != nil {
		return store.Page[policy.Organization]{}, err
	}
	return page(all, request, func(o policy.Organization) string { return o.ID }), nil
}

// Keys is as store.Store says.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Page[apikey.Key]{}, err
	}
	defer leave()
	after, err := adapter.After(request)
	if err != nil || !isOrganization(organization) {
		return store.Page[apikey.Key]{}, err
	}
	var all []apikey.Key
	_, err = s.read(ctx, s.querier(), sink{key: func(k storedKey) error {
		all = append(all, k.Key)
		return k.err
	}}, s.sql.keys, organization, after, request.Size()+1)
	if err != nil {
		return store.Page[apikey.Key]{}, err
	}
	return page(all, request, func(key apikey.Key) string { return string(key.ID) }), nil
}

// page makes a page of records that are one more than the page takes, if there are more.
func page[T any](records []T, request store.PageRequest, id func(T) string) store.Page[T] {
	size := request.Size()
	if len(records) <= size {
		return store.Page[T]{Items: records}
	}
	return store.Page[T]{Items: records[:size], Next: adapter.CursorAfter(id(records[size-1]))}
}

// Revision is as store.Watcher says. It asks the server each time, and fails where that
// is a standby.
func (s *Store) Revision(ctx context.Context) (uint64, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	return s.read(ctx, s.querier(), sink{}, s.sql.revision)
}
