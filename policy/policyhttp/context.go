package policyhttp

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// DecisionOf returns the decision on an allowed request, from its context: the key, its
// secret, the entry of its list, the resource. It is false outside of a handler under
// Protect. Under two guards it is the inner one's; before the inner guard has decided, it
// is the outer one's.
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

// ValueOf returns the record from the Value of the route's [Resource], out of the context
// of an allowed request. A handler that uses it serves the judged record, and does not read
// it twice. It is false outside of a handler under Protect, and if the Value is not a T.
func ValueOf[T any](ctx context.Context) (T, bool) {
	d, _ := DecisionOf(ctx)
	value, ok := d.Resource().Value.(T)
	return value, ok
}

type decisionKey struct{} // the *call with a decision

// A call is one request to a Route, the resolver of its resource, and the context of an
// allowed one: that of the request with the decision.
type call struct {
	context.Context // the request's
	request         *http.Request
	route           *Route
	decision        policy.Decision // written once, before the call is given away as a context
	key             keyMemory
}

// A servedCall is a call and the copy of its request with the decision, for the handler: the
// one piece of memory that the guard allocates for an allowed request.
type servedCall struct {
	call
	served http.Request
}

// Resolve asks the route's Resource.
func (c *call) Resolve(context.Context) (policy.Resource, error) {
	resource, err := c.route.resource(c.request)
	return c.route.guard.withoutCredentials(resource, err, c.request.Header)
}

// DoubtClient implements [policy.ClientDoubter].
func (c *call) DoubtClient() error {
	return c.route.guard.doubtClient(remoteOf(c.request), c.request.Header)
}

// Value adds the decision to the values of the request's context.
func (c *call) Value(key any) any {
	if _, ok := key.(decisionKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// String keeps the printing of a context from looking through all of its fields.
func (c *call) String() string { return fmt.Sprintf("%v.WithDecision", c.Context) }

// A keyMemory has room for a key ID as apikey.NewID makes it, and for 24 digits. A longer one
// gets memory of its own: with room for it every call would take the next size of the
// allocator, an eighth more.
type keyMemory [24]byte

// keep returns the ID in memory of its own. The given one may be a piece of the text with
// the secret, which is wiped. Decisions live longer: in contexts, in queues of logs, and in
// a hanging source.
func (m *keyMemory) keep(id apikey.ID) apikey.ID {
	kept, _ := plain.Place(m[:], id)
	return apikey.ID(kept)
}
