package policy

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// Evaluate applies the rules: it returns the answer to a request, given the key and its
// organization (the zero Subject if the key does not exist) and the time. By itself it does
// no I/O, reads no clock and allocates nothing for a subject of a sound source. The
// request's Verifier, Resolver and ClientDoubter are called, the Resolver with
// [context.Background]; their panics pass through.
//
// Most programs call [Engine.Decide], which looks the subject up and calls this.
// Evaluate by itself is for trying a change before it is made.
func Evaluate(subject Subject, request Request, now time.Time) (d Decision) {
	d.begin(&request)
	if d.Reason, d.Cause = request.refused(); d.Reason == 0 {
		d.evaluate(context.Background(), subject, &request, now)
	}
	d.finish()
	return d
}

// evaluate is lines 3 to 16.
func (d *Decision) evaluate(ctx context.Context, subject Subject, r *Request, now time.Time) {
	d.now = now
	if !subject.isOf(r.Key) && subject != (Subject{}) {
		d.Reason, d.Cause = Unavailable, subject.fault(r.Key)
		return
	}
	d.subject = subject
	// The proof is verified before it is known whether there is a key (rule K3).
	if !r.alreadyVerified() {
		d.secret, d.Cause = r.verify(subject.key, now)
	}
	if subject.key == nil {
		d.Reason, d.Cause = UnknownKey, r.Err
		return
	}
	if d.Cause != nil {
		d.Reason = WrongSecret
		return
	}
	if d.Reason = d.judgeKey(r, now); d.Reason != 0 {
		if d.Reason >= AddressNotListed && r.ClientDoubter != nil {
			d.Cause = r.ClientDoubter.DoubtClient()
		}
		return
	}
	if d.Reason, d.Cause = d.resolve(ctx, r.Resolver); d.Reason != 0 {
		return
	}
	if d.Reason = d.judgeResource(r); d.Reason.Allows() {
		d.rehash(r)
	}
}

// judgeKey is lines 6 to 11, for an existing key with a valid proof. It returns zero if none
// of them applies.
func (d *Decision) judgeKey(r *Request, now time.Time) Reason {
	key := d.subject.key
	switch { // as Key.Status, without a copy of the key, and the organization's switch
	case key.Disabled, d.subject.organization.Disabled:
		return KeyDisabled
	case !key.NotBefore.IsZero() && now.Before(key.NotBefore):
		return KeyNotYetValid
	case !key.Expires.IsZero() && !now.Before(key.Expires):
		return KeyExpired
	}
	if !key.AccessList.IsEmpty() {
		if !key.AccessList.Contains(r.Client, now) {
			return AddressNotListed
		}
		d.tryList(r.Client, now)
		return 0
	}
	switch organization := d.subject.organization; {
	case organization.Requirement == NotRequired:
	case organization.Requirement == ReportOnly, organization.suspended(now):
		d.WouldDeny = OrganizationRequiresAccessList
	default:
		return OrganizationRequiresAccessList
	}
	if r.Endpoint.RequiresAccessList {
		return EndpointRequiresAccessList
	}
	d.tryList(r.Client, now)
	return 0
}

// tryList notes what line 9 would answer by the key's list on trial (rule Q4). It comes
// before line 10, so its note replaces one of that line.
func (d *Decision) tryList(client netip.Addr, now time.Time) {
	if list := &d.subject.key.TrialList; !list.IsEmpty() && !list.Contains(client, now) {
		d.WouldDeny = AddressNotListed
	}
}

// judgeResource is lines 12 to 16, once the resource is known.
func (d *Decision) judgeResource(r *Request) Reason {
	key, resource := d.subject.key, &d.request.resource
	if resource.Organization != key.Organization || resource.Organization == NoOrganization {
		return WrongOrganization
	}
	reached, hasRole := false, false
	for i := range key.Grants {
		if grant := &key.Grants[i]; reaches(grant, resource.Project) {
			reached = true
			hasRole = hasRole || slices.Contains(r.Endpoint.Roles, grant.Role)
		}
	}
	if resource.Project != "" && !reached {
		return ProjectNotGranted
	}
	if len(r.Endpoint.Roles) > 0 && !hasRole {
		return RoleMissing
	}
	if key.AccessList.IsEmpty() {
		return OpenList
	}
	return AddressListed
}

// reaches reports whether a grant reaches the resource of the key's organization (rule
// K5): the project, or the organization itself if project is empty.
func reaches(grant *apikey.Grant, project string) bool {
	if grant.AllProjects {
		// A grant with both contradicts itself and reaches nothing.
		return project != "" && grant.Project == ""
	}
	return grant.Project == project
}
