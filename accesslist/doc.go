// Package accesslist holds the addresses that an API key may call from: an
// immutable [List] of entries, each one IPv4 address or one CIDR block
// (RFC 4632) with a comment and an optional expiry.
//
// It is for lists written by people. Parsing is strict: a refusal names the text and
// the repair, and nothing is dropped silently, because a list without its entries is
// empty and an empty list admits everyone. The package knows no keys and no requests:
// package policy decides what an empty list means, and documents the rules cited here
// as A1 to A12.
//
// Do not use it as a firewall or a routing table (an entry has no action, and there
// are no deny entries), for host names, or for geography.
//
// # What an entry covers
//
// A list covers the union of its live entries; the first and the last address
// of a block are inside (rule A1). An entry is live until the instant of its
// expiry. An expired entry covers nothing but is still an entry, so a list whose
// entries have all expired covers nobody and is not empty (rule A2).
//
// Entries are IPv4. A client seen as an IPv4-mapped IPv6 address
// (::ffff:192.0.2.1, RFC 4291 section 2.5.5.2) is the mapped IPv4 address; no IPv4
// entry covers any other IPv6 client (rule A5). No entry covers an address with a zone
// (fe80::1%eth0).
//
// # IPv6 entries
//
// A program opts in to IPv6 entries with [Parser.AllowIPv6], where it reads input: a text,
// a prefix, JSON or a file. The Unmarshal methods ask for no opt-in. They read stored
// lists, and such a list has IPv6 entries only if a program opted in when it was written.
// A second opt-in there would only make a program without it unable to read its own
// store, or read a shorter list. So decode the body of a request with [Parser.ParseJSON]
// and not into a List.
//
// # An open list is written, never left over
//
// A list without entries admits every address where nothing requires a list. It is
// written List{}, [] in JSON, or "empty" in text. [New] and [Parse] of nothing and an
// empty text are [ErrNoEntries], and [List.Without] removes the last entry only with
// [AllowOpen] (rule A10).
//
// # Errors
//
// The list returned with an error is invalid ([List.IsValid]): it covers nobody and no
// function takes it. A program that ignores the error denies.
//
// An error is bounded whatever it is about (rule A12): it quotes 80 bytes of a text, joins
// 20 refusals and counts the rest. A refused text is recognized as a whole: a range, a
// netmask, a wildcard, a line of CSV or YAML, several entries. The error has the very text
// to write; see [ParseError].
//
// # Why Contains takes a time
//
// Membership without a clock would ignore expiries, and the shortest call would admit
// callers after their entry expired. So the only kind of membership takes a time.
package accesslist
