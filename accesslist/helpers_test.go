package accesslist_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sallyport-go/sallyport/accesslist"
	"go4.org/netipx"
)

// now is when the tests ask. None of them reads the clock.
var now = time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)

// anyFamily is the parser that takes IPv6 as well.
var anyFamily = accesslist.Parser{AllowIPv6: true}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func entry(text string) accesslist.Entry { return must(anyFamily.ParseEntry(text)) }

func entryUntil(text string, expires time.Time) accesslist.Entry {
	e := entry(text)
	e.Expires = expires
	return e
}

func listOf(texts ...string) accesslist.List {
	entries := make([]accesslist.Entry, 0, len(texts))
	for _, text := range texts {
		entries = append(entries, entry(text))
	}
	return must(accesslist.List{}.With(entries...))
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// texts are the entries of a list in its order.
func texts(l accesslist.List) []string {
	out := []string{}
	for e := range l.All() {
		out = append(out, e.String())
	}
	return out
}

func wantEqual(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantError fails unless err's whole message is the one given.
func wantError(t testing.TB, what string, err error, message string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %s", what, message)
	case err.Error() != message:
		t.Errorf("%s:\n got %s\nwant %s", what, err, message)
	}
}

// A linear is the slow, obvious second implementation that lists are held
// against: every entry is asked.
type linear []accesslist.Entry

func (l linear) match(addr netip.Addr, at time.Time) (best accesslist.Entry, found bool) {
	if addr.Zone() != "" {
		return best, false
	}
	for _, e := range l {
		live := e.Expires.IsZero() || at.Before(e.Expires)
		if live && e.Prefix().Contains(addr.Unmap()) && (!found || e.Prefix().Bits() > best.Prefix().Bits()) {
			best, found = e, true
		}
	}
	return best, found
}

// wantMatch holds Contains and Match against what another implementation says.
func wantMatch(t testing.TB, l accesslist.List, addr netip.Addr, at time.Time, want accesslist.Entry, covered bool) {
	t.Helper()
	if got := l.Contains(addr, at); got != covered {
		t.Fatalf("Contains(%v, %v) = %v, want %v", addr, at, got, covered)
	}
	if got, ok := l.Match(addr, at); ok != covered || !got.Equal(want) {
		t.Fatalf("Match(%v, %v) = %v, %v, want %v, %v", addr, at, got, ok, want, covered)
	}
}

// edges are the first and the last address of a block and their neighbours
// outside, where there are any.
func edges(block netip.Prefix) (first, last netip.Addr, outside []netip.Addr) {
	first, last = block.Masked().Addr(), netipx.PrefixLastIP(block)
	for _, addr := range []netip.Addr{first.Prev(), last.Next()} {
		if addr.IsValid() {
			outside = append(outside, addr)
		}
	}
	return first, last, outside
}

// probes are the edges of a block as one slice.
func probes(block netip.Prefix) []netip.Addr {
	first, last, outside := edges(block)
	return append(outside, first, last)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x5a11)) }

