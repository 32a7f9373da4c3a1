package accesslist

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"
)

// A List is an immutable set of entries, compiled for look-ups. It is a value:
// copy it, compare it with [List.Equal], share it between goroutines. The zero
// List has no entries. Methods that change something return a new List and leave
// the old one as it was.
type List struct {
	_   [0]func() // == would compare pointers, not entries: do not let it compile
	set *set      // nil: no entries
}

// New makes a list of entries. The same address or block twice is [ErrDuplicate]
// (rule A6); a zero Entry and an unfit comment or time are errors too; with any
// error there is no list. New() without entries is the zero List: the entries that
// a program holds are what they are, while [Parse], which reads what people wrote,
// refuses an empty request.
func New(entries ...Entry) (List, error) { return List{}.With(entries...) }

// Len returns the number of entries, expired ones included (rule A2).
func (l List) Len() int { return l.set.len() }

// IsEmpty reports whether the list has no entries at all. A list whose entries
// have all expired is not empty: it covers nobody (rule A2).
func (l List) IsEmpty() bool { return l.set == nil }

// All yields the entries in order of address, IPv4 before IPv6, and of two blocks
// that begin at one address the wider first. The order is the same however the list was built.
func (l List) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range l.set.len() {
			if !yield(l.set.entry(i)) {
				return
			}
		}
	}
}

// Find returns the entry that is exactly prefix, never one that merely contains
// it (rule A9). A prefix with host bits set is no entry and is not found.
func (l List) Find(prefix netip.Prefix) (Entry, bool) {
	if i := l.set.find(prefix); i >= 0 {
		return l.set.entry(i), true
	}
	return Entry{}, false
}

// Contains reports whether a live entry covers addr at now (rules A1, A2, A5). It
// is false for an invalid address and for one with a zone.
func (l List) Contains(addr netip.Addr, now time.Time) bool {
	return l.set.match(addr, now) >= 0
}

// Match returns the most specific live entry that covers addr at now (rule A11),
// and whether there is one.
func (l List) Match(addr netip.Addr, now time.Time) (Entry, bool) {
	if i := l.set.match(addr, now); i >= 0 {
		return l.set.entry(i), true
	}
	return Entry{}, false
}

// With returns the list with more entries. An entry that is already there, or
// that is given twice, is [ErrDuplicate]; nothing is added then (rule A6).
// Overlapping entries may coexist (rule A9). Adding the first entry to an empty
// list narrows it from every address to that one (rule A10).
func (l List) With(entries ...Entry) (List, error) {
	if len(entries) == 0 {
		return l, nil
	}
	for _, e := range entries {
		if err := e.check(); err != nil {
			return List{}, err
		}
	}
	all := append(slices.Collect(l.All()), entries...)
	slices.SortFunc(all, compareEntries)
	for i := 1; i < len(all); i++ {
		if all[i].prefix == all[i-1].prefix {
			return List{}, fmt.Errorf("accesslist: %s: %w: it is on the list already or given twice; nothing was added", all[i], ErrDuplicate)
		}
	}
	return List{set: compile(all)}, nil
}

// Replace returns the list with new comments, expiries and times of adding for
// entries that are on it. One that is not is [ErrNotListed]; nothing is replaced then.
func (l List) Replace(entries ...Entry) (List, error) {
	if len(entries) == 0 {
		return l, nil
	}
	all := slices.Collect(l.All())
	for _, e := range entries {
		if err := e.check(); err != nil {
			return List{}, err
		}
		i := l.set.find(e.prefix)
		if i < 0 {
			return List{}, fmt.Errorf("accesslist: %s: %w: add it with With; nothing was replaced", e, ErrNotListed)
		}
		all[i] = e
	}
	return List{set: compile(all)}, nil
}

// Without returns the list without the entries that are exactly the prefixes
// given (rule A9). One that is not on the list is [ErrNotListed], and if no entry
// would remain the error is [ErrLastEntry] (rule A10); nothing is removed then.
func (l List) Without(prefixes ...netip.Prefix) (List, error) {
	shorter, err := l.WithoutEvenLast(prefixes...)
	if err == nil && shorter.IsEmpty() && !l.IsEmpty() {
		return List{}, fmt.Errorf("accesslist: %s: %w", Entry{prefix: prefixes[0]}, ErrLastEntry)
	}
	return shorter, err
}

// WithoutEvenLast is [List.Without] for a caller who accepts that the list may
// have no entry afterwards, and so admit every address where nothing requires a
// list (rule A10).
func (l List) WithoutEvenLast(prefixes ...netip.Prefix) (List, error) {
	removed := make(map[netip.Prefix]bool, len(prefixes))
	for _, prefix := range prefixes {
		if l.set.find(prefix) < 0 {
			return List{}, fmt.Errorf("accesslist: %s: %w: an entry is removed by its exact address or block; nothing was removed", prefix, ErrNotListed)
		}
		removed[prefix] = true
	}
	return List{set: compile(slices.DeleteFunc(slices.Collect(l.All()), func(e Entry) bool { return removed[e.prefix] }))}, nil
}

// Equal reports whether both lists have the same entries with the same comments
// and times. It is what go-cmp uses.
func (l List) Equal(o List) bool {
	if l.set == o.set {
		return true
	}
	if l.Len() != o.Len() {
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
