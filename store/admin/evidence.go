package admin

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// The bounds of complete evidence: only within them is a key without usage KeyUnused.
const (
	// MaxMissing is the longest time that may be missing of the window, all gaps together.
	MaxMissing = time.Minute

	// MaxLate is the longest time from Evidence.Until to the judging.
	MaxLate = store.MaxSilence
)

// Evidence is the date and the completeness of the usage in a preview (rule M16). See
// [store.Coverage] for Since to Lost.
type Evidence struct {
	Time     time.Time     `json:"time"`                         // of judging
	Revision uint64        `json:"revision"`                     // the latest of the records judged by
	Begin    time.Time     `json:"begin"`                        // of the window: earlier usage does not count
	Since    time.Time     `json:"since,omitzero"`               // usage is observed without a gap from then on; zero: not now
	Until    time.Time     `json:"until,omitzero"`               // usage up to then is in the store; zero: never observed
	Missing  time.Duration `json:"missingNanoseconds,omitempty"` // of the window: the time not observed
	Lost     uint64        `json:"lost,omitempty"`               // calls of the window known to be lost
	Unread   bool          `json:"unread,omitempty"`             // some usage, or its observation, could not be read
}

// complete reports whether the window was observed, within the bounds, up to now. Only then
// is absence of usage evidence.
func (e Evidence) complete() bool { return len(e.gaps()) == 0 }

// gaps returns in sentences what the evidence lacks.
func (e Evidence) gaps() (gaps []string) {
	if e.Unread {
		gaps = append(gaps, "Some usage could not be read.")
	}
	if e.Missing > MaxMissing {
		gaps = append(gaps, e.missing())
	}
	if e.Lost > 0 {
		gaps = append(gaps, fmt.Sprintf("%s known to be lost.", counted(int(e.Lost), "call is", "calls are")))
	}
	if e.Until.IsZero() || e.Until.Before(e.Time.Add(-MaxLate)) {
		gaps = append(gaps, "The usage of the latest calls is not known yet.")
	}
	return gaps
}

// missing says which part of the window was observed, or which was not, whichever is shorter.
func (e Evidence) missing() string {
	window, missing := e.Time.Sub(e.Begin).Round(time.Second), e.Missing.Round(time.Second)
	switch seen := window - missing; {
	case seen <= 0:
		return fmt.Sprintf("Usage was not observed in the last %s.", spoken(window))
	case seen < missing:
		return fmt.Sprintf("Usage was observed for %s of the last %s.", spoken(seen), spoken(window))
	}
	return fmt.Sprintf("Usage was not observed for %s of the last %s.", spoken(missing), spoken(window))
}

// A Use is how an entry or a secret of a key was used in the window.
type Use struct {
	Entry   string     `json:"entry,omitempty"`  // the entry that covered the callers
	Secret  string     `json:"secret,omitempty"` // or the ID of the secret that they proved
	Count   uint64     `json:"count"`            // calls, earlier ones included
	Last    time.Time  `json:"last,omitzero"`    // the last one; zero: at an unknown time
	Address netip.Addr `json:"address,omitzero"` // of the last one
	Ended   bool       `json:"ended,omitempty"`  // the entry or the secret is removed or has ended; in a KeyUsage

	prefix netip.Prefix // of Entry
}

// An AddressUse is how a key was used from an address in the window.
type AddressUse struct {
	Address netip.Addr `json:"address"`
	Count   uint64     `json:"count"` // calls, earlier ones included
	First   time.Time  `json:"first,omitzero"`
	Last    time.Time  `json:"last,omitzero"` // zero: at an unknown time
}

// A DenialUse is how often calls with a key were denied after the proof, or would have been,
// the last time in the window.
type DenialUse struct {
	Reason  policy.Reason `json:"reason"`
	Count   uint64        `json:"count"` // calls, earlier ones included
	Last    time.Time     `json:"last,omitzero"`
	Address netip.Addr    `json:"address,omitzero"` // of the last one
}

// observed is the usage of a key in the window, or at an unknown time. No other code knows
// how a store keeps usage.
type observed struct {
	uses      []Use        // entries first
	addresses []AddressUse // ascending
	all       bool         // there were no other addresses
	denials   []DenialUse  // by reason
	wouldDeny []DenialUse  // by reason: served calls
	complete  bool         // the window was observed
}

