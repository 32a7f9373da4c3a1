package accesslist

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go4.org/netipx"
)

// Usage is how an entry was used: what rule A11 counts.
type Usage struct {
	Count       uint64     // calls served because this entry covered the client
	Last        time.Time  // when the last of them was; zero if there was none
	LastAddress netip.Addr // from where it came
}

// A FindingKind says what a person should know of an entry. The zero kind is none
// of them.
type FindingKind uint8

// The kinds of finding.
const (
	// OverBroad: the block is wider than /8, 0.0.0.0/0 included (rule A8). It is
	// legal; whoever wrote it may have meant something else.
	OverBroad FindingKind = iota + 1

	// Shadowed: one wider entry covers all of it for at least as long, so that
	// removing it would change nothing.
	Shadowed

	// DuplicateInEffect: several smaller entries that live longer cover all of it
	// together, so that removing it would change nothing.
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

// A Finding is one thing that a person should know of a list.
type Finding struct {
	Kind  FindingKind
	Entry Entry   // the entry it is about
	By    []Entry // Shadowed and DuplicateInEffect: the entries that cover it
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

// Findings returns what a person should know of the list at now, in the order of
// the entries and then of the kinds. usage is how each entry was used, by its
// prefix; an entry that is not in it was not used; nil means that nobody counted,
// and then nothing is [Unused].
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

// shadow returns the nearest wider entry that does not expire before entry i,
// which is live, so that the wider one is too.
func (l List) shadow(i int) (Entry, bool) {
	e := l.set.entry(i)
	for p := l.set.parent[i]; p >= 0; p = l.set.parent[p] {
		if wider := l.set.entry(int(p)); !outlives(e, wider) {
			return wider, true
		}
	}
	return Entry{}, false
}

// duplicates returns the entries inside entry i that outlive it, if they cover it
// together. They must live strictly longer: one that lives exactly as long is
// shadowed by entry i, and of two that make each other needless only one may be
// reported.
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
