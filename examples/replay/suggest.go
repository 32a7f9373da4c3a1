package main

import (
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

// A suggestion is a list to replace the present one. It serves all IPv4 clients of the log
// with a request that was answered with success, now served or denied.
type suggestion struct {
	// Entries is the list. The comment of an IPv4 entry has its numbers of clients and
	// requests; IPv6 entries are those of the present list, unchanged.
	Entries accesslist.List `json:"entries"`

	// Covers is the number of admitted IPv4 addresses. Clients is the number of addresses
	// seen or, if PrefixLength is not 32, of blocks of that length.
	Covers       uint64   `json:"covers"`
	Clients      int      `json:"clients"`
	PrefixLength int      `json:"prefixLength"`
	OverBroad    []string `json:"overBroad"` // entries wider than /8 (rule A8)

	// LeftOut counts what the list does not serve.
	LeftOut leftOut `json:"leftOut"`
}

// A statusCount is a number of requests; status 0 stands for none in the log.
type statusCount struct {
	Status   int    `json:"status"`
	Requests uint64 `json:"requests"`
}

// A leftOut counts what a suggestion leaves out: requests without success, IPv6 clients (or
// blocks of IPv6PrefixLength) without an entry in the present list, and requests from
// 0.0.0.0, an address of no client.
type leftOut struct {
	ByStatus         []statusCount `json:"byStatus"`
	IPv6Clients      int           `json:"ipv6Clients"`
	IPv6PrefixLength int           `json:"ipv6PrefixLength"`
	IPv6Requests     uint64        `json:"ipv6Requests"`
	Unspecified      uint64        `json:"unspecified"`
}

// suggest adds the suggestion. It withholds one without entries: that would admit everyone.
func (r *replay) suggest(p *report) error {
	seen := r.seen.v4.all()
	if len(seen) == 0 {
		p.withhold("suggestion", "No request from an IPv4 address was answered with success.")
		return nil
	}
	list, err := accesslist.Suggest(prefixes(seen), r.config.suggest)
	if err != nil {
		return err
	}
	s := &suggestion{
		Clients:      len(seen),
		PrefixLength: r.seen.v4.length(),
		OverBroad:    []string{},
		LeftOut: leftOut{
			ByStatus:         []statusCount{},
			IPv6Clients:      len(r.seen.v6.counts),
			IPv6PrefixLength: r.seen.v6.length(),
			IPv6Requests:     r.seen.v6.requests(),
			Unspecified:      r.unspecified,
		},
	}
	for status, n := range r.failed {
		if n > 0 {
			s.LeftOut.ByStatus = append(s.LeftOut.ByStatus, statusCount{status, n})
		}
	}
	clients, requests := make(map[netip.Prefix]int), make(map[netip.Prefix]uint64)
	for _, c := range seen {
		e, _ := list.Match(c.prefix.Addr(), time.Time{}) // the entries never expire
		clients[e.Prefix()]++
		requests[e.Prefix()] += c.requests
	}
	what := "clients"
	if r.seen.v4.grouped() {
		what = fmt.Sprintf("blocks of /%d", s.PrefixLength)
	}
	var entries []accesslist.Entry
	for e := range list.All() {
		e.Comment = fmt.Sprintf("%s: %s, requests: %s", what, thousands(uint64(clients[e.Prefix()])), thousands(requests[e.Prefix()]))
		s.Covers += 1 << (32 - e.Prefix().Bits()) // the entries are disjoint
		entries = append(entries, e)
	}
	for _, f := range list.Findings(time.Time{}, accesslist.Evidence{}) {
		if f.Kind == accesslist.OverBroad {
			s.OverBroad = append(s.OverBroad, f.Entry.String())
		}
	}
	for e := range r.list.All() {
		if e.Prefix().Addr().Is6() {
			entries = append(entries, e)
		}
	}
	s.Entries, err = accesslist.List{}.With(entries...)
	p.Suggestion = s
	return err
}

func prefixes(counts []clientCount) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, c := range counts {
			if !yield(c.prefix) {
				return
			}
		}
	}
}
