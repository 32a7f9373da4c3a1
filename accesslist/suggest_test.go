package accesslist_test

import (
	"errors"
	"iter"
	"maps"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"go4.org/netipx"
)

// subBlocks yields a block and every block and address inside it, but for
// 0.0.0.0/32, which is no entry.
func subBlocks(block netip.Prefix) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for bits := block.Bits(); bits <= block.Addr().BitLen(); bits++ {
			for addr := block.Addr(); block.Contains(addr); {
				prefix := netip.PrefixFrom(addr, bits)
				if !(prefix.IsSingleIP() && addr.IsUnspecified()) && !yield(prefix) {
					return
				}
				addr = netipx.PrefixLastIP(prefix).Next()
			}
		}
	}
}

// addresses is how many addresses the blocks cover.
func addresses(blocks iter.Seq[netip.Prefix]) (n uint64) {
	for _, prefix := range ipSet(slices.Collect(blocks)).Prefixes() {
		n += 1 << (32 - prefix.Bits())
	}
	return n
}

func blocksOf(list accesslist.List) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for e := range list.All() {
			if !yield(e.Prefix()) {
				return
			}
		}
	}
}

// bestCover tries all sets of at most budget blocks within the universe. Of those covering
// everything seen it returns the least number of addresses, and the least number of blocks
// for it. A set of addresses is a set of bits.
func bestCover(universe netip.Prefix, seen uint64, budget int) (least, fewest int) {
	var masks []uint64
	for block := range subBlocks(universe) {
		masks = append(masks, bitsOf(universe, block))
	}
	covers := map[uint64]int{0: 0} // what sets of blocks cover, and the fewest blocks for it
	for n := 1; n <= budget; n++ {
		for covered, blocks := range maps.Clone(covers) {
			if blocks != n-1 {
				continue
			}
			for _, mask := range masks {
				if _, known := covers[covered|mask]; !known {
					covers[covered|mask] = n
				}
			}
		}
	}
	least, fewest = math.MaxInt, 0
	for covered, blocks := range covers {
		if n := popCount(covered); covered&seen == seen && (n < least || n == least && blocks < fewest) {
			least, fewest = n, blocks
		}
	}
	return least, fewest
}

func bitsOf(universe, block netip.Prefix) (mask uint64) {
	i := 0
	for addr := universe.Addr(); universe.Contains(addr); addr = addr.Next() {
		if block.Contains(addr) {
			mask |= 1 << i
		}
		i++
	}
	return mask
}

func popCount(mask uint64) (n int) {
	for ; mask != 0; mask &= mask - 1 {
		n++
	}
	return n
}

// TestSuggestAgainstEveryCover compares with all covers of each set of addresses
// within a /29, and of random ones within a /28.
func TestSuggestAgainstEveryCover(t *testing.T) {
	check := func(universe netip.Prefix, seen uint64, budget int) {
		var clients []netip.Addr
		addr := universe.Addr()
		for mask := seen; mask != 0; mask >>= 1 {
			if mask&1 != 0 {
				clients = append(clients, addr)
			}
			addr = addr.Next()
		}
		list, err := accesslist.Suggest(slices.Values(clients), budget)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range clients {
			if !list.Contains(addr, now) {
				t.Fatalf("%v is not covered by %v", addr, texts(list))
			}
		}
		least, fewest := bestCover(universe, seen, budget)
		if got := addresses(blocksOf(list)); list.Len() > budget || got != uint64(least) || list.Len() != fewest {
			t.Fatalf("%v with a budget of %d: %v covers %d addresses; %d entries could cover %d", clients, budget, texts(list), got, fewest, least)
		}
	}
	for _, universe := range prefixes("10.0.0.8/29", "255.255.255.248/29") {
		for seen := uint64(1); seen < 1<<8; seen++ {
			for budget := 1; budget <= 5; budget++ {
				check(universe, seen, budget)
			}
		}
	}
	r := newRand(7)
	for range 60 {
		check(netip.MustParsePrefix("10.0.0.16/28"), 1+r.Uint64N(1<<16-1), 1+r.IntN(3))
	}
	for range 8 {
		check(netip.MustParsePrefix("10.0.0.16/28"), 1+r.Uint64N(1<<16-1), 4+r.IntN(2))
	}
}

