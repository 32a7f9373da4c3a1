package work

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
)

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// public returns an address between 1.0.0.0 and 223.255.255.255.
func public(r *rand.Rand) uint32 { return 1<<24 + r.Uint32N(223<<24) }

// list returns the access list of a key: half single addresses, half blocks of /16 to /31, at a
// few sites of a /16 each, since an organization's addresses lie together. Entries may nest.
func list(r *rand.Rand, n int) []netip.Prefix {
	sites := make([]uint32, 1+n/8)
	for i := range sites {
		sites[i] = public(r) >> 16 << 16
	}
	entries := make([]netip.Prefix, 0, n)
	seen := make(map[netip.Prefix]bool, n)
	for len(entries) < n {
		bits := 32
		if r.IntN(2) == 0 {
			bits = 16 + r.IntN(16)
		}
		a := sites[r.IntN(len(sites))] | r.Uint32N(1<<16)
		if p := netip.PrefixFrom(address(a), bits).Masked(); !seen[p] {
			seen[p] = true
			entries = append(entries, p)
		}
	}
	return entries
}

// client returns, half of the time each, an address that the list covers and one outside it. The
// outside one is from the same site if there is room: a near miss takes the most work.
func client(r *rand.Rand, list []netip.Prefix) netip.Addr {
	if len(list) == 0 {
		return address(public(r))
	}
	p := list[r.IntN(len(list))]
	if r.IntN(2) == 0 {
		return inside(r, p)
	}
	for range 4 {
		if a := address(number(p.Addr())>>16<<16 | r.Uint32N(1<<16)); !covers(list, a) {
			return a
		}
	}
	for {
		if a := address(public(r)); !covers(list, a) {
			return a
		}
	}
}

func inside(r *rand.Rand, p netip.Prefix) netip.Addr {
	hosts := uint32(1<<(32-p.Bits()) - 1)
	return address(number(p.Addr()) | r.Uint32()&hosts)
}

func covers(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// oddClient makes some clients IPv4-mapped and some IPv6. Some of the latter begin or end with
// the bytes of an IPv4 address that may be on the list.
func oddClient(r *rand.Rand, a netip.Addr) netip.Addr {
	b := a.As16()
	switch r.IntN(8) {
	case 0, 1:
		return netip.AddrFrom16(b) // ::ffff:a.b.c.d
	case 2:
		b[10], b[11] = 0, 0 // ::a.b.c.d
		return netip.AddrFrom16(b)
	case 3:
		copy(b[:4], b[12:]) // an IPv6 address that begins with the same bytes
		b[10] = 0
		return netip.AddrFrom16(b)
	}
	return a
}

// Set returns one long list, for membership alone. Its blocks are of
// /22 to /31, because a million of /16 to /31 would merge into the whole address space.
func Set(seed uint64, n int) []netip.Prefix {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	widest := 16
	if n > 1000 {
		widest = 22
	}
	entries := make([]netip.Prefix, 0, n)
	seen := make(map[netip.Prefix]bool, n)
	for len(entries) < n {
		bits := 32
		if r.IntN(2) == 0 {
			bits = widest + r.IntN(32-widest)
		}
		if p := netip.PrefixFrom(address(public(r)), bits).Masked(); !seen[p] {
			seen[p] = true
			entries = append(entries, p)
		}
	}
	return entries
}

// Lookups returns addresses to ask a set for: half of them random ones inside, half random ones
// outside.
func Lookups(seed uint64, set []netip.Prefix, n int) []netip.Addr {
	r := rand.New(rand.NewPCG(seed, 1<<61))
	within := NewScan(set)
	addrs := make([]netip.Addr, 0, n)
	for len(addrs) < n {
		a := address(public(r))
		if r.IntN(2) == 0 {
			a = inside(r, set[r.IntN(len(set))])
		} else if within.Contains(a) {
			continue
		}
		addrs = append(addrs, a)
	}
	return addrs
}
