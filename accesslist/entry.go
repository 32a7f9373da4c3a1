package accesslist

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// MaxComment is the longest comment of an entry, in bytes.
const MaxComment = 1024

// An Entry is one IPv4 address or one CIDR block of an access list, or an IPv6 one
// where [Parser.AllowIPv6] let it in. The zero Entry covers nothing and no list
// takes it. Every other entry has passed the checks of rule A7: make it with [ParseEntry]
// or [NewEntry]. The remaining fields may be set until the entry is put on a list.
type Entry struct {
	prefix netip.Prefix

	// Comment is a note for people, at most MaxComment bytes: one line of UTF-8 without
	// control characters, invisible and direction-changing ones. It has no influence on
	// what the entry covers.
	Comment string

	// Added is when the entry was put on the list; zero if nobody noted it.
	Added time.Time

	// Expires is the instant from which the entry covers nothing (rule A2); zero
	// if it never expires.
	Expires time.Time
}

// ParseEntry reads an IPv4 address ("203.0.113.7") or CIDR block
// ("198.51.100.0/24"). An address and its /32 are the same entry (rule A6). By rule A7
// it refuses, with a [*ParseError]:
//   - more than [MaxLine] bytes;
//   - leading zeros, missing or extra octets, white space, an empty text;
//   - ports, zones, ranges, host names;
//   - a prefix longer than the address, and a block with host bits set;
//   - 0.0.0.0/32, and IPv6.
func ParseEntry(text string) (Entry, error) { return Parser{}.ParseEntry(text) }

// NewEntry makes an entry of a prefix from a database column or another library. It is
// as strict as [ParseEntry] is with the prefix's text, because somebody typed the prefix
// too. With the same [*ParseError] it refuses:
//   - an invalid prefix;
//   - IPv6 (rule A5), unless [Parser.NewEntry] is called with AllowIPv6;
//   - IPv4-mapped IPv6 under every Parser, since an entry is written in one way (rule A6);
//   - host bits, because the block or the address may be meant (rule A7); Masked of
//     the prefix is the block;
//   - 0.0.0.0/32 and ::/128.
//
// A netip.Prefix has no zone.
func NewEntry(prefix netip.Prefix) (Entry, error) { return Parser{}.NewEntry(prefix) }

// Prefix returns what the entry covers, masked. A single address is a prefix of
// the address's full length. The zero Entry has the zero Prefix.
func (e Entry) Prefix() netip.Prefix { return e.prefix }

// IsSingle reports whether the entry is a single address.
func (e Entry) IsSingle() bool { return e.prefix.IsValid() && e.prefix.IsSingleIP() }

// String returns the address of a single address ("203.0.113.7"), the block
// otherwise ("198.51.100.0/24"), and "invalid entry" for the zero Entry.
func (e Entry) String() string {
	switch {
	case !e.prefix.IsValid():
		return "invalid entry"
	case e.prefix.IsSingleIP():
		return e.prefix.Addr().String()
	}
	return e.prefix.String()
}

// Covers reports whether the entry covers addr at now: addr is inside, has no
// zone, and the entry has not expired. An IPv4-mapped IPv6 address is the IPv4
// address it maps (rule A5).
func (e Entry) Covers(addr netip.Addr, now time.Time) bool {
	return !e.ExpiredAt(now) && e.prefix.Contains(unmap(addr))
}

// ExpiredAt reports whether now is at or after the entry's expiry.
func (e Entry) ExpiredAt(now time.Time) bool {
	return !e.Expires.IsZero() && !now.Before(e.Expires)
}

// Equal reports whether e and o are the same in every field; times are compared
// as instants. It is what go-cmp uses.
func (e Entry) Equal(o Entry) bool {
	return e.prefix == o.prefix && e.Comment == o.Comment && e.Added.Equal(o.Added) && e.Expires.Equal(o.Expires)
}

// unmap returns the IPv4 address of an IPv4-mapped one, and the invalid address for one
// with a zone: Addr.Unmap would drop the zone.
func unmap(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	if addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// check returns why no list takes the entry, or nil.
func (e Entry) check() error {
	if !e.prefix.IsValid() {
		return errors.New("accesslist: an entry without an address: want one made by ParseEntry or NewEntry")
	}
	// A line break would forge a second line in a text form or a log.
	if problem := plain.Problem(e.Comment, MaxComment); problem != "" {
		return fmt.Errorf("accesslist: the comment of %s %s", e, problem)
	}
	for _, t := range []struct {
		name string
		time time.Time
	}{{"added", e.Added}, {"expires", e.Expires}} {
		if err := e.checkYear(t.name, t.time); err != nil {
			return err
		}
	}
	return nil
}

func (e Entry) checkYear(name string, t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return fmt.Errorf("accesslist: %q of %s is in the year %d: want a year from 1 to 9999", name, e, year)
	}
	return nil
}