// used reports whether there was a served call.
func (o observed) used() bool { return len(o.uses)+len(o.addresses)+len(o.wouldDeny) > 0 || !o.all }

func (o observed) usedSecret(id string) bool {
	return slices.ContainsFunc(o.uses, func(use Use) bool { return use.Secret == id })
}

// otherProof reports whether the latest served call came with other proof than that of a
// secret, such as a client certificate. Usage does not show what that depends on.
func (o observed) otherProof() bool {
	var proven, last time.Time
	secret := false
	for _, use := range o.uses {
		if use.Secret != "" {
			secret, proven = true, later(proven, use.Last)
		}
	}
	for _, use := range o.addresses {
		last = later(last, use.Last)
	}
	return o.used() && !secret || last.After(proven)
}

// everyAddress returns the addresses of served calls, ascending, with those known only as the
// last of an entry, a secret or a call that would have been denied: these have a Count of 1.
func (o observed) everyAddress() []AddressUse {
	all, known := slices.Clone(o.addresses), make(map[netip.Addr]bool, len(o.addresses))
	for _, use := range all {
		known[use.Address] = true
	}
	add := func(address netip.Addr, last time.Time) {
		if address.IsValid() && !known[address] {
			all, known[address] = append(all, AddressUse{Address: address, Count: 1, Last: last}), true
		}
	}
	for _, use := range o.uses {
		add(use.Address, use.Last)
	}
	for _, use := range o.wouldDeny {
		add(use.Address, use.Last)
	}
	slices.SortFunc(all, func(a, b AddressUse) int { return a.Address.Compare(b.Address) })
	return all
}

// observedOf returns what the usage of a key shows.
func observedOf(usage store.KeyUsage, evidence Evidence) observed {
	o := observed{uses: usesOf(usage, evidence.Begin), complete: evidence.complete()}
	var addresses []netip.Addr
	addresses, o.all = usage.AddressesSince(evidence.Begin)
	o.addresses = slices.Grow(o.addresses, len(addresses))
	for _, address := range addresses {
		used := usage.Addresses[address]
		o.addresses = append(o.addresses, AddressUse{address.Unmap(), used.Count, used.First, used.Last})
	}
	o.denials, o.wouldDeny = denialsOf(usage.Denials, evidence.Begin), denialsOf(usage.WouldDeny, evidence.Begin)
	o.all = o.all && (len(o.addresses) > 0 || len(o.uses)+len(o.wouldDeny) == 0)
	return o
}

// denialsOf returns the denials in the window.
func denialsOf(all map[policy.Reason]accesslist.Usage, begin time.Time) (denials []DenialUse) {
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		if kept := all[reason]; within(kept, begin) {
			denials = append(denials, DenialUse{reason, kept.Count, kept.Last, kept.LastAddress.Unmap()})
		}
	}
	return denials
}

// within reports whether the latest of some calls is in the window, or at an unknown time.
func within(kept accesslist.Usage, begin time.Time) bool {
	return kept.Count > 0 && (kept.Last.IsZero() || !kept.Last.Before(begin))
}

func usesOf(usage store.KeyUsage, begin time.Time) []Use {
	var uses []Use
	add := func(use Use, kept accesslist.Usage) {
		if within(kept, begin) {
			use.Count, use.Last, use.Address = kept.Count, kept.Last, kept.LastAddress.Unmap()
			uses = append(uses, use)
		}
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

// MaxUses is the largest number of uses, and of addresses, shown of one key. All of them are
// judged.
const MaxUses = 20

// latest returns the latest items, the latest first.
func latest[T any](all []T, last func(T) time.Time) []T {
	shown := slices.Clone(all)
	slices.SortStableFunc(shown, func(a, b T) int { return last(b).Compare(last(a)) })
	return slices.Clone(shown[:min(len(shown), MaxUses)]) // and keep the others no longer
}

// entryText writes a prefix as an entry is written (rule A6).
func entryText(prefix netip.Prefix) string {
	if prefix.IsSingleIP() {
		return prefix.Addr().String()
	}
	return prefix.String()
}
