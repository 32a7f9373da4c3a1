package adminhttp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
)

// maxCalls is the largest number of calls to judge in one request.
const maxCalls = 1000

// A callBody is a call to judge: of a key, from an address, to an endpoint.
type callBody struct {
	key      apikey.ID
	address  netip.Addr
	endpoint policy.Endpoint
	project  string
}

// readCall reads the body of a request as a call to judge, with these fields beside its own.
func (h *handler) readCall(c *call, more ...strictjson.Field) (in callBody, err error) {
	value, err := c.readObject()
	if err != nil {
		return in, err
	}
	if in, err = h.callOf(value, more...); err != nil {
		return in, err
	}
	return in, h.checkProject(c, "project", in.project)
}

// callOf reads a call to judge. Its project is not checked.
func (h *handler) callOf(value strictjson.Value, more ...strictjson.Field) (in callBody, err error) {
	var address, endpoint string
	b := &body{value: value, extra: more}
	if err := b.read(
		strictjson.Field{Name: "key", Required: true, Read: strictjson.Text(&in.key)},
		strictjson.Field{Name: "address", Required: true, Read: strictjson.Text(&address)},
		strictjson.Field{Name: "endpoint", Read: strictjson.Text(&endpoint)},
		strictjson.Field{Name: "project", Read: strictjson.Text(&in.project)},
	); err != nil {
		return in, err
	}
	if in.address, err = netip.ParseAddr(address); err != nil || in.address.Zone() != "" {
		return in, fieldProblem("address", "is "+quote(address)+": want an IP address")
	}
	if endpoint != "" {
		i := slices.IndexFunc(h.Endpoints, func(e policy.Endpoint) bool { return e.Name == endpoint })
		if i < 0 {
			return in, fieldProblem("endpoint", "is "+quote(endpoint)+", which is not one of the program's endpoints")
		}
		in.endpoint = h.Endpoints[i]
	}
	return in, nil
}

// request is that of a call by a proven key.
func (in callBody) request(organization string) policy.Request {
	return policy.Request{Key: in.key, Verifier: policy.AlreadyVerified{}, Client: in.address, Endpoint: &in.endpoint, Organization: organization, Project: in.project}
}

// A decisionBody is the answer to a call, as the operator sees it.
type decisionBody struct {
	Allowed     bool          `json:"allowed"`
	Reason      policy.Reason `json:"reason"`
	WouldDeny   policy.Reason `json:"wouldDeny,omitzero"`
	Time        time.Time     `json:"time"`
	Explanation string        `json:"explanation"`
	Status      int           `json:"status"`            // of the answer to the caller; 200 if it is allowed
	Code        string        `json:"code,omitempty"`    // likewise
	Message     string        `json:"message,omitempty"` // likewise
}

func decisionOf(d policy.Decision, now time.Time) decisionBody {
	answer := d.Answer()
	body := decisionBody{d.Allowed(), d.Reason, d.WouldDeny, now.UTC(), d.Explain(), 200, "", ""}
	if !d.Allowed() {
		body.Status, body.Code, body.Message = answer.Status, answer.Code, answer.Message
	}
	if d.Reason == policy.Unavailable {
		body.Explanation = answer.Message // the cause is for the log
	}
	return body
}

// engine decides about the keys of the caller's organization. A key of another organization is
// an unknown one. There is no observer, so no call is counted as usage.
func (h *handler) engine(c *call, now time.Time) *policy.Engine {
	keys := policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		subject, found, err := h.Store.Lookup(ctx, id)
		if err == nil && found && subject.Key().Organization != c.organization {
			return policy.Subject{}, false, nil
		}
		return subject, found, err
	})
	return policy.New(keys, policy.WithClock(func() time.Time { return now }))
}

// decide judges a call of a proven key.
func (h *handler) decide(c *call) (any, error) {
	var at time.Time
	in, err := h.readCall(c, strictjson.Field{Name: "time", Read: strictjson.Time(&at)})
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = time.Now()
	}
	d := h.engine(c, at).Decide(c.Context(), in.request(c.organization))
	if d.Reason == policy.Unavailable {
		return nil, d.Cause
	}
	return decisionOf(d, at), nil
}

type decisionList struct {
	Decisions []decisionBody `json:"decisions"` // in the order of the calls
}

// decideAll judges calls of proven keys. One whose key cannot be looked up is answered
// unavailable, and the others are judged.
func (h *handler) decideAll(c *call) (any, error) {
	value, err := c.readObject()
	if err != nil {
		return nil, err
	}
	var at time.Time
	var parts []strictjson.Value
	if err := badBody(value.Object(
		strictjson.Field{Name: "calls", Required: true, Read: strictjson.Slice(&parts, func(v strictjson.Value) (strictjson.Value, error) { return v, nil })},
		strictjson.Field{Name: "time", Read: strictjson.Time(&at)},
	)); err != nil {
		return nil, err
	}
	if len(parts) > maxCalls {
		return nil, fieldProblem("calls", fmt.Sprintf("has %d calls: want %d at most", len(parts), maxCalls))
	}
	requests, err := h.requestsOf(c, parts)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = time.Now()
	}
	list := decisionList{Decisions: []decisionBody{}}
	var cause error
	for _, d := range h.engine(c, at).DecideAll(c.Context(), requests) {
		if d.Reason == policy.Unavailable {
			cause = d.Cause
		}
		list.Decisions = append(list.Decisions, decisionOf(d, at))
	}
	if cause != nil {
		h.logger().WarnContext(c.Context(), "adminhttp: some calls could not be judged", "error", cause)
	}
	return list, nil
}

// requestsOf reads the requests of calls. Each project is looked up once.
func (h *handler) requestsOf(c *call, parts []strictjson.Value) (requests []policy.Request, err error) {
	projects := map[string]bool{}
	for i, part := range parts {
		in, err := h.callOf(part)
		if err == nil && !projects[in.project] {
			err = h.checkProject(c, "project", in.project)
			projects[in.project] = true
		}
		if err != nil {
			return nil, inPart("Call", i, err)
		}
		requests = append(requests, in.request(c.organization))
	}
	return requests, nil
}
