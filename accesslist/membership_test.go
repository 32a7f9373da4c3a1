package accesslist_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

func TestA1FirstAndLastAddressAreInsideAndTheirNeighboursOutside(t *testing.T) {
	for _, base := range addrs("203.0.113.7", "0.0.0.1", "255.255.255.255", "128.0.0.0", "127.255.255.255",
		"2001:db8::7", "64:ff9b::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "8000::") {
		for bits := range base.BitLen() + 1 {
			block := must(base.Prefix(bits))
			e := must(anyFamily.NewEntry(block))
			list := must(accesslist.New(e))
			first, last, outside := edges(block)
			for _, addr := range []netip.Addr{first, last} {
				if !list.Contains(addr, now) || !e.Covers(addr, now) {
					t.Errorf("%v does not cover %v", block, addr)
				}
			}
			for _, addr := range outside {
				if list.Contains(addr, now) || e.Covers(addr, now) {
					t.Errorf("%v covers %v", block, addr)
				}
			}
			if bits == 0 != (len(outside) == 0) {
				t.Errorf("%v has %d neighbours", block, len(outside))
			}
		}
	}
}

func TestA1CoverageIsTheUnion(t *testing.T) {
	list := listOf("10.0.0.0/25", "10.0.0.128/25", "10.0.1.0", "192.0.2.0/31")
	for _, addr := range addrs("10.0.0.0", "10.0.0.127", "10.0.0.128", "10.0.0.255", "10.0.1.0", "192.0.2.0", "192.0.2.1") {
		if !list.Contains(addr, now) {
			t.Errorf("%v is not covered", addr)
		}
	}
	for _, addr := range addrs("9.255.255.255", "10.0.1.1", "192.0.1.255", "192.0.2.2", "0.0.0.0", "255.255.255.255") {
		if list.Contains(addr, now) {
			t.Errorf("%v is covered", addr)
		}
	}
}

func TestA2AnEntryEndsAtTheInstantOfItsExpiry(t *testing.T) {
	client := netip.MustParseAddr("203.0.113.7")
	for _, text := range []string{"203.0.113.7", "203.0.113.0/24", "0.0.0.0/0"} {
		for _, expires := range []time.Time{now, now.In(time.FixedZone("", 3600))} {
			e := entryUntil(text, expires)
			list := must(accesslist.New(e))
			for _, test := range []struct {
				at   time.Time
				live bool
			}{{time.Time{}, true}, {now.Add(-1), true}, {now, false}, {now.Add(1), false}, {now.AddDate(9000, 0, 0), false}} {
				if got := list.Contains(client, test.at); got != test.live {
					t.Errorf("%v until %v: Contains at %v = %v", e, expires, test.at, got)
				}
				if got, ok := list.Match(client, test.at); ok != test.live || ok && !got.Equal(e) {
					t.Errorf("%v until %v: Match at %v = %v, %v", e, expires, test.at, got, ok)
				}
				if e.Covers(client, test.at) != test.live || e.ExpiredAt(test.at) == test.live {
					t.Errorf("%v until %v at %v: Covers %v, ExpiredAt %v", e, expires, test.at, e.Covers(client, test.at), e.ExpiredAt(test.at))
				}
			}
		}
	}
	if never := entry("203.0.113.7"); never.ExpiredAt(now.AddDate(9000, 0, 0)) || !listOf("203.0.113.7").Contains(client, now.AddDate(9000, 0, 0)) {
		t.Error("an entry without an expiry expired")
	}
}

func TestA2ExpiredEntriesCoverNothingButCount(t *testing.T) {
	list := must(accesslist.New(entryUntil("0.0.0.0/0", now), entryUntil("203.0.113.7", now.Add(-time.Hour)), entryUntil("::/0", now)))
	if list.IsEmpty() || list.Len() != 3 || len(texts(list)) != 3 {
		t.Errorf("%d entries, empty %v, all %v", list.Len(), list.IsEmpty(), texts(list))
	}
	for _, addr := range addrs("203.0.113.7", "0.0.0.0", "::1", "::ffff:203.0.113.7") {
		for _, at := range []time.Time{now, now.Add(time.Hour)} {
			wantMatch(t, list, addr, at, accesslist.Entry{}, false)
		}
	}
	if _, ok := list.Find(netip.MustParsePrefix("203.0.113.7/32")); !ok {
		t.Error("an expired entry cannot be found")
	}
}

