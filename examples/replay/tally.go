package main

import (
	"cmp"
	"net/netip"
	"slices"
)

// maxKeys bounds how many addresses or blocks a tally holds: some 20 MB.
const maxKeys = 1 << 18

// A tally counts requests by client, in bounded memory. When there are more
// different clients than it may hold, it counts by block instead: addresses of the
// family that has more of them are put together by /24 (IPv6: /64), then /16 (/48),
// and so on. Each count stays exact for what it stands beside.
type tally struct {
	limit  int // 2 or more: one key for each family
	v4, v6 family
}

// A family is the half of a tally that has the addresses of one length.
type family struct {
	lengths []int                 // of the prefixes to count by, from the address itself to all of them
	level   int                   // which length is in use
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
	prefix, _ := client.Prefix(f.length()) // fails only for a length that is none
	return prefix.Addr()
}

// length is that of the prefixes which are counted by.
func (f *family) length() int { return f.lengths[f.level] }

// grouped reports whether they are blocks and no longer addresses.
func (f *family) grouped() bool { return f.level > 0 }

// fold goes on with the next coarser length.
func (f *family) fold() {
	f.level++
	folded := make(map[netip.Addr]uint64)
	for addr, n := range f.counts {
		folded[f.key(addr)] += n
	}
	f.counts = folded
}

// requests returns how many requests were counted.
func (f *family) requests() (n uint64) {
	for _, count := range f.counts {
		n += count
	}
	return n
}

// A clientCount is how many requests came from an address or block.
type clientCount struct {
	prefix   netip.Prefix
	requests uint64
}

// all returns what was counted, in no order.
func (f *family) all() []clientCount {
	all := make([]clientCount, 0, len(f.counts))
	for addr, n := range f.counts {
		all = append(all, clientCount{netip.PrefixFrom(addr, f.length()), n})
	}
	return all
}

// distinct returns how many addresses or blocks were counted.
func (t *tally) distinct() int { return len(t.v4.counts) + len(t.v6.counts) }

// top returns the n with the most requests, the most first.
func (t *tally) top(n int) []clientCount {
	all := append(t.v4.all(), t.v6.all()...)
	slices.SortFunc(all, func(a, b clientCount) int {
		return cmp.Or(cmp.Compare(b.requests, a.requests), a.prefix.Addr().Compare(b.prefix.Addr()))
	})
	return all[:min(n, len(all))]
}
