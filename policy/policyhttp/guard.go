package policyhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Config is how a Guard recognizes callers and answers them. [New] finds all that is
// wrong with it.
type Config struct {
	// Engine decides. Required.
	Engine *policy.Engine

	// Issuer reads the secrets that Bearer and Basic show: the one that made them. nil is
	// the default issuer of package apikey.
	Issuer *apikey.Issuer

	// Address is how the client's address is found. The zero ClientAddress takes the peer
	// of the connection and no header.
	Address ClientAddress

	// Schemes are the kinds of credentials that are accepted. Their order is that of the
	// challenges in a 401, which matters: some clients take the first that they know, and
	// some look at no other. Digest goes first, since clients of Bearer and Basic do not
	// wait for a challenge. None: Bearer, Basic.
	Schemes []Scheme

	// Realm names the service in the challenges, where clients show it and Digest hashes
	// it: ASCII without control characters, " and \. "" is "api". Some clients of Digest take
	// a comma in it for its end.
	Realm string

	// Deny writes the answer to a denied call; nil is WriteProblem. The decision is the
	// operator's side; what the caller may know is Answer(d). Cache-Control, Retry-After
	// and the challenges are in w's header already, and may be changed. w passes
	// everything on to the server's writer, which http.ResponseController finds.
	//
	// The call is denied whatever Deny does. If it returns without an answer, the status
	// of Answer(d) is sent without a body. If it panics before it has answered, the panic
	// is recorded in slog's default log and the caller gets a 503; after that, or if it
	// panics with http.ErrAbortHandler, the panic goes on to the server, which ends the
	// connection.
	Deny func(w http.ResponseWriter, r *http.Request, d policy.Decision)
}

// A Guard judges requests. Make one with [New]; a nil or zero Guard denies every request
// as unavailable. It is immutable, safe for concurrent use, starts no goroutine and
// remembers nothing of a request, apart from what a [Digest] scheme keeps of its nonces.
type Guard struct {
	engine  *policy.Engine
	issuer  *apikey.Issuer
	address ClientAddress
	schemes []Scheme
	realm   string
	deny    func(http.ResponseWriter, *http.Request, policy.Decision)
	decoy   apikey.Secret // of no key
}

const defaultRealm = "api"

// New returns a Guard, or an error that joins all that is wrong with the configuration:
// no engine, an address that cannot be found the way that is wanted, a scheme that is
// none, is wrong in itself or is there twice, a realm that does not fit between quotes.
func New(config Config) (*Guard, error) {
	g := &Guard{
		engine: config.Engine, issuer: config.Issuer, address: config.Address,
		schemes: slices.Clone(config.Schemes), realm: config.Realm, deny: config.Deny,
	}
	if len(g.schemes) == 0 {
		g.schemes = []Scheme{Bearer(), Basic()}
	}
	if g.realm == "" {
		g.realm = defaultRealm
	}
	if g.deny == nil {
		g.deny = WriteProblem
	}
	// There would be no error, and the zero Secret proves nothing either.
	_, g.decoy, _ = g.issuer.New("decoy")

	if err := errors.Join(g.mistakes()...); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Guard) mistakes() (mistakes []error) {
	add := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("policyhttp: "+format, args...))
	}
	if g.engine == nil {
		add("Config.Engine is nil; right would be one that policy.New returned")
	}
	if err := g.address.Err(); err != nil {
		add("Config.Address: %w", err)
	}
	for i, scheme := range g.schemes {
		switch {
		case scheme.err != nil:
			add("Config.Schemes[%d]: %w", i, scheme.err)
		case scheme.name == "" || scheme.read == nil || scheme.challenge == nil:
			add("Config.Schemes[%d] is the zero Scheme; right would be one that Bearer, Basic or Digest returned", i)
		case slices.ContainsFunc(g.schemes[:i], func(s Scheme) bool { return strings.EqualFold(s.name, scheme.name) }):
			add("Config.Schemes[%d] is %s for the second time; right would be once", i, scheme.name)
		}
	}
	if err := checkRealm(g.realm); err != nil {
		add("Config.Realm: %w", err)
	}
	return mistakes
}

// A Route is a Guard for one endpoint. A nil or zero Route denies every request as
// unavailable.
type Route struct {
	guard    *Guard
	endpoint policy.Endpoint
	resource Resource
}

// Route returns the guard of one endpoint: what it asks of a key, and where the
// organization and the project of a request come from.
func (g *Guard) Route(endpoint policy.Endpoint, resource Resource) *Route {
	endpoint.Roles = slices.Clone(endpoint.Roles)
	return &Route{guard: g, endpoint: endpoint, resource: resource}
}

// Protect returns a handler that calls next for the requests that are allowed, and
// answers the others. It is Route and [Route.Protect] in one.
func (g *Guard) Protect(endpoint policy.Endpoint, resource Resource, next http.Handler) http.Handler {
	return g.Route(endpoint, resource).Protect(next)
}

