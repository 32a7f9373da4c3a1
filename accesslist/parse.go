package accesslist

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Parser reads entries and lists from input. The zero Parser takes IPv4 only; it is
// the one behind [Parse], [ParseEntry] and [NewEntry].
type Parser struct {
	// AllowIPv6 is the opt-in to IPv6 addresses and blocks (rule A5). Where proxies or
	// clients speak only IPv4, an IPv6 entry is a mistake and should be refused.
	AllowIPv6 bool
}

// MaxLine is the length of the longest text of an entry and of the longest line of a list,
// in bytes. The longest line that MarshalText writes is shorter. More is refused unread.
const MaxLine = 2048

// A ParseError says why a text is not an entry. In Want, the texts in double quotes are
// what to write: the same parser takes each of them.
type ParseError struct {
	Text    string // the input, cut after MaxLine bytes
	Problem string // such as "has host bits set"
	Want    string // the repair, such as `use "10.0.0.0/24" for the block or "10.0.0.7" for the address`
}

// Error returns the three fields in one line; a long text is cut.
func (e *ParseError) Error() string {
	return fmt.Sprintf("accesslist: %s %s: %s", plain.Quote(e.Text), e.Problem, e.Want)
}

// ParseEntry is the function [ParseEntry] under the parser's options.
func (p Parser) ParseEntry(text string) (Entry, error) { return p.parseEntry(text, false) }

// errUnworded is the refusal of a text whose words nobody will read: finding them takes ten
// times as long as refusing it.
var errUnworded = errors.New("accesslist: refused")

func (p Parser) parseEntry(text string, unworded bool) (Entry, error) {
	if len(text) > MaxLine {
		return Entry{}, &ParseError{text[:MaxLine], fmt.Sprintf("has %d bytes", len(text)), wantEntry}
	}
	prefix, ok := parsePrefix(text)
	switch {
	case !ok && unworded:
		return Entry{}, errUnworded
	case !ok:
		return Entry{}, diagnosis{parser: p}.refuse(text)
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
		unmapped := netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
		if _, err := p.entry(text, unmapped); err != nil {
			refusal := err.(*ParseError)
			return refuse(problem+", and "+refusal.Problem, refusal.Want)
		}
		return refuse(problem, fmt.Sprintf("write it as IPv4, %q", Entry{prefix: unmapped}))
	case addr.Is6() && !p.AllowIPv6:
		return refuse("is IPv6", "this list takes IPv4 addresses and blocks only")
	case prefix.Masked() != prefix:
		return refuse("has host bits set", fmt.Sprintf("use %q for the block or %q for the single address", prefix.Masked(), addr))
	case prefix.IsSingleIP() && addr.IsUnspecified():
		return refuse("is the unspecified address, which no client has", fmt.Sprintf("name a client's address, or write \"%s/0\" to mean every %s address", addr, family(addr)))
	}
	return Entry{prefix: prefix}, nil
}

// Parse makes a list of texts, each read by [ParseEntry]. The error joins the refusals of
// the first 20 bad texts and counts the rest; the list is then invalid. The same entry twice
// is [ErrDuplicate]. No text
// at all is [ErrNoEntries], because a configuration without its entries would open the key
// to every address: for a list without entries write List{}.
func Parse(texts ...string) (List, error) { return Parser{}.Parse(texts...) }

// Parse is the function [Parse] under the parser's options.
func (p Parser) Parse(texts ...string) (List, error) {
	if len(texts) == 0 {
		return invalid, ErrNoEntries
	}
	entries := make([]Entry, 0, len(texts))
	var errs plain.Errors
	for _, text := range texts {
		e, err := p.parseEntry(text, errs.Full())
		errs.Add(err)
		entries = append(entries, e)
	}
	if err := errs.Err("accesslist"); err != nil {
		return invalid, err
	}
	return New(entries...)
}

// parsePrefix accepts exactly the addresses and prefixes of net/netip without a zone.
// Only it and Parser.entry judge; a diagnosis words the refusal.
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

// family returns the name of an address's family.
func family(addr netip.Addr) string {
	if addr.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