func TestA2AnExpiredEntryLeavesTheOnesAroundAndInsideIt(t *testing.T) {
	client := netip.MustParseAddr("10.1.2.3")
	wide, middle, single := entry("10.0.0.0/8"), entryUntil("10.1.0.0/16", now), entryUntil("10.1.2.3", now.Add(time.Hour))
	list := must(accesslist.New(wide, middle, single))
	for _, test := range []struct {
		addr string
		at   time.Time
		want accesslist.Entry
	}{
		{"10.1.2.3", now.Add(-1), single}, {"10.1.2.3", now, single}, {"10.1.2.3", now.Add(time.Hour), wide},
		{"10.1.2.4", now.Add(-1), middle}, {"10.1.2.4", now, wide},
		{"10.2.0.0", now, wide},
	} {
		wantMatch(t, list, netip.MustParseAddr(test.addr), test.at, test.want, true)
	}
	wantMatch(t, must(accesslist.New(entryUntil("10.0.0.0/8", now), single)), client, now, single, true)
}

func TestA5MappedAddressesAreTheIPv4AddressTheyMap(t *testing.T) {
	list := listOf("10.0.0.0/8", "203.0.113.7", "2001:db8::/32")
	for _, test := range []struct {
		addr    string
		covered bool
	}{
		{"::ffff:10.1.2.3", true}, {"::ffff:10.0.0.0", true}, {"::ffff:10.255.255.255", true},
		{"::ffff:9.255.255.255", false}, {"::ffff:11.0.0.0", false}, {"::ffff:cb00:7107", true}, {"::ffff:cb00:7108", false},
		{"::10.1.2.3", false},        // IPv4-compatible is not IPv4-mapped,
		{"64:ff9b::10.1.2.3", false}, // nor is the NAT64 prefix,
		{"::ffff:0:10.1.2.3", false}, // nor are IPv4-translated addresses,
		{"2002:a01:203::1", false},   // nor 6to4.
		{"2001:db8::10.1.2.3", true},
	} {
		addr := netip.MustParseAddr(test.addr)
		if got := list.Contains(addr, now); got != test.covered {
			t.Errorf("Contains(%v) = %v", addr, got)
		}
		e, ok := list.Match(addr, now)
		if ok != test.covered || ok && !e.Covers(addr, now) {
			t.Errorf("Match(%v) = %v, %v", addr, e, ok)
		}
	}
}

func TestA5IPv6ClientsAreCoveredByNoIPv4Entry(t *testing.T) {
	for _, list := range []accesslist.List{listOf("0.0.0.0/0"), listOf("0.0.0.0/1", "128.0.0.0/1"), listOf("0.0.0.1", "10.0.0.0/8")} {
		for _, addr := range addrs("::", "::1", "::a00:1", "a00::", "2001:db8::1", "::fffe:ffff:ffff", "::1:0:0:0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") {
			wantMatch(t, list, addr, now, accesslist.Entry{}, false)
		}
	}
}

func TestA5IPv4ClientsAreCoveredByNoIPv6Entry(t *testing.T) {
	// ::/0 and ::/64 enclose the IPv4-mapped addresses by their bits.
	list := listOf("::/0", "::/64", "::/90")
	for _, addr := range addrs("0.0.0.0", "10.1.2.3", "255.255.255.255", "::ffff:10.1.2.3", "::ffff:0.0.0.0") {
		wantMatch(t, list, addr, now, accesslist.Entry{}, false)
	}
	wantMatch(t, list, netip.MustParseAddr("::1"), now, entry("::/90"), true)
}

