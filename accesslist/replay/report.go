package replay

import (
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

// A Report is the result of a replay. Its JSON is for programs: fields may be added, and
// none changes its meaning.
type Report struct {
	Logs []Log `json:"logs"`

	// Lines = Calls + AlreadyRefused + LeftOut + NoClient + Other + BadLines.
	Lines          uint64 `json:"lines"`
	Calls          uint64 `json:"calls"`          // those that were judged
	AlreadyRefused uint64 `json:"alreadyRefused"` // calls that the log says were refused
	LeftOut        uint64 `json:"leftOut"`        // by Options.Counts
	NoClient       uint64 `json:"noClient"`       // requests whose line does not say the client
	Other          uint64 `json:"other"`          // comments, and other messages of a service
	BadLines       uint64 `json:"badLines"`       // lines that were not read

	// First and Last are the times of the earliest and the latest judged call; zero if
	// there was none.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`

	// Client is Options.Client. SecondField counts calls whose client was the second field,
	// after a virtual host.
	Client      Client `json:"client"`
	SecondField uint64 `json:"secondField"`

	// Doubts are reasons not to draw a conclusion, the gravest first. Withheld are the
	// conclusions not drawn.
	Doubts   []Doubt    `json:"doubts"`
	Withheld []Withheld `json:"withheld"`

	// The conditions of the judgement. JudgedAt is zero if each call was judged at its own
	// time.
	Entries      int       `json:"entries"` // on the list, expired ones included
	ListRequired bool      `json:"listRequired"`
	JudgedAt     time.Time `json:"judgedAt,omitzero"`

	// Calls = Served + Refused.
	Served  uint64 `json:"served"`
	Refused uint64 `json:"refused"`

	// RefusedClients are the clients of the refused calls, most calls first: addresses or,
	// in IPv6 and if there were too many, blocks of the given prefix lengths.
	RefusedClients   []Address `json:"refusedClients"`
	IPv4PrefixLength int       `json:"ipv4PrefixLength"`
	IPv6PrefixLength int       `json:"ipv6PrefixLength"`

	// Usage is the use of each entry of the list that served a call, in the order of the
	// list.
	Usage []EntryUsage `json:"usage"`

	// Findings are all of accesslist.List.Findings as of FindingsAt: Options.At, or the time
	// of the latest call, or now. Unused entries are those without a call in this replay,
	// unless they were added since its first one, and withheld if there is a doubt.
	FindingsAt time.Time `json:"findingsAt"`
	Findings   []Finding `json:"findings"`

	// Suggestion is nil without Options.Suggest, and if it is withheld.
	Suggestion *Suggestion `json:"suggestion,omitempty"`
}

// An Address is a client, or a block of them, with its calls.
type Address struct {
	Prefix netip.Prefix `json:"prefix"` // a single address has its full length
	Calls  uint64       `json:"calls"`
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
}

// An EntryUsage is the use of one entry.
type EntryUsage struct {
	Entry       netip.Prefix `json:"entry"`
	Calls       uint64       `json:"calls"`
	Last        time.Time    `json:"last"` // of the latest call
	LastAddress netip.Addr   `json:"lastAddress"`
}

// A Withheld conclusion was asked for, or would have been drawn.
type Withheld struct {
	Conclusion Conclusion `json:"conclusion"`
	Because    string     `json:"because"`
}

// A Conclusion is something that a report may say, if there is no doubt.
type Conclusion string

// The conclusions.
const (
	UnusedEntries Conclusion = "unused"
	SuggestedList Conclusion = "suggestion"
)

// A Finding is an accesslist.Finding, with a JSON form: kind, entry, by and text.
type Finding struct{ accesslist.Finding }

// MarshalJSON implements [json.Marshaler].
func (f Finding) MarshalJSON() ([]byte, error) {
	var by []string
	for _, e := range f.By {
		by = append(by, e.String())
	}
	return json.Marshal(struct {
		Kind  string   `json:"kind"`
		Entry string   `json:"entry"`
		By    []string `json:"by,omitempty"` // the entries covering it
		Text  string   `json:"text"`         // one sentence
	}{f.Kind.String(), f.Entry.String(), by, f.String()})
}

// Complete reports whether every log was read to its end.
func (r *Report) Complete() bool {
	return !slices.ContainsFunc(r.Logs, func(l Log) bool { return l.Problem != "" })
}

// Doubtful reports whether there is a doubt about more than a short log. What the report
// says of clients may be wrong then.
func (r *Report) Doubtful() bool {
	return slices.ContainsFunc(r.Doubts, func(d Doubt) bool { return d.Kind != Short })
}

// Because returns why a conclusion is withheld, or "" if it is not.
func (r *Report) Because(conclusion Conclusion) string {
	for _, w := range r.Withheld {
		if w.Conclusion == conclusion {
			return w.Because
		}
	}
	return ""
}

// Report sums up the logs read so far.
func (r *Replay) Report() Report {
	p := Report{
		Logs:             slices.Clone(r.logs),
		Calls:            r.calls,
		AlreadyRefused:   r.alreadyRefused,
		LeftOut:          r.leftOut,
		First:            r.first,
		Last:             r.last,
		Client:           r.options.Client,
		Doubts:           r.doubts(),
		Withheld:         []Withheld{},
		Entries:          r.list.Len(),
		ListRequired:     r.options.ListRequired,
		JudgedAt:         r.options.At.UTC(),
		Served:           r.served,
		Refused:          r.calls - r.served,
		RefusedClients:   r.refused.addresses(),
		IPv4PrefixLength: r.refused.v4.length(),
		IPv6PrefixLength: r.refused.v6.length(),
		Usage:            []EntryUsage{},
		Findings:         []Finding{},
	}
	for _, l := range r.logs {
		p.Lines += l.Lines
		p.NoClient += l.NoClient
		p.Other += l.Other
		p.BadLines += l.Bad
		p.SecondField += l.second
	}
	r.findings(&p)
	if r.options.Suggest > 0 {
		r.suggest(&p)
	}
	return p
}

// findings adds the usage and the findings of the list. With a doubt, those on unused
// entries are withheld, if there are any.
func (r *Replay) findings(p *Report) {
	if p.FindingsAt = r.options.At; p.FindingsAt.IsZero() {
		p.FindingsAt = r.last
	}
	if p.FindingsAt.IsZero() {
		p.FindingsAt = time.Now()
	}
	p.FindingsAt = p.FindingsAt.UTC()
	evidence := accesslist.Evidence{Usage: make(map[netip.Prefix]accesslist.Usage, len(r.usage)), Since: r.first}
	for e := range r.list.All() {
		if u := r.usage[e.Prefix()]; u != nil {
			evidence.Usage[e.Prefix()] = *u
			p.Usage = append(p.Usage, EntryUsage{e.Prefix(), u.Count, u.Last, u.LastAddress})
		}
	}
	if r.first.IsZero() { // nothing was read: a doubt withholds what follows from it
		evidence.Since = p.FindingsAt.Add(-1)
	}
	evidence.Window = p.FindingsAt.Sub(evidence.Since)
	unused := false
	for _, found := range r.list.Findings(p.FindingsAt, evidence) {
		if found.Kind == accesslist.Unused && len(p.Doubts) > 0 {
			unused = true
			continue
		}
		p.Findings = append(p.Findings, Finding{found})
	}
	if unused {
		p.Withheld = append(p.Withheld, Withheld{UnusedEntries, p.Doubts[0].Text})
	}
}
