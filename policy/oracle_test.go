package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
)

// The oracle is the rules a second time, slow and obvious, to compare the code with. It
// works on plain data and shares no judgement with the packages that it checks: the order
// is a list of predicates, the first true one answers, and an address is inside a block
// when its bits begin with the block's.

// An instant is nanoseconds after noon, or unset.
type instant struct {
	set bool
	ns  int64
}

func at(ns int64) instant { return instant{true, ns} }

type plainEntry struct {
	text    string // as it is printed
	bits    string // see bitsOf
	expires instant
}

type plainGrant struct {
	role, project string
	allProjects   bool
}

type plainSecret struct {
	name    string
	expires instant
}

type plainKey struct {
	id, organization   string
	disabled           bool
	notBefore, expires instant
	entries            []plainEntry
	trial              []plainEntry
	grants             []plainGrant
	secrets            []plainSecret
}

type plainOrganization struct {
	id, requirement string
	disabled        bool
	suspendedUntil  instant
}

type plainRequest struct {
	key, client           string // client is "" for no address
	organization, project string
	endpointRequires      bool
	roles                 []string
	console               bool
	resolver              string // "finds" the two above, "fails", or "" for none
	unreadable            string // "malformed", "invalid credentials", "unavailable", or "" for a request that could be read
	secret                string // the name of the secret that is shown, "" for none
	verifier              string // "already verified", "accepts", "refuses" or "" for none
}

// A world is all that a decision depends on.
type world struct {
	now          int64
	sourceFails  bool
	key          *plainKey // nil: no such key
	organization *plainOrganization
	request      *plainRequest
}

type plainAnswer struct{ line, wouldDeny int }

func (a plainAnswer) allowed() bool { return a.line == 15 || a.line == 16 }

var order = [...]struct {
	line    int
	applies func(*world) bool
}{
	{1, func(w *world) bool {
		r := w.request
		if r.unreadable == "unavailable" {
			return false
		}
		return r.unreadable == "malformed" || r.key == "" && r.unreadable == "" || r.client == "" || strings.Contains(r.client, "%") ||
			r.organization == "" && r.resolver == "" || r.secret != "" && r.verifier != ""
	}},
	{2, func(w *world) bool { return w.request.console }},
	{3, func(w *world) bool {
		return w.request.unreadable == "unavailable" || w.sourceFails || !w.recordIsSound()
	}},
	{4, func(w *world) bool { return w.key == nil }},
	{5, func(w *world) bool { return !w.verified() }},
	{6, func(w *world) bool { return w.key.disabled || w.organization.disabled }},
	{7, func(w *world) bool { return w.key.notBefore.set && w.now < w.key.notBefore.ns }},
	{8, func(w *world) bool { return w.key.expires.set && w.now >= w.key.expires.ns }},
	{9, func(w *world) bool { return len(w.key.entries) > 0 && w.entry() == "" }},
	{10, func(w *world) bool {
		required := w.organization.requirement != "not_required" && w.organization.requirement != "report_only"
		return len(w.key.entries) == 0 && required && !w.suspended()
	}},
	{11, func(w *world) bool { return len(w.key.entries) == 0 && w.request.endpointRequires }},
	{3, func(w *world) bool { return w.request.resolver == "fails" }},
	{1, func(w *world) bool { return w.request.organization == "" }},
	{12, func(w *world) bool { return w.request.organization != w.key.organization }},
	{13, func(w *world) bool { return w.request.project != "" && len(w.rolesThatReach()) == 0 }},
	{14, func(w *world) bool {
		return len(w.request.roles) > 0 && !intersect(w.request.roles, w.rolesThatReach())
	}},
	{15, func(w *world) bool { return w.entry() != "" }},
	{16, func(w *world) bool { return len(w.key.entries) == 0 }},
}

func (w *world) answer() plainAnswer {
	answer := plainAnswer{line: w.line()}
	// Rules Q2 and M20 to the letter: what would the same call be answered under required,
	// which nothing suspends?
	if w.organization != nil && (w.organization.requirement == "report_only" || w.suspended()) {
		strict := *w
		strict.organization = &plainOrganization{id: w.organization.id, requirement: "required", disabled: w.organization.disabled}
		if strict.line() == 10 {
			answer.wouldDeny = 10
		}
	}
	// Rule Q4 to the letter: what would a call that passed line 11 be answered if the list
	// on trial were the key's?
	if w.passed(11) && len(w.key.trial) > 0 {
		tried, key := *w, *w.key
		key.entries, tried.key = w.key.trial, &key
		if tried.line() == 9 {
			answer.wouldDeny = 9
		}
	}
	return answer
}