func TestA5IPv6EntriesFollowTheSameRules(t *testing.T) {
	list := listOf("10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/64", "2001:db8::7", "2001:db8:1::/48")
	for addr, want := range map[string]string{
		"10.1.2.3": "10.0.0.0/8", "::ffff:10.1.2.3": "10.0.0.0/8", "9.9.9.9": "0.0.0.0/0",
		"::": "::/0", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff": "::/0", "2001:db8:0:1::": "::/0",
		"2001:db8::": "2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff": "2001:db8::/64",
		"2001:db8::6": "2001:db8::/64", "2001:db8::7": "2001:db8::7", "2001:db8::8": "2001:db8::/64",
		"2001:db8:1::": "2001:db8:1::/48", "2001:db8:2::": "::/0",
	} {
		wantMatch(t, list, netip.MustParseAddr(addr), now, entry(want), true)
	}
	ended := must(accesslist.New(entryUntil("2001:db8::/64", now), entry("2001:db8::/32"), entry("2001:db9::")))
	wantMatch(t, ended, netip.MustParseAddr("2001:db8::7"), now.Add(-1), entryUntil("2001:db8::/64", now), true)
	wantMatch(t, ended, netip.MustParseAddr("2001:db8::7"), now, entry("2001:db8::/32"), true)
	wantMatch(t, ended, netip.MustParseAddr("2001:db7::"), now, accesslist.Entry{}, false) // before them all
}

