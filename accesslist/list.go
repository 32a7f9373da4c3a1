package accesslist

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A List is an immutable set of entries, compiled for look-ups. It is a value:
// copy it, compare it with [List.Equal], share it between goroutines. The zero
// List has no entries. Methods that change something return a new List and leave
// the old one as it was.
//
// A list returned with an error is invalid: it covers nobody, it is not empty, and no
// function takes it. A program that ignores the error denies; an empty list in its place
// would admit everyone.
type List struct {
	_   [0]func() // == would compare pointers, not entries: do not let it compile
	set *set      // nil: no entries
}

// invalid is returned with an error. Its set has no entries; the set of an empty list is
// nil.
var invalid = List{set: &set{columns: &columns{}}}

var errInvalid = errors.New("accesslist: the list was returned with an error and covers nobody: want that error handled")

// IsValid reports whether the list was returned without an error. The zero List is valid.
func (l List) IsValid() bool { return l.set != invalid.set }

// New makes a list of entries. It returns an invalid list and an error for:
//   - no entries ([ErrNoEntries]): after skipping every bad line of a file none are
//     left, and a list without entries admits every address;
//   - the same address or block twice ([ErrDuplicate], rule A6);
//   - the zero Entry, an unfit comment, a time outside the years 1 to 9999.
//
// A list without entries is written List{}. To copy a list, empty or not, use
// List{}.With(entries...).
func New(entries ...Entry) (List, error) {
	if len(entries) == 0 {
		return invalid, ErrNoEntries
	}
	return List{}.With(entries...)
}

// Len returns the number of entries, expired ones included (rule A2).
func (l List) Len() int { return l.set.len() }

// IsEmpty reports whether the list has no entries at all. A list whose entries
// have all expired is not empty: it covers nobody (rule A2). Nor is an invalid one.
func (l List) IsEmpty() bool { return l.set == nil }

// HasExpiry reports whether any entry has an expiry, past or future. If none has, the
// list covers the same addresses at all times.
func (l List) HasExpiry() bool { return l.set != nil && l.set.expiring }

// All yields the entries in order of address, IPv4 before IPv6, and of two blocks with
// the same first address the wider first. The order does not depend on how the list was
// built.
func (l List) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range l.set.len() {
			if !yield(l.set.entry(i)) {
				return
			}
		}
	}
}

// Find returns the entry with exactly this prefix, never a block around it (rule A9). A
// prefix with host bits set is not found.
func (l List) Find(prefix netip.Prefix) (Entry, bool) {
	if i := l.set.find(prefix); i >= 0 {
		return l.set.entry(i), true
	}
	return Entry{}, false
}

// Contains reports whether a live entry covers addr at now (rules A1, A2, A5). It
// is false for an invalid address and for one with a zone.
func (l List) Contains(addr netip.Addr, now time.Time) bool {
	return l.set.contains(addr, now)
}

// Match returns the most specific live entry that covers addr at now (rule A11),
// and whether there is one.
func (l List) Match(addr netip.Addr, now time.Time) (Entry, bool) {
	if i := l.set.match(addr, now); i >= 0 {
		return l.set.entry(i), true
	}
	return Entry{}, false
}

// With returns the list with more entries. An entry already on the list, or given
// twice, is [ErrDuplicate]; nothing is added then (rule A6). The error names the first such
// entry and counts the others. The list returned with an
// error is invalid: to stay with the old one, keep it.
// Overlapping entries may coexist (rule A9). Adding the first entry to an empty
// list narrows it from every address to that one (rule A10).
func (l List) With(entries ...Entry) (List, error) {
	if !l.IsValid() {
		return invalid, errInvalid
	}
	if len(entries) == 0 {
		return l, nil
	}
	for _, e := range entries {
		if err := e.check(); err != nil {
			return invalid, err
		}
	}
	all := append(slices.Collect(l.All()), entries...)
	slices.SortFunc(all, compareEntries)
	for i := 1; i < len(all); i++ {
		if all[i].prefix == all[i-1].prefix {
			return invalid, l.duplicateError(entries)
		}
	}
	return List{set: compile(all)}, nil
}

