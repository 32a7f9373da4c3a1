package admin

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// DefaultBudget is the number of entries that Tighten suggests at most, unless told otherwise.
const DefaultBudget = 10

// TightenOptions are the terms of a Tighten.
type TightenOptions struct {
	// Budget is the largest number of entries, up to store.MaxEntries; 0: DefaultBudget. The
	// suggestion exceeds it only by entries of the present list.
	Budget int

	// AllowIPv6 suggests entries for IPv6 addresses, too, each at least a /64. Without it
	// they are left out, and calls from there would be denied.
	AllowIPv6 bool
}

// A Tightening is a suggested access list for a key, with all that speaks for and against it.
// The names in its JSON do not change. An empty list is [] there.
type Tightening struct {
	Key KeyView `json:"key"` // as it is

	// Observed are the addresses of the key's served calls in the window, ascending. LeftOut
	// are those that the suggestion does not cover on purpose: IPv6 without AllowIPv6, and
	// addresses that the present list does not admit.
	Observed []AddressUse `json:"observed"`
	LeftOut  []AddressUse `json:"leftOut"`

	// Gaps says in sentences why Observed may lack addresses. Empty: it lacks none, within the
	// bounds of MaxMissing and MaxLate.
	Gaps []string `json:"gaps"`

	Entries []EntryView `json:"entries"` // suggested, at least one
	Added   []EntryView `json:"added"`   // the difference to the present list
	Removed []EntryView `json:"removed"`

	// Change makes the suggestion the access list, if the key is still at its revision. Give
	// it to Apply with Preview.Token. Trial puts the suggestion on trial instead, without a
	// token: see SetTrialList.
	Change  Change  `json:"-"`
	Trial   Change  `json:"-"`
	Preview Preview `json:"preview"` // of Change
}

// Tighten suggests a narrower access list for a key, from the addresses observed in the
// window:
//   - It covers those that the present list admits, and as little else as the budget allows
//     (see [accesslist.Suggest]). If the actor is the key itself, it covers the actor's, too.
//   - It stays inside the present list: it admits no other address, and none for longer.
//   - It has at least one entry.
//
// Tighten writes nothing.
//
// Look at Gaps before applying it: callers that were not observed are denied. Look at Observed
// as well: an address is suggested because calls came from there, and not because they should
// have. Errors are those of [Admin.Preview], and
//   - Invalid for a budget below 0 or above store.MaxEntries, and of 1 for both families;
//   - Conflict if no address to cover was observed;
//   - Unavailable if the usage of the key cannot be read;
//   - Refused if every such list would deny the acting key, such as one called by IPv6
//     without AllowIPv6.
func (a *Admin) Tighten(ctx context.Context, actor Actor, organization string, key apikey.ID, options TightenOptions) (Tightening, error) {
	suggested, err := a.suggest(ctx, actor, organization, key, options)
	if err != nil {
		a.notMade(ctx, actor, organization, nil, err)
		return Tightening{}, err
	}
	if suggested.Preview, err = a.Preview(ctx, actor, organization, suggested.Change); err != nil {
		return Tightening{}, err
	}
	self := func(f Finding) bool { return f.Kind == SelfLockout || f.Kind == SelfLockoutAt }
	if i := slices.IndexFunc(suggested.Preview.Findings, self); i >= 0 {
		err := refused(suggested.Preview.Findings[i:i+1], suggested.Preview)
		a.notMade(ctx, actor, organization, []Change{suggested.Change}, err)
		return Tightening{}, err
	}
	return suggested, nil
}

