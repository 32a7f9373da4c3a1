package policyhttp

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/policy"
)

// Counters counts decisions, each once: by its kind if it has one, and otherwise by its
// reason. So a wrong_secret is a wrong secret, and not an honest client of Digest with an old
// nonce. An alarm on stolen keys adds the counts of address_not_listed and possible_proxy: any
// caller turns the first into the second by sending an address header. Give [Counters.Observe] to [policy.WithObserver]. It is an expvar.Var, for
// expvar.Publish("access", counters). Publishing is up to the program: Publish panics when the
// name is in use, and importing expvar serves /debug/vars, with the command line, on
// http.DefaultServeMux. This package does neither. The zero Counters is ready.
type Counters struct {
	reasons   [policy.OpenList + 1]atomic.Int64 // the first is for unknown ones
	kinds     [policy.EndOfKinds]atomic.Int64   // the first stays zero
	wouldDeny atomic.Int64
}

// Observe counts a decision. It does not allocate memory.
func (c *Counters) Observe(_ context.Context, d policy.Decision) {
	if kind := d.Kind(); kind != 0 {
		c.kinds[kind].Add(1)
	} else {
		c.of(d.Reason).Add(1)
	}
	if d.WouldDeny != 0 {
		c.wouldDeny.Add(1)
	}
}

// Count returns the number of decisions with the reason and without a kind. Unknown reasons
// are counted as the zero Reason.
func (c *Counters) Count(reason policy.Reason) int64 { return c.of(reason).Load() }

// CountKind returns the number of decisions of the kind, whatever their reason. It is zero for
// the zero Kind and for an unknown one.
func (c *Counters) CountKind(kind policy.Kind) int64 {
	if kind >= policy.EndOfKinds {
		return 0
	}
	return c.kinds[kind].Load()
}

// WouldDeny returns the number of decisions with a WouldDeny: calls to be refused once the
// organization's requirement is required (rule Q2).
func (c *Counters) WouldDeny() int64 { return c.wouldDeny.Load() }

func (c *Counters) of(reason policy.Reason) *atomic.Int64 {
	if int(reason) >= len(c.reasons) {
		reason = 0
	}
	return &c.reasons[reason]
}

// String returns a JSON object with the counts: by the texts of the reasons in the order of the
// rules, then by those of the kinds, zeros included, and would_deny. Each count is right by
// itself; together they are not a snapshot.
func (c *Counters) String() string {
	var b strings.Builder
	for reason := range c.reasons {
		b.WriteString(`"` + policy.Reason(reason).String() + `": ` + strconv.FormatInt(c.reasons[reason].Load(), 10) + ", ")
	}
	for kind := policy.Kind(1); kind < policy.EndOfKinds; kind++ {
		b.WriteString(`"` + kind.String() + `": ` + strconv.FormatInt(c.kinds[kind].Load(), 10) + ", ")
	}
	return "{" + b.String() + `"would_deny": ` + strconv.FormatInt(c.wouldDeny.Load(), 10) + "}"
}
