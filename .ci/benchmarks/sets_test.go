package main

import (
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/gaissmai/bart"
	"github.com/yl2chen/cidranger"
	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/accesslist"
	"sallyport.test/benchmarks/internal/byhand"
	"sallyport.test/benchmarks/internal/sally"
)

// setSizes are the lengths of lists that membership is measured with.
var setSizes = []int{1, 20, 200, 10_000, 1_000_000}

// A setMaker compiles one list and looks addresses up in it. It includes the loop over the
// addresses, so that calls are direct: one through an interface costs as much as a look-up in a
// short list.
type setMaker struct {
	name    string
	compile func([]netip.Prefix) any
	count   func(set any, addrs []netip.Addr) (inside int)
}

var setMakers = []setMaker{
	{sallyport, func(list []netip.Prefix) any {
		set, err := sally.List(list)
		if err != nil {
			panic(err) // the blocks are valid and distinct
		}
		return set
	}, askSallyport},
	{"bart.Fast", func(list []netip.Prefix) any { return byhand.NewFast(list).Fast }, askFast},
	{"bart.Lite", func(list []netip.Prefix) any { return byhand.NewLite(list).Lite }, askLite},
	{"bart.Table", func(list []netip.Prefix) any {
		set := new(bart.Table[struct{}])
		for _, p := range list {
			set.Insert(p, struct{}{})
		}
		return set
	}, askTable},
	{"netipx", func(list []netip.Prefix) any { return byhand.NewIPSet(list).IPSet }, askIPSet},
	{"bounds", func(list []netip.Prefix) any { return byhand.NewBounds(list) }, askBounds},
	{"cidranger", func(list []netip.Prefix) any {
		set := cidranger.NewPCTrieRanger()
		for _, p := range list {
			if err := set.Insert(cidranger.NewBasicRangerEntry(ipNet(p))); err != nil {
				panic(err) // the blocks are valid
			}
		}
		return set
	}, askRanger},
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// always is the time of look-ups. No entry has an expiry.
var always = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func askSallyport(set any, addrs []netip.Addr) (inside int) {
	list := set.(accesslist.List)
	for _, a := range addrs {
		if list.Contains(a, always) {
			inside++
		}
	}
	return inside
}

func askFast(set any, addrs []netip.Addr) (inside int) {
	table := set.(*bart.Fast[struct{}])
	for _, a := range addrs {
		if table.Contains(a) {
			inside++
		}
	}
	return inside
}

func askLite(set any, addrs []netip.Addr) (inside int) {
	table := set.(*bart.Lite)
	for _, a := range addrs {
		if table.Contains(a) {
			inside++
		}
	}
	return inside
}

func askTable(set any, addrs []netip.Addr) (inside int) {
	table := set.(*bart.Table[struct{}])
	for _, a := range addrs {
		if table.Contains(a) {
			inside++
		}
	}
	return inside
}

func askIPSet(set any, addrs []netip.Addr) (inside int) {
	ips := set.(*netipx.IPSet)
	for _, a := range addrs {
		if ips.Contains(a) {
			inside++
		}
	}
	return inside
}

func askBounds(set any, addrs []netip.Addr) (inside int) {
	list := set.(byhand.Bounds)
	for _, a := range addrs {
		if list.Contains(a) {
			inside++
		}
	}
	return inside
}

func askRanger(set any, addrs []netip.Addr) (inside int) {
	ranger := set.(cidranger.Ranger)
	for _, a := range addrs {
		// Its type is older than net/netip. Converting an address on the stack costs nothing.
		b := a.As4()
		if covered, err := ranger.Contains(b[:]); covered && err == nil {
			inside++
		}
	}
	return inside
}

// retained returns the result of build, the bytes it leaves on the heap, and its duration.
func retained[T any](build func() T) (built T, bytes uint64, took time.Duration) {
	before := heap()
	start := time.Now()
	built = build()
	took = time.Since(start)
	after := heap()
	runtime.KeepAlive(built)
	if after < before {
		return built, 0, took
	}
	return built, after - before, took
}

func heap() uint64 {
	// Twice: memory held by a finalizer or a pool is free after the second.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
