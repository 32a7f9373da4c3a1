package accesslist

import "net/netip"

// A special is a range of addresses without hosts on the Internet, by IANA's registries of
// special-purpose addresses and of the IPv6 address space.
type special struct {
	prefix netip.Prefix
	name   string
	kind   FindingKind // NoClient or Private
}

// specials are searched in this order; the first around a block names it.
var specials = []special{
	{netip.MustParsePrefix("0.0.0.0/8"), "of this network (RFC 791)", NoClient},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (RFC 3927)", NoClient},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast (RFC 5771)", NoClient},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address (RFC 919)", NoClient},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved (RFC 1112)", NoClient},

	{netip.MustParsePrefix("10.0.0.0/8"), "private (RFC 1918)", Private},
	{netip.MustParsePrefix("172.16.0.0/12"), "private (RFC 1918)", Private},
	{netip.MustParsePrefix("192.168.0.0/16"), "private (RFC 1918)", Private},
	{netip.MustParsePrefix("100.64.0.0/10"), "behind a provider's address translation (RFC 6598)", Private},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback (RFC 1122)", Private},
	{netip.MustParsePrefix("192.0.0.0/24"), "of protocols (RFC 6890)", Private},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation (RFC 5737)", Private},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation (RFC 5737)", Private},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation (RFC 5737)", Private},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks (RFC 2544)", Private},

	{netip.MustParsePrefix("fe80::/10"), "link-local (RFC 4291)", NoClient},
	{netip.MustParsePrefix("ff00::/8"), "multicast (RFC 4291)", NoClient},
	{netip.MustParsePrefix("100::/64"), "discarded (RFC 6666)", NoClient},

	{netip.MustParsePrefix("::1/128"), "loopback (RFC 4291)", Private},
	{netip.MustParsePrefix("fc00::/7"), "unique local (RFC 4193)", Private},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "of local translation (RFC 8215)", Private},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation (RFC 3849)", Private},
	{netip.MustParsePrefix("3fff::/20"), "for documentation (RFC 9637)", Private},
	{netip.MustParsePrefix("2001:2::/48"), "for benchmarks (RFC 5180)", Private},
}

// given are the IPv6 addresses of hosts: global ones and translated IPv4 ones (RFC 6052).
// The private ones among specials come on top.
var given = []netip.Prefix{netip.MustParsePrefix("2000::/3"), netip.MustParsePrefix("64:ff9b::/96")}

// specialOf returns the special range around a block.
func specialOf(block netip.Prefix) (special, bool) {
	for _, s := range specials {
		if s.prefix.Bits() <= block.Bits() && s.prefix.Contains(block.Addr()) {
			return s, true
		}
	}
	if block.Addr().Is4() {
		return special{}, false
	}
	for _, prefix := range given {
		if prefix.Overlaps(block) {
			return special{}, false
		}
	}
	for _, s := range specials {
		if s.kind == Private && s.prefix.Overlaps(block) {
			return special{}, false
		}
	}
	return special{name: "not allocated to hosts (RFC 4291)", kind: NoClient}, true
}
