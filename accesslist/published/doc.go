// Package published reads the address lists that others publish, such as a cloud's IP
// ranges, and makes entries for an [accesslist.List] of them. It reports what it read, what
// it left out and why, and compares a new edition with the entries made of the last one.
//
// The name is the field's own: a provider "publishes its IP ranges", RFC 8805 calls its
// feeds self-published. (A publisher would write; a feed is a store's change feed here.)
//
// Do not use it for deny lists: a list of the bad is read as a list of whom to admit. And a
// provider's whole cloud is everybody who rents a machine there: filter by service.
//
// # No network
//
// [Read] takes an [io.Reader]. Fetching is the embedding program's: it has the proxy, the
// certificates, the timeouts, the conditional request and the schedule, and a library for
// access control should open no connection. Check the status, and hand over the body; a body
// cut off before its Content-Length is an error of the reader, and Read returns it.
//
// # Formats
//
// The format is recognized by the document itself and reported in [List.Format], or required
// by [Options.Format].
//
//	format      document                              ranges                             region                  service
//	aws         ip-ranges.json                        ip_prefix, ipv6_prefix             region                  service
//	google      cloud.json, goog.json, crawlers' files ipv4Prefix, ipv6Prefix             scope                   service
//	azure       ServiceTags_Public.json               addressPrefixes                    region                  name, systemService
//	github      api.github.com/meta                   members with addresses             -                       the member: hooks, actions, …
//	cloudflare  api.cloudflare.com/client/v4/ips      ipv4_cidrs, ipv6_cidrs, jdcloud_…  -                       the member
//	fastly      public-ip-list                        addresses, ipv6_addresses          -                       -
//	oracle      public_ip_ranges.json                 cidr                               region                  tags
//	atlas       controlPlaneIPAddresses               lists under inbound, outbound      the cloud's region      outbound, outbound.aws, …
//	json        any other JSON                        strings in arrays, or a member     a member, if named      the members around, or one named
//	geofeed     RFC 8805                              the first field                    country, region         -
//	csv         a header, comma, semicolon or tab     a column, or first and last        a column                a column
//	ranges      first-last, name:first-last           from first to last                 -                       -
//	text        one or several a line                 see below                          -                       -
//
// Cloudflare's ips-v4 and ips-v6 are text. Columns of CSV are named in [Options.Columns], or
// guessed from usual names. A line "first,last" is a range only if [Ranges] is required, and
// otherwise text with two addresses. Not read: XML, decimal integers for addresses (IP2Location), SPF,
// RPSL, compressed files, UTF-16.
//
// # Text
//
// A line of text is addresses and blocks, separated by space, comma, semicolon or bar. Each
// may be a range (192.0.2.1-192.0.2.9), or have a netmask or an inverse one. Skipped are:
//   - comments after #, and after // and ; at the beginning or after a space;
//   - quotes, brackets, the mark of a list, a dot at the end;
//   - the words of nginx (allow, set_real_ip_from), Apache (Require ip, Allow from), routers
//     (permit, host) and ipset (add NAME).
//
// A line is taken as a whole or not at all: a word that is not understood may be "except". A
// firewall's rule from one address to another is left out as [Invalid]. In the format ranges, words
// may stand in fields after the range, behind a comma, semicolon, bar or tab, but no further address.
//
// # Denials
//
// An access list has no exceptions, so what a document denies is left out as [Denied]:
//   - a line of text, or of ranges, with a word such as deny, except or blocked, or with ! or -
//     before an address;
//   - a record of CSV with such a word in a column, with yes under one such as is_blocked or no under
//     enabled, and the addresses under one such as except;
//   - of JSON, what is in a member such as deny or blockedIPs, and with [Options.Columns] an object
//     like such a record. The providers' own formats have none.
//
// The list is refused ([ErrDenies]) if it admits an address that it denies, and if it is not known
// what is denied: after a heading such as "deny:", or behind a word such as 192.0.2.*. The words are
// English ones: look at the list before you trust it.
//
// # Never wider
//
// The entries cover exactly the union of the ranges taken, in the fewest blocks. A block with
// host bits set, a leading zero or an IPv4-mapped address is left out as [Invalid]; see
// [accesslist.ParseEntry]. A range of more than 2^26 IPv4 addresses (a /6), or wider than an
// IPv6 /16, is left out as [TooWide]: no provider owns one, but a retired list has been seen
// to say 0.0.0.0/0, and a length cut off ("192.0.0.0/2") is one. In a geofeed the most
// specific range decides (RFC 8805), so a filter also takes the more specific ranges of other
// regions out of the ranges it admits.
//
// # What is refused
//
// Read returns an error and no entries for:
//   - a page, an error message, a compressed file, or more invalid ranges than valid ones
//     ([ErrNotList]);
//   - JSON that ends early ([ErrTruncated]);
//   - too many bytes or ranges ([ErrTooLarge]);
//   - a filter by a word absent from the list ([ErrUnknownWord]);
//   - nothing left ([ErrNoRanges]), or more than half of all addresses ([ErrTooWide]).
//
// [Comparison.List] refuses an edition that lost half ([ErrShrunk]). Texts quoted in errors
// and in [List.LeftOut] are bounded.
//
// Text cut off between two lines is a shorter list and otherwise valid. Only the reader's error
// and the comparison with the last edition show it.
package published
