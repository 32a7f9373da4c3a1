package admin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// selfRequest is the request of an acting key, and that key before and after its change.
type selfRequest struct {
	request   *keyRequest
	before    *apikey.Key
	after     *apikey.Key
	handedOut []string // IDs of new secrets of the key
}

// findSelf decides rules M3 to M10: whether the request for the change would be denied after
// it, now or at one of the instants known today.
func (j *judge) findSelf() (Finding, bool) {
	if j.self == nil {
		return Finding{}, false
	}
	now := j.evidence.Time
	after := side{j.self.after, j.after}
	request := j.self.request.after(j.self.before.Secrets, j.self.handedOut)
	at, reason := now, after.decide(request, now).Reason
	if reason.Allows() {
		if at, reason = j.earlierDenial(request); at.IsZero() {
			return Finding{}, false
		}
	}
	finding := j.selfLockout(reason, at)
	finding.Acceptable = j.self.endsItself(reason)
	if at.After(now) {
		finding.At = at
	}
	if at.After(now.Add(j.rules.notice)) {
		finding.Kind, finding.Refuses = SelfLockoutAt, false
	}
	return finding, true
}

// earlierDenial returns the first later instant of a denial by the change; zero if there is
// none. A denial as soon without the change is not of its making. The end of the proven
// secret must not hide another end: during an overlap the request, made again with the key's
// other secret, counts as well.
func (j *judge) earlierDenial(request policy.Request) (first time.Time, why policy.Reason) {
	now, unchanged, other := j.evidence.Time, j.self.request.after(nil, nil), request
	other.Verifier = verifier(anySecret)
	for _, requests := range [][2]policy.Request{{unchanged, request}, {other, other}} {
		before := side{j.self.before, j.before}
		if !before.decide(requests[0], now).Allowed() {
			continue // other proof, and no live secret
		}
		ends, _ := firstDenial(before, requests[0], now)
		at, reason := firstDenial(side{j.self.after, j.after}, requests[1], now)
		if sooner(at, ends) && sooner(at, first) {
			first, why = at, reason
		}
	}
	return first, why
}

// sooner reports whether an end comes before another. The zero time is none.
func sooner(end, other time.Time) bool {
	return !end.IsZero() && (other.IsZero() || end.Before(other))
}

// firstDenial returns the first instant after now at which the request is denied, zero if
// there is none.
func firstDenial(s side, request policy.Request, now time.Time) (time.Time, policy.Reason) {
	for _, at := range s.instants(request.Client, now) {
		if d := s.decide(request, at); !d.Allowed() {
			return at, d.Reason
		}
	}
	return time.Time{}, 0
}

// instants returns the later times at which the answer to a client can change by the clock,
// ascending (rule M7).
func (s side) instants(client netip.Addr, now time.Time) []time.Time {
	times := []time.Time{s.key.NotBefore, s.key.Expires, s.organization.SuspendedUntil}
	for _, secret := range s.key.Secrets {
		times = append(times, secret.Expires)
	}
	for entry := range s.key.AccessList.All() {
		if entry.Covers(client, now) {
			times = append(times, entry.Expires)
		}
	}
	times = slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(now) })
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// endsItself reports whether the denial is the key's own end, now or later, which it can
// accept (rule M10).
func (s *selfRequest) endsItself(reason policy.Reason) bool {
	switch reason {
	case policy.UnknownKey, policy.WrongSecret:
		return true
	case policy.KeyDisabled:
		return s.after.Disabled && !s.before.Disabled
	}
	return false
}

func (j *judge) selfLockout(reason policy.Reason, at time.Time) Finding {
	client := j.self.request.client
	finding := Finding{Kind: SelfLockout, Refuses: true, Reason: reason, Address: client, Keys: []apikey.ID{j.self.request.key}, Count: 1}
	when := "after the change"
	if at.After(j.evidence.Time) {
		when = "from " + at.UTC().Format(time.RFC3339)
	}
	finding.Text = fmt.Sprintf("The key that makes this change, from the address %s, would be denied %s: %s.", client, when, reasons[reason])
	switch reason {
	case policy.AddressNotListed, policy.OrganizationRequiresAccessList, policy.EndpointRequiresAccessList:
		finding.Covers = client.String()
		finding.Text += fmt.Sprintf(" An entry %s would cover it.", client)
	case policy.RoleMissing:
		finding.Text += " It needs " + strings.Join(j.self.request.endpoint.Roles, " or ") + "."
	}
	return finding
}

// reasons are the answers of lines 4 to 14 in words.
var reasons = map[policy.Reason]string{
	policy.UnknownKey:                     "there is no such key",
	policy.WrongSecret:                    "its secret has ended",
	policy.KeyDisabled:                    "the key or its organization is switched off",
	policy.KeyNotYetValid:                 "the key is not valid yet",
	policy.KeyExpired:                     "the key has expired",
	policy.AddressNotListed:               "no entry of its access list covers the address",
	policy.OrganizationRequiresAccessList: "the organization requires an access list, and the key has none",
	policy.EndpointRequiresAccessList:     "this operation requires an access list, and the key has none",
	policy.WrongOrganization:              "the key belongs to another organization",
	policy.ProjectNotGranted:              "no grant of the key reaches the project",
	policy.RoleMissing:                    "the key lacks the role",
}
