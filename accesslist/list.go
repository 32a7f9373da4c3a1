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
	_     [0]func() // == would compare pointers, not entries: do not let it compile
	shape uint64    // what kind of list it is
	set   *set      // nil: no entries, or one block without details
}

// invalid is returned with an error. It has no entries, but only the shape of an empty list
// is zero.
var invalid = List{shape: listed | broken}

var errInvalid = errors.New("accesslist: the list was returned with an error and covers nobody: want that error handled")

// IsValid reports whether the list was returned without an error. The zero List is valid.
func (l List) IsValid() bool { return l.shape&broken == 0 }

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
func (l List) Len() int {
	switch {
	case l.shape&oneBlock != 0:
		return 1
	case l.set == nil:
		return 0
	case l.set.blocks6 == nil:
		return len(l.set.blocks4)
	}
	return len(l.set.blocks4) + len(*l.set.blocks6)
}

// IsEmpty reports whether the list has no entries at all. A list whose entries
// have all expired is not empty: it covers nobody (rule A2). Nor is an invalid one.
func (l List) IsEmpty() bool { return l.shape == 0 }

// HasExpiry reports whether any entry has an expiry, past or future. If none has, the
// list covers the same addresses at all times.
func (l List) HasExpiry() bool { return l.shape&expiring != 0 }

// All yields the entries in order of address, IPv4 before IPv6, and of two blocks with
// the same first address the wider first. The order does not depend on how the list was
// built.
func (l List) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range l.Len() {
			if !yield(l.entry(i)) {
				return
			}
		}
	}
}

// Find returns the entry with exactly this prefix, never a block around it (rule A9). A
// prefix with host bits set is not found.
func (l List) Find(prefix netip.Prefix) (Entry, bool) {
	if i := l.find(prefix); i >= 0 {
		return l.entry(i), true
	}
	return Entry{}, false
}

// Contains reports whether a live entry covers addr at now (rules A1, A2, A5). It
// is false for an invalid address and for one with a zone.
func (l List) Contains(addr netip.Addr, now time.Time) bool {
	if l.shape&expiring != 0 || !addr.Is4() {
		return l.containsAt(addr, now)
	}
	n, a := l.shape>>32, uint64(asUint32(addr))
	switch {
	case l.shape&oneBlock != 0:
		return (a^n)>>(l.shape&hostBits) == 0
	case n == 0:
		return false
	case n > leavesBounds:
		return (n^l.set.many.above(n, a))&1 == 1
	}
	// Two bounds in different lines say where the next 15 begin: at 0, 16 or 25. Both lines
	// are fetched at the same time.
	root := &l.set.root
	above := isAbove(root[15], a)*16 + -isAbove(root[24], a)&9
	above += aboveOf15((*[15]uint32)(root[above:]), a)
	if n > rootBounds {
		above = aboveOf15((*[15]uint32)(l.set.leaves[above][:]), a)
	}
	return (n^above)&1 == 1
}

// containsAt is Contains for a list with expiries, or an address other than IPv4.
func (l List) containsAt(addr netip.Addr, now time.Time) bool {
	if l.shape&(expiring|oneBlock) == expiring && addr.Is4() {
		permanent := List{shape: l.shape &^ expiring, set: l.set}
		if permanent.Contains(addr, now) {
			return true // without a search for the entry
		}
	}
	return l.match(addr, now) >= 0
}

// Match returns the most specific live entry that covers addr at now (rule A11),
// and whether there is one.
func (l List) Match(addr netip.Addr, now time.Time) (Entry, bool) {
	if i := l.match(addr, now); i >= 0 {
		return l.entry(i), true
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
	return compile(all), nil
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
		i := l.find(e.prefix)
		if i < 0 {
			return invalid, fmt.Errorf("accesslist: %s: %w: add it with With; nothing was replaced", e, ErrNotListed)
		}
		all[i] = e
	}
	return compile(all), nil
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
		if l.find(prefix) < 0 {
			return invalid, fmt.Errorf("accesslist: %s: %w: an entry is removed by its exact address or block; nothing was removed", Entry{prefix: prefix}, ErrNotListed)
		}
		removed[prefix] = true
	}
	if len(removed) > 0 && len(removed) == l.Len() && !slices.Contains(options, AllowOpen) {
		return invalid, fmt.Errorf("accesslist: %s: %w", Entry{prefix: prefixes[0]}, ErrOpensKey)
	}
	return compile(slices.DeleteFunc(slices.Collect(l.All()), func(e Entry) bool { return removed[e.prefix] })), nil
}

// Equal reports whether both lists have the same entries with the same comments
// and times. It is what go-cmp uses.
func (l List) Equal(o List) bool {
	if l.shape == o.shape && l.set == o.set {
		return true
	}
	if l.Len() != o.Len() || !l.IsValid() || !o.IsValid() {
		return false
	}
	for i := range l.Len() {
		if !l.entry(i).Equal(o.entry(i)) {
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
