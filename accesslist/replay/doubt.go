package replay

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Thresholds of the doubts.
const (
	// maxBadPercent is the share of a log's lines that may be bad.
	maxBadPercent = 1

	// enoughTime and enoughCalls are the least after which an entry without a call is
	// called unused.
	enoughTime  = 24 * time.Hour
	enoughCalls = 100

	// fewClients addresses that send manyAgents different agents are a proxy's.
	fewClients = 4
	manyAgents = 12

	// manyKeys bounds the keys that are told apart.
	manyKeys = 5
)

// A Doubt is a reason not to draw a conclusion from a replay.
type Doubt struct {
	Kind DoubtKind `json:"kind"`
	Text string    `json:"text"` // one or more sentences, with the repair
}

// A DoubtKind says what a doubt is about.
type DoubtKind string

// The kinds of doubt, the gravest first. All of them forbid to call an entry unused; all but
// Short forbid a suggestion.
const (
	Incomplete    DoubtKind = "incomplete"     // a log could not be read to its end
	FormatChanged DoubtKind = "format_changed" // lines of a log are in another format
	BadLines      DoubtKind = "bad_lines"      // too many lines of a log were not read
	OtherLines    DoubtKind = "other_lines"    // a JSON log has more other messages than requests
	Proxy         DoubtKind = "proxy"          // the clients look like a proxy
	Ports         DoubtKind = "ports"          // addresses may be addresses with a port
	SeveralKeys   DoubtKind = "several_keys"   // the guard's log is of more than one key
	Sampled       DoubtKind = "sampled"        // the guard's log leaves out allowed calls
	Short         DoubtKind = "short"          // too little time, or too few calls
)

// doubts returns the reasons not to draw conclusions, the gravest first.
func (r *Replay) doubts() []Doubt {
	doubts := []Doubt{}
	add := func(kind DoubtKind, format string, args ...any) {
		doubts = append(doubts, Doubt{kind, fmt.Sprintf(format, args...)})
	}
	for _, l := range r.logs {
		if l.Problem != "" {
			add(Incomplete, "%s cannot be read to its end: %s. The report is about the rest.", l.name(), l.Problem)
		}
	}
	for _, l := range r.logs {
		if l.Changed > 0 {
			add(FormatChanged, "%s reads as %s, and line %s of it as %s. Lines in another format were not read: want each format in a log of its own.",
				l.name(), l.reads(), thousands(l.Changed), l.ChangedTo)
		}
	}
	for _, l := range r.logs {
		if l.Bad*100 > l.Lines*maxBadPercent {
			add(BadLines, "%s: %s of %s could not be read. The first is %s.", l.name(), thousands(l.Bad), count(l.Lines, "line", "lines"), l.FirstBad[0])
		}
	}
	for _, l := range r.logs {
		if l.format == JSON && l.Other > l.Requests {
			add(OtherLines, "%s: %s of %s are no requests by their fields: want a log of requests, or the client field:NAME if it is in a field of another name.",
				l.name(), thousands(l.Other), count(l.Lines, "line", "lines"))
		}
	}
	if text := r.origin.doubt(r.options.Client); text != "" {
		add(Proxy, "%s", text)
	}
	for _, l := range r.logs {
		if l.ports > 0 && l.ends > 0 {
			add(Ports, "%s: %s with a port, %s without brackets that may be one with a port: want IPv6 in brackets.", l.name(),
				count(l.ports, "address", "addresses"), count(l.ends, "IPv6 address", "IPv6 addresses"))
		}
	}
	if len(r.keys.some) > 1 {
		add(SeveralKeys, "The log has the calls of several keys: %s. A list is one key's: want Counts to choose one.", r.keys.enumerate())
	}
	if r.leftOutBefore > 0 {
		add(Sampled, "The guard left %s out of its log, whose addresses are unknown: want LogOptions.AllowEvery at 1 for a while.",
			count(r.leftOutBefore, "allowed call", "allowed calls"))
	}
	switch seen := r.last.Sub(r.first); {
	case r.calls < enoughCalls:
		add(Short, "The logs have %s: want %d at least.", count(r.calls, "call", "calls"), enoughCalls)
	case seen < enoughTime:
		add(Short, "The logs cover %v: want a day at least.", seen)
	}
	return doubts
}

func (l *Log) name() string {
	if l.Name == "" {
		return "The log"
	}
	return l.Name
}

func (l *Log) reads() string {
	if l.ReadsAs == "" {
		return "no known format"
	}
	return l.ReadsAs
}

// keys are the first keys of the guard's log.
type keys struct {
	some []string
	more bool
}

func (k *keys) add(key []byte) {
	for _, known := range k.some {
		if known == string(key) {
			return
		}
	}
	if len(k.some) == manyKeys {
		k.more = true
		return
	}
	k.some = append(k.some, string(key))
}

func (k *keys) enumerate() string {
	var texts []string
	for _, key := range k.some {
		texts = append(texts, quoted([]byte(key)))
	}
	if k.more {
		texts = append(texts, "and others")
	}
	return strings.Join(texts, ", ")
}

// An origin collects what tells whether the clients are a proxy's addresses.
type origin struct {
	seed    maphash.Seed
	calls   uint64 // but those of the guard's log, whose clients are resolved
	private uint64 // calls from addresses of no client in the Internet

	// hidden counts calls with a forwarded list that does not have the client; varies is
	// set if such lists end differently.
	hidden uint64
	ended  netip.Addr
	varies bool

	few    []netip.Addr // the first fewClients clients
	many   bool         // there are more
	agents []uint64     // hashes of the first manyAgents agents
}

func newOrigin() origin { return origin{seed: maphash.MakeSeed()} }

func (o *origin) add(r *Record) {
	if r.allowed != noVerdict {
		return
	}
	o.calls++
	client := r.Client.Unmap()
	if isPrivate(client) {
		o.private++
	}
	if r.lastHop.IsValid() && !r.clientIsIn {
		o.hidden++
		o.varies = o.varies || o.ended.IsValid() && o.ended != r.lastHop
		o.ended = r.lastHop
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
	if len(o.agents) < manyAgents && len(r.Agent) > 0 {
		if hash := maphash.Bytes(o.seed, r.Agent); !slices.Contains(o.agents, hash) {
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
// knows better, except for forwarded addresses: those may have one more proxy before them.
func (o *origin) doubt(client Client) string {
	const repair = "want a log with the clients (nginx: ngx_http_realip_module, Apache: mod_remoteip)"
	var why string
	switch {
	case client.Peer || client.Field != "":
		return ""
	case o.private*2 > o.calls:
		why = fmt.Sprintf("%s of %s come from private addresses", thousands(o.private), count(o.calls, "call", "calls"))
	case o.hidden*2 > o.calls && (o.varies || !isPrivate(o.ended)): // always one private address: perhaps the server's own
		why = fmt.Sprintf("%s of %s have another address in X-Forwarded-For", thousands(o.hidden), count(o.calls, "call", "calls"))
	case !o.many && len(o.agents) == manyAgents:
		why = fmt.Sprintf("%s sent the calls of %d and more different agents", count(len(o.few), "address", "addresses"), manyAgents)
	default:
		return ""
	}
	if client.Forwarded > 0 {
		return fmt.Sprintf("The forwarded addresses look like those of a further proxy: %s. Want the client forwarded:%d, if that place is still your proxies', or %s.",
			why, client.Forwarded+1, repair)
	}
	return fmt.Sprintf("The clients look like a proxy: %s. Anything said about them is about the proxy: %s, the client forwarded:1 if the log has X-Forwarded-For, or peer if these are the clients.", why, repair)
}
