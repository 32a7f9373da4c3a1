package transfer

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// organizationDifference returns the first difference other than the revision, or "".
func organizationDifference(a, b policy.Organization) string {
	switch {
	case a.ID != b.ID:
		return "the ID " + plain.Quote(b.ID)
	case a.Name != b.Name:
		return "another name"
	case a.Requirement != b.Requirement:
		return fmt.Sprintf("the requirement %v instead of %v", b.Requirement, a.Requirement)
	case a.Disabled != b.Disabled:
		return fmt.Sprintf("disabled %t instead of %t", b.Disabled, a.Disabled)
	case !sameTime(a.SuspendedUntil, b.SuspendedUntil):
		return "another end of its suspension"
	}
	a.SuspendedUntil, a.Revision = b.SuspendedUntil, b.Revision
	if !a.Equal(b) { // metadata of a later version is all that is left
		return "other metadata"
	}
	return ""
}

// keyDifference returns the first difference other than the revision, or "".
func keyDifference(a, b apikey.Key) string {
	switch {
	case a.ID != b.ID:
		return fmt.Sprintf("the ID %q", b.ID)
	case a.Organization != b.Organization:
		return "the organization " + plain.Quote(b.Organization)
	case a.Description != b.Description:
		return "another description"
	case a.Disabled != b.Disabled:
		return fmt.Sprintf("disabled %t instead of %t", b.Disabled, a.Disabled)
	case !sameTime(a.NotBefore, b.NotBefore):
		return "another time from which it is valid"
	case !sameTime(a.Expires, b.Expires):
		return "another expiry"
	case !sameTime(a.Created, b.Created):
		return "another time of creation"
	case !slices.Equal(a.Grants, b.Grants):
		return "other grants"
	case !slices.EqualFunc(a.Secrets, b.Secrets, sameSecret):
		return "other secrets"
	case !sameList(a.AccessList, b.AccessList):
		return "another access list"
	case !sameList(a.TrialList, b.TrialList):
		return "another list on trial"
	case a.ExternalID() != b.ExternalID():
		return "another external ID"
	case !maps.Equal(a.Labels(), b.Labels()):
		return "other labels"
	case !(apikey.Key{Metadata: a.Metadata}).Equal(apikey.Key{Metadata: b.Metadata}): // of a later version
		return "other metadata"
	}
	return ""
}

func sameSecret(a, b apikey.StoredSecret) bool {
	return a.ServerKey == b.ServerKey && a.Sum == b.Sum && a.FormerID == b.FormerID && sameTime(a.Created, b.Created) && sameTime(a.Expires, b.Expires) &&
		a.Digest.Equal(b.Digest)
}

func sameList(a, b accesslist.List) bool {
	return b.IsValid() && slices.EqualFunc(slices.Collect(a.All()), slices.Collect(b.All()), func(a, b accesslist.Entry) bool {
		return a.Prefix() == b.Prefix() && a.Comment == b.Comment && sameTime(a.Added, b.Added) && sameTime(a.Expires, b.Expires)
	})
}

// sameTime compares to the microsecond. A store keeps at least that, rounded either way
// (S6). The zero time equals no other time: a lost expiry would admit callers.
func sameTime(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.Sub(b).Abs() < time.Microsecond
}
