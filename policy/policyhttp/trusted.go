package policyhttp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// TrustedBlocks are the blocks that proxies connect from, as a set to change while the
// guard is in use: edges publish their addresses, and change them. Make one with
// [NewTrustedBlocks] and declare it with [ClientAddress.WithTrusted]. A nil or zero
// TrustedBlocks trusts nobody, and [New] refuses it. It is safe for concurrent use.
type TrustedBlocks struct {
	list atomic.Pointer[accesslist.List] // nil: no blocks
}

// NewTrustedBlocks returns a TrustedBlocks with these blocks. The errors are those of
// [TrustedBlocks.Set].
func NewTrustedBlocks(blocks ...netip.Prefix) (*TrustedBlocks, error) {
	t := new(TrustedBlocks)
	if err := t.Set(blocks...); err != nil {
		return nil, err
	}
	return t, nil
}

// Set replaces the blocks. Requests being judged go on with the old ones, and each request
// is judged by one set of blocks. A doubled block is no mistake: such lists are often put
// together from several.
//
// The error names everything wrong: no blocks, an invalid block, one with host bits set, a
// block of every address. With an error nothing is changed.
func (t *TrustedBlocks) Set(blocks ...netip.Prefix) error {
	if t == nil {
		return errNilTrusted
	}
	list, err := compileTrusted(blocks)
	if err != nil {
		return err
	}
	if list.IsEmpty() {
		return errNoBlocks
	}
	t.list.Store(&list)
	return nil
}

var (
	errNilTrusted = errors.New("policyhttp: the TrustedBlocks is nil: want one that NewTrustedBlocks returned")
	errNoBlocks   = errors.New("policyhttp: trusted addresses: there are no blocks: want the blocks that the proxies connect from")
)

// load returns the blocks of now.
func (t *TrustedBlocks) load() accesslist.List {
	if t == nil {
		return accesslist.List{}
	}
	if list := t.list.Load(); list != nil {
		return *list
	}
	return accesslist.List{}
}

// trustedSet is the blocks that one request is judged by.
type trustedSet struct{ list accesslist.List }

// covers reports whether the address is a trusted one. No entry of the list expires, so it
// does not matter when.
func (s *trustedSet) covers(addr netip.Addr) bool { return s.list.Contains(addr, time.Time{}) }

// compileTrusted compiles the blocks. Without blocks the list is empty and covers nobody.
func compileTrusted(blocks []netip.Prefix) (accesslist.List, error) {
	entries := make([]accesslist.Entry, 0, len(blocks))
	seen := make(map[netip.Prefix]bool, len(blocks))
	var mistakes plain.Errors
	for _, block := range blocks {
		entry, err := accesslist.Parser{AllowIPv6: true}.NewEntry(block)
		if err == nil && block.Bits() == 0 {
			family := "IPv4"
			if block.Addr().Is6() {
				family = "IPv6"
			}
			err = fmt.Errorf("%q trusts every %s address to set the header: want the blocks that the proxies connect from", block, family)
		}
		mistakes.Add(err)
		if err == nil && !seen[block] {
			seen[block] = true
			entries = append(entries, entry)
		}
	}
	if err := mistakes.Err("policyhttp"); err != nil {
		return accesslist.List{}, fmt.Errorf("policyhttp: trusted addresses: %w", err)
	}
	return accesslist.List{}.With(entries...) // whole and distinct entries: there is no error
}

// mostDescribed is the number of blocks that a description lists.
const mostDescribed = 20

// describe lists the first blocks, for an operator.
func (s *trustedSet) describe() string {
	var texts []string
	for entry := range s.list.All() {
		if len(texts) == mostDescribed {
			texts = append(texts, fmt.Sprintf("and %d more", s.list.Len()-mostDescribed))
			break
		}
		texts = append(texts, entry.String())
	}
	return strings.Join(texts, ", ")
}
