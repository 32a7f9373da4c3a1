package admin

import (
	"slices"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// SetTrialList puts a list of these entries on trial for a key, in the place of an earlier
// one (rule Q4 of package policy). It denies nobody, and only OverBroad can be found. Calls
// that it would deny are counted: the preview of [EnforceTrial] has them in
// [KeyEffect.WouldDeny]. Entries that stay on trial keep their time of adding. No entries are
// Invalid: see [EndTrial].
func SetTrialList(key apikey.ID, entries ...accesslist.Entry) Change {
	entries = slices.Clone(entries)
	return changeEntries("set_trial_list", key, onTrial, entries, func(d *draft, list accesslist.List) (accesslist.List, error) {
		return withEntries(accesslist.List{}, keepAdded(list, entries), d.now)
	})
}

// EndTrial ends the trial of a key's list, without putting it into force.
func EndTrial(key apikey.ID) Change {
	return ofKey("end_trial", key, func(d *draft) error {
		d.key.TrialList = accesslist.List{}
		return nil
	})
}

// EnforceTrial makes the list on trial the access list of a key, and ends the trial, in one
// write. It is judged like [ReplaceEntries]. Entries on both lists keep the time of adding of
// the access list. A key without a list on trial is a Conflict.
func EnforceTrial(key apikey.ID) Change {
	return ofKey("enforce_trial", key, func(d *draft) (err error) {
		tried := slices.Collect(d.key.TrialList.All())
		if len(tried) == 0 {
			return conflict("The key has no list on trial.")
		}
		d.key.AccessList, err = withEntries(accesslist.List{}, keepAdded(d.key.AccessList, tried), d.now)
		d.key.TrialList = accesslist.List{}
		return err
	})
}
