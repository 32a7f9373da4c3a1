package policy

import (
	"context"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
)

// A Source is where an Engine looks keys up. It is the reading side of a
// store.Store, and all that a configuration file, a cache or a test needs to be.
// Implementations must be safe for concurrent use.
type Source interface {
	// Lookup returns the key with this ID, compared byte by byte, and its
	// organization, both as of one moment: never an old key with a new requirement.
	// found is false, and err nil, if there is no such key. err is only ever a
	// failure, a cancelled ctx included; it makes the decision unavailable and never
	// widens access. A list that cannot be read is a failure, not an empty list
	// (rule A3).
	Lookup(ctx context.Context, id apikey.ID) (subject Subject, found bool, err error)
}

// SourceFunc is a function as a [Source].
type SourceFunc func(ctx context.Context, id apikey.ID) (Subject, bool, error)

// Lookup calls f.
func (f SourceFunc) Lookup(ctx context.Context, id apikey.ID) (Subject, bool, error) {
	return f(ctx, id)
}

// An ImmediateSource answers from memory: it cannot block, so an Engine asks it
// directly, without a deadline and without a goroutine.
type ImmediateSource interface {
	Source

	// LookupNow is Lookup without waiting. Any text may be asked for, while Lookup is
	// asked by an Engine for valid IDs only: what is in memory answers sooner than a
	// check of the text would.
	LookupNow(id apikey.ID) (subject Subject, found bool, err error)
}

// A Subject is a key and its organization as of one moment: what a request is
// judged by. It is a small value to copy and share. The zero Subject is no key.
type Subject struct {
	key          *apikey.Key
	organization *Organization
}

// NewSubject puts a key and its organization together. The Subject keeps both
// pointers, so that a source that answers from memory copies nothing: whoever
// calls it must not change either afterwards, nor what the key's slices hold.
func NewSubject(key *apikey.Key, organization *Organization) Subject {
	return Subject{key, organization}
}

// Key returns the key, sharing nothing with the Subject that could be changed;
// the zero Key if there is none.
func (s Subject) Key() apikey.Key {
	if s.key == nil {
		return apikey.Key{}
	}
	return s.key.Clone()
}

// Organization returns the key's organization; the zero Organization if there is
// none.
func (s Subject) Organization() Organization {
	if s.organization == nil {
		return Organization{}
	}
	return *s.organization
}

// dependsOnTime reports whether the key's validity or its list does.
func (s Subject) dependsOnTime() bool {
	return s.key != nil && (!s.key.NotBefore.IsZero() || !s.key.Expires.IsZero() || s.key.AccessList.HasExpiry())
}

// isOf reports whether the subject is the key with this ID and its organization. What
// is neither that nor the zero Subject cannot be an answer to a look-up: line 3. A
// database that folds case, a join that went wrong and a record that lost its
// organization all show here.
func (s Subject) isOf(id apikey.ID) bool {
	return s.key != nil && s.organization != nil && s.key.ID == id &&
		s.key.Organization == s.organization.ID && s.organization.ID != ""
}

// fault returns why the subject is not the key with this ID.
func (s Subject) fault(id apikey.ID) error {
	switch {
	case s.key == nil:
		return fmt.Errorf("policy: the source returned organization %q without key %q", s.organization.ID, id)
	case s.key.ID != id:
		return fmt.Errorf("policy: the source returned key %q for key %q: want the same bytes", string(s.key.ID), id)
	case s.organization == nil:
		return fmt.Errorf("policy: the source returned key %q without its organization %q", id, s.key.Organization)
	}
	return fmt.Errorf("policy: the source returned key %q of organization %q with organization %q", id, s.key.Organization, s.organization.ID)
}