func TestSuggest(t *testing.T) {
	for name, test := range map[string]struct {
		seen   []string
		budget int
		want   []string
	}{
		"one address":            {[]string{"203.0.113.7"}, 1, []string{"203.0.113.7"}},
		"mapped":                 {[]string{"::ffff:203.0.113.7", "203.0.113.7"}, 5, []string{"203.0.113.7"}},
		"within the budget":      {[]string{"10.0.0.1", "10.9.0.1", "203.0.113.7"}, 3, []string{"10.0.0.1", "10.9.0.1", "203.0.113.7"}},
		"one too many":           {[]string{"10.0.0.1", "10.0.0.4", "203.0.113.7"}, 2, []string{"10.0.0.0/29", "203.0.113.7"}},
		"two too many":           {[]string{"10.0.0.1", "10.0.0.4", "203.0.113.7"}, 1, []string{"0.0.0.0/0"}},
		"neighbours cost one":    {[]string{"10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"}, 9, []string{"10.0.0.4/30"}},
		"the ends of everything": {[]string{"0.0.0.1", "255.255.255.255"}, 2, []string{"0.0.0.1", "255.255.255.255"}},
		"one entry for them":     {[]string{"0.0.0.1", "255.255.255.255"}, 1, []string{"0.0.0.0/0"}},
		"IPv6 by its /64":        {[]string{"2001:db8::7", "2001:db8::8", "2001:db8:0:1::1"}, 5, []string{"2001:db8::/63"}},
		"IPv6 within the budget": {[]string{"2001:db8::7", "2001:db8:0:2::1", "2001:db8:f::1"}, 2, []string{"2001:db8::/62", "2001:db8:f::/64"}},
		"one IPv6 address":       {[]string{"2001:db8:1:2:3:4:5:6"}, 1, []string{"2001:db8:1:2::/64"}},
		"both families":          {[]string{"203.0.113.7", "2001:db8::7"}, 2, []string{"203.0.113.7", "2001:db8::/64"}},
		"the cheaper one widens": {[]string{"203.0.113.4", "203.0.113.7", "2001:db8::7", "2001:db8:1::7"}, 3, []string{"203.0.113.4/30", "2001:db8::/64", "2001:db8:1::/64"}},
		"the other one widens":   {[]string{"203.0.113.4", "10.0.0.1", "2001:db8::7", "2001:db8:0:2::7"}, 3, []string{"10.0.0.1", "203.0.113.4", "2001:db8::/62"}},
		"both widen":             {[]string{"203.0.113.4", "203.0.113.6", "2001:db8::7", "2001:db8:0:2::7"}, 2, []string{"203.0.113.4/30", "2001:db8::/62"}},
		"the ends of IPv6":       {[]string{"::1", "ffff::1"}, 1, []string{"::/0"}},
		"a budget beyond need":   {[]string{"10.0.0.1", "10.0.0.3"}, math.MaxInt, []string{"10.0.0.1", "10.0.0.3"}},
	} {
		list, err := accesslist.Suggest(slices.Values(addrs(test.seen...)), test.budget)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantEqual(t, name, texts(list), append([]string{}, test.want...))
	}
	for name, test := range map[string]struct {
		seen   []netip.Prefix
		budget int
		want   []string
	}{
		"blocks":               {prefixes("10.0.0.0/24", "10.0.2.0/24", "203.0.113.7/32"), 2, []string{"10.0.0.0/22", "203.0.113.7"}},
		"halves":               {prefixes("10.0.0.0/25", "10.0.0.128/25", "10.0.0.7/32"), 5, []string{"10.0.0.0/24"}},
		"host bits":            {prefixes("10.0.0.7/24"), 1, []string{"10.0.0.0/24"}},
		"everything":           {prefixes("0.0.0.0/0", "10.0.0.7/32"), 9, []string{"0.0.0.0/0"}},
		"long IPv6 blocks":     {prefixes("2001:db8::/65", "2001:db8::8000:0:0:0/65", "2001:db8::1:0/120"), 9, []string{"2001:db8::/64"}},
		"IPv6 blocks":          {prefixes("2001:db8::/48", "2001:db8:1::/48", "2001:db8:2::1/48"), 2, []string{"2001:db8::/47", "2001:db8:2::/48"}},
		"all of both families": {prefixes("0.0.0.0/0", "::/0"), 9, []string{"0.0.0.0/0", "::/0"}},
		"all of IPv6 and one":  {prefixes("10.0.0.1/32", "::/0"), 2, []string{"10.0.0.1", "::/0"}},
		"the lowest addresses": {prefixes("0.0.0.0/31"), 1, []string{"0.0.0.0/31"}},
	} {
		list, err := accesslist.Suggest(slices.Values(test.seen), test.budget)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantEqual(t, name, texts(list), test.want)
	}
}

