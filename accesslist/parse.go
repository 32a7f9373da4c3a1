package accesslist

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"go4.org/netipx"
)

// A Parser reads entries and lists from input. The zero Parser takes IPv4 only; it is
// the one behind [Parse], [ParseEntry] and [NewEntry].
type Parser struct {
	// AllowIPv6 is the opt-in to IPv6 addresses and blocks (rule A5). Where proxies or
	// clients speak only IPv4, an IPv6 entry is a mistake and should be refused.
	AllowIPv6 bool
}

// A ParseError says why a text is not an entry.
type ParseError struct {
	Text    string // the input
	Problem string // such as "has host bits set"
	Want    string // the repair, such as `use "10.0.0.0/24" for the block or "10.0.0.7" for the address`
}

// Error returns the three fields in one line; a long text is cut.
func (e *ParseError) Error() string {
	return fmt.Sprintf("accesslist: %s %s: %s", quote(e.Text), e.Problem, e.Want)
}

// quote quotes input, and cuts a long text: it may be a whole file taken for an address.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strconv.Quote(text)
}

// ParseEntry is the function [ParseEntry] under the parser's options.
func (p Parser) ParseEntry(text string) (Entry, error) {
	prefix, ok := parsePrefix(text)
	if !ok {
		problem, want := diagnose(text)
		return Entry{}, &ParseError{text, problem, want}
	}
	return p.entry(text, prefix)
}

// NewEntry is the function [NewEntry] under the parser's options.
func (p Parser) NewEntry(prefix netip.Prefix) (Entry, error) {
	if !prefix.IsValid() {
		return Entry{}, &ParseError{prefix.String(), "is not a valid prefix", "want an address and a length within it"}
	}
	return p.entry(prefix.String(), prefix)
}

func (p Parser) entry(text string, prefix netip.Prefix) (Entry, error) {
	addr := prefix.Addr()
	refuse := func(problem, want string) (Entry, error) {
		return Entry{}, &ParseError{text, problem, want}
	}
	switch {
	case addr.Is4In6():
		const problem = "is IPv4-mapped IPv6"
		if prefix != prefix.Masked() { // as are all shorter than /96; what was meant is anyone's guess
			return refuse(problem, "write it as IPv4")
		}
		return refuse(problem, fmt.Sprintf("write it as IPv4, %q", Entry{prefix: netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)}))
	case addr.Is6() && !p.AllowIPv6:
		return refuse("is IPv6", "this list takes IPv4 addresses and blocks only")
	case prefix.Masked() != prefix:
		return refuse("has host bits set", fmt.Sprintf("use %q for the block or %q for the single address", prefix.Masked(), addr))
	case prefix.IsSingleIP() && addr.IsUnspecified():
		return refuse("is the unspecified address, which no client has", fmt.Sprintf("name a client's address, or write \"%s/0\" to mean every address", addr))
	}
	return Entry{prefix: prefix}, nil
}

// Parse makes a list of texts, each read by [ParseEntry]. The error joins the refusals of
// all texts, and the list is then invalid. The same entry twice is [ErrDuplicate]. No text
// at all is [ErrNoEntries], because a configuration without its entries would open the key
// to every address: for a list without entries write List{}.
func Parse(texts ...string) (List, error) { return Parser{}.Parse(texts...) }

// Parse is the function [Parse] under the parser's options.
func (p Parser) Parse(texts ...string) (List, error) {
	if len(texts) == 0 {
		return invalid, ErrNoEntries
	}
	entries := make([]Entry, 0, len(texts))
	var errs []error
	for _, text := range texts {
		e, err := p.ParseEntry(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entries = append(entries, e)
	}
	if len(errs) > 0 {
		return invalid, errors.Join(errs...)
	}
	return New(entries...)
}

// parsePrefix accepts exactly the addresses and prefixes of net/netip without a zone.
// Only it and Parser.entry judge; diagnose words the refusal.
func parsePrefix(text string) (netip.Prefix, bool) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text) // refuses zones
		return prefix, err == nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

const wantEntry = `want an IPv4 address such as "203.0.113.7" or a block such as "198.51.100.0/24"`