// Protect returns a handler that calls next for the requests that are allowed, with the
// decision in the request's context (see [DecisionOf]) and with the very
// ResponseWriter that it was given. The others it answers, without reading their body.
// As a method value it is the middleware of chi, and of others that take a
// func(http.Handler) http.Handler. A nil next answers 404.
func (t *Route) Protect(next http.Handler) http.Handler {
	if next == nil {
		next = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := t.check(r)
		if !c.decision.Allowed() {
			t.answer(w, r, c.decision)
			return
		}
		next.ServeHTTP(w, r.WithContext(c))
	})
}

// Check judges a request and answers nothing: for servers that are not made of
// handlers, and for handlers that serve some requests without a key. It reads the
// request's header, RemoteAddr and context, what a Resource reads and, for Digest, the
// method and the target. It does not panic: what goes wrong in it denies, and is the
// decision's Err. A response of Digest is good for one Check only.
func (t *Route) Check(r *http.Request) policy.Decision { return t.check(r).decision }

// maxName is how long the name of an organization or a project may be; longer ones
// would only fill the log.
const maxName = 256

// unreadable stands for the key of a caller who showed something else than a secret. It
// is looked up like any other, so that such a call takes no shorter way.
const unreadable apikey.ID = "not-a-secret"

var (
	errNotMade    = errors.New("policyhttp: the guard is nil or zero; right would be one that New returned")
	errNoResource = errors.New("policyhttp: the endpoint's Resource named neither an organization nor a project")
	errLongName   = fmt.Errorf("policyhttp: the endpoint's Resource named an organization or a project with more than %d bytes", maxName)
)

func (t *Route) check(r *http.Request) *call {
	c := &call{Context: context.Background()}
	if t == nil || t.guard == nil || t.guard.engine == nil {
		c.decision = policy.Decision{Reason: policy.Unavailable, Err: errNotMade}
		return c
	}
	if r != nil {
		c.Context = r.Context()
	}
	request, scratch, failure := t.read(r, c)
	if failure == nil {
		c.decision = t.guard.engine.Decide((*asking)(c), request)
	} else {
		c.decision = t.unavailable(c, request, failure)
	}
	scratch.release()
	c.explain(&c.decision)
	return c
}

// unavailable is the decision when the request could not be read because of us and not
// because of the caller. The engine makes it, so that its observers hear of it.
func (t *Route) unavailable(c *call, request policy.Request, failure error) policy.Decision {
	ctx, cancel := context.WithCancelCause((*asking)(c))
	cancel(failure)
	if request.Key == "" {
		request.Key = unreadable
	}
	if request.Organization == "" && request.Project == "" {
		request.Organization = "unknown"
	}
	return t.guard.engine.Decide(ctx, request)
}

// read makes the rules' request out of that of HTTP. What is wrong with it goes into
// c.problem, and leaves the request so that it is denied: without an address, without a
// key, without a resource, or with the decoy for a proof. The error is a failure of
// ours.
func (t *Route) read(r *http.Request, c *call) (request policy.Request, scratch *scratch, failure error) {
	returned := false
	defer func() {
		if !returned {
			failure = fmt.Errorf("policyhttp: panic while reading the request: %v", recover())
			c.problem = failure
		}
	}()
	request.Endpoint = t.endpoint
	request.Client, request.ClientFrom, c.problem = t.guard.address.Resolve(remoteOf(r), r.Header)
	if c.problem == nil {
		scratch, failure = t.readCaller(r, c, &request)
	}
	if request.Key != "" {
		failure = t.readResource(r, c, &request)
	}
	returned = true
	return request, scratch, failure
}

// readCaller sets the key and the proof.
func (t *Route) readCaller(r *http.Request, c *call, request *policy.Request) (_ *scratch, failure error) {
	shown, err := t.guard.credentials(r)
	c.problem = err
	switch {
	case err == nil:
		request.Key, request.Proof, request.Prover = c.keep(shown.key), shown.proof, shown.prover
	case errors.Is(err, errNotProven):
		request.Key, request.Proof = unreadable, t.guard.decoy
		if shown.key.Validate() == nil {
			request.Key = c.keep(shown.key)
		}
	case errors.Is(err, errCredentialsUnavailable):
		failure = err
	}
	return shown.scratch, failure
}

// readResource sets the organization and the project.
func (t *Route) readResource(r *http.Request, c *call, request *policy.Request) (failure error) {
	var organization, project string
	if t.resource != nil {
		organization, project, failure = t.resource(r)
	}
	switch {
	case failure != nil:
		failure = fmt.Errorf("policyhttp: the endpoint's Resource: %w", failure)
		c.problem = failure
	case organization == "" && project == "":
		c.problem = errNoResource
	case len(organization) > maxName || len(project) > maxName:
		c.problem = errLongName
	default:
		request.Organization, request.Project = organization, project
	}
	return failure
}
