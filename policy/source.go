package policy

import (
	"context"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy/internal/lookup"
)

// A Source has the keys for an Engine. It is the reading side of a store.Store, and enough
// for a configuration file, a cache or a test. Implementations must be safe for concurrent
// use.
//
// The time of a look-up tells a caller as much as the Source lets it (rule K3). In memory
// (store/memory, store/replica) it depends neither on the key's list nor on its grants. In a
// database (store/sqlite, store/postgres, store/etcd without a replica) a stored key takes
// longer than an unknown one, and the longer the more entries and grants it has. So the time
// tells a caller with a key's ID whether the key exists, and about how long its list is. The
// bounds of rule A12 limit the cost of such a guess.
type Source interface {
	// Lookup returns the key with this ID, compared byte by byte, and its organization,
	// both of one snapshot: never an old key with a new requirement. For an unknown key
	// found is false and err is nil. err is only ever a failure, a cancelled ctx included;
	// it makes the decision unavailable and never widens access. An unreadable list is a
	// failure, not an empty list (rule A3).
	//
	// An Engine's ctx has the request's values and a deadline, and is not cancelled when the
	// caller hangs up: to cancel a query closes the connection in common database drivers. See
	// [CallerContext].
	Lookup(ctx context.Context, id apikey.ID) (subject Subject, found bool, err error)
}

// CallerContext returns the context of the caller of a look-up, given the one of the look-up
// from an Engine: it is done as soon as nobody waits for the answer. A source waits with it for
// its turn, such as for a connection of a pool, and asks with the look-up's own: so an
// abandoned look-up leaves the queue, and one that has begun closes no connection. Of any other
// context it returns the same.
func CallerContext(ctx context.Context) context.Context { return lookup.Caller(ctx) }

// A SourceFunc is a function as a [Source]. An Engine calls it with a deadline and in a
// goroutine of its own, as any Source that is no [ImmediateSource]: some microseconds a
// decision. For many keys in memory, package store/memory is faster.
type SourceFunc func(ctx context.Context, id apikey.ID) (Subject, bool, error)

// Lookup implements [Source.Lookup].
func (f SourceFunc) Lookup(ctx context.Context, id apikey.ID) (Subject, bool, error) {
	return f(ctx, id)
}

// An ImmediateSource is a Source in memory. It cannot block, so an Engine asks it directly,
// without a deadline and without a goroutine.
type ImmediateSource interface {
	Source

	// LookupNow is Lookup without waiting. An Engine asks it for any text, but Lookup for
	// valid IDs only: a look-up in memory is faster than a check of the text.
	LookupNow(id apikey.ID) (subject Subject, found bool, err error)
}

// A Subject is a key and its organization of one snapshot. Requests are judged by it. It is
// a small value to copy and share. The zero Subject is no key.
type Subject struct {
	key          *apikey.Key
	organization *Organization
}

// NewSubject puts a key and its organization together. The Subject keeps both pointers, so
// that a source in memory copies nothing: the caller must change neither afterwards, nor
// the contents of the key's slices.
func NewSubject(key *apikey.Key, organization *Organization) Subject {
	return Subject{key, organization}
}

// Key returns a clone of the key, or the zero Key if there is none.
func (s Subject) Key() apikey.Key {
	if s.key == nil {
		return apikey.Key{}
	}
	return s.key.Clone()
}

// Organization returns the key's organization, or the zero Organization if there is none.
func (s Subject) Organization() Organization {
	if s.organization == nil {
		return Organization{}
	}
	return *s.organization
}

// isOf reports whether the subject is the key with this ID and its organization. Any other
// Subject but the zero one is line 3: a database that folds case, a wrong join and a record
// without its organization all show here.
func (s Subject) isOf(id apikey.ID) bool {
	return s.key != nil && s.organization != nil && s.key.ID == id &&
		s.key.Organization == s.organization.ID && s.organization.ID != ""
}

// fault returns why the subject is not the key with this ID.
func (s Subject) fault(id apikey.ID) error {
	switch {
	case s.key == nil:
		return fmt.Errorf("policy: the source returned organization %s without key %q", plain.Quote(s.organization.ID), id)
	case s.key.ID != id:
		return fmt.Errorf("policy: the source returned key %s for key %q: want the same bytes", plain.Quote(s.key.ID), id)
	case s.organization == nil:
		return fmt.Errorf("policy: the source returned key %q without its organization %s", id, plain.Quote(s.key.Organization))
	}
	return fmt.Errorf("policy: the source returned key %q of organization %s with organization %s", id, plain.Quote(s.key.Organization), plain.Quote(s.organization.ID))
}
