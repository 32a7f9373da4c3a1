// Package byhand is the code a team would write for this one job: a Go map of keys, and a set of
// addresses in each. It gives an answer and no reason, cannot change a key while others read (it
// has no lock), and its entries never expire.
package byhand

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"
	"go4.org/netipx"

	"sallyport.test/benchmarks/internal/work"
)

// A Set is membership in an access list.
type Set interface{ Contains(a netip.Addr) bool }

// An Engine is the map, and the checks before and after membership. S is a type parameter and
// not Set itself, so that a small set lies in the key's own record.
type Engine[S Set] struct {
	keys map[string]*key[S]
}

// A key has its fields in the order of the checks.
type key[S Set] struct {
	disabled     bool
	hasList      bool
	sum          [sha256.Size]byte
	expires      time.Time
	organization *organization
	role         string
	list         S
}

type organization struct {
	id       string
	requires bool
}

// New makes an engine of all the keys of a world.
func New[S Set](w *work.World, compile func([]netip.Prefix) S) *Engine[S] {
	organizations := make([]*organization, w.Organizations())
	for i := range organizations {
		o := w.Organization(i)
		organizations[i] = &organization{o.ID, o.Requirement == work.Required}
	}
	e := &Engine[S]{make(map[string]*key[S], w.Keys)}
	for i := range w.Keys {
		k := w.Key(i)
		made := &key[S]{
			disabled: k.Disabled, hasList: len(k.List) > 0, sum: k.Sum, expires: k.Expires,
			organization: organizations[i%len(organizations)], role: k.Role,
		}
		if made.hasList {
			made.list = compile(k.List)
		}
		e.keys[k.ID] = made
	}
	return e
}

// Decide answers a request. The clock is only read for a key that has an end.
func (e *Engine[S]) Decide(r *work.Request) bool {
	k := e.keys[r.Key]
	if k == nil {
		return false
	}
	if r.Proof != nil {
		if sum := sha256.Sum256([]byte(r.Proof.Text)); subtle.ConstantTimeCompare(sum[:], k.sum[:]) != 1 {
			return false
		}
	}
	if k.disabled || !k.expires.IsZero() && !time.Now().Before(k.expires) {
		return false
	}
	if k.hasList {
		if !k.list.Contains(r.Client) {
			return false
		}
	} else if k.organization.requires || r.Endpoint.RequiresList {
		return false
	}
	return r.Organization == k.organization.id && slices.Contains(r.Endpoint.Roles, k.role)
}

// Bounds is a set of IPv4 addresses as the ascending places where membership changes: the first
// address of a run, and the one after its last. An address is inside if the number of bounds at
// or before it is odd.
type Bounds []uint32

// NewBounds merges blocks. It leaves out a bound after the last address of all.
func NewBounds(list []netip.Prefix) Bounds {
	sorted := slices.SortedFunc(slices.Values(list), netip.Prefix.Compare)
	bounds := make(Bounds, 0, 2*len(list))
	for _, p := range sorted {
		b := p.Addr().As4()
		first := binary.BigEndian.Uint32(b[:])
		end := first + uint32(1<<(32-p.Bits()))
		if n := len(bounds); n > 0 && first <= bounds[n-1] {
			bounds[n-1] = max(bounds[n-1], end)
		} else {
			bounds = append(bounds, first, end)
		}
	}
	return bounds
}

// Contains reports whether the address is inside.
func (b Bounds) Contains(a netip.Addr) bool {
	if !a.Is4() {
		if a = a.Unmap(); !a.Is4() {
			return false
		}
	}
	bytes := a.As4()
	i, found := slices.BinarySearch(b, binary.BigEndian.Uint32(bytes[:]))
	if found {
		i++
	}
	return i%2 == 1
}

// The libraries' sets do not unmap an IPv4-mapped address, so the caller does.
type (
	// IPSet is netipx's.
	IPSet struct{ *netipx.IPSet }
	// Lite is bart's.
	Lite struct{ *bart.Lite }
	// Fast is bart's: more memory for less time.
	Fast struct{ *bart.Fast[struct{}] }
)

// Contains reports whether the address is inside.
func (s IPSet) Contains(a netip.Addr) bool { return s.IPSet.Contains(a.Unmap()) }

// Contains reports whether the address is inside.
func (s Lite) Contains(a netip.Addr) bool { return s.Lite.Contains(a.Unmap()) }

// Contains reports whether the address is inside.
func (s Fast) Contains(a netip.Addr) bool { return s.Fast.Contains(a.Unmap()) }

// NewIPSet compiles blocks.
func NewIPSet(list []netip.Prefix) IPSet {
	var b netipx.IPSetBuilder
	for _, p := range list {
		b.AddPrefix(p)
	}
	set, err := b.IPSet()
	if err != nil {
		panic(err) // the blocks are valid
	}
	return IPSet{set}
}

// NewLite compiles blocks, aggregated as bart's documentation advises for access lists.
func NewLite(list []netip.Prefix) Lite {
	set := new(bart.Lite)
	for _, p := range list {
		set.Insert(p)
	}
	set.Aggregate()
	return Lite{set}
}

// NewFast compiles blocks after aggregation.
func NewFast(list []netip.Prefix) Fast {
	set := new(bart.Fast[struct{}])
	for p := range NewLite(list).All() {
		set.Insert(p, struct{}{})
	}
	return Fast{set}
}
