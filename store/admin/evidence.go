package admin

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store"
)

// Evidence is the date and the completeness of the usage in a preview (rule M16).
type Evidence struct {
	Time     time.Time `json:"time"`             // of judging
	Revision uint64    `json:"revision"`         // the latest of the records judged by
	Begin    time.Time `json:"begin"`            // of the window: earlier usage does not count
	Since    time.Time `json:"since,omitzero"`   // when observing began; zero: not observed
	Unread   bool      `json:"unread,omitempty"` // some usage could not be read
}

// complete reports whether all of the window was observed. Only then is absence of usage
// evidence.
func (e Evidence) complete() bool {
	return !e.Unread && !e.Since.IsZero() && !e.Since.After(e.Begin)
}

// A Use is how an entry or a secret of a key was used in the window.
type Use struct {
	Entry   string     `json:"entry,omitempty"`  // the entry that covered the callers
	Secret  string     `json:"secret,omitempty"` // or the ID of the secret that they proved
	Count   uint64     `json:"count"`            // calls, earlier ones included
	Last    time.Time  `json:"last,omitzero"`    // the last one; zero: at an unknown time
	Address netip.Addr `json:"address,omitzero"` // of the last one

	prefix netip.Prefix // of Entry
}

// usesOf returns the uses of a key in the window, or at an unknown time, entries first. No
// other code knows how a store keeps usage.
func usesOf(usage store.KeyUsage, begin time.Time) []Use {
	var uses []Use
	add := func(use Use, kept accesslist.Usage) {
		if kept.Count == 0 || !kept.Last.IsZero() && kept.Last.Before(begin) {
			return
		}
		use.Count, use.Last, use.Address = kept.Count, kept.Last, kept.LastAddress.Unmap()
		uses = append(uses, use)
	}
	for prefix, kept := range usage.Entries {
		add(Use{Entry: entryText(prefix), prefix: prefix}, kept)
	}
	for secret, kept := range usage.Secrets {
		add(Use{Secret: secret}, kept)
	}
	slices.SortFunc(uses, func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Secret, b.Secret), a.prefix.Compare(b.prefix))
	})
	return uses
}

// MaxUses is the largest number of uses shown of one key. All of them are judged.
const MaxUses = 20

// latest returns the latest uses, the latest first.
func latest(uses []Use) []Use {
	shown := slices.Clone(uses)
	slices.SortStableFunc(shown, func(a, b Use) int { return b.Last.Compare(a.Last) })
	return shown[:min(len(shown), MaxUses)]
}

// entryText writes a prefix as an entry is written (rule A6).
func entryText(prefix netip.Prefix) string {
	if prefix.IsSingleIP() {
		return prefix.Addr().String()
	}
	return prefix.String()
}
