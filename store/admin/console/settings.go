package console

import (
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// switchedRecently is how long the overview reports on a change of the requirement.
const switchedRecently = 24 * time.Hour

// maxWithoutList is the number of keys listed for want of an access list.
const maxWithoutList = 200

type settingsBody struct {
	overviewBody
	States    []state
	Lengths   []choice
	Reporting bool // calls that would be refused are reported
}

// A state is one of the requirement, as a radio button.
type state struct {
	Value, Title, Text string
	Checked            bool
}

// states are those of the requirement, from the weakest.
var states = []state{
	{Value: policy.NotRequired.String(), Title: "Not required", Text: "A key without an access list is open to every address."},
	{Value: policy.ReportOnly.String(), Title: "Report only", Text: "No call is refused. Calls with a key without a list are counted as those that would be refused."},
	{Value: policy.Required.String(), Title: "Required", Text: "Every call with a key without a list is refused."},
}

// A withoutList is a key without an access list, and calls with it.
type withoutList struct {
	Key, Description string
	Revision         uint64 // of the key
	Last             time.Time
	Address          netip.Addr // of the last call
	Count            uint64     // of all calls that are kept
}

// Entry returns the address of the last call as an entry of a list; empty if it can be none.
func (w withoutList) Entry() string {
	if address := w.Address.Unmap(); address.Is4() {
		return address.String()
	}
	return ""
}

// showSettings shows the requirement, what it would refuse, and the forms that lead to a
// preview of another state.
func showSettings(v *visit) (answer, error) {
	overview, err := v.overview()
	if err != nil {
		return answer{}, err
	}
	o := v.organization
	body := settingsBody{overviewBody: overview, Reporting: o.Requirement == policy.ReportOnly || overview.Suspended,
		Lengths: choices("1h", "15m", "15 minutes", "1h", "1 hour", "4h", "4 hours", "24h", "24 hours")}
	for _, s := range states {
		s.Checked = s.Value == o.Requirement.String()
		body.States = append(body.States, s)
	}
	return answer{Page: "settings", Title: "Settings", Tab: "settings", Body: body}, nil
}

// withoutList adds a key to the lists of calls refused, or almost refused, for want of a list.
func (b *overviewBody) withoutList(key apikey.Key, usage store.KeyUsage) {
	list := func(rows []withoutList, reasons map[policy.Reason]accesslist.Usage, since time.Time) []withoutList {
		u, ok := reasons[policy.OrganizationRequiresAccessList]
		if !ok || u.Last.Before(since) || len(rows) == maxWithoutList {
			return rows
		}
		return append(rows, withoutList{Key: string(key.ID), Revision: key.Revision, Description: key.Description, Last: u.Last, Address: u.LastAddress, Count: u.Count})
	}
	b.Would = list(b.Would, usage.WouldDeny, b.Begin)
	if !b.Switched.IsZero() {
		b.Denied = list(b.Denied, usage.Denials, b.Switched)
	}
}

// switched returns the time of the last change of the requirement, if that is recent and the
// requirement is in force. It reads maxSearch events at most.
func (v *visit) switched() (time.Time, error) {
	journal, ok := store.As[store.Journal](v.Store)
	if !ok || v.organization.Requirement != policy.Required || v.organization.SuspendedUntil.After(v.now) {
		return time.Time{}, nil
	}
	recent := v.now.Add(-switchedRecently)
	request := store.EventRequest{Organization: v.organization.ID, Newest: true, Limit: store.MaxPageSize}
	for searched := 0; searched < maxSearch; {
		page, err := journal.Events(v.r.Context(), request)
		if err != nil {
			return time.Time{}, err
		}
		for _, e := range page.Events {
			switch {
			case e.Time.Before(recent):
				return time.Time{}, nil
			case e.Type == store.EventRequirementChanged || e.Type == store.EventRequirementResumed:
				return e.Time, nil
			}
		}
		if searched += len(page.Events); !page.More {
			break
		}
		request.After = page.Next
	}
	return time.Time{}, nil
}

// Suspended reports whether the requirement of the page's organization is suspended.
func (p *page) Suspended() bool { return p.organization.SuspendedUntil.After(p.now) }
