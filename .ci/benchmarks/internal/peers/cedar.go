package peers

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"

	"sallyport.test/benchmarks/internal/work"
)

// Cedar has one policy for each key. As it comes, cedar-go evaluates every policy of a set for
// every request, so each key has a set of its own. The organization's requirement is written
// into the policies of its keys. That is fast, but a change of it makes all of them anew.
type Cedar struct {
	policies map[string]onePolicy
	roles    map[*work.Endpoint]cedar.Set
}

// onePolicy is a set of one, without the map of cedar's own.
type onePolicy struct{ *cedar.Policy }

// All implements cedar's PolicyIterator.
func (p onePolicy) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) { yield("key", p.Policy) }
}

// NewCedar loads a world.
func NewCedar(w *work.World) (work.Engine, error) {
	e := &Cedar{make(map[string]onePolicy, w.Keys), make(map[*work.Endpoint]cedar.Set)}
	for i := range w.Keys {
		k := w.Key(i)
		policies, err := cedar.NewPolicyListFromBytes("", []byte(cedarText(k)))
		if err != nil {
			return nil, err
		}
		e.policies[k.ID] = onePolicy{policies[0]}
	}
	for _, endpoint := range work.Endpoints {
		var roles []cedar.Value
		for _, role := range endpoint.Roles {
			roles = append(roles, cedar.String(role))
		}
		e.roles[endpoint] = cedar.NewSet(roles...)
	}
	return e, nil
}

func cedarText(k work.Key) string {
	conditions := []string{fmt.Sprintf("context.roles.contains(%q)", k.Role)}
	if k.Disabled {
		conditions = append(conditions, "false")
	}
	if !k.Expires.IsZero() {
		conditions = append(conditions, fmt.Sprintf("context.now < %d", k.Expires.UnixMilli()))
	}
	var covered []string
	for _, block := range k.List {
		covered = append(covered, fmt.Sprintf("context.client.isInRange(ip(%q))", block))
	}
	switch {
	case len(covered) > 0:
		conditions = append(conditions, "("+strings.Join(covered, " || ")+")")
	case k.Organization.Requirement == work.Required:
		conditions = append(conditions, "false")
	default:
		conditions = append(conditions, "!context.requiresList")
	}
	return fmt.Sprintf("permit(principal == Key::%q, action, resource == Organization::%q) when { %s };",
		k.ID, k.Organization.ID, strings.Join(conditions, " && "))
}

var call = cedar.NewEntityUID("Action", "call")

// Decide answers a request. Cedar takes a mapped address for an IPv6 one, so it is unmapped here.
func (e *Cedar) Decide(r *work.Request) bool {
	policy, found := e.policies[r.Key]
	if !found {
		return false
	}
	client := r.Client.Unmap()
	decision, _ := cedar.Authorize(policy, nil, cedar.Request{
		Principal: cedar.NewEntityUID("Key", cedar.String(r.Key)),
		Action:    call,
		Resource:  cedar.NewEntityUID("Organization", cedar.String(r.Organization)),
		Context: cedar.NewRecord(cedar.RecordMap{
			"client":       cedar.IPAddr(netip.PrefixFrom(client, client.BitLen())),
			"now":          cedar.Long(time.Now().UnixMilli()),
			"requiresList": cedar.Boolean(r.Endpoint.RequiresList),
			"roles":        e.roles[r.Endpoint],
		}),
	})
	return decision == cedar.Allow
}
