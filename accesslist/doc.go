// Package accesslist holds the addresses that an API key may call from: an
// immutable [List] of entries, each one IPv4 address or one CIDR block
// (RFC 4632) with a comment and an optional expiry.
//
// It is for lists that people write and must be able to trust. Parsing is
// strict, every refusal names the text and says what would be right, and
// nothing is ever dropped silently, because a list that lost its entries is an
// empty list and an empty list admits everyone. It knows nothing of keys or
// requests: what an empty list means is decided in package policy, whose documentation
// lists the rules that are cited here as A1 to A11.
//
// Do not use it as a firewall or a routing table (an entry carries no action,
// and there are no deny entries), for host names, or for geography.
//
// # What an entry covers
//
// A list covers the union of its live entries; the first and the last address
// of a block are inside (rule A1). An entry is live until the instant of its
// expiry. An expired entry covers nothing but is still an entry, so a list whose
// entries have all expired covers nobody and is not empty (rule A2).
//
// Entries are IPv4. A client seen as an IPv4-mapped IPv6 address
// (::ffff:192.0.2.1, RFC 4291 section 2.5.5.2) is the IPv4 address that it maps;
// any other IPv6 client is covered by no IPv4 entry (rule A5). A program that
// wants IPv6 entries says so with [Parser.AllowIPv6]. An address with a zone
// (fe80::1%eth0) is covered by nothing.
//
// # Errors
//
// Beside an error there is a list that covers nobody and that nothing accepts ([List.IsValid]),
// so that passing over the error denies.
//
// # Why Contains takes a time
//
// Membership without a clock would have to ignore expiries, and then the
// shortest call would be the one that admits callers whose entry has run out.
// So there is only one kind of membership, and it asks when.
package accesslist
