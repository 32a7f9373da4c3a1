// Package peers has other policy engines, each doing the job of package work in the fastest way
// its documentation gives. An engine without an index by key gets a Go map in front.
package peers

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/casbin/casbin/v3"
	"github.com/casbin/casbin/v3/model"

	"sallyport.test/benchmarks/internal/byhand"
	"sallyport.test/benchmarks/internal/work"
)

// attributes is a model with matching on attributes and by functions. There is one policy line,
// because casbin tries all lines in turn.
const attributes = `
[request_definition]
r = key, q
[policy_definition]
p = any
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = !r.key.Disabled && live(r.key) && (r.key.Open && !r.key.Required && !r.q.RequiresList || !r.key.Open && covered(r.key, r.q)) && r.q.Organization == r.key.Organization && hasRole(r.key, r.q)
`

// cached is a model for answers from the cache. On a miss it asks the other one.
const cached = `
[request_definition]
r = %s
[policy_definition]
p = any
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = allowed(%s)
`

// Casbin is an Enforcer by attributes.
type Casbin struct {
	keys     map[string]*casbinKey
	enforcer *casbin.Enforcer
}

type casbinKey struct {
	Disabled, Open, Required bool
	Organization             string
	role                     string
	expires                  time.Time
	list                     byhand.Bounds
}

type casbinRequest struct {
	RequiresList bool
	Organization string
	client       netip.Addr
	roles        []string
}

// NewCasbin loads a world.
func NewCasbin(w *work.World) (work.Engine, error) { return newCasbin(w) }

func newCasbin(w *work.World) (*Casbin, error) {
	e := &Casbin{keys: make(map[string]*casbinKey, w.Keys)}
	for i := range w.Keys {
		k := w.Key(i)
		e.keys[k.ID] = &casbinKey{
			Disabled: k.Disabled, Open: len(k.List) == 0, Required: k.Organization.Requirement == work.Required,
			Organization: k.Organization.ID, role: k.Role, expires: k.Expires, list: byhand.NewBounds(k.List),
		}
	}
	m, err := model.NewModelFromString(attributes)
	if err != nil {
		return nil, err
	}
	if e.enforcer, err = casbin.NewEnforcer(m); err != nil {
		return nil, err
	}
	e.enforcer.AddFunction("live", func(args ...any) (any, error) {
		k := args[0].(*casbinKey)
		return k.expires.IsZero() || time.Now().Before(k.expires), nil
	})
	e.enforcer.AddFunction("covered", func(args ...any) (any, error) {
		return args[0].(*casbinKey).list.Contains(args[1].(*casbinRequest).client), nil
	})
	e.enforcer.AddFunction("hasRole", func(args ...any) (any, error) {
		return slices.Contains(args[1].(*casbinRequest).roles, args[0].(*casbinKey).role), nil
	})
	_, err = e.enforcer.AddPolicy("any")
	return e, err
}

// Decide answers a request.
func (e *Casbin) Decide(r *work.Request) bool {
	k := e.keys[r.Key]
	if k == nil {
		return false
	}
	allowed, err := e.enforcer.Enforce(k, &casbinRequest{r.Endpoint.RequiresList, r.Organization, r.Client, r.Endpoint.Roles})
	return allowed && err == nil
}

// CachedCasbin is a CachedEnforcer before a Casbin. Its parameter names its own place in the
// cache. Only hits are timed.
type CachedCasbin struct{ enforcer *casbin.CachedEnforcer }

// A cachedRequest implements casbin's CacheableParam.
type cachedRequest struct{ *work.Request }

// GetCacheKey names the answer to a request.
func (r cachedRequest) GetCacheKey() string {
	b := append(make([]byte, 0, 128), r.Key...)
	b = append(b, '|')
	b = r.Client.AppendTo(b)
	b = append(b, '|')
	b = append(b, r.Organization...)
	b = append(b, '|')
	return string(append(b, r.Endpoint.Name...))
}

// NewCachedCasbin loads a world.
func NewCachedCasbin(w *work.World) (work.Engine, error) {
	e := new(CachedCasbin)
	behind, err := newCasbin(w)
	if err == nil {
		e.enforcer, err = newCached("q", "r.q", func(args ...any) (any, error) {
			return behind.Decide(args[0].(cachedRequest).Request), nil
		})
	}
	return e, err
}

// Decide answers a request.
func (e *CachedCasbin) Decide(r *work.Request) bool {
	allowed, err := e.enforcer.Enforce(cachedRequest{r})
	return allowed && err == nil
}

// CachedCasbinStrings is the same, asked with strings as most of casbin's examples do.
type CachedCasbinStrings struct{ enforcer *casbin.CachedEnforcer }

// NewCachedCasbinStrings loads a world.
func NewCachedCasbinStrings(w *work.World) (work.Engine, error) {
	e := new(CachedCasbinStrings)
	behind, err := newCasbin(w)
	if err != nil {
		return nil, err
	}
	endpoints := make(map[string]*work.Endpoint)
	for _, endpoint := range work.Endpoints {
		endpoints[endpoint.Name] = endpoint
	}
	e.enforcer, err = newCached("key, client, organization, endpoint", "r.key, r.client, r.organization, r.endpoint",
		func(args ...any) (any, error) {
			client, err := netip.ParseAddr(args[1].(string))
			return err == nil && behind.Decide(&work.Request{
				Key: args[0].(string), Client: client, Organization: args[2].(string), Endpoint: endpoints[args[3].(string)],
			}), err
		})
	return e, err
}

// Decide answers a request.
func (e *CachedCasbinStrings) Decide(r *work.Request) bool {
	allowed, err := e.enforcer.Enforce(r.Key, r.Client.String(), r.Organization, r.Endpoint.Name)
	return allowed && err == nil
}

func newCached(parameters, arguments string, allowed func(args ...any) (any, error)) (*casbin.CachedEnforcer, error) {
	m, err := model.NewModelFromString(fmt.Sprintf(cached, parameters, arguments))
	if err != nil {
		return nil, err
	}
	e, err := casbin.NewCachedEnforcer(m)
	if err != nil {
		return nil, err
	}
	e.AddFunction("allowed", allowed)
	_, err = e.AddPolicy("any")
	return e, err
}
