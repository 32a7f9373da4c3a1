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
	// OverBroad: the block is wider than /8, or /32 for IPv6 (rule A8). It is legal, but
	// perhaps not intended.
	OverBroad FindingKind = iota + 1

	// NoClient: no client has any of its addresses (rule A8). They are multicast,
	// broadcast, link-local or reserved.
	NoClient

	// Private: no client on the Internet has any of its addresses. They are private
	// (RFC 1918), of a provider's address translation, loopback, or for documentation.
	// Reported if [Evidence.Internet] is set.
	Private

	// Shadowed: one wider entry covers all of it for at least as long. Removing it
	// would change nothing.
	Shadowed

	// DuplicateInEffect: several smaller entries with later expiries cover all of it
	// together. Removing it would change nothing.
	DuplicateInEffect

	// Expired: the entry covers nothing any more (rule A2).
	Expired

	// Unused: the entry is live and has served no call in [Evidence.Window], and calls were
	// counted all that time.
	Unused
)

var findingKinds = [...]string{"unknown", "over_broad", "no_client", "private", "shadowed", "duplicate_in_effect", "expired", "unused"}

// String returns the kind as a word: over_broad, no_client, private, shadowed,
// duplicate_in_effect, expired, unused.
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

	Special string    // NoClient and Private: what its addresses are, such as "multicast (RFC 5771)"
	Since   time.Time // Unused: the last call, or the begin of counting if there was none
}

// String returns one sentence.
func (f Finding) String() string {
	switch f.Kind {
	case OverBroad:
		switch {
		case f.Entry.prefix.Bits() == 0:
			return fmt.Sprintf("%s is over-broad: every %s address", f.Entry, family(f.Entry.prefix.Addr()))
		case f.Entry.prefix.Addr().Is4():
			return fmt.Sprintf("%s is over-broad: a block wider than /8", f.Entry)
		}
		return fmt.Sprintf("%s is over-broad: a block wider than /32", f.Entry)
	case NoClient:
		return fmt.Sprintf("%s is %s: no client has such an address", f.Entry, f.Special)
	case Private:
		return fmt.Sprintf("%s is %s: no client on the Internet has such an address", f.Entry, f.Special)
	case Shadowed:
		return fmt.Sprintf("%s is shadowed by %s and could go", f.Entry, enumerate(f.By))
	case DuplicateInEffect:
		return fmt.Sprintf("%s is a duplicate in effect and could go: %s cover it", f.Entry, enumerate(f.By))
	case Expired:
		return fmt.Sprintf("%s expired on %s and covers nothing", f.Entry, f.Entry.Expires.Format(time.RFC3339))
	case Unused:
		return fmt.Sprintf("%s has served no call since %s", f.Entry, f.Since.UTC().Format(time.RFC3339))
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

// Evidence is what Findings judges entries by, besides the list. The zero Evidence says
// nothing: no entry is [Unused] or [Private] then.
type Evidence struct {
	// Usage is the use of each entry by its prefix. An entry missing in it was not used
	// since Since.
	Usage map[netip.Prefix]Usage

	// Since is when the counting in Usage began; zero: nobody counted. An entry's own
	// counting began when it was added, if that was later: set [Entry.Added], or a new
	// entry is judged by the time before it.
	Since time.Time

	// Window is how long an entry has to be without a call to be Unused. If it was not
	// counted that long, it is not reported: absence of evidence is not disuse. 0 and less
	// mean 30 days.
	Window time.Duration

	// Internet says that the clients come over the Internet, and not from the service's
	// own networks.
	Internet bool
}

// Findings returns what a person should know about the list at now, in the order of
// the entries and then of the kinds.
//
// The entries reported as Shadowed, DuplicateInEffect or Expired may all be
// removed together: the list covers the same afterwards, now and at any later
// time. (Unless they are all there is: see [List.Without].)
func (l List) Findings(now time.Time, evidence Evidence) []Finding {
	var found []Finding
	for i := range l.Len() {
		e := l.entry(i)
		if e.ExpiredAt(now) {
			found = append(found, Finding{Kind: Expired, Entry: e})
			continue
		}
		if isOverBroad(e.prefix) {
			found = append(found, Finding{Kind: OverBroad, Entry: e})
		}
		if s, ok := specialOf(e.prefix); ok && (s.kind == NoClient || evidence.Internet) {
			found = append(found, Finding{Kind: s.kind, Entry: e, Special: s.name})
		}
		if by, ok := l.shadow(i); ok {
			found = append(found, Finding{Kind: Shadowed, Entry: e, By: []Entry{by}})
		} else if by := l.duplicates(i); by != nil {
			found = append(found, Finding{Kind: DuplicateInEffect, Entry: e, By: by})
		}
		if since, ok := evidence.unusedSince(e, now); ok {
			found = append(found, Finding{Kind: Unused, Entry: e, Since: since})
		}
	}
	return found
}

// unusedSince returns since when an entry has served no call, if that is long enough and was
// observed.
func (v Evidence) unusedSince(e Entry, now time.Time) (time.Time, bool) {
	if v.Since.IsZero() {
		return time.Time{}, false
	}
	window := v.Window
	if window <= 0 {
		window = 30 * 24 * time.Hour
	}
	begin := now.Add(-window)
	since := v.Since
	if e.Added.After(since) {
		since = e.Added
	}
	if since.After(begin) {
		return time.Time{}, false
	}
	if usage := v.Usage[e.prefix]; usage.Count > 0 {
		// A call at an unknown time may have been the last one.
		return usage.Last, !usage.Last.IsZero() && usage.Last.Before(begin)
	}
	return since, true
}

// shadow returns the nearest wider entry with no earlier expiry than entry i. Entry i is
// live, and so is the wider one.
func (l List) shadow(i int) (Entry, bool) {
	e := l.entry(i)
	for p := l.parent(i); p >= 0; p = l.parent(p) {
		if wider := l.entry(p); !outlives(e, wider) {
			return wider, true
		}
	}
	return Entry{}, false
}

// duplicates returns the entries inside entry i with later expiries, if they cover it
// together. An entry with the same expiry is shadowed by entry i: of two entries, each
// needless because of the other, only one may be reported.
func (l List) duplicates(i int) []Entry {
	e := l.entry(i)
	var by []Entry
	next, last := e.prefix.Addr(), netipx.PrefixLastIP(e.prefix)
	for j := i + 1; j < l.Len(); j++ {
		inner := l.entry(j)
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

// isOverBroad decides rule A8.
func isOverBroad(block netip.Prefix) bool {
	if block.Addr().Is4() {
		return block.Bits() < 8
	}
	return block.Bits() < 32
}
