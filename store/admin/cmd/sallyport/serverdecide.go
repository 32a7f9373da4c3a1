package main

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/policy"
)

// A server takes up to 1,000 calls at once, in up to 1 MiB.
const (
	maxBatch     = 1000
	maxBatchText = 256 << 10 // bytes of the names in them, about
)

// unasked decides what no record is needed for.
var unasked = policy.New(nil)

// DecideAll asks once for each run of calls to the same organization. Those that are none are
// not sent.
func (v *server) DecideAll(ctx context.Context, requests []policy.Request, at time.Time) (all []decided, err error) {
	for len(requests) > 0 {
		if d := unasked.Decide(ctx, requests[0]); d.Reason == policy.InvalidRequest {
			all, requests = append(all, decidedOf(d)), requests[1:]
			continue
		}
		n := batchOf(ctx, requests)
		decisions, err := v.decideBatch(ctx, requests[:n], at)
		if err != nil {
			return all, err
		}
		all, requests = append(all, decisions...), requests[n:]
	}
	return all, nil
}

// batchOf returns how many of some calls can be sent at once, the first included.
func batchOf(ctx context.Context, requests []policy.Request) (n int) {
	for size := 0; n < len(requests) && n < maxBatch && size < maxBatchText; n++ {
		r := requests[n]
		if n > 0 && (r.Organization != requests[0].Organization || unasked.Decide(ctx, r).Reason == policy.InvalidRequest) {
			break
		}
		size += len(r.Key) + len(r.Endpoint.Name) + len(r.Project)
	}
	return n
}

// decideBatch asks for decisions about calls to one organization.
func (v *server) decideBatch(ctx context.Context, requests []policy.Request, at time.Time) (all []decided, err error) {
	var calls []object
	for _, r := range requests {
		calls = append(calls, callObject(r.Key, r.Client, r.Endpoint.Name, r.Project, time.Time{}))
	}
	var body struct {
		Decisions []decisionBody `json:"decisions"`
	}
	if err := v.call(ctx, request{method: http.MethodPost, path: []string{"organizations", requests[0].Organization, "decisions", "batch"},
		body: object{"calls": calls}.with("time", at)}, &body); err != nil {
		return nil, err
	}
	if len(body.Decisions) != len(requests) || slices.ContainsFunc(body.Decisions, func(d decisionBody) bool { return d.Reason == 0 }) {
		return nil, v.otherwise("decisions")
	}
	for i, d := range body.Decisions {
		all = append(all, d.of(requests[i]))
	}
	return all, nil
}
