package published

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/accesslist"
)

// A Comparison is what a new edition changes on an access list. It changes nothing by itself:
// show it, then take [Comparison.List].
type Comparison struct {
	// Added are entries of the new edition, Removed entries of the list that it no longer has.
	Added, Removed []accesslist.Entry

	// Unchanged are entries of both, as they are on the list: with their comments, expiries
	// and times of adding.
	Unchanged []accesslist.Entry

	// Others are entries of the list that came from elsewhere. They stay.
	Others []accesslist.Entry

	// ExpiriesLost are entries of Removed with an expiry, still covered in part or whole by an
	// entry without one: the provider merged or split the block.
	ExpiriesLost []accesslist.Entry

	// The same in addresses: gained, lost, and covered before and after, expired or not. Of
	// Others only those count that the new edition has too.
	AddressesAdded, AddressesRemoved, AddressesUnchanged Size

	current accesslist.List
	empty   bool // the new edition
	lost    int  // entries of the list without any address in the edition
	before  Size
}

// Owns reports whether an entry's comment says that it came from the list's source: it is the
// source, or begins with the source and a colon. A comment edited to begin otherwise makes the
// entry one of the Others.
func (l List) Owns(e accesslist.Entry) bool {
	return l.Source != "" && (e.Comment == l.Source || strings.HasPrefix(e.Comment, l.Source+":"))
}

// Compare compares the list with the entries that current has of an earlier edition. Owns
// tells these from other entries, which stay: usually [List.Owns]; nil if all of current came
// from this source.
func (l List) Compare(current accesslist.List, owns func(accesslist.Entry) bool) Comparison {
	c := Comparison{current: current, empty: len(l.Entries) == 0}
	next := map[netip.Prefix]bool{}
	for _, e := range l.Entries {
		next[e.Prefix()] = true
	}
	var before []accesslist.Entry
	for e := range current.All() {
		switch owned := owns == nil || owns(e); {
		case !owned:
			c.Others = append(c.Others, e)
			if next[e.Prefix()] {
				before = append(before, e)
			}
			continue
		case next[e.Prefix()]:
			c.Unchanged = append(c.Unchanged, e)
		default:
			c.Removed = append(c.Removed, e)
		}
		before = append(before, e)
	}
	for _, e := range l.Entries {
		if _, stands := current.Find(e.Prefix()); !stands {
			c.Added = append(c.Added, e)
		}
	}
	was, is := setOfPrefixes(prefixesOf(before)), setOfPrefixes(prefixesOf(l.Entries))
	for _, e := range c.Removed {
		if !is.OverlapsPrefix(e.Prefix()) {
			c.lost++
		} else if !e.Expires.IsZero() {
			c.ExpiriesLost = append(c.ExpiriesLost, e)
		}
	}
	c.before = sizeOf(was.Prefixes())
	c.AddressesAdded, c.AddressesRemoved = sizeWithout(is, was), sizeWithout(was, is)
	c.AddressesUnchanged = sizeOfBoth(was, is)
	return c
}

// Err returns the error for which [Comparison.List] refuses, nil if it does not.
func (c Comparison) Err() error {
	entries := len(c.Unchanged) + len(c.Removed)
	switch {
	case !c.current.IsValid():
		return errors.New("published: the access list was returned with an error: want that error handled")
	case c.empty:
		return fmt.Errorf("published: %w in the new edition: want the one before kept", ErrNoRanges)
	case c.lost > 0 && 2*c.lost >= entries:
		return fmt.Errorf("published: the new edition %w: of %d entries %d are gone: want it looked at, then AllowShrunk", ErrShrunk, entries, c.lost)
	case isHalf(c.AddressesRemoved.IPv4, c.before.IPv4):
		return fmt.Errorf("published: the new edition %w: of %d IPv4 addresses %d are gone: want it looked at, then AllowShrunk", ErrShrunk, c.before.IPv4, c.AddressesRemoved.IPv4)
	case isHalf(c.AddressesRemoved.IPv6, c.before.IPv6):
		return fmt.Errorf("published: the new edition %w: of %d IPv6 networks of /64 %d are gone: want it looked at, then AllowShrunk", ErrShrunk, c.before.IPv6, c.AddressesRemoved.IPv6)
	}
	return nil
}

func isHalf(gone, of uint64) bool { return gone > 0 && gone >= of-gone }

// A ListOption changes what [Comparison.List] may do.
type ListOption uint8

// AllowShrunk lets [Comparison.List] return a list that lost half.
const AllowShrunk ListOption = 1

// List returns the access list with the changes made: the unchanged and the other entries as
// they are, without the removed ones, with the added ones. It refuses, and returns an invalid
// list:
//   - an invalid access list;
//   - a new edition without entries ([ErrNoRanges]);
//   - unless AllowShrunk is given, the loss of half or more of the published entries or, in
//     either family, of their addresses ([ErrShrunk]).
func (c Comparison) List(options ...ListOption) (accesslist.List, error) {
	err := c.Err()
	if err == nil || errors.Is(err, ErrShrunk) && slices.Contains(options, AllowShrunk) {
		return accesslist.New(slices.Concat(c.Others, c.Unchanged, c.Added)...)
	}
	invalid, _ := accesslist.New()
	return invalid, err
}

func prefixesOf(entries []accesslist.Entry) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(entries))
	for i, e := range entries {
		prefixes[i] = e.Prefix()
	}
	return prefixes
}

// sizeWithout returns the size of a without b.
func sizeWithout(a, b *netipx.IPSet) Size {
	var rest netipx.IPSetBuilder
	rest.AddSet(a)
	rest.RemoveSet(b)
	return sizeOf(setOf(&rest).Prefixes())
}

func sizeOfBoth(a, b *netipx.IPSet) Size {
	var both netipx.IPSetBuilder
	both.AddSet(a)
	both.Intersect(b)
	return sizeOf(setOf(&both).Prefixes())
}