func TestSuggestRefuses(t *testing.T) {
	for _, budget := range []int{0, -1, math.MinInt} {
		if _, err := accesslist.Suggest(slices.Values(addrs("203.0.113.7")), budget); err == nil {
			t.Errorf("a budget of %d is no error", budget)
		}
	}
	list, err := accesslist.Suggest(slices.Values(addrs()), 1)
	if !errors.Is(err, accesslist.ErrNoEntries) {
		t.Errorf("nothing seen: %v", err)
	}
	wantInvalid(t, "nothing seen", list)
	_, err = accesslist.Suggest(slices.Values(addrs("203.0.113.7")), 0)
	wantError(t, "no budget", err, "accesslist: a budget of 0 entries: want at least 1")
	for _, addr := range append(addrs("::", "0.0.0.0", "::ffff:0.0.0.0"), unfit...) {
		list, err := accesslist.Suggest(slices.Values([]netip.Addr{netip.MustParseAddr("203.0.113.7"), addr}), 5)
		wantError(t, addr.String(), err, "accesslist: cannot suggest an entry for "+addr.String()+": want addresses of clients")
		wantInvalid(t, "the list", list)
	}
	_, err = accesslist.Suggest(slices.Values(addrs("203.0.113.7", "2001:db8::7")), 1)
	wantError(t, "one entry for both families", err, "accesslist: a budget of 1 entry for IPv4 and IPv6 addresses: want at least 2")
	bad := append(prefixes("::/128", "0.0.0.0/32", "::ffff:10.0.0.0/104"), netip.Prefix{}, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33))
	for _, prefix := range bad {
		_, err := accesslist.Suggest(slices.Values([]netip.Prefix{prefix}), 5)
		wantError(t, prefix.String(), err, "accesslist: cannot suggest an entry for "+prefix.String()+": want addresses of clients")
	}
}

// TestSuggestTreatsA64AsAnAddress moves IPv4 addresses to /64 blocks: the suggestion moves
// along.
func TestSuggestTreatsA64AsAnAddress(t *testing.T) {
	moved := func(addr netip.Addr, interfaceID byte) netip.Addr {
		b := addr.As4()
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, b[0], b[1], b[2], b[3], 8: interfaceID, 15: 1})
	}
	r := newRand(12)
	for range 50 {
		var v4, v6, both []netip.Addr
		for range 1 + r.IntN(100) {
			addr := randomAddr(r, false)
			v4, v6 = append(v4, addr), append(v6, moved(addr, 0), moved(addr, byte(r.Uint32())))
		}
		budget := 1 + r.IntN(20)
		four, six := must(accesslist.Suggest(slices.Values(v4), budget)), must(accesslist.Suggest(slices.Values(v6), budget))
		var want []string
		for e := range four.All() {
			want = append(want, netip.PrefixFrom(moved(e.Prefix().Addr(), 0), 32+e.Prefix().Bits()).Masked().String())
		}
		if four.Len() == 1 && four.Contains(netip.MustParseAddr("0.0.0.1"), now) {
			continue // above 2001:db8::/32 they part differently
		}
		wantEqual(t, "moved", texts(six), want)
		both = append(append(both, v4...), v6...)
		mixed := must(accesslist.Suggest(slices.Values(both), 2*budget))
		if mixed.Len() > 2*budget {
			t.Fatalf("%d entries with a budget of %d", mixed.Len(), 2*budget)
		}
		for _, addr := range both {
			if !mixed.Contains(addr, now) {
				t.Fatalf("%v is not covered by %v", addr, texts(mixed))
			}
		}
	}
}

func TestSuggestForManyAddresses(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	r := newRand(8)
	var seen []netip.Addr
	for range n {
		seen = append(seen, randomAddr(r, false))
	}
	wide := uint64(math.MaxUint64)
	for _, budget := range []int{20, 200} {
		list := must(accesslist.Suggest(slices.Values(seen), budget))
		if list.Len() > budget || list.IsEmpty() {
			t.Errorf("%d entries with a budget of %d", list.Len(), budget)
		}
		for _, addr := range seen {
			if !list.Contains(addr, now) {
				t.Fatalf("%v is not covered", addr)
			}
		}
		if covered := addresses(blocksOf(list)); covered > wide {
			t.Errorf("%d entries cover %d addresses, more than fewer entries do", budget, covered)
		} else {
			wide = covered
		}
	}
	few := seen[:200]
	wantEqual(t, "addresses when the budget suffices", addresses(blocksOf(must(accesslist.Suggest(slices.Values(few), 200)))), uint64(200))
}
