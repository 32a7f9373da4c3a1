package store

import (
	"fmt"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// CheckPutOrganization returns the error with which PutOrganization refuses the
// record, or nil: S10, S11 and S15. stored is the record under the same ID, nil if
// there is none.
func CheckPutOrganization(stored *policy.Organization, organization policy.Organization) error {
	if err := organization.Validate(); err != nil {
		return fmt.Errorf("store: %w: %w", ErrInvalid, err)
	}
	name := fmt.Sprintf("organization %q", organization.ID)
	if stored == nil {
		return checkPut(name, 0, organization.Revision)
	}
	return checkPut(name, stored.Revision, organization.Revision)
}

// CheckPutKey returns the error with which PutKey refuses the record, or nil: S10,
// S11, S15, S17 and S18. stored is the record under the same ID, nil if there is
// none. Whether the organization is there (S16) is the adapter's to see, in the same
// transaction.
func CheckPutKey(stored *apikey.Key, key apikey.Key, options ...PutOption) error {
	if err := key.Validate(); err != nil {
		return fmt.Errorf("store: %w: %w", ErrInvalid, err)
	}
	name := fmt.Sprintf("key %q", key.ID)
	var revision uint64
	if stored != nil {
		revision = stored.Revision
	}
	if err := checkPut(name, revision, key.Revision); err != nil {
		return err
	}
	opens := key.AccessList.IsEmpty() && !slices.Contains(options, AllowOpen)
	if stored == nil {
		if opens {
			return fmt.Errorf("store: new key %q has no entries: %w", key.ID, ErrOpensKey)
		}
		return nil
	}
	if stored.Organization != key.Organization {
		return fmt.Errorf("store: %w: key %q belongs to organization %q and cannot move to %q: create another", ErrInvalid, key.ID, stored.Organization, key.Organization)
	}
	if opens && !stored.AccessList.IsEmpty() {
		return fmt.Errorf("store: key %q would lose its %d entries: %w", key.ID, stored.AccessList.Len(), ErrOpensKey)
	}
	return nil
}

// CheckDelete returns the error with which a Delete is refused, or nil: S14. name is
// what to call the record in the error, such as `key "abc"`; stored is its revision,
// zero if there is none; given is the caller's.
func CheckDelete(name string, stored, given uint64) error {
	if stored != 0 && given == 0 {
		return nil // whatever it is
	}
	return checkReplace(name, stored, max(given, 1))
}

// checkPut is S10 and S11. stored is zero if there is no record.
func checkPut(name string, stored, given uint64) error {
	switch {
	case stored != 0 && given == 0:
		return fmt.Errorf("store: %s: %w", name, ErrExists)
	case stored == 0 && given == 0:
		return nil
	}
	return checkReplace(name, stored, given)
}

func checkReplace(name string, stored, given uint64) error {
	switch stored {
	case given:
		return nil
	case 0:
		return fmt.Errorf("store: %s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("store: %s has revision %d, not %d: %w", name, stored, given, ErrConflict)
}
