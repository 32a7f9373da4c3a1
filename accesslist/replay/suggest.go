package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

// A Suggestion is a list to replace the present one. It serves all clients of the logs with
// a call that was answered with success, now served or refused. It knows addresses only, so
// it admits an attacker in the logs too: read it before use.
type Suggestion struct {
	// List is the list. The comment of an entry has its numbers of clients and calls.
	// Without Options.IPv6, its IPv6 entries are those of the present list, unchanged.
	List accesslist.List `json:"entries"`

	// Covers is the number of admitted IPv4 addresses. Clients is the number of IPv4
	// addresses seen or, if IPv4PrefixLength is not 32, of blocks of that length.
	// IPv6Clients is the number of blocks of IPv6PrefixLength.
	Covers           uint64   `json:"covers"`
	Clients          int      `json:"clients"`
	IPv4PrefixLength int      `json:"ipv4PrefixLength"`
	IPv6Clients      int      `json:"ipv6Clients"`
	IPv6PrefixLength int      `json:"ipv6PrefixLength"`
	OverBroad        []string `json:"overBroad"` // entries wider than /8, or /32 for IPv6 (rule A8)

	// Not served by the list: calls without success, in the order of the status; calls of
	// IPv6Clients, if IPv6 is not suggested; calls from addresses without a possible entry.
	Failed           []StatusCalls `json:"failed"`
	IPv6Unserved     uint64        `json:"ipv6Unserved"`
	ImpossibleClient uint64        `json:"impossibleClient"`
}

// StatusCalls is a number of calls; status 0 stands for none in the log.
type StatusCalls struct {
	Status int    `json:"status"`
	Calls  uint64 `json:"calls"`
}

// suggest adds the suggestion. It withholds one without entries, which would admit everyone.
func (r *Replay) suggest(p *Report) {
	withhold := func(because string) {
		p.Withheld = append(p.Withheld, Withheld{SuggestedList, because})
	}
	if p.Doubtful() {
		withhold(p.Doubts[0].Text)
		return
	}
	seen := r.seen.v4.clients()
	s := &Suggestion{
		Clients:          len(seen),
		IPv4PrefixLength: r.seen.v4.length(),
		IPv6Clients:      len(r.seen.v6.counts),
		IPv6PrefixLength: r.seen.v6.length(),
		OverBroad:        []string{},
		Failed:           []StatusCalls{},
		ImpossibleClient: r.unspecified,
	}
	if r.options.IPv6 {
		seen = append(seen, r.seen.v6.clients()...)
	} else {
		s.IPv6Unserved = r.seen.v6.calls()
	}
	prefixes := make([]netip.Prefix, len(seen))
	for i, c := range seen {
		prefixes[i] = c.Prefix
	}
	list, err := accesslist.Suggest(slices.Values(prefixes), r.options.Suggest)
	if err != nil { // accesslist.ErrNoEntries: the budget and the addresses are good
		withhold("No call from an address that may be suggested was answered with success.")
		return
	}
	for status, n := range r.failed {
		if n > 0 {
			s.Failed = append(s.Failed, StatusCalls{status, n})
		}
	}
	s.List = r.explained(list, seen, s)
	for _, f := range list.Findings(time.Time{}, accesslist.Evidence{}) {
		if f.Kind == accesslist.OverBroad {
			s.OverBroad = append(s.OverBroad, f.Entry.String())
		}
	}
	p.Suggestion = s
}

// explained returns the list with its numbers as comments, and with the entries of the
// present list that it does not replace.
func (r *Replay) explained(list accesslist.List, seen []Address, s *Suggestion) accesslist.List {
	clients, calls := make(map[netip.Prefix]uint64), make(map[netip.Prefix]uint64)
	for _, c := range seen {
		e, _ := list.Match(c.Prefix.Addr(), time.Time{}) // the entries never expire
		clients[e.Prefix()]++
		calls[e.Prefix()] += c.Calls
	}
	var entries []accesslist.Entry
	for e := range list.All() {
		what := "clients"
		if length := r.seen.v4.length(); e.Prefix().Addr().Is6() {
			what = fmt.Sprintf("blocks of /%d", r.seen.v6.length())
		} else {
			s.Covers += 1 << (32 - e.Prefix().Bits()) // the entries are disjoint
			if length < 32 {
				what = fmt.Sprintf("blocks of /%d", length)
			}
		}
		e.Comment = fmt.Sprintf("%s: %s, calls: %s", what, thousands(clients[e.Prefix()]), thousands(calls[e.Prefix()]))
		entries = append(entries, e)
	}
	if !r.options.IPv6 {
		for e := range r.list.All() {
			if e.Prefix().Addr().Is6() {
				entries = append(entries, e)
			}
		}
	}
	whole, _ := accesslist.List{}.With(entries...) // valid entries of two lists, of one family each
	return whole
}
