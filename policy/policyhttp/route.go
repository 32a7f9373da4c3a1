package policyhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sallyport-go/sallyport/policy"
)

// A Route is a Guard for one endpoint. A nil or zero Route denies every request as
// unavailable.
type Route struct {
	guard    *Guard
	endpoint policy.Endpoint
	resource Resource
}

// Route returns the guard of one endpoint. resource finds the organization and the project
// of a request; see [Resource].
func (g *Guard) Route(endpoint policy.Endpoint, resource Resource) *Route {
	endpoint.Roles = slices.Clone(endpoint.Roles)
	return &Route{guard: g, endpoint: endpoint, resource: resource}
}

// Protect returns a handler that calls next for allowed requests, and answers the others.
// It is Route and [Route.Protect] in one.
func (g *Guard) Protect(endpoint policy.Endpoint, resource Resource, next http.Handler) http.Handler {
	return g.Route(endpoint, resource).Protect(next)
}

// Protect returns a handler that calls next for allowed requests, and answers the others
// without reading their body. next gets the ResponseWriter unchanged, and the decision in
// the request's context: see [DecisionOf] and [ValueOf]. As a method value Protect is a
// middleware for chi, and for anything else with a func(http.Handler) http.Handler. A nil
// next answers 404.
func (t *Route) Protect(next http.Handler) http.Handler {
	if next == nil {
		next = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.serve(w, r, next) })
}

func (t *Route) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	c := new(servedCall)
	t.check(&c.call, r)
	if !c.decision.Allowed() {
		t.answer(w, r, c.decision)
		return
	}
	c.served = *r.WithContext(&c.call)
	next.ServeHTTP(w, &c.served)
}

// Check judges a request and answers nothing: for servers without handlers, and for
// handlers with some requests without a key. It reads the request's header, RemoteAddr and
// context, and the Resource and the schemes may read more, but not the body. It does not
// panic: a failure denies, and is the decision's Cause. A response of Digest is good for
// one Check only.
func (t *Route) Check(r *http.Request) policy.Decision {
	c := new(call)
	t.check(c, r)
	return c.decision
}

var errNotMade = errors.New("policyhttp: the guard is nil or zero: want one that New returned")

// check makes the decision of c.
func (t *Route) check(c *call, r *http.Request) {
	if t == nil || t.guard == nil || t.guard.engine == nil {
		c.decision = policy.Decision{Reason: policy.Unavailable, Cause: errNotMade}
		return
	}
	c.Context, c.request, c.route = context.Background(), r, t
	in := Call{Endpoint: &t.endpoint}
	if t.resource != nil {
		in.Resolver = c
	}
	if r == nil {
		in.Err = errNoRequest
	} else {
		c.Context, in.Remote, in.Header = r.Context(), remoteOf(r), r.Header
		in.EarlyData = r.TLS != nil && !r.TLS.HandshakeComplete
	}
	c.decision = t.guard.decide(c.Context, &in, r, &c.key, c)
}

var errNoRequest = fmt.Errorf("policyhttp: %w: the request is nil", policy.ErrUnavailable)

var errTooEarly = fmt.Errorf("policyhttp: %w: the address is not proven: want the request after the handshake", policy.ErrTooEarly)

// A Call is a request of another transport than net/http; see [Guard.Check].
type Call struct {
	// Remote and Header are the arguments of [ClientAddress.Resolve]. The credentials are
	// in the header, too.
	Remote string
	Header http.Header

	Endpoint *policy.Endpoint // the called operation; see [policy.Request]
	Resolver policy.Resolver  // finds the resource

	// EarlyData marks a call in TLS early data, before the handshake: its address is not
	// proven, and it may be a replay. It is denied with [policy.ErrTooEarly], as is a call
	// with a header Early-Data (RFC 8470), by which an edge says the same.
	EarlyData bool

	// Err is nil, or why the call cannot be judged; see [policy.Request].Err. The address
	// and the credentials are still read, and their problems are answered first.
	Err error
}

// Check judges a call of another transport than net/http, such as gRPC, and answers
// nothing. It does not panic. A scheme for HTTP only, such as Digest, does not accept it.
func (g *Guard) Check(ctx context.Context, call Call) policy.Decision {
	if g == nil || g.engine == nil {
		return policy.Decision{Reason: policy.Unavailable, Cause: errNotMade}
	}
	c := &otherCall{Call: call, guard: g}
	if call.Resolver != nil {
		call.Resolver = c
	}
	return g.decide(ctx, &call, nil, &c.key, c)
}

// An otherCall is a call of another transport than HTTP.
type otherCall struct {
	Call
	guard *Guard
	key   keyMemory
}

// Resolve asks the call's Resolver.
func (c *otherCall) Resolve(ctx context.Context) (policy.Resource, error) {
	resource, err := c.Resolver.Resolve(ctx)
	return c.guard.withoutCredentials(resource, err, c.Header)
}

// DoubtClient implements [policy.ClientDoubter].
func (c *otherCall) DoubtClient() error { return c.guard.doubtClient(c.Remote, c.Header) }

// decide reads the credentials and the address, has the engine decide, and wipes the memory
// of decoded credentials. r is nil for a call other than HTTP.
func (g *Guard) decide(ctx context.Context, in *Call, r *http.Request, memory *keyMemory, doubter policy.ClientDoubter) policy.Decision {
	var request policy.Request
	scratch := g.read(ctx, &request, in, r, memory)
	request.ClientDoubter = doubter
	d := g.engine.Decide(ctx, request)
	scratch.release()
	return d
}

// read makes the rules' request out of a call. A problem with it becomes the request's Err,
// and denies.
func (g *Guard) read(ctx context.Context, request *policy.Request, in *Call, r *http.Request, memory *keyMemory) (scratch *scratch) {
	returned := false
	defer func() {
		if !returned {
			request.Err = fmt.Errorf("policyhttp: %w: panic while reading the request: %v", policy.ErrUnavailable, recover())
		}
	}()
	request.Endpoint, request.Resolver = in.Endpoint, in.Resolver
	request.Client, request.ClientFrom, request.Err = g.address.Resolve(in.Remote, in.Header)
	if in.EarlyData || len(in.Header["Early-Data"]) > 0 { // whatever its value (RFC 8470 section 5.1)
		request.Err = errTooEarly
	}
	if request.Err == nil {
		var shown Credentials
		shown, request.Err = g.credentials(ctx, in.Header, r)
		request.Key, request.Secret, request.Verifier = memory.keep(shown.Key), shown.Secret, shown.Verifier
		scratch = shown.scratch
	}
	if in.Err != nil && (request.Err == nil || errors.Is(request.Err, policy.ErrInvalidCredentials)) {
		request.Err = in.Err
	}
	returned = true
	return scratch
}
