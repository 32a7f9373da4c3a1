package policyhttp

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Config configures [New].
type Config struct {
	// Engine decides. Required.
	Engine *policy.Engine

	// Issuer parses the secrets of Bearer, Basic and KeyHeader: the issuer that made them.
	// nil is the default issuer of package apikey.
	Issuer *apikey.Issuer

	// Address declares where the client's address is found. The zero ClientAddress is the
	// peer of the connection, and no header is read.
	Address ClientAddress

	// Schemes are the accepted kinds of credentials. None means Bearer and Basic. The
	// challenges in a 401 have the same order: some clients take the first known one, and
	// some look at the first only. Digest goes first, since clients of Bearer and Basic do
	// not wait for a challenge.
	Schemes []Scheme

	// Realm names the service in the challenges, where clients show it and Digest hashes
	// it: 1 to 128 characters of ASCII without control characters, " and \. "" is
	// [DefaultRealm]. Some clients of Digest take a comma in it for its end.
	Realm string

	// Deny writes the answer to a denied call; nil is WriteProblem. The decision is the
	// operator's side, its Answer the caller's. Cache-Control, Retry-After and the
	// challenges are in w's header already, and may be changed. w passes everything on to
	// the server's writer; http.ResponseController finds that one.
	//
	// The call is denied whatever Deny does. A body without a status is sent with the status
	// of the decision's Answer, and so is nothing at all. If it panics before it has answered,
	// the panic is recorded in slog's default log and the caller gets a 503. A later panic,
	// and one with http.ErrAbortHandler, go on to the server and end the connection.
	Deny func(w http.ResponseWriter, r *http.Request, d policy.Decision)
}

// A Guard judges requests. Make one with [New]; a nil or zero Guard denies every request
// as unavailable. It is safe for concurrent use and starts no goroutine. It remembers
// nothing of a request but the state of its schemes, and whether it has warned of a
// possible proxy.
type Guard struct {
	engine  *policy.Engine
	issuer  *apikey.Issuer
	address ClientAddress
	schemes []accepted
	headers []string // of the schemes, each once
	realm   string
	form    string // of right credentials: those of all schemes
	deny    func(http.ResponseWriter, *http.Request, policy.Decision)
	doubted atomic.Bool // the warning of a possible proxy is written
}

// DefaultRealm is the realm of a Guard without Config.Realm.
const DefaultRealm = "api"

// New returns a Guard. The error joins everything wrong with the configuration: no engine,
// an invalid address topology, an invalid scheme or one given twice, a realm refused by
// [apikey.ValidateRealm], or another one than that of the issuer's Digest credentials.
func New(config Config) (*Guard, error) {
	g := &Guard{
		engine: config.Engine, issuer: config.Issuer, address: config.Address,
		realm: config.Realm, deny: config.Deny,
	}
	schemes := config.Schemes
	if len(schemes) == 0 {
		schemes = []Scheme{Bearer(), Basic()}
	}
	if g.realm == "" {
		g.realm = DefaultRealm
	}
	if g.deny == nil {
		g.deny = WriteProblem
	}
	if err := errors.Join(g.mistakes(schemes)...); err != nil {
		return nil, err
	}
	g.accept(schemes)
	return g, nil
}

// WithDeny returns a guard with another [Config].Deny and all else of g, the state of the
// schemes included: for a handler with denied answers of its own. nil is WriteProblem. Of a nil
// or zero Guard it returns the zero Guard.
func (g *Guard) WithDeny(deny func(w http.ResponseWriter, r *http.Request, d policy.Decision)) *Guard {
	if g == nil {
		return &Guard{}
	}
	if deny == nil {
		deny = WriteProblem
	}
	return &Guard{engine: g.engine, issuer: g.issuer, address: g.address, schemes: g.schemes, headers: g.headers, realm: g.realm, form: g.form, deny: deny}
}

// accept keeps the schemes with their headers and names, which requests are compared with.
func (g *Guard) accept(schemes []Scheme) {
	for _, scheme := range schemes {
		header := scheme.Header()
		g.schemes = append(g.schemes, accepted{scheme, header, scheme.Name()})
		if !slices.Contains(g.headers, header) {
			g.headers = append(g.headers, header)
		}
	}
	g.form = formsOf(schemes)
}

func (g *Guard) mistakes(schemes []Scheme) (mistakes []error) {
	add := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("policyhttp: "+format, args...))
	}
	if g.engine == nil {
		add("Config.Engine is nil: want one that policy.New returned")
	}
	if err := g.address.Err(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("%w (Config.Address)", err))
	}
	for i, scheme := range schemes {
		if isNil(scheme) {
			add("Config.Schemes[%d] is nil: want one that Bearer, Basic, KeyHeader or another package returned", i)
			continue
		}
		if err := checkScheme(scheme); err != nil {
			add("Config.Schemes[%d] %w", i, err)
		}
		if g.address.name != "" && scheme.Header() == g.address.name {
			add("Config.Schemes[%d] has the header %s, from which Config.Address takes the address: want another one", i, g.address.name)
		}
		if slices.ContainsFunc(schemes[:i], func(s Scheme) bool {
			return !isNil(s) && s.Header() == scheme.Header() && strings.EqualFold(s.Name(), scheme.Name())
		}) {
			add("Config.Schemes[%d] reads %s like an earlier one: want each scheme once", i, strings.TrimSpace(scheme.Header()+" "+scheme.Name()))
		}
	}
	if err := apikey.ValidateRealm(g.realm); err != nil {
		add("Config.Realm: %w", err)
	} else if made := g.issuer.DigestRealm(); made != "" && made != g.realm {
		add("Config.Realm is %q, and Config.Issuer makes Digest credentials for the realm %q: want the same", g.realm, made)
	}
	return mistakes
}

// isNil also recognizes a nil pointer: a constructor's result whose error was ignored.
func isNil(scheme Scheme) bool {
	v := reflect.ValueOf(scheme)
	return scheme == nil || v.Kind() == reflect.Pointer && v.IsNil()
}
