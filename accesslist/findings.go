package accesslist

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go4.org/netipx"
)

// Usage is how an entry was used (rule A11).
type Usage struct {
	Count       uint64     // calls served because this entry covered the client
	Last        time.Time  // time of the last one; zero: none
	LastAddress netip.Addr // client of the last one
}

// A FindingKind says what a person should know about an entry. The zero kind is unknown.
type FindingKind uint8

// The kinds of finding.
const (
	// OverBroad: the block is wider than /8, 0.0.0.0/0 included (rule A8). It is
	// legal, but perhaps not intended.
	OverBroad FindingKind = iota + 1

	// Shadowed: one wider entry covers all of it for at least as long. Removing it
	// would change nothing.
	Shadowed

	// DuplicateInEffect: several smaller entries with later expiries cover all of it
	// together. Removing it would change nothing.
	DuplicateInEffect

	// Expired: the entry covers nothing any more (rule A2).
	Expired

	// Unused: the entry is live and has served no call.
	Unused
)

var findingKinds = [...]string{"unknown", "over_broad", "shadowed", "duplicate_in_effect", "expired", "unused"}

// String returns the kind as a word: over_broad, shadowed, duplicate_in_effect,
// expired, unused.
func (k FindingKind) String() string {
	if int(k) < len(findingKinds) {
		return findingKinds[k]
	}
	return findingKinds[0]
}

// A Finding is one thing that a person should know about a list.
type Finding struct {
	Kind  FindingKind
	Entry Entry   // the subject
	By    []Entry // Shadowed and DuplicateInEffect: the entries covering it
}

// String returns one sentence.
func (f Finding) String() string {
	switch f.Kind {
	case OverBroad:
		return fmt.Sprintf("%s is over-broad: a block wider than /8", f.Entry)
	case Shadowed:
		return fmt.Sprintf("%s is shadowed by %s and could go", f.Entry, enumerate(f.By))
	case DuplicateInEffect:
		return fmt.Sprintf("%s is a duplicate in effect and could go: %s cover it", f.Entry, enumerate(f.By))
	case Expired:
		return fmt.Sprintf("%s expired on %s and covers nothing", f.Entry, f.Entry.Expires.Format(time.RFC3339))
	case Unused:
		return fmt.Sprintf("%s has served no call", f.Entry)
	}
	return fmt.Sprintf("%s: %s", f.Entry, f.Kind)
}

func enumerate(entries []Entry) string {
	const most = 4
	var b strings.Builder
	for i, e := range entries {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(entries)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.String())
	}
	return b.String()
}

// Findings returns what a person should know about the list at now, in the order of
// the entries and then of the kinds. usage has the use of each entry by its prefix; an
// entry missing in it was not used. A nil usage means that nobody counted: no entry is
// [Unused] then.
//
// The entries reported as Shadowed, DuplicateInEffect or Expired may all be
// removed together: the list covers the same afterwards, now and at any later
// time. (Unless they are all there is: see [List.Without].)
func (l List) Findings(now time.Time, usage map[netip.Prefix]Usage) []Finding {
	var found []Finding
	for i := range l.Len() {
		e := l.set.entry(i)
		if e.ExpiredAt(now) {
			found = append(found, Finding{Kind: Expired, Entry: e})
			continue
		}
		if e.prefix.Bits() < 8 {
			found = append(found, Finding{Kind: OverBroad, Entry: e})
		}
		if by, ok := l.shadow(i); ok {
			found = append(found, Finding{Kind: Shadowed, Entry: e, By: []Entry{by}})
		} else if by := l.duplicates(i); by != nil {
			found = append(found, Finding{Kind: DuplicateInEffect, Entry: e, By: by})
		}
		if usage != nil && usage[e.prefix].Count == 0 {
			found = append(found, Finding{Kind: Unused, Entry: e})
		}
	}
	return found
}

// shadow returns the nearest wider entry with no earlier expiry than entry i. Entry i is
// live, and so is the wider one.
func (l List) shadow(i int) (Entry, bool) {
	e := l.set.entry(i)
	for p := l.set.parent[i]; p >= 0; p = l.set.parent[p] {
		if wider := l.set.entry(int(p)); !outlives(e, wider) {
			return wider, true
		}
	}
	return Entry{}, false
}

// duplicates returns the entries inside entry i with later expiries, if they cover it
// together. An entry with the same expiry is shadowed by entry i: of two entries, each
// needless because of the other, only one may be reported.
func (l List) duplicates(i int) []Entry {
	e := l.set.entry(i)
	var by []Entry
	next, last := e.prefix.Addr(), netipx.PrefixLastIP(e.prefix)
	for j := i + 1; j < l.Len(); j++ {
		inner := l.set.entry(j)
		if !e.prefix.Contains(inner.prefix.Addr()) {
			break
		}
		if !outlives(inner, e) {
			continue
		}
		if next.Less(inner.prefix.Addr()) {
			return nil // a gap
		}
		end := netipx.PrefixLastIP(inner.prefix)
		if end.Less(next) {
			continue // nested in the one before
		}
		by = append(by, inner)
		if end == last {
			return by
		}
		next = end.Next()
	}
	return nil
}

// outlives reports whether a is live longer than b.
func outlives(a, b Entry) bool {
	return !b.Expires.IsZero() && (a.Expires.IsZero() || a.Expires.After(b.Expires))
}