func randomAddr(r *rand.Rand, v6 bool) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if v6 {
		b[0] = 0x20 // far from the IPv4-mapped ones
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

// randomPrefixes makes n distinct blocks and addresses. About half are inside an earlier
// one, or around it.
func randomPrefixes(r *rand.Rand, n int, v6 bool) []netip.Prefix {
	widest := 0
	if n > 20 {
		widest = 10 // or a long list would cover everything
	}
	seen := make(map[netip.Prefix]bool, n)
	out := make([]netip.Prefix, 0, n)
	for len(out) < n {
		addr := randomAddr(r, v6)
		bits := addr.BitLen() - r.IntN(9)
		if r.IntN(4) == 0 {
			bits = addr.BitLen() - r.IntN(addr.BitLen()/2+1)
		}
		if len(out) > 0 && r.IntN(2) == 0 {
			near := out[r.IntN(len(out))]
			addr = near.Addr()
			bits = min(addr.BitLen(), max(widest, near.Bits()+r.IntN(13)-4))
			if r.IntN(2) == 0 {
				addr = netipx.PrefixLastIP(near)
			}
		}
		prefix := netip.PrefixFrom(addr, bits).Masked()
		if prefix.IsSingleIP() && prefix.Addr().IsUnspecified() || seen[prefix] {
			continue
		}
		seen[prefix] = true
		out = append(out, prefix)
	}
	return out
}

func entriesOf(blocks []netip.Prefix) []accesslist.Entry {
	out := make([]accesslist.Entry, 0, len(blocks))
	for _, block := range blocks {
		out = append(out, must(anyFamily.NewEntry(block)))
	}
	return out
}

// randomEntries have comments, times of adding and expiries. Few expiries are distinct, so
// entries often end together.
func randomEntries(r *rand.Rand, n int, v6 bool) []accesslist.Entry {
	comments := []string{"", "the office", " led by a space", "a # and a \"quote\", <b>&</b>", "größer, 日本", "trailing ", "empty", "\u00a0"}
	entries := entriesOf(randomPrefixes(r, n, v6))
	for i := range entries {
		entries[i].Comment = comments[r.IntN(len(comments))]
		if r.IntN(2) == 0 {
			entries[i].Added = now.Add(-time.Duration(r.Int64N(int64(1000 * time.Hour))))
		}
		entries[i].Expires = expiries[r.IntN(len(expiries))]
	}
	return entries
}

// expiries are the few that random entries have.
var expiries = []time.Time{
	{}, {}, now.Add(-time.Hour), now,
	now.Add(time.Nanosecond).In(time.FixedZone("with seconds", 1817)), now.Add(time.Hour).In(time.FixedZone("", -9*3600)),
}

// instants are the moments at which random entries begin or cease to cover, and
// their neighbours.
func instants() []time.Time {
	var out []time.Time
	for _, at := range expiries[2:] {
		out = append(out, at.Add(-1), at, at.Add(1))
	}
	return out
}

// A sample is a list that both tests and benchmarks use.
type sample struct {
	name   string
	blocks func() []netip.Prefix // made once, as they are when first asked for
}

// samples are random lists of both families, mixed ones, and the published lists
// if they are at hand.
func samples() []sample {
	random := func(name string, n4, n6 int) sample {
		return sample{name, sync.OnceValue(func() []netip.Prefix {
			r := newRand(uint64(n4 + 7*n6))
			return append(randomPrefixes(r, n4, false), randomPrefixes(r, n6, true)...)
		})}
	}
	out := []sample{random("none", 0, 0)}
	for _, n := range []int{1, 2, 3, 20, 200, 10_000, 1_000_000} {
		out = append(out, random(fmt.Sprintf("ipv4/%d", n), n, 0))
	}
	for _, n := range []int{1, 2, 3, 20, 200, 10_000} {
		out = append(out, random(fmt.Sprintf("ipv6/%d", n), 0, n), random(fmt.Sprintf("mixed/%d", 2*n), n, n))
	}
	return append(out, published()...)
}

// published are the lists in ../../shared/data, which is not part of the project.
func published() []sample {
	files, _ := filepath.Glob("../../shared/data/*.txt") // fails for a bad pattern only
	var out []sample
	for _, file := range files {
		out = append(out, sample{"published/" + strings.TrimSuffix(filepath.Base(file), ".txt"), sync.OnceValue(func() []netip.Prefix {
			f := must(os.Open(file))
			defer f.Close()
			var blocks []netip.Prefix
			for lines := bufio.NewScanner(f); lines.Scan(); {
				if addr, err := netip.ParseAddr(lines.Text()); err == nil {
					blocks = append(blocks, netip.PrefixFrom(addr, addr.BitLen()))
				} else {
					blocks = append(blocks, netip.MustParsePrefix(lines.Text()))
				}
			}
			return blocks
		})})
	}
	return out
}

func ipSet(blocks []netip.Prefix) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, block := range blocks {
		b.AddPrefix(block)
	}
	return must(b.IPSet())
}
