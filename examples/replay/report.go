package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
)

// A report is the result of a replay. Its JSON is for programs: fields may be added, and
// none changes its meaning. Times are RFC 3339 in UTC, reasons the texts of policy.Reason.
type report struct {
	Complete bool     `json:"complete"` // every log was read to its end
	List     string   `json:"list"`     // its file
	Entries  int      `json:"entries"`  // on the list, expired ones included
	Logs     []string `json:"logs"`

	// The conditions of the judgement. JudgedAt is absent if each request was judged at its
	// own time.
	Requirement      policy.Requirement `json:"requirement"`
	EndpointRequires bool               `json:"endpointRequires"`
	JudgedAt         time.Time          `json:"judgedAt,omitzero"`

	// Lines = Requests + BadLines, Requests = Served + Denied. First and Last are the
	// times of the earliest and the latest request; absent if there was none.
	Lines    uint64    `json:"lines"`
	BadLines uint64    `json:"badLines"`
	Requests uint64    `json:"requests"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`

	// The requests by reason. WouldDeny counts requests, served or not, that the requirement
	// would deny without report_only (rule Q2).
	Served         uint64        `json:"served"`
	ServedByReason []reasonCount `json:"servedByReason"`
	Denied         uint64        `json:"denied"`
	DeniedByReason []reasonCount `json:"deniedByReason"`
	WouldDeny      []reasonCount `json:"wouldDeny"`

	DeniedClients deniedClients `json:"deniedClients"`
	Findings      findings      `json:"findings"`

	// Suggestion is absent without -suggest, and without an IPv4 client.
	Suggestion *suggestion `json:"suggestion,omitempty"`
}

type reasonCount struct {
	Reason   policy.Reason `json:"reason"`
	Requests uint64        `json:"requests"`
}

// deniedClients are the clients of the denied requests: addresses or, if there were too
// many, blocks of the given prefix lengths.
type deniedClients struct {
	Distinct         int         `json:"distinct"` // addresses or blocks
	IPv4PrefixLength int         `json:"ipv4PrefixLength"`
	IPv6PrefixLength int         `json:"ipv6PrefixLength"`
	Top              []topClient `json:"top"` // most requests first, at most -top of them
}

type topClient struct {
	Client   string `json:"client"` // an address, or a block as a prefix
	Requests uint64 `json:"requests"`
}

// findings are all of accesslist.List.Findings for the list. Unused entries are those
// without a request in this replay.
type findings struct {
	At    time.Time `json:"at"` // -at, or the time of the latest request, or now
	Found []finding `json:"found"`
}

type finding struct {
	Kind  string   `json:"kind"`
	Entry string   `json:"entry"`
	By    []string `json:"by,omitempty"` // the entries covering it
	Text  string   `json:"text"`         // one sentence
}

// A suggestion is a list to replace the present one. It serves all IPv4 clients of the log,
// now served or denied.
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

	// Not served: IPv6 clients (or blocks of IPv6PrefixLength) without an entry in the
	// present list, and requests from 0.0.0.0, an address of no client.
	LeftOut leftOut `json:"leftOut"`
}

type leftOut struct {
	IPv6Clients      int    `json:"ipv6Clients"`
	IPv6PrefixLength int    `json:"ipv6PrefixLength"`
	IPv6Requests     uint64 `json:"ipv6Requests"`
	Unspecified      uint64 `json:"unspecified"`
}

// report sums up the replay of the sources.
func (r *replay) report(sources []source) (*report, error) {
	p := &report{
		Complete:         r.complete,
		List:             r.config.list,
		Entries:          r.list.Len(),
		Requirement:      r.config.requirement,
		EndpointRequires: r.config.endpointRequires,
		JudgedAt:         r.config.at.UTC(),
		Lines:            r.lines,
		BadLines:         r.bad,
		Requests:         r.lines - r.bad,
		First:            r.first,
		Last:             r.last,
		ServedByReason:   []reasonCount{},
		DeniedByReason:   []reasonCount{},
		WouldDeny:        []reasonCount{},
		DeniedClients: deniedClients{
			Distinct:         r.denied.distinct(),
			IPv4PrefixLength: r.denied.v4.length(),
			IPv6PrefixLength: r.denied.v6.length(),
			Top:              []topClient{},
		},
		Findings: r.findings(),
	}
	for _, s := range sources {
		p.Logs = append(p.Logs, s.name)
	}
	for i, n := range r.reasons {
		reason := policy.Reason(i)
		switch {
		case n == 0:
		case reason.Allows():
			p.Served += n
			p.ServedByReason = append(p.ServedByReason, reasonCount{reason, n})
		default:
			p.Denied += n
			p.DeniedByReason = append(p.DeniedByReason, reasonCount{reason, n})
		}
	}
	for i, n := range r.wouldDeny[1:] { // 0: would not be denied
		if n > 0 {
			p.WouldDeny = append(p.WouldDeny, reasonCount{policy.Reason(i + 1), n})
		}
	}
	for _, c := range r.denied.top(r.config.top) {
		p.DeniedClients.Top = append(p.DeniedClients.Top, topClient{prefixText(c.prefix), c.requests})
	}
	var err error
	if r.config.suggest > 0 {
		p.Suggestion, err = r.suggest()
	}
	return p, err
}

func (r *replay) findings() findings {
	f := findings{At: r.config.at, Found: []finding{}}
	if f.At.IsZero() {
		f.At = r.last
	}
	var evidence accesslist.Evidence // zero without a request: usage is unknown
	if f.At.IsZero() {
		f.At = time.Now()
	} else {
		evidence = accesslist.Evidence{Usage: make(map[netip.Prefix]accesslist.Usage, len(r.usage)), Since: r.first, Window: f.At.Sub(r.first)}
		for entry, u := range r.usage {
			evidence.Usage[entry] = *u
		}
	}
	f.At = f.At.UTC()
	for _, found := range r.list.Findings(f.At, evidence) {
		var by []string
		for _, e := range found.By {
			by = append(by, e.String())
		}
		f.Found = append(f.Found, finding{found.Kind.String(), found.Entry.String(), by, found.String()})
	}
	return f
}

// suggest returns nil without an IPv4 client: a list without entries would admit everyone.
func (r *replay) suggest() (*suggestion, error) {
	seen := r.seen.v4.all()
	if len(seen) == 0 {
		return nil, nil
	}
	list, err := accesslist.Suggest(prefixes(seen), r.config.suggest)
	if err != nil {
		return nil, err
	}
	s := &suggestion{
		Clients:      len(seen),
		PrefixLength: r.seen.v4.length(),
		OverBroad:    []string{},
		LeftOut: leftOut{
			IPv6Clients:      len(r.seen.v6.counts),
			IPv6PrefixLength: r.seen.v6.length(),
			IPv6Requests:     r.seen.v6.requests(),
			Unspecified:      r.unspecified,
		},
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
	return s, err
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

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// prefixText omits the length of a single address.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