// passed reports whether no line of the order applies up to the given one.
func (w *world) passed(last int) bool {
	for _, row := range order {
		switch {
		case row.applies(w):
			return false
		case row.line == last:
			return true
		}
	}
	panic("no such line in the order")
}

func (w *world) line() int {
	for _, row := range order {
		if row.applies(w) {
			return row.line
		}
	}
	panic("no line of the order applies")
}

func (w *world) recordIsSound() bool {
	if w.key == nil {
		return w.organization == nil
	}
	return w.key.id == w.request.key && w.organization != nil && w.organization.id != "" &&
		w.organization.id == w.key.organization
}

// suspended: only what is required can be, and only until the instant.
func (w *world) suspended() bool {
	return w.organization.requirement == "required" && w.organization.suspendedUntil.set && w.now < w.organization.suspendedUntil.ns
}

// disabled is what is switched off, as the operator is told with line 6.
func (w *world) disabled(line int) string {
	switch {
	case line != 6:
		return ""
	case !w.organization.disabled:
		return "key"
	case !w.key.disabled:
		return "organization"
	}
	return "key and organization"
}

// verified: a shown secret must be a live one of the key, a verifier must accept,
// one of the two must be there, and the credentials must not be those of no key.
func (w *world) verified() bool {
	r := w.request
	if r.secret == "" && r.verifier == "" || r.verifier == "refuses" {
		return false
	}
	return r.unreadable == "" && (r.secret == "" || w.secretVerified() != "")
}

// secretVerified is the name of the shown secret, if it is a live one of the key.
func (w *world) secretVerified() string {
	for _, s := range w.key.secrets {
		if s.name == w.request.secret && w.live(s.expires) {
			return s.name
		}
	}
	return ""
}

func (w *world) live(expires instant) bool { return !expires.set || w.now < expires.ns }

// entry is the text of the live entry with the most bits that covers the client.
func (w *world) entry() string {
	most, text := "", ""
	client := bitsOf(w.request.client)
	for _, e := range w.key.entries {
		if w.live(e.expires) && strings.HasPrefix(client, e.bits) && len(e.bits) > len(most) {
			most, text = e.bits, e.text
		}
	}
	return text
}

// rolesThatReach are the roles of the grants that reach the resource (rule K5).
func (w *world) rolesThatReach() (roles []string) {
	r := w.request
	for _, g := range w.key.grants {
		switch {
		case g.allProjects && g.project != "":
			// It contradicts itself.
		case g.allProjects:
			if r.project != "" {
				roles = append(roles, g.role)
			}
		case g.project != "":
			if r.project == g.project {
				roles = append(roles, g.role)
			}
		default:
			if r.project == "" {
				roles = append(roles, g.role)
			}
		}
	}
	return roles
}

func intersect(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

var bitsCache = map[string]string{}

// bitsOf spells an address or a block: "4" or "6" for its family and then each bit as a
// letter. An IPv4-mapped address is the mapped one (rule A5).
func bitsOf(text string) string {
	if bits, ok := bitsCache[text]; ok {
		return bits
	}
	addr, length, isBlock := strings.Cut(text, "/")
	var b strings.Builder
	for _, octet := range netip.MustParseAddr(addr).AsSlice() {
		fmt.Fprintf(&b, "%08b", octet)
	}
	bits := b.String()
	mapped := strings.Repeat("0", 80) + strings.Repeat("1", 16)
	switch {
	case len(bits) == 32:
		bits = "4" + bits
	case strings.HasPrefix(bits, mapped):
		bits = "4" + strings.TrimPrefix(bits, mapped)
	default:
		bits = "6" + bits
	}
	if isBlock {
		n := 0
		fmt.Sscan(length, &n)
		bits = bits[:1+n]
	}
	if len(bitsCache) < 1000 { // fuzzing asks for ever new ones
		bitsCache[text] = bits
	}
	return bits
}
