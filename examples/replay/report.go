package main

import (
	"encoding/json"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
)

// A report is the result of a replay. Its JSON is for programs: fields may be added, and
// none changes its meaning. Times are RFC 3339 in UTC, reasons the texts of policy.Reason.
type report struct {
	// What was read. Lines = Requests + BadLines + Unforwarded. First and Last are the times
	// of the earliest and the latest request; absent if there was none.
	Complete bool        `json:"complete"` // every log was read to its end
	Logs     []logReport `json:"logs"`
	Lines    uint64      `json:"lines"`
	BadLines uint64      `json:"badLines"`
	Requests uint64      `json:"requests"`
	First    time.Time   `json:"first,omitzero"`
	Last     time.Time   `json:"last,omitzero"`

	// Client is the value of -client. SecondField counts requests with the client in the
	// second field, Unforwarded lines without a forwarded address, which are not judged.
	Client      clientField `json:"client"`
	SecondField uint64      `json:"secondField"`
	Unforwarded uint64      `json:"unforwarded"`

	// Doubts are reasons not to draw a conclusion. Withheld are the conclusions not drawn.
	Doubts   []doubt    `json:"doubts"`
	Withheld []withheld `json:"withheld"`

	// The conditions of the judgement. JudgedAt is absent if each request was judged at its
	// own time.
	List             string             `json:"list"`    // its file
	Entries          int                `json:"entries"` // on the list, expired ones included
	Requirement      policy.Requirement `json:"requirement"`
	EndpointRequires bool               `json:"endpointRequires"`
	JudgedAt         time.Time          `json:"judgedAt,omitzero"`

	// The requests by reason; Requests = Served + Denied. WouldDeny counts requests, served or not, that the requirement
	// would deny without report_only (rule Q2).
	Served         uint64        `json:"served"`
	ServedByReason []reasonCount `json:"servedByReason"`
	Denied         uint64        `json:"denied"`
	DeniedByReason []reasonCount `json:"deniedByReason"`
	WouldDeny      []reasonCount `json:"wouldDeny"`

	DeniedClients deniedClients `json:"deniedClients"`
	Findings      findings      `json:"findings"`

	// Suggestion is absent without -suggest, and if it is withheld.
	Suggestion *suggestion `json:"suggestion,omitempty"`
}

// A withheld conclusion was asked for, or would have been drawn: "unused" or "suggestion".
type withheld struct {
	Conclusion string `json:"conclusion"`
	Because    string `json:"because"`
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
// without a request in this replay, unless they were added since its first one, and withheld
// if there is a doubt.
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

// report sums up the replay.
func (r *replay) report() (*report, error) {
	p := &report{
		Complete:         true,
		Logs:             r.logs,
		Lines:            r.lines,
		BadLines:         r.bad,
		Requests:         r.requests(),
		First:            r.first,
		Last:             r.last,
		Client:           r.config.client,
		SecondField:      r.second,
		Unforwarded:      r.unforwarded,
		Doubts:           r.doubts(),
		Withheld:         []withheld{},
		List:             r.config.list,
		Entries:          r.list.Len(),
		Requirement:      r.config.requirement,
		EndpointRequires: r.config.endpointRequires,
		JudgedAt:         r.config.at.UTC(),
		ServedByReason:   []reasonCount{},
		DeniedByReason:   []reasonCount{},
		WouldDeny:        []reasonCount{},
		DeniedClients: deniedClients{
			Distinct:         r.denied.distinct(),
			IPv4PrefixLength: r.denied.v4.length(),
			IPv6PrefixLength: r.denied.v6.length(),
			Top:              []topClient{},
		},
	}
	for _, l := range r.logs {
		p.Complete = p.Complete && l.Complete
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
	r.findings(p)
	if r.config.suggest == 0 {
		return p, nil
	}
	for _, d := range p.Doubts {
		if d.Kind != short {
			p.withhold("suggestion", d.Text)
			return p, nil
		}
	}
	return p, r.suggest(p)
}

// grave reports whether there is a doubt of more than a short log.
func (r *report) grave() bool {
	return slices.ContainsFunc(r.Doubts, func(d doubt) bool { return d.Kind != short })
}

// because returns why a conclusion is withheld, or "".
func (r *report) because(conclusion string) string {
	for _, w := range r.Withheld {
		if w.Conclusion == conclusion {
			return w.Because
		}
	}
	return ""
}

func (r *report) withhold(conclusion, because string) {
	r.Withheld = append(r.Withheld, withheld{conclusion, because})
}

// findings adds the findings on the list. With a doubt, those on unused entries are
// withheld, if there are any.
func (r *replay) findings(p *report) {
	f := &p.Findings
	f.At, f.Found = r.config.at, []finding{}
	if f.At.IsZero() {
		f.At = r.last
	}
	if f.At.IsZero() {
		f.At = time.Now()
	}
	f.At = f.At.UTC()
	evidence := accesslist.Evidence{Usage: make(map[netip.Prefix]accesslist.Usage, len(r.usage)), Since: r.first}
	for entry, u := range r.usage {
		evidence.Usage[entry] = *u
	}
	if r.first.IsZero() { // nothing was read: a doubt withholds what follows from it
		evidence.Since = f.At.Add(-1)
	}
	evidence.Window = f.At.Sub(evidence.Since)
	unused := 0
	for _, found := range r.list.Findings(f.At, evidence) {
		if found.Kind == accesslist.Unused && len(p.Doubts) > 0 {
			unused++
			continue
		}
		var by []string
		for _, e := range found.By {
			by = append(by, e.String())
		}
		f.Found = append(f.Found, finding{found.Kind.String(), found.Entry.String(), by, found.String()})
	}
	if unused > 0 {
		p.withhold("unused", p.Doubts[0].Text)
	}
}

// Exit statuses.
const (
	exitWhole      = 0
	exitWithheld   = 1
	exitIncomplete = 2
)

// status returns the exit status of a written report.
func (r *report) status() int {
	status := exitWhole
	for _, d := range r.Doubts {
		switch d.Kind {
		case incomplete, badLines:
			return exitIncomplete
		case proxy, ports:
			status = exitWithheld
		}
	}
	if r.because("suggestion") != "" {
		return exitWithheld
	}
	return status
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
