package apikey

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

// maxSecrets is the number of live secrets of a key during a rotation (rule K4).
const maxSecrets = 2

// A Key is the record of one API key. It belongs to one organization for its whole life (rule K6) and stands for a program,
// never for a person.
//
// It is plain data: a copy shares Grants, Secrets and Metadata, a [Key.Clone] does not. The zero Key is invalid. No secret matches
// it. Its JSON is the stored form; see [Key.MarshalJSON].
type Key struct {
	ID ID

	// AccessList has the addresses of the key's callers. An empty one admits every address, unless the organization or
	// the endpoint requires a list; one whose entries have all expired admits none.
	AccessList accesslist.List

	Grants []Grant // the key's roles (rule K5); none: only endpoints without roles, at the organization

	Expires   time.Time // the first instant after its validity; zero: no bound
	Disabled  bool      // switched off, until it is switched on again; see also policy.Organization
	NotBefore time.Time // the first instant of its validity; zero: no bound

	// TrialList is a list on trial (rule Q4 of package policy): a call that it would deny is
	// judged by AccessList alone, and its decision says so. Empty: none. It opens nothing: a
	// key with a TrialList and no AccessList admits every address.
	TrialList accesslist.List

	Organization string // see ValidateName

	Secrets []StoredSecret // one, or two during a rotation (rule K4), the oldest first

	Created     time.Time // zero: unknown
	Description string    // for people: at most MaxDescription bytes of what a name may have (ValidateName), may be empty

	Metadata *Metadata // labels and an external ID; nil: none

	// Revision is set by the store and changed by every write; see package store. Zero: not stored yet.
	Revision uint64
}

// A Grant is a role of a key and where it holds (rule K5). It holds in the organization itself,
// in one project, or in all projects, and none of these implies another. Roles are words of the embedding program and
// none implies another.
type Grant struct {
	Role        string // see ValidateName
	Project     string // holds in this project; "": in the organization itself, unless AllProjects
	AllProjects bool   // holds in every project of the organization; Project is "" then
}

// A Status says whether a key is valid, apart from its secret and its access list.
type Status uint8

// The values of Status. Only StatusActive admits a call.
const (
	StatusUnknown     Status = iota // the zero Key's
	StatusActive                    // valid now
	StatusDisabled                  // switched off
	StatusNotYetValid               // before its NotBefore
	StatusExpired                   // at or after its Expires
)

var statusTexts = [...]string{"unknown", "active", "disabled", "not_yet_valid", "expired"}

// String returns "unknown", "active", "disabled", "not_yet_valid" or "expired", and for any other value its number, for
// example "Status(9)".
func (s Status) String() string {
	if int(s) < len(statusTexts) {
		return statusTexts[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// Status returns the status of the key at now: the first that applies of disabled, not yet valid, expired and active.
// At NotBefore itself the key is valid, at Expires itself it has expired. The zero Key is StatusUnknown. An organization
// that is switched off is no part of its keys' status.
func (k Key) Status(now time.Time) Status {
	switch {
	case k.ID == "":
		return StatusUnknown
	case k.Disabled:
		return StatusDisabled
	case !k.NotBefore.IsZero() && now.Before(k.NotBefore):
		return StatusNotYetValid
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return StatusExpired
	}
	return StatusActive
}

// Entries returns the number of entries of both lists. [MaxEntries] and store.MaxEntries are bounds on it.
func (k Key) Entries() int { return k.AccessList.Len() + k.TrialList.Len() }

// Clone returns a copy with Grants, Secrets and Metadata of its own. Access lists and Digest credentials are immutable and stay shared.
// Metadata with nothing in it becomes nil.
func (k Key) Clone() Key {
	k.Grants = slices.Clone(k.Grants)
	k.Secrets = slices.Clone(k.Secrets)
	k.Metadata = k.Metadata.clone()
	return k
}

// Equal reports whether two records are the same. Times are the same when they are the same instant, nil slices and Metadata equal
// empty ones, the order of grants and secrets counts, and so does Revision. go-cmp uses it. It does not verify a
// secret; see [Secret.Verify].
func (k Key) Equal(o Key) bool {
	return k.ID == o.ID && k.Organization == o.Organization && k.Description == o.Description &&
		k.Disabled == o.Disabled && k.AccessList.Equal(o.AccessList) && k.TrialList.Equal(o.TrialList) &&
		slices.Equal(k.Grants, o.Grants) && slices.EqualFunc(k.Secrets, o.Secrets, StoredSecret.equal) &&
		k.NotBefore.Equal(o.NotBefore) && k.Expires.Equal(o.Expires) && k.Created.Equal(o.Created) &&
		k.ExternalID() == o.ExternalID() && maps.Equal(k.Labels(), o.Labels()) && k.unknownMetadata() == o.unknownMetadata() &&
		k.Revision == o.Revision
}

func (s StoredSecret) equal(o StoredSecret) bool {
	return s.ServerKey == o.ServerKey && s.Sum == o.Sum && s.FormerID == o.FormerID && s.Created.Equal(o.Created) && s.Expires.Equal(o.Expires) &&
		s.Digest.Equal(o.Digest)
}