// unfit are addresses that no list covers: none, and ones with a zone, which mean
// something on one host only.
var unfit = []netip.Addr{{}, netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:1.2.3.4%eth0"), netip.MustParseAddr("::%1")}

func TestA5UnfitAddressesAreCoveredByNothing(t *testing.T) {
	for _, list := range []accesslist.List{{}, listOf("0.0.0.0/0"), listOf("::/0"), listOf("0.0.0.0/0", "::/0", "1.2.3.4", "fe80::/10", "fe80::1")} {
		for _, addr := range unfit {
			wantMatch(t, list, addr, now, accesslist.Entry{}, false)
			for e := range list.All() {
				if e.Covers(addr, now) {
					t.Errorf("%v covers %v", e, addr)
				}
			}
		}
	}
}

func TestA11TheMostSpecificEntryMatches(t *testing.T) {
	list := listOf("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0/24", "10.0.0.0", "10.0.0.255", "10.0.0.128/25", "10.127.0.0/16")
	for addr, want := range map[string]string{
		"9.255.255.255": "0.0.0.0/0", "11.0.0.0": "0.0.0.0/0", "255.255.255.255": "0.0.0.0/0", "0.0.0.0": "0.0.0.0/0",
		"10.0.0.0": "10.0.0.0", "10.0.0.1": "10.0.0.0/24", "10.0.0.127": "10.0.0.0/24", "10.0.0.128": "10.0.0.128/25",
		"10.0.0.254": "10.0.0.128/25", "10.0.0.255": "10.0.0.255", "10.0.1.0": "10.0.0.0/9",
		"10.127.0.0": "10.127.0.0/16", "10.127.255.255": "10.127.0.0/16", "10.126.255.255": "10.0.0.0/9", "10.128.0.0": "10.0.0.0/8",
	} {
		wantMatch(t, list, netip.MustParseAddr(addr), now, entry(want), true)
	}
}

// TestMembershipAgainstOtherImplementations asks every list of the samples for
// the edges of its entries and for random addresses, beside netipx.IPSet and,
// where the list is short enough, a linear scan.
func TestMembershipAgainstOtherImplementations(t *testing.T) {
	if len(published()) == 0 {
		t.Run("published", func(t *testing.T) { t.Skip("no published lists in ../../shared/data") })
	}
	for _, sample := range samples() {
		t.Run(sample.name, func(t *testing.T) {
			if sample.name == "ipv4/1000000" && testing.Short() {
				t.Skip("left out by -short: it takes seconds")
			}
			blocks := sample.blocks()
			entries := linear(entriesOf(blocks))
			list := must(accesslist.List{}.With(entries...))
			wantEqual(t, "length", list.Len(), len(blocks))
			set := ipSet(blocks)
			r := newRand(1)

			asked, covered := 0, 0
			ask := func(addr netip.Addr) {
				asked++
				want := set.Contains(addr)
				if want {
					covered++
				}
				e, ok := list.Match(addr, now)
				if list.Contains(addr, now) != want || ok != want || ok && !e.Covers(addr, now) {
					t.Fatalf("%v: Contains %v, Match %v, %v; IPSet says %v", addr, list.Contains(addr, now), e, ok, want)
				}
			}
			// Every entry of the published lists is probed, and as many of the longest;
			// a scan costs the length of its list, so long ones are asked less often.
			every, everyScan := max(1, len(blocks)/50_000), max(1, len(blocks)*len(blocks)/5_000_000)
			scan := func(addr netip.Addr) {
				want, ok := entries.match(addr, now)
				wantMatch(t, list, addr, now, want, ok)
			}
			for i := 0; i < len(blocks); i += every {
				for _, addr := range probes(blocks[i]) {
					ask(addr)
					if i%everyScan == 0 {
						scan(addr)
					}
				}
			}
			for i := range 2_000 {
				addr := randomAddr(r, i%2 == 0)
				ask(addr)
				if i%max(1, len(blocks)/2_000) == 0 {
					scan(addr)
				}
			}
			if len(blocks) > 0 && (covered == 0 || covered == asked) {
				t.Errorf("%d of %d addresses were covered: the probes show one side only", covered, asked)
			}
		})
	}
}

func TestA2MembershipWithExpiriesAgainstALinearScan(t *testing.T) {
	r := newRand(2)
	for _, n := range []int{1, 2, 3, 5, 20, 100} {
		for range 10 {
			entries := linear(append(randomEntries(r, n, false), randomEntries(r, n, true)...))
			list := must(accesslist.New(entries...))
			for _, at := range instants() {
				for _, e := range entries {
					for _, addr := range probes(e.Prefix()) {
						want, ok := entries.match(addr, at)
						wantMatch(t, list, addr, at, want, ok)
					}
				}
			}
		}
	}
}

func TestListsAreSharedBetweenGoroutines(t *testing.T) {
	r := newRand(3)
	entries := linear(randomEntries(r, 200, false))
	list := must(accesslist.New(entries...))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			r := newRand(uint64(worker))
			for range 200 {
				i := r.IntN(len(entries))
				addr := entries[i].Prefix().Addr()
				want, ok := entries.match(addr, now)
				if got, found := list.Match(addr, now); found != ok || !got.Equal(want) {
					t.Errorf("%v: %v, %v", addr, got, found)
				}
				shorter, err := list.Without([]netip.Prefix{entries[i].Prefix()})
				if err != nil || shorter.Len() != list.Len()-1 {
					t.Error(shorter.Len(), err)
				}
				if longer, err := shorter.With(entries[i]); err != nil || !longer.Equal(list) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestLookUpsDoNotAllocate(t *testing.T) {
	var entries []accesslist.Entry
	r := newRand(4)
	for _, v6 := range []bool{false, true} {
		entries = append(entries, randomEntries(r, 200, v6)...)
	}
	entries = append(entries, entry("203.0.113.7"), entry("fd00::7"))
	for _, list := range []accesslist.List{{}, must(accesslist.New(entries...))} {
		for _, addr := range append(addrs("203.0.113.7", "203.0.113.8", "::ffff:203.0.113.7", "fd00::7", "fd00::8"), unfit...) {
			t.Run(fmt.Sprint(list.Len(), addr), func(t *testing.T) {
				n := testing.AllocsPerRun(100, func() {
					sinkBool = list.Contains(addr, now)
					sinkEntry, sinkBool = list.Match(addr, now)
				})
				if n != 0 {
					t.Errorf("%v allocations", n)
				}
			})
		}
	}
}

// The sinks keep results alive, so that no call is optimized away.
var (
	sinkBool  bool
	sinkEntry accesslist.Entry
	sinkList  accesslist.List
)
