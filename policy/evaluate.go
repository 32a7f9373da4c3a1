package policy

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
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
	d.evaluated(subject, &request, now)
	return d
}

func (d *Decision) evaluated(subject Subject, r *Request, now time.Time) {
	d.begin(r)
	if d.Reason, d.Cause = r.refused(); d.Reason == 0 {
		d.now = now
		if subject.isOf(r.Key) || subject == (Subject{}) {
			d.subject = subject
			d.Reason, d.Cause = d.evaluate(context.Background(), r, own.FactsOf(subject.key), nil)
		} else {
			d.Reason, d.Cause = Unavailable, subject.fault(r.Key)
		}
	}
	d.redact()
}

// evaluate is lines 4 to 16, at the decision's time. The decision's subject is the request's key
// with its organization, or the zero Subject; facts are the key's. Reading the clock costs as much
// as looking an address up, so it is read where the answer depends on it first.
func (d *Decision) evaluate(ctx context.Context, r *Request, facts own.Facts, clock func() time.Time) (reason Reason, cause error) {
	key, organization, endpoint := d.subject.key, d.subject.organization, r.Endpoint
	if endpoint == nil {
		endpoint = none
	}
	// The proof is verified before it is known whether there is a key (rule K3).
	if !r.alreadyVerified() {
		d.tick(clock)
		d.secret, cause = r.verify(key, d.now)
	}
	if key == nil {
		return UnknownKey, r.Err
	}
	if !organization.SuspendedUntil.IsZero() {
		d.tick(clock) // also for Decision.String
	}
	switch {
	case cause != nil:
		return WrongSecret, cause
	case facts&own.Disabled != 0, organization.Disabled:
		return KeyDisabled, nil
	}
	// As Key.Status, without a copy of the key.
	if facts&own.Begins != 0 && d.tick(clock).Before(key.NotBefore) {
		return KeyNotYetValid, nil
	}
	if facts&own.Ends != 0 && !d.tick(clock).Before(key.Expires) {
		return KeyExpired, nil
	}
	allowed := AddressListed
	if key.AccessList.IsEmpty() {
		allowed = OpenList
		switch {
		case organization.Requirement == NotRequired:
		case organization.Requirement == ReportOnly,
			!organization.SuspendedUntil.IsZero() && organization.suspended(d.now):
			d.WouldDeny = OrganizationRequiresAccessList
		default:
			return OrganizationRequiresAccessList, r.doubt()
		}
		if endpoint.RequiresAccessList {
			return EndpointRequiresAccessList, r.doubt()
		}
	} else {
		if key.AccessList.HasExpiry() {
			d.tick(clock)
		}
		if !key.AccessList.Contains(r.Client, d.now) {
			return AddressNotListed, r.doubt()
		}
	}
	if facts&own.OnTrial != 0 {
		d.tryList(r.Client, clock)
	}
	if r.Resolver != nil {
		if reason, cause = d.resolve(ctx, r.Resolver); reason != 0 {
			return reason, cause
		}
	}
	asked := &d.request
	if asked.organization != organization.ID || asked.organization == NoOrganization {
		return WrongOrganization, nil
	}
	reached, hasRole := false, false
	for i := range key.Grants {
		if grant := &key.Grants[i]; reaches(grant, asked.project) {
			reached = true
			if slices.Contains(endpoint.Roles, grant.Role) {
				hasRole = true
				break
			}
		}
	}
	switch {
	case asked.project != "" && !reached:
		return ProjectNotGranted, nil
	case len(endpoint.Roles) > 0 && !hasRole:
		return RoleMissing, nil
	}
	if d.secret >= 0 {
		d.rehash(r)
	}
	return allowed, nil
}

// tick reads the clock, if there is one and it was not read before, and returns the decision's
// time.
func (d *Decision) tick(clock func() time.Time) time.Time {
	now := d.now
	if clock != nil && now.IsZero() {
		now = clock()
		d.now = now
	}
	return now
}

// tryList notes what line 9 would answer by the key's list on trial (rule Q4). It comes
// before line 10, so its note replaces one of that line.
func (d *Decision) tryList(client netip.Addr, clock func() time.Time) {
	list := &d.subject.key.TrialList
	if list.HasExpiry() {
		d.tick(clock)
	}
	if !list.Contains(client, d.now) {
		d.WouldDeny = AddressNotListed
	}
}

// doubt asks the request's ClientDoubter, if any, after a denial by address.
func (r *Request) doubt() error {
	if r.ClientDoubter == nil {
		return nil
	}
	return r.ClientDoubter.DoubtClient()
}

// reaches reports whether a grant reaches the resource of the key's organization (rule
// K5): the project, or the organization itself if project is empty.
func reaches(grant *apikey.Grant, project string) bool {
	switch {
	case project == "":
		return grant.Project == "" && !grant.AllProjects
	case grant.AllProjects: // one with a project, too, contradicts itself and reaches nothing
		return grant.Project == ""
	}
	return grant.Project == project
}
