package policygrpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Config configures [New].
type Config struct {
	// Guard reads credentials and addresses. Required. Its Deny, its realm and the order of
	// its schemes have no effect here, and a Digest scheme accepts no call.
	Guard *policyhttp.Guard

	// Methods are the declared methods, by their full names such as
	// "/backups.v1.Backups/Restore". All others are denied.
	Methods map[string]Method

	// Domain is the domain of google.rpc.ErrorInfo, mostly the name of the service, such as
	// "backups.example.com". "" is "sallyport".
	Domain string
}

// A Method declares one method. Either it is Open, or it has a Resource.
type Method struct {
	// Open lets everybody call the method, without a key and without a decision: for health
	// checks and the like. Nothing else may be set then.
	Open bool

	// Endpoint has the method's conditions on a key. Its Name is the full name of the method
	// unless set.
	Endpoint policy.Endpoint

	// Resource finds the organization and the project of a call.
	Resource Resource
}

const defaultDomain = "sallyport"

// A Guard judges calls. Make one with [New]; a nil or zero Guard denies every call as
// unavailable. It is immutable and safe for concurrent use.
type Guard struct {
	guard   *policyhttp.Guard
	methods map[string]*Method
	domain  string
}

// New returns a Guard. The error joins everything wrong with the configuration:
//   - no guard,
//   - a domain other than UTF-8,
//   - a name other than the full name of a method,
//   - a method neither Open nor with a Resource, and an Open one with conditions.
func New(config Config) (*Guard, error) {
	g := &Guard{guard: config.Guard, methods: make(map[string]*Method, len(config.Methods)), domain: config.Domain}
	if g.domain == "" {
		g.domain = defaultDomain
	}
	var mistakes []error
	if g.guard == nil {
		mistakes = append(mistakes, errors.New("policygrpc: Config.Guard is nil: want one that policyhttp.New returned"))
	}
	if !utf8.ValidString(g.domain) {
		mistakes = append(mistakes, fmt.Errorf("policygrpc: Config.Domain is %q: want UTF-8, such as backups.example.com", g.domain))
	}
	for _, name := range slices.Sorted(maps.Keys(config.Methods)) {
		method := config.Methods[name]
		if err := method.check(name); err != nil {
			mistakes = append(mistakes, fmt.Errorf("policygrpc: Config.Methods[%q] %w", name, err))
		}
		if method.Endpoint.Name == "" {
			method.Endpoint.Name = name
		}
		method.Endpoint.Roles = slices.Clone(method.Endpoint.Roles)
		g.methods[name] = &method
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return g, nil
}

// check returns what is wrong with the declaration, or nil.
func (m Method) check(name string) error {
	service, method, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	switch {
	case name != "/"+service+"/"+method || service == "" || method == "" || strings.Contains(method, "/"):
		return errors.New(`is not the full name of a method: want one such as "/backups.v1.Backups/Restore"`)
	case m.Open && (m.Resource != nil || m.Endpoint.RequiresAccessList || len(m.Endpoint.Roles) > 0):
		return errors.New("is Open and has conditions on a key: want one of the two")
	case !m.Open && m.Resource == nil:
		return errors.New("has no Resource: want one, or Open for a method without keys")
	}
	return nil
}

// ServerOptions returns both interceptors, as options for grpc.NewServer: with one of them
// alone, the methods of the other kind are open. Interceptors of earlier options run before
// the guard.
func (g *Guard) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(g.Unary), grpc.ChainStreamInterceptor(g.Stream)}
}

// Unary is a grpc.UnaryServerInterceptor. It calls the handler for allowed calls, with the
// decision in the context (see [DecisionOf]), and answers the others with [Guard.Status].
func (g *Guard) Unary(ctx context.Context, message any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := g.admit(ctx, info.FullMethod, message)
	if err != nil {
		return nil, err
	}
	return handler(ctx, message)
}

// Stream is a grpc.StreamServerInterceptor, and otherwise like Unary. The stream is judged
// once, when it begins; see [Guard.Check] for long ones.
func (g *Guard) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := g.admit(stream.Context(), info.FullMethod, nil)
	if err != nil {
		return err
	}
	return handler(server, admitted{stream, ctx})
}

// admitted is a stream with another context.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (a admitted) Context() context.Context { return a.ctx }

// admit returns the context for the handler, or the answer to a denied call.
func (g *Guard) admit(ctx context.Context, fullMethod string, message any) (context.Context, error) {
	if g != nil && g.methods[fullMethod] != nil && g.methods[fullMethod].Open {
		return ctx, nil
	}
	d := g.Check(ctx, fullMethod, message)
	if !d.Allowed() {
		return nil, g.Status(d).Err()
	}
	return context.WithValue(ctx, decisionKey{}, d), nil
}

type decisionKey struct{}

// DecisionOf returns the decision on an allowed call, from its context. It is false outside
// of a handler behind the guard, and in the handler of an open method. policyhttp.DecisionOf
// finds the decisions of policyhttp only.
func DecisionOf(ctx context.Context) (policy.Decision, bool) {
	if ctx == nil {
		return policy.Decision{}, false
	}
	d, ok := ctx.Value(decisionKey{}).(policy.Decision)
	return d, ok
}

// ValueOf returns the record from the Value of the method's [Resource], out of the context of
// an allowed call. A handler that uses it serves the judged record, and does not read it
// twice. It is false outside of a handler behind the guard, and if the Value is not a T.
func ValueOf[T any](ctx context.Context) (T, bool) {
	d, _ := DecisionOf(ctx)
	value, ok := d.Resource().Value.(T)
	return value, ok
}

// undeclared is the endpoint in decisions on undeclared methods. Their own names
// may come from the caller, where the server has a handler for unknown methods, and must not
// become the labels of metrics.
var undeclared = &policy.Endpoint{Name: "undeclared method"}

// Check judges a call and answers nothing. The interceptors call it by themselves; a handler
// calls it to judge a long stream again. ctx is the one of the call, with its peer and its
// metadata. fullMethod is the method's name, from grpc.Method(ctx). message is passed to the
// method's Resource.
//
// It does not panic: a failure denies, and is the decision's Cause. An undeclared method is
// denied, and so is an open one, since there is nothing to judge.
func (g *Guard) Check(ctx context.Context, fullMethod string, message any) policy.Decision {
	if ctx == nil {
		ctx = context.Background()
	}
	if g == nil {
		g = new(Guard)
	}
	call := policyhttp.Call{Remote: remoteOf(ctx), Header: headerOf(ctx), EarlyData: earlyData(ctx)}
	if method, declared := g.methods[fullMethod]; declared {
		call.Endpoint, call.Resolver = &method.Endpoint, method.Resource.of(message)
	} else {
		call.Endpoint = undeclared
		call.Err = fmt.Errorf("policygrpc: %w: the method %s is not in Config.Methods: want it declared", policy.ErrUndeclaredEndpoint, plain.Quote(fullMethod))
	}
	return g.guard.Check(ctx, call)
}

// Undeclared returns the full names of a server's methods missing from Config.Methods, in
// order. services is the result of the server's GetServiceInfo, once all services are
// registered. Every method in the answer is denied to everybody.
func (g *Guard) Undeclared(services map[string]grpc.ServiceInfo) []string {
	if g == nil {
		g = new(Guard)
	}
	var names []string
	for service, info := range services {
		for _, method := range info.Methods {
			name := "/" + service + "/" + method.Name
			if _, declared := g.methods[name]; !declared {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
