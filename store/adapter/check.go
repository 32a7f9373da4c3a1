package adapter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// CheckPutOrganization returns the error of PutOrganization for a record, nil to accept it:
// S10, S11 and S15. stored is the record under the same ID, nil if it is absent.
func CheckPutOrganization(stored *policy.Organization, organization policy.Organization) error {
	if err := organization.Validate(); err != nil {
		return fmt.Errorf("store: %w: %w", store.ErrInvalid, err)
	}
	var revision uint64
	if stored != nil {
		revision = stored.Revision
	}
	return checkPut(OrganizationName(organization.ID), revision, organization.Revision)
}

// CheckPutKey returns the error of PutKey for a record, nil to accept it: S10, S11, S15, S17,
// S18 and S28. stored is the record under the same ID, nil if it is absent. The adapter itself
// looks for the organization (S16), in the same transaction; see [NoOrganization].
func CheckPutKey(stored *apikey.Key, key apikey.Key, options ...store.PutOption) error {
	if err := key.Validate(); err != nil {
		return fmt.Errorf("store: %w: %w", store.ErrInvalid, err)
	}
	name, revision := KeyName(key.ID), uint64(0)
	if stored != nil {
		revision = stored.Revision
	}
	if err := checkPut(name, revision, key.Revision); err != nil {
		return err
	}
	if err := checkEntries(name, stored, key, options); err != nil {
		return err
	}
	opens := key.AccessList.IsEmpty() && !slices.Contains(options, store.AllowOpen)
	switch {
	case stored == nil && opens:
		return fmt.Errorf("store: new %v has no entries: %w", name, store.ErrOpensKey)
	case stored == nil:
		return nil
	case stored.Organization != key.Organization:
		return fmt.Errorf("store: %w: %v belongs to %v and cannot move to %v: create another", store.ErrInvalid, name, OrganizationName(stored.Organization), OrganizationName(key.Organization))
	case opens && !stored.AccessList.IsEmpty():
		return fmt.Errorf("store: %v would lose its %d entries: %w", name, stored.AccessList.Len(), store.ErrOpensKey)
	}
	return nil
}

// checkEntries decides S28.
func checkEntries(name Name, stored *apikey.Key, key apikey.Key, options []store.PutOption) error {
	most := store.MaxEntries
	if stored != nil {
		most = max(most, stored.Entries())
	}
	if n := key.Entries(); n > most && !slices.Contains(options, store.AllowManyEntries) {
		return fmt.Errorf("store: %w: %v has %d entries: want at most %d, or AllowManyEntries", store.ErrInvalid, name, n, most)
	}
	return nil
}

// CheckDelete returns the error of a Delete, nil to accept it: S14. stored is the record's
// revision, zero if it is absent; given is the caller's.
func CheckDelete(name Name, stored, given uint64) error {
	if stored != 0 && given == 0 {
		return nil // whatever its revision
	}
	return checkReplace(name, stored, max(given, 1))
}

// checkPut decides S10 and S11. stored is zero if the record is absent.
func checkPut(name Name, stored, given uint64) error {
	switch {
	case stored != 0 && given == 0:
		return Exists(name)
	case stored == 0 && given == 0:
		return nil
	}
	return checkReplace(name, stored, given)
}

func checkReplace(name Name, stored, given uint64) error {
	switch stored {
	case given:
		return nil
	case 0:
		return NotFound(name)
	}
	return fmt.Errorf("store: %v has revision %d, not %d: %w", name, stored, given, store.ErrConflict)
}

// CheckLoad returns the error of Load for records, whatever is stored, nil to accept them:
// L2. The adapter itself checks what is stored: every record must be absent ([Exists]),
// and each key's organization must exist or be among the records ([NoOrganization]).
func CheckLoad(organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	if n := len(organizations) + len(keys); n > store.MaxLoad {
		return fmt.Errorf("store: %w: %d records in one Load: want at most %d", store.ErrInvalid, n, store.MaxLoad)
	}
	seen := make(map[Name]struct{}, len(organizations)+len(keys))
	check := func(name Name, err error) error {
		if _, twice := seen[name]; err == nil && twice {
			return Exists(name)
		}
		seen[name] = struct{}{}
		return err
	}
	for _, organization := range organizations {
		if err := check(OrganizationName(organization.ID), CheckPutOrganization(nil, organization)); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if err := check(KeyName(key.ID), CheckPutKey(nil, key, options...)); err != nil {
			return err
		}
	}
	return nil
}

// CheckUsageBatch returns the error of RecordUsage for a batch, nil to accept it: U7 and
// U12.
func CheckUsageBatch(batch map[apikey.ID]store.KeyUsage) error {
	if len(batch) > store.MaxUsageKeys {
		return fmt.Errorf("store: %w: a batch of usage of %d keys: want at most %d", store.ErrInvalid, len(batch), store.MaxUsageKeys)
	}
	for id, usage := range batch {
		if err := checkUsage(usage); err != nil {
			return fmt.Errorf("store: %w: usage of %v: %w", store.ErrInvalid, KeyName(id), err)
		}
	}
	return nil
}

func checkUsage(usage store.KeyUsage) error {
	for address := range usage.Addresses {
		if !address.IsValid() {
			return errors.New("calls from the zero address: want a valid address")
		}
	}
	for _, counts := range []map[policy.Reason]accesslist.Usage{usage.Denials, usage.WouldDeny} {
		for reason := range counts {
			if !reason.AfterProof() {
				return fmt.Errorf("denials by %v: want a reason after the proof, %v to %v", reason, policy.KeyDisabled, policy.RoleMissing)
			}
		}
	}
	return nil
}

// CheckReport returns the error of RecordObservation for a report, nil to accept it: U14.
func CheckReport(report store.Report) error {
	if err := report.Validate(); err != nil {
		return fmt.Errorf("store: %w: %w", store.ErrInvalid, err)
	}
	return nil
}

// CheckUsageKeys returns the error of Usage for keys, nil to accept them: U10.
func CheckUsageKeys(ids []apikey.ID) error {
	if len(ids) > store.MaxUsageKeys {
		return fmt.Errorf("store: %w: usage of %d keys: want at most %d", store.ErrInvalid, len(ids), store.MaxUsageKeys)
	}
	return nil
}

// CheckWatch returns the store.ErrCompacted of a Watch after a position, nil to accept it:
// W4. forgotten is the revision of the latest change no longer known, zero if all
// are; latest is the position of the store. Positions of another history are refused: an
// adapter whose history has a past of several names looks for the name itself, and gives
// the position with the latest one. A watch from the zero Position needs no check.
func CheckWatch(after store.Position, forgotten uint64, latest store.Position) error {
	switch {
	case after.History != latest.History:
		return fmt.Errorf("store: a watch from revision %d of history %.80q, of a store with history %.80q: %w", after.Revision, after.History, latest.History, store.ErrCompacted)
	case after.Revision > latest.Revision:
		return fmt.Errorf("store: a watch from revision %d, of a store that has come to %d: %w", after.Revision, latest.Revision, store.ErrCompacted)
	case after.Revision < forgotten:
		return fmt.Errorf("store: a watch from revision %d, of a store that knows the changes after %d: %w", after.Revision, forgotten, store.ErrCompacted)
	}
	return nil
}
