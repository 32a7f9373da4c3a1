package main

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"
)

// Thresholds of the doubts.
const (
	// maxBadPercent is the share of a log's lines that may be bad.
	maxBadPercent = 1

	// enoughTime and enoughRequests are the least after which an entry without a request
	// is called unused.
	enoughTime     = 24 * time.Hour
	enoughRequests = 100

	// fewClients addresses that send manyAgents different agents are a proxy's.
	fewClients = 4
	manyAgents = 12
)

// A doubt is a reason not to draw a conclusion from a replay. Its JSON has the text.
type doubt struct {
	Kind doubtKind `json:"kind"`
	Text string    `json:"text"`
}

type doubtKind string

// The kinds of doubt. All of them forbid to call an entry unused; all but short forbid a
// suggestion.
const (
	incomplete doubtKind = "incomplete" // a log could not be read to its end
	badLines   doubtKind = "bad_lines"  // too many lines of a log were not read
	proxy      doubtKind = "proxy"      // the clients look like a proxy
	ports      doubtKind = "ports"      // addresses may be addresses with a port
	short      doubtKind = "short"      // too little time, or too few requests
)

// doubts returns the reasons not to draw conclusions, the gravest first.
func (r *replay) doubts() []doubt {
	doubts := []doubt{}
	add := func(kind doubtKind, format string, args ...any) {
		doubts = append(doubts, doubt{kind, fmt.Sprintf(format, args...)})
	}
	for _, l := range r.logs {
		if !l.Complete {
			add(incomplete, "%s cannot be read to its end: %s. The report is about the rest.", l.Name, l.Problem)
		}
	}
	for _, l := range r.logs {
		if l.tooManyBad() {
			add(badLines, "%s: %s of %s could not be read. %s", l.Name, thousands(l.BadLines), count(l.Lines, "line", "lines"), l.problem())
		}
	}
	if text := r.origin.doubt(r.config.client); text != "" {
		add(proxy, "%s", text)
	}
	for _, l := range r.logs {
		if l.ports > 0 && l.ends > 0 {
			add(ports, "%s: %s with a port, %s without brackets that may be one with a port: want IPv6 in brackets.", l.Name,
				count(l.ports, "address", "addresses"), count(l.ends, "IPv6 address", "IPv6 addresses"))
		}
	}
	switch seen := r.last.Sub(r.first); {
	case r.requests() < enoughRequests:
		add(short, "The logs have %s: want %d at least.", count(r.requests(), "request", "requests"), enoughRequests)
	case seen < enoughTime:
		add(short, "The logs cover %v: want a day at least.", seen)
	}
	return doubts
}

// A logReport is what was read of a log.
type logReport struct {
	Name     string `json:"name"`
	Complete bool   `json:"complete"`          // it was read to its end
	Problem  string `json:"problem,omitempty"` // if not, why
	Lines    uint64 `json:"lines"`
	BadLines uint64 `json:"badLines"`

	firstBad    string // the error of the first bad line
	format      string // the format that the first bad line seems to have; "" if unknown
	ports, ends uint64 // addresses with a port; IPv6 that may have one, see clientAddress
}

func (l *logReport) tooManyBad() bool { return l.BadLines*100 > l.Lines*maxBadPercent }

// problem says why the first bad line is one.
func (l *logReport) problem() string {
	if l.format != "" {
		return fmt.Sprintf("The first looks like %s: want the Common or the Combined Log Format.", l.format)
	}
	return fmt.Sprintf("The first: %s.", l.firstBad)
}

// An origin collects what tells whether the clients are a proxy's addresses.
type origin struct {
	seed     maphash.Seed
	requests uint64
	private  uint64 // requests from addresses of no client in the Internet

	// hidden counts requests with a forwarded list that does not have the client; varies is
	// set if such lists end differently.
	hidden uint64
	ended  netip.Addr
	varies bool

	few    []netip.Addr // the first fewClients clients
	many   bool         // there are more
	agents []uint64     // hashes of the first manyAgents agents
}

func (o *origin) add(r *record) {
	o.requests++
	client := r.client.Unmap()
	if isPrivate(client) {
		o.private++
	}
	if r.forwarded.IsValid() && !r.passedOn {
		o.hidden++
		o.varies = o.varies || o.ended.IsValid() && o.ended != r.forwarded
		o.ended = r.forwarded
	}
	if o.many {
		return
	}
	if !slices.Contains(o.few, client) {
		if o.many = len(o.few) == fewClients; o.many {
			return
		}
		o.few = append(o.few, client)
	}
	if len(o.agents) < manyAgents && len(r.agent) > 0 {
		if hash := maphash.Bytes(o.seed, r.agent); !slices.Contains(o.agents, hash) {
			o.agents = append(o.agents, hash)
		}
	}
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// isPrivate wants an address that is not mapped.
func isPrivate(a netip.Addr) bool {
	if a.Is4() {
		switch first := a.As4()[0]; first {
		case 10, 100, 127, 169, 172, 192:
		default:
			return false // the common case, in a line's time
		}
	}
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

// doubt says why the clients look like a proxy, or returns "". A user who names the field
// knows better, except for forwarded addresses: those have one more proxy before them.
func (o *origin) doubt(field clientField) string {
	const repair = "want a log with the clients (nginx: ngx_http_realip_module, Apache: mod_remoteip)"
	var why string
	switch {
	case field == firstField || field == secondField:
		return ""
	case o.private*2 > o.requests:
		why = fmt.Sprintf("%s of %s come from private addresses", thousands(o.private), count(o.requests, "request", "requests"))
	case field == autoField && o.varies && o.hidden*2 > o.requests:
		why = fmt.Sprintf("%s of %s have another address in a forwarded list after the agent", thousands(o.hidden), count(o.requests, "request", "requests"))
	case !o.many && len(o.agents) == manyAgents:
		why = fmt.Sprintf("%s sent the requests of %d and more different agents", count(len(o.few), "address", "addresses"), manyAgents)
	default:
		return ""
	}
	if field == forwardedField {
		return fmt.Sprintf("The forwarded addresses look like those of a further proxy: %s. Replay knows the nearest one: %s.", why, repair)
	}
	return fmt.Sprintf("The clients look like a proxy: %s. Anything said about them is about the proxy: %s, -client forwarded if X-Forwarded-For is after the agent, or -client first if these are the clients.", why, repair)
}