// suggest returns a Tightening without its preview.
func (a *Admin) suggest(ctx context.Context, actor Actor, organization string, id apikey.ID, options TightenOptions) (Tightening, error) {
	if options.Budget == 0 {
		options.Budget = DefaultBudget
	}
	p := &plan{admin: a, actor: actor, call: actor.request, organization: organization, now: moment(a.clock())}
	if err := actor.may(organization, nil); err != nil {
		return Tightening{}, err
	}
	if options.Budget < 1 || options.Budget > store.MaxEntries {
		return Tightening{}, invalid("A budget of %d entries is not possible: it is 1 to %d.", options.Budget, store.MaxEntries)
	}
	if err := p.read(ctx); err != nil {
		return Tightening{}, err
	}
	if err := p.checkActor(ctx); err != nil {
		return Tightening{}, err
	}
	key, err := a.keyOf(ctx, organization, id)
	if err != nil {
		return Tightening{}, err
	}
	usage, evidence := p.observed(ctx, key, p.now.Add(-a.rules.window))
	seen := observedOf(usage, evidence)
	t := Tightening{Key: viewKey(key, p.now), Observed: listed(seen.everyAddress()), LeftOut: []AddressUse{}, Gaps: listed(evidence.gaps())}
	if !seen.all {
		t.Gaps = append(t.Gaps, "The addresses of some calls are not known: a store keeps a bounded number.")
	}
	var covered []netip.Addr
	for _, use := range t.Observed {
		if options.lists(use.Address) && (key.AccessList.IsEmpty() || key.AccessList.Contains(use.Address, p.now)) {
			covered = append(covered, use.Address)
		} else {
			t.LeftOut = append(t.LeftOut, use)
		}
	}
	switch {
	case len(covered) == 0 && evidence.Unread:
		return Tightening{}, wrap(Unavailable, nil, "The usage of the key could not be read, so no list can be suggested. Try again later.")
	case len(covered) == 0:
		none := "No address was observed from which the key is used, so no list can be suggested."
		return Tightening{}, conflict("%s", strings.Join(append([]string{none}, t.Gaps...), " "))
	}
	if p.call != nil && p.call.key == id && options.lists(p.call.client) {
		covered = append(covered, p.call.client)
		slices.SortFunc(covered, netip.Addr.Compare)
	}
	list, err := accesslist.Suggest(slices.Values(covered), options.Budget)
	if err != nil {
		return Tightening{}, wrap(Invalid, err, "%s.", plainText(err))
	}
	entries := inside(list, key.AccessList, covered, p.now)
	for i := range entries {
		entries[i].Added = time.Time{} // kept by the change, and unknown to those who make it again
	}
	after, _ := withEntries(accesslist.List{}, keepAdded(key.AccessList, entries), p.now) // Change has its error, too
	t.Entries, t.Added, t.Removed = entryViews(after, p.now), differing(after, key.AccessList, p.now), differing(key.AccessList, after, p.now)
	t.Change, t.Trial = ReplaceEntries(id, entries...).At(key.Revision), SetTrialList(id, entries...).At(key.Revision)
	return t, nil
}

// lists reports whether a client's address can have an entry.
func (o TightenOptions) lists(client netip.Addr) bool {
	return client.Zone() == "" && !client.IsUnspecified() && (o.AllowIPv6 || client.Is4())
}

// inside narrows suggested entries to what a list admits, and for how long. An open list
// admits everything; any other admits the addresses seen, which are in ascending order.
func inside(suggested, list accesslist.List, seen []netip.Addr, now time.Time) (entries []accesslist.Entry) {
	present := slices.DeleteFunc(slices.Collect(list.All()), func(e accesslist.Entry) bool { return e.ExpiredAt(now) })
	for entry := range suggested.All() {
		listed := list.IsEmpty()
		for _, around := range present {
			if contains(around, entry) && (!listed || sooner(entry.Expires, around.Expires)) {
				listed, entry.Comment, entry.Expires = true, around.Comment, around.Expires
			}
		}
		if listed {
			entries = append(entries, entry)
		}
		for _, within := range present { // what the list admits of the entry, or for longer
			if contains(entry, within) && (!listed || sooner(entry.Expires, within.Expires)) && used(within, seen) {
				entries = append(entries, within)
			}
		}
	}
	return entries
}

// used reports whether an entry covers one of some addresses in ascending order.
func used(entry accesslist.Entry, seen []netip.Addr) bool {
	first, _ := slices.BinarySearchFunc(seen, entry.Prefix().Addr(), netip.Addr.Compare)
	return first < len(seen) && entry.Prefix().Contains(seen[first])
}

func contains(outer, inner accesslist.Entry) bool {
	return outer.Prefix().Bits() <= inner.Prefix().Bits() && outer.Prefix().Contains(inner.Prefix().Addr())
}

// differing returns the entries that another list lacks, or has with another comment or
// expiry.
func differing(list, other accesslist.List, now time.Time) []EntryView {
	views := []EntryView{}
	for entry := range list.All() {
		if stands, ok := other.Find(entry.Prefix()); !ok || stands.Comment != entry.Comment || !stands.Expires.Equal(entry.Expires) {
			views = append(views, viewEntry(entry, now))
		}
	}
	return views
}
