package policyhttp

import (
	"context"
	"fmt"
	"strings"
	"unsafe"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// DecisionOf returns the decision that let a request in, from its context: which key it
// was, which secret, which entry of its list. It is false outside of a handler under
// Protect. Under two guards it is the inner one's.
func DecisionOf(ctx context.Context) (policy.Decision, bool) {
	if ctx == nil {
		return policy.Decision{}, false
	}
	c, _ := ctx.Value(decisionKey{}).(*call)
	if c == nil { // only allowed requests are given one
		return policy.Decision{}, false
	}
	return c.decision, true
}

type (
	decisionKey struct{} // the *call whose decision is made
	problemKey  struct{} // the *call that is being decided
)

// A call is one request to a Route. It is the context of an allowed one itself, which
// makes it the one piece of memory that the guard allocates, besides the copy of the
// request that carries it.
type call struct {
	context.Context                 // the request's
	decision        policy.Decision // is written once, before anybody is given the call as a context
	problem         error           // why the request could not be read, for the operator; is written before the decision is asked for
	key             [maxKey]byte
}

// maxKey is the length of the longest valid key ID.
const maxKey = 40

// keep returns the ID in memory of its own. What the caller showed is in one piece with
// the secret, and is wiped, while decisions are kept: in contexts, in queues of logs, and
// in a source that hangs.
func (c *call) keep(id apikey.ID) apikey.ID {
	if len(id) > len(c.key) {
		return apikey.ID(strings.Clone(string(id)))
	}
	n := copy(c.key[:], id)
	return apikey.ID(unsafe.String(&c.key[0], n)) // nothing writes to it again
}

// explain tells the operator why, where the engine could not know. A request that could
// not be read proves nothing, whatever the source says.
func (c *call) explain(d *policy.Decision) {
	if c.problem == nil || d.Reason == policy.Unavailable {
		return
	}
	if d.Allowed() {
		d.Reason = policy.WrongSecret
	}
	d.Err = c.problem
}

// Value adds the decision to what the request's context holds.
func (c *call) Value(key any) any {
	if _, ok := key.(decisionKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// String spares those who print a context the look through all of its fields.
func (c *call) String() string { return fmt.Sprintf("%v.WithDecision", c.Context) }

// asking is a call as the engine is given it. It has no decision yet: a source that was
// left behind hanging may still read it while the decision is written.
type asking call

// Value adds the problem, for Log, and hides what an outer guard decided.
func (a *asking) Value(key any) any {
	switch key.(type) {
	case problemKey:
		return (*call)(a)
	case decisionKey:
		return nil
	}
	return a.Context.Value(key)
}

// String is as that of call.
func (a *asking) String() string { return fmt.Sprintf("%v.Asking", a.Context) }

// explained returns what an observer was told with the problem that its context has.
func explained(ctx context.Context, d policy.Decision) policy.Decision {
	if c, _ := ctx.Value(problemKey{}).(*call); c != nil {
		c.explain(&d)
	}
	return d
}
