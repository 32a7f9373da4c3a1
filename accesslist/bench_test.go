package accesslist_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
)

// clients are addresses to ask for, half of them inside a block.
func clients(blocks []netip.Prefix) []netip.Addr {
	r := newRand(9)
	out := make([]netip.Addr, 1<<16) // many, or a long list would stay in the cache
	for i := range out {
		out[i] = randomAddr(r, false)
		if len(blocks) > 0 && i%2 == 0 {
			block := blocks[r.IntN(len(blocks))]
			first, last, _ := edges(block)
			out[i] = first
			if r.IntN(2) == 0 {
				out[i] = last
			}
		}
	}
	return out
}

func BenchmarkContains(b *testing.B) {
	for _, sample := range samples() {
		b.Run(sample.name, func(b *testing.B) {
			blocks := sample.blocks()
			entries := entriesOf(blocks)
			ask := clients(blocks)
			list := must(accesslist.List{}.With(entries...))
			set := ipSet(blocks)
			run := func(name string, contains func(netip.Addr) bool) {
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						sinkBool = contains(ask[i&(len(ask)-1)])
						i++
					}
				})
			}
			run("List", func(addr netip.Addr) bool { return list.Contains(addr, now) })
			run("IPSet", set.Contains)
			if len(blocks) <= 10_000 {
				run("linear", func(addr netip.Addr) bool {
					return slices.ContainsFunc(blocks, func(block netip.Prefix) bool { return block.Contains(addr) })
				})
			}
		})
	}
}

// ipv4 runs a benchmark on each random list of IPv4 entries.
func ipv4(b *testing.B, run func(b *testing.B, entries []accesslist.Entry)) {
	for _, sample := range samples() {
		if strings.HasPrefix(sample.name, "ipv4/") {
			b.Run(sample.name, func(b *testing.B) { run(b, entriesOf(sample.blocks())) })
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	ipv4(b, func(b *testing.B, entries []accesslist.Entry) {
		list := must(accesslist.List{}.With(entries...))
		ask := clients(slices.Collect(blocksOf(list)))
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			sinkEntry, sinkBool = list.Match(ask[i&(len(ask)-1)], now)
			i++
		}
	})
}

func BenchmarkNew(b *testing.B) {
	ipv4(b, func(b *testing.B, entries []accesslist.Entry) {
		b.ReportAllocs()
		for b.Loop() {
			sinkList = must(accesslist.List{}.With(entries...))
		}
	})
}

func BenchmarkSuggest(b *testing.B) {
	r := newRand(10)
	seen := make([]netip.Addr, 100_000)
	for i := range seen {
		seen[i] = randomAddr(r, false)
	}
	for _, budget := range []int{20, 200} {
		b.Run(fmt.Sprintf("100000/budget=%d", budget), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkList = must(accesslist.Suggest(slices.Values(seen), budget))
			}
		})
	}
}
