package replay

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// maxAddresses bounds the addresses or blocks of a tally: some 30 MB.
const maxAddresses = 1 << 18

// A tally counts calls by client, in bounded memory. IPv6 is counted by /64, in which one
// host changes its address (RFC 8981). Above the limit addresses of the larger family are
// merged into /24 (IPv6: /48), then /16 (/32), and so on. Each count stays exact for its
// address or block.
type tally struct {
	limit  int // 2 or more: one block for each family
	v4, v6 family

	lastKey netip.Addr // of last, which is asked for again most often
	last    *calls
}

// calls are those of one address or block.
type calls struct {
	count       uint64
	first, last time.Time
}

// A family is the half of a tally for IPv4 or IPv6.
type family struct {
	lengths []int                 // of the prefixes, the longest first
	level   int                   // index of the length in use
	counts  map[netip.Addr]*calls // by the first address of the prefix
}

func newTally(limit int) *tally {
	return &tally{
		limit: limit,
		v4:    family{lengths: []int{32, 24, 16, 8, 0}, counts: make(map[netip.Addr]*calls)},
		v6:    family{lengths: []int{64, 48, 32, 16, 0}, counts: make(map[netip.Addr]*calls)},
	}
}

// add counts a call at a time.
func (t *tally) add(client netip.Addr, at time.Time) {
	client = client.Unmap()
	if client == t.lastKey {
		t.last.add(at)
		return
	}
	f := &t.v6
	if client.Is4() {
		f = &t.v4
	}
	key := f.key(client)
	c := f.counts[key]
	if c == nil {
		c = &calls{first: at, last: at}
		f.counts[key] = c
	}
	c.add(at)
	t.lastKey, t.last = client, c
	for t.distinct() > t.limit {
		t.lastKey = netip.Addr{}
		if len(t.v6.counts) > len(t.v4.counts) {
			t.v6.fold()
		} else {
			t.v4.fold()
		}
	}
}

func (c *calls) add(at time.Time) {
	c.count++
	if at.Before(c.first) {
		c.first = at
	}
	if at.After(c.last) {
		c.last = at
	}
}

// key returns the address under which a client is counted.
func (f *family) key(client netip.Addr) netip.Addr {
	if length := f.length(); length < client.BitLen() {
		prefix, _ := client.WithZone("").Prefix(length) // fails only for an invalid length
		return prefix.Addr()
	}
	return client
}

// length returns the prefix length in use.
func (f *family) length() int { return f.lengths[f.level] }

// fold merges the counts into the next shorter prefixes.
func (f *family) fold() {
	f.level++
	folded := make(map[netip.Addr]*calls)
	for addr, c := range f.counts {
		key := f.key(addr)
		into := folded[key]
		if into == nil {
			folded[key] = c
			continue
		}
		into.count += c.count
		if c.first.Before(into.first) {
			into.first = c.first
		}
		if c.last.After(into.last) {
			into.last = c.last
		}
	}
	f.counts = folded
}

// calls returns the number of counted calls.
func (f *family) calls() (n uint64) {
	for _, c := range f.counts {
		n += c.count
	}
	return n
}

// clients returns all counts, unordered.
func (f *family) clients() []Address {
	all := make([]Address, 0, len(f.counts))
	for addr, c := range f.counts {
		all = append(all, Address{netip.PrefixFrom(addr, f.length()), c.count, c.first, c.last})
	}
	return all
}

// distinct returns the number of addresses or blocks.
func (t *tally) distinct() int { return len(t.v4.counts) + len(t.v6.counts) }

// addresses returns all counts: most calls first, and then by address.
func (t *tally) addresses() []Address {
	all := append(t.v4.clients(), t.v6.clients()...)
	slices.SortFunc(all, func(a, b Address) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return all
}
