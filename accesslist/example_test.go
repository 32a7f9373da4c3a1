package accesslist_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

func Example() {
	list, err := accesslist.Parse("203.0.113.7", "198.51.100.0/24")
	if err != nil {
		fmt.Println(err)
		return
	}

	// A guest may call until noon.
	noon := time.Date(2026, 8, 22, 12, 0, 0, 0, time.UTC)
	guest, err := accesslist.ParseEntry("192.0.2.10")
	if err != nil {
		fmt.Println(err)
		return
	}
	guest.Comment, guest.Expires = "guest", noon
	list, err = list.With(guest)
	if err != nil {
		fmt.Println(err)
		return
	}

	client := netip.MustParseAddr("198.51.100.42")
	if e, ok := list.Match(client, noon); ok {
		fmt.Println(client, "is covered by", e)
	}
	client = netip.MustParseAddr("192.0.2.10")
	fmt.Println(client, "before noon:", list.Contains(client, noon.Add(-time.Minute)))
	fmt.Println(client, "at noon:", list.Contains(client, noon))
	fmt.Println(list.Len(), "entries")
	// Output:
	// 198.51.100.42 is covered by 198.51.100.0/24
	// 192.0.2.10 before noon: true
	// 192.0.2.10 at noon: false
	// 3 entries
}

func ExampleParse() {
	_, err := accesslist.Parse("203.0.113.7", "10.0.0.7/24", "010.0.0.1")
	fmt.Println(err)

	var refused *accesslist.ParseError
	if errors.As(err, &refused) {
		fmt.Println("first:", refused.Problem)
	}
	// Output:
	// accesslist: "10.0.0.7/24" has host bits set: use "10.0.0.0/24" for the block or "10.0.0.7" for the single address
	// accesslist: "010.0.0.1" has a leading zero in the octet "010": write the octet in decimal without it, since some programs read such a number as octal
	// first: has host bits set
}

func ExampleParser() {
	_, err := accesslist.Parse("2001:db8::/32")
	fmt.Println(err)

	list, err := accesslist.Parser{AllowIPv6: true}.Parse("2001:db8::/32", "203.0.113.7")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(list.Contains(netip.MustParseAddr("2001:db8::1"), time.Now()))
	// Output:
	// accesslist: "2001:db8::/32" is IPv6: this list takes IPv4 addresses and blocks only
	// true
}

func ExampleList_Without() {
	list, err := accesslist.Parse("203.0.113.7")
	if err != nil {
		fmt.Println(err)
		return
	}
	only := []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}

	// A list without entries admits every address: no call makes one by accident.
	_, err = list.Without(only)
	fmt.Println(errors.Is(err, accesslist.ErrOpensKey), err)

	list, err = list.Without(only, accesslist.AllowOpen)
	fmt.Println(list.IsEmpty(), err)
	// Output:
	// true accesslist: 203.0.113.7: an empty access list opens the key to every address: want an entry left, or AllowOpen
	// true <nil>
}

func ExampleList_Findings() {
	list, err := accesslist.Parse("0.0.0.0/0", "198.51.100.0/24", "203.0.113.7")
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	evidence := accesslist.Evidence{
		Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Usage: map[netip.Prefix]accesslist.Usage{
			netip.MustParsePrefix("0.0.0.0/0"):      {Count: 3, Last: now},
			netip.MustParsePrefix("203.0.113.7/32"): {Count: 12, Last: now},
		},
	}
	for _, finding := range list.Findings(now, evidence) {
		fmt.Println(finding)
	}
	// Output:
	// 0.0.0.0/0 is over-broad: every IPv4 address
	// 198.51.100.0/24 is shadowed by 0.0.0.0/0 and could go
	// 198.51.100.0/24 has served no call since 2026-01-01T00:00:00Z
	// 203.0.113.7 is shadowed by 0.0.0.0/0 and could go
}

func ExampleSuggest() {
	seen := []netip.Addr{
		netip.MustParseAddr("198.51.100.17"),
		netip.MustParseAddr("198.51.100.18"),
		netip.MustParseAddr("198.51.100.21"),
		netip.MustParseAddr("203.0.113.7"),
	}
	list, err := accesslist.Suggest(slices.Values(seen), 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for e := range list.All() {
		fmt.Println(e)
	}
	// Output:
	// 198.51.100.16/29
	// 203.0.113.7
}
