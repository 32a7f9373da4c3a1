package main

import (
	"cmp"
	"net/netip"
	"slices"
)

// maxKeys bounds the addresses or blocks of a tally: some 20 MB.
const maxKeys = 1 << 18

// A tally counts requests by client, in bounded memory. Above the limit it counts by block:
// the addresses of the larger family are merged into /24 (IPv6: /64), then /16 (/48), and
// so on. Each count stays exact for its address or block.
type tally struct {
	limit  int // 2 or more: one key for each family
	v4, v6 family
}

// A family is the half of a tally for IPv4 or IPv6.
type family struct {
	lengths []int                 // of the prefixes, from single addresses to all in one
	level   int                   // index of the length in use
	counts  map[netip.Addr]uint64 // by the first address of the prefix
}

func newTally(limit int) *tally {
	return &tally{
		limit: limit,
		v4:    family{lengths: []int{32, 24, 16, 8, 0}, counts: make(map[netip.Addr]uint64)},
		v6:    family{lengths: []int{128, 64, 48, 32, 16, 0}, counts: make(map[netip.Addr]uint64)},
	}
}

// add counts a request.
func (t *tally) add(client netip.Addr) {
	client = client.Unmap()
	f := &t.v6
	if client.Is4() {
		f = &t.v4
	}
	f.counts[f.key(client)]++
	for t.distinct() > t.limit {
		if len(t.v6.counts) > len(t.v4.counts) {
			t.v6.fold()
		} else {
			t.v4.fold()
		}
	}
}

// key returns the address under which a client is counted.
func (f *family) key(client netip.Addr) netip.Addr {
	if f.level == 0 {
		return client.WithZone("")
	}
	prefix, _ := client.Prefix(f.length()) // fails only for an invalid length
	return prefix.Addr()
}

// length returns the prefix length in use.
func (f *family) length() int { return f.lengths[f.level] }

// grouped reports whether the family counts blocks instead of addresses.
func (f *family) grouped() bool { return f.level > 0 }

// fold merges the counts into the next shorter prefixes.
func (f *family) fold() {
	f.level++
	folded := make(map[netip.Addr]uint64)
	for addr, n := range f.counts {
		folded[f.key(addr)] += n
	}
	f.counts = folded
}

// requests returns the number of counted requests.
func (f *family) requests() (n uint64) {
	for _, count := range f.counts {
		n += count
	}
	return n
}

// A clientCount is the number of requests from an address or block.
type clientCount struct {
	prefix   netip.Prefix
	requests uint64
}

// all returns all counts, unordered.
func (f *family) all() []clientCount {
	all := make([]clientCount, 0, len(f.counts))
	for addr, n := range f.counts {
		all = append(all, clientCount{netip.PrefixFrom(addr, f.length()), n})
	}
	return all
}

// distinct returns the number of addresses or blocks.
func (t *tally) distinct() int { return len(t.v4.counts) + len(t.v6.counts) }

// top returns the n clients with the most requests, the largest count first.
func (t *tally) top(n int) []clientCount {
	all := append(t.v4.all(), t.v6.all()...)
	slices.SortFunc(all, func(a, b clientCount) int {
		return cmp.Or(cmp.Compare(b.requests, a.requests), a.prefix.Addr().Compare(b.prefix.Addr()))
	})
	return all[:min(n, len(all))]
}
