package console

import (
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

type overviewBody struct {
	Requirement     string
	Organization    policy.Organization
	Suspended       bool
	Keys            int
	More            bool // not all keys were counted
	Listed, Without int  // keys with an access list, and without
	UsageKnown      bool
	Used            int // keys used in the window
	WithoutUsed     int // of those without a list
	Refused         int // keys with a call refused after the proof, in the window
	RefusedCalls    uint64
	WouldDeny       int       // keys with calls that would have been refused, in the window
	Begin           time.Time // of the window
	Coverage        store.Coverage
	Would           []withoutList // would be refused for want of a list, in the window
	Switched        time.Time     // of the last change of the requirement, within switchedRecently; zero: none
	Denied          []withoutList // refused for want of a list since then
}

// showOverview shows the numbers of an organization.
func showOverview(v *visit) (answer, error) {
	body, err := v.overview()
	return answer{Page: "overview", Title: "Overview", Tab: "overview", Body: body}, err
}

// overview counts the keys of the organization.
func (v *visit) overview() (overviewBody, error) {
	o := *v.organization
	body := overviewBody{Requirement: requirement(o, v.now), Organization: o, Suspended: o.SuspendedUntil.After(v.now), Begin: v.now.Add(-v.Admin.Window())}
	var err error
	if body.Coverage, body.UsageKnown, err = v.coverage(v.Admin.Window()); err != nil {
		return overviewBody{}, err
	}
	if body.Switched, err = v.switched(); err != nil {
		return overviewBody{}, err
	}
	for request := (store.PageRequest{Limit: store.MaxPageSize}); ; {
		page, err := v.Store.Keys(v.r.Context(), o.ID, request)
		if err != nil {
			return overviewBody{}, err
		}
		ids := make([]apikey.ID, len(page.Items))
		for i := range ids {
			ids[i] = page.Items[i].ID
		}
		usage, _, err := v.usageOf(v.r.Context(), ids)
		if err != nil {
			return overviewBody{}, err
		}
		for _, key := range page.Items {
			body.add(key, usage[key.ID])
		}
		request.Cursor = page.Next
		body.More = page.Next != ""
		if !body.More || body.Keys >= maxSearch {
			return body, nil
		}
	}
}

// add counts a key.
func (b *overviewBody) add(key apikey.Key, usage store.KeyUsage) {
	used := !usage.Last().Before(b.Begin)
	b.Keys++
	if used {
		b.Used++
	}
	if key.AccessList.Len() > 0 {
		b.Listed++
	} else {
		b.Without++
		b.withoutList(key, usage)
		if used {
			b.WithoutUsed++
		}
	}
	refused := false
	for _, denial := range usage.Denials {
		if !denial.Last.Before(b.Begin) {
			refused = true
			b.RefusedCalls += denial.Count
		}
	}
	if refused {
		b.Refused++
	}
	for _, would := range usage.WouldDeny {
		if !would.Last.Before(b.Begin) {
			b.WouldDeny++
			break
		}
	}
}