// diagnose returns the problem of a text refused by parsePrefix, and the repair. It goes
// from problems of the whole text to those of a part.
func diagnose(text string) (problem, want string) {
	switch {
	case text == "":
		return "is empty", wantEntry
	case strings.ContainsFunc(text, unicode.IsSpace):
		return diagnoseSpace(text)
	case strings.ContainsAny(text, ",;"):
		return "has a comma or semicolon in it", "give each entry by itself"
	case strings.Contains(text, "%"):
		return "has a zone", "write the address without it, since a zone means something on one host only"
	case strings.Contains(text, "*"):
		return "has a wildcard", `write the block instead, for instance "10.1.2.0/24" for 10.1.2.*`
	}
	if r, err := netipx.ParseIPRange(text); err == nil {
		return diagnoseRange(r)
	}
	addr, bits, _ := strings.Cut(text, "/")
	if host, _, err := net.SplitHostPort(addr); err == nil {
		if _, err := netip.ParseAddr(host); err == nil {
			return "has a port", fmt.Sprintf("write %q, which is meant whatever the port", host+text[len(addr):])
		}
	}
	if problem, want := diagnoseAddr(addr); problem != "" {
		return problem, want
	}
	// The address is valid: alone it would have been accepted.
	return diagnoseBits(netip.MustParseAddr(addr), bits)
}

func diagnoseSpace(text string) (problem, want string) {
	trimmed := strings.TrimSpace(text)
	if _, ok := parsePrefix(trimmed); ok {
		return "has white space around it", fmt.Sprintf("write %q", trimmed)
	}
	if trimmed == "" {
		return "is only white space", wantEntry
	}
	return "has white space in it", wantEntry
}

// diagnoseRange offers the blocks of the range if they are few.
func diagnoseRange(r netipx.IPRange) (problem, want string) {
	const few = 4
	prefixes := r.Prefixes()
	if len(prefixes) > few {
		return "is a range", "write the blocks and addresses that make it up, each as an entry"
	}
	var texts []string
	for _, prefix := range prefixes {
		texts = append(texts, strconv.Quote(Entry{prefix: prefix}.String()))
	}
	return "is a range", "write " + strings.Join(texts, " and ")
}

// diagnoseAddr returns an empty problem when addr is an address.
func diagnoseAddr(addr string) (problem, want string) {
	const notation = "host names and other notations are not taken, since what they mean can change; " + wantEntry
	switch {
	case addr == "":
		return "has no address before the slash", wantEntry
	case strings.ContainsAny(addr, "[]"):
		return "has brackets in it", "write the address without them"
	case strings.Count(addr, ":") > 1: // fewer make a port or a URL
		if _, err := netip.ParseAddr(addr); err != nil {
			return "is not an IPv6 address", wantEntry
		}
		return "", ""
	case strings.ContainsFunc(addr, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }):
		return "is not an address", notation
	}
	octets := strings.Split(addr, ".")
	switch n := len(octets); {
	case n < 4:
		return fmt.Sprintf("has only %d of the 4 octets of an IPv4 address", n), wantEntry
	case n > 4:
		return fmt.Sprintf("has %d octets where an IPv4 address has 4", n), wantEntry
	}
	for _, octet := range octets {
		switch value, err := strconv.Atoi(octet); {
		case octet == "":
			return "has an empty octet", wantEntry
		case octet[0] == '0' && len(octet) > 1:
			return "has a leading zero in the octet " + quote(octet),
				"write the octet in decimal without it, since some programs read such a number as octal"
		case err != nil || value > 255:
			return "has the octet " + quote(octet), "want octets from 0 to 255"
		}
	}
	return "", ""
}

// diagnoseBits returns the problem with the length of a block with a valid address. It
// offers the masked block, because one with host bits set would be refused again.
func diagnoseBits(addr netip.Addr, bits string) (problem, want string) {
	wantBits := fmt.Sprintf("want a number from 0 to %d after the slash", addr.BitLen())
	if mask, err := netip.ParseAddr(bits); err == nil && mask.Is4() && addr.Is4() {
		// Not for 0.0.0.0: where masks are written the other way round it means one
		// address, and the block would be every address.
		if ones, _ := net.IPMask(mask.AsSlice()).Size(); ones > 0 {
			return "has a netmask", fmt.Sprintf("write the length of the prefix, %q", netip.PrefixFrom(addr, ones).Masked())
		}
	}
	if bits == "" {
		return "has no prefix length after the slash", wantBits
	}
	if strings.Trim(bits, "0123456789") != "" {
		return "has the prefix length " + quote(bits) + ", which is not a number", wantBits
	}
	if n, err := strconv.Atoi(bits); err == nil && n <= addr.BitLen() { // so it is its leading zero that was refused
		return "has a leading zero in the prefix length " + quote(bits), fmt.Sprintf("write %q", netip.PrefixFrom(addr, n).Masked())
	}
	return "has the prefix length " + quote(bits) + ", longer than the address", wantBits
}