// duplicateError returns the error of entries on the list already or given twice. It names
// the first, with the comment of the entry that stands, and counts the others.
func (l List) duplicateError(entries []Entry) error {
	given := make(map[netip.Prefix]Entry, len(entries))
	var err error
	more := 0
	for _, e := range entries {
		where := "it is on the list already"
		stands, twice := l.Find(e.prefix)
		if !twice {
			where = "it is given twice"
			stands, twice = given[e.prefix]
		}
		switch {
		case !twice:
			given[e.prefix] = e
			continue
		case err != nil:
			more++
			continue
		case stands.Comment != "":
			where += ", first with the comment " + plain.Quote(stands.Comment)
		}
		err = fmt.Errorf("accesslist: %s: %w: %s", e, ErrDuplicate, where)
	}
	if more > 0 {
		err = fmt.Errorf("%w; as are %d more", err, more)
	}
	return fmt.Errorf("%w; nothing was added", err)
}

// Replace returns the list with new comments, expiries and times of adding for entries
// on it. An entry not on the list is [ErrNotListed], and the same address or block given
// twice is [ErrDuplicate]; nothing is replaced then.
func (l List) Replace(entries ...Entry) (List, error) {
	if !l.IsValid() {
		return invalid, errInvalid
	}
	if len(entries) == 0 {
		return l, nil
	}
	all := slices.Collect(l.All())
	replaced := make(map[netip.Prefix]bool, len(entries))
	for _, e := range entries {
		if err := e.check(); err != nil {
			return invalid, err
		}
		if replaced[e.prefix] {
			return invalid, fmt.Errorf("accesslist: %s: %w: it is given twice; nothing was replaced", e, ErrDuplicate)
		}
		replaced[e.prefix] = true
		i := l.set.find(e.prefix)
		if i < 0 {
			return invalid, fmt.Errorf("accesslist: %s: %w: add it with With; nothing was replaced", e, ErrNotListed)
		}
		all[i] = e
	}
	return List{set: compile(all)}, nil
}

// A RemoveOption changes what [List.Without] may do.
type RemoveOption uint8

// AllowOpen lets [List.Without] remove the last entry. The key is then open to every
// address unless its organization or the endpoint requires a list (rule A10).
const AllowOpen RemoveOption = 1

// Without returns the list without the entries of exactly these prefixes (rule A9). A
// prefix not on the list is [ErrNotListed]. Removing the last entry is [ErrOpensKey]
// unless AllowOpen is given (rule A10). With an error nothing is removed.
func (l List) Without(prefixes []netip.Prefix, options ...RemoveOption) (List, error) {
	if !l.IsValid() {
		return invalid, errInvalid
	}
	removed := make(map[netip.Prefix]bool, len(prefixes))
	for _, prefix := range prefixes {
		if l.set.find(prefix) < 0 {
			return invalid, fmt.Errorf("accesslist: %s: %w: an entry is removed by its exact address or block; nothing was removed", prefix, ErrNotListed)
		}
		removed[prefix] = true
	}
	if len(removed) > 0 && len(removed) == l.Len() && !slices.Contains(options, AllowOpen) {
		return invalid, fmt.Errorf("accesslist: %s: %w", Entry{prefix: prefixes[0]}, ErrOpensKey)
	}
	return List{set: compile(slices.DeleteFunc(slices.Collect(l.All()), func(e Entry) bool { return removed[e.prefix] }))}, nil
}

// Equal reports whether both lists have the same entries with the same comments
// and times. It is what go-cmp uses.
func (l List) Equal(o List) bool {
	if l.set == o.set {
		return true
	}
	if l.Len() != o.Len() || !l.IsValid() || !o.IsValid() {
		return false
	}
	for i := range l.Len() {
		if !l.set.entry(i).Equal(o.set.entry(i)) {
			return false
		}
	}
	return true
}

// compareEntries orders by family, address and then length, wider first.
func compareEntries(a, b Entry) int { return comparePrefixes(a.prefix, b.prefix) }

func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}
