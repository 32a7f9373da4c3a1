package admin

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
)

// AddEntries adds entries to a key's access list. An entry that is on the list already, or
// given twice, is Invalid, and nothing is added then (rule A6). An entry without a time of
// adding gets the present one. The first entry narrows an open key at once (rule A10).
func AddEntries(key apikey.ID, entries ...accesslist.Entry) Change {
	entries = slices.Clone(entries)
	return changeEntries("add_entries", key, inForce, entries, func(d *draft, list accesslist.List) (accesslist.List, error) {
		return withEntries(list, entries, d.now)
	})
}

// RemoveEntries removes entries from a key's access list, each by its exact address or block
// (rule A9). An absent one is Invalid, and nothing is removed then. The last entry is removed
// only where Opens was accepted (rules A10, M14).
func RemoveEntries(key apikey.ID, prefixes ...netip.Prefix) Change {
	prefixes = slices.Clone(prefixes)
	var args []string
	for _, prefix := range prefixes {
		args = append(args, prefix.String())
	}
	change := ofKey("remove_entries", key, func(d *draft) error {
		list, err := d.key.AccessList.Without(prefixes, accesslist.AllowOpen)
		if err != nil {
			return wrap(Invalid, err, "%s.", plainText(err))
		}
		d.key.AccessList = list
		return nil
	}, args...)
	if len(prefixes) == 0 {
		change = change.wrong("The change names no entry.")
	}
	return change
}

// ReplaceEntries makes these entries the whole access list of a key, in one write. Entries on
// both lists keep their time of adding. No entries at all need Opens accepted (rules A10,
// M14).
func ReplaceEntries(key apikey.ID, entries ...accesslist.Entry) Change {
	entries = slices.Clone(entries)
	change := changeEntries("replace_entries", key, inForce, entries, func(d *draft, list accesslist.List) (accesslist.List, error) {
		return withEntries(accesslist.List{}, keepAdded(list, entries), d.now)
	})
	if len(entries) == 0 && key != "" {
		change.problem = ""
	}
	return change
}

// EditEntries sets the comment and the expiry of entries on a key's access list. An absent
// one is Invalid, and nothing is changed then. The time of adding stays.
func EditEntries(key apikey.ID, entries ...accesslist.Entry) Change {
	entries = slices.Clone(entries)
	return changeEntries("edit_entries", key, inForce, entries, func(d *draft, list accesslist.List) (accesslist.List, error) {
		for _, entry := range entries {
			if _, ok := list.Find(entry.Prefix()); !ok {
				return list, invalid("%s is not on the list. Nothing was changed.", entry)
			}
		}
		list, err := list.Replace(keepAdded(list, times(entries))...)
		if err != nil {
			return list, wrap(Invalid, err, "%s.", plainText(err))
		}
		return list, nil
	})
}

// inForce is the list of a key that is enforced, and onTrial the one that is not (rule Q4).
func inForce(key *apikey.Key) *accesslist.List { return &key.AccessList }
func onTrial(key *apikey.Key) *accesslist.List { return &key.TrialList }

func changeEntries(kind string, key apikey.ID, of func(*apikey.Key) *accesslist.List, entries []accesslist.Entry, edit func(*draft, accesslist.List) (accesslist.List, error)) Change {
	change := ofKey(kind, key, func(d *draft) (err error) {
		most, list := max(store.MaxEntries, d.key.Entries()), of(d.key)
		if *list, err = edit(d, *list); err != nil {
			return err
		}
		if n := d.key.Entries(); n > most {
			lists := "The list"
			if !d.key.TrialList.IsEmpty() {
				lists = "The list and the one on trial together"
			}
			return invalid("%s would have %d entries, and %d are possible.", lists, n, most)
		}
		return nil
	}, entryArgs(entries)...)
	if len(entries) == 0 {
		change = change.wrong("The change names no entry.")
	}
	return change
}

// withEntries adds entries to a list.
func withEntries(list accesslist.List, entries []accesslist.Entry, now time.Time) (accesslist.List, error) {
	added := times(entries)
	for i := range added {
		if added[i].Added.IsZero() {
			added[i].Added = now
		}
	}
	with, err := list.With(added...)
	switch {
	case errors.Is(err, accesslist.ErrDuplicate):
		return with, wrap(Invalid, err, "%s.", plainText(err))
	case err != nil:
		return with, wrap(Invalid, err, "An entry is invalid: %s.", plainText(err))
	}
	return with, nil
}

// times returns a copy of entries with their times as every store keeps them.
func times(entries []accesslist.Entry) []accesslist.Entry {
	kept := slices.Clone(entries)
	for i := range kept {
		kept[i].Added, kept[i].Expires = moment(kept[i].Added), moment(kept[i].Expires)
	}
	return kept
}

// keepAdded returns a copy of entries with the times of adding that are on the list.
func keepAdded(list accesslist.List, entries []accesslist.Entry) []accesslist.Entry {
	kept := slices.Clone(entries)
	for i := range kept {
		if stands, ok := list.Find(kept[i].Prefix()); ok {
			kept[i].Added = stands.Added
		}
	}
	return kept
}

func entryArgs(entries []accesslist.Entry) []string {
	args := []string{fmt.Sprint(len(entries))}
	for _, e := range entries {
		args = append(args, e.String(), plain.Cut(e.Comment, 2*accesslist.MaxComment), stamp(e.Added), stamp(e.Expires))
	}
	return args
}
