package policy

import (
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// Evaluate is the rules: it returns what is answered to the request, given the key
// and its organization (the zero Subject where there is no such key) and the time.
// It does no I/O, reads no clock and, unless a Prover does or the subject is not one
// that a sound source returns, allocates nothing. A panic of a Prover passes through.
//
// Most programs call [Engine.Decide], which looks the subject up and calls this.
// Evaluate by itself is for trying a change before it is made: it never answers
// unavailable for want of a source.
func Evaluate(subject Subject, request Request, now time.Time) (d Decision) {
	d.begin(&request)
	if d.Reason = request.refused(); d.Reason == 0 {
		d.evaluate(subject, &request, now)
	}
	return d
}

// refused is lines 1 and 2, which need no look-up.
func (r *Request) refused() Reason {
	if r.invalid() {
		return InvalidRequest
	}
	if r.Console {
		return ConsoleForbidden
	}
	return 0
}

// evaluate is lines 3 to 16.
func (d *Decision) evaluate(subject Subject, r *Request, now time.Time) {
	d.subject, d.now = subject, now
	if !subject.isOf(r.Key) && subject != (Subject{}) {
		d.Reason, d.Err = Unavailable, subject.fault(r.Key)
		return
	}
	// The proof is worked out before it is known whether there is a key (rule K3).
	if !r.alreadyProven() {
		d.secret, d.Err = r.prove(subject.key, now)
	}
	if subject.key == nil {
		d.Reason, d.Err = UnknownKey, nil
		return
	}
	if d.Err != nil {
		d.Reason = WrongSecret
		return
	}
	d.Reason, d.WouldDeny = judge(subject.key, subject.organization, r, now)
}

// judge is lines 6 to 16: a key that exists and was proven.
func judge(key *apikey.Key, organization *Organization, r *Request, now time.Time) (reason, wouldDeny Reason) {
	switch key.Status(now) {
	case apikey.StatusActive:
	case apikey.StatusNotYetValid:
		return KeyNotYetValid, 0
	case apikey.StatusExpired:
		return KeyExpired, 0
	default:
		return KeyDisabled, 0
	}

	allowed := AddressListed
	if key.AccessList.IsEmpty() {
		allowed = OpenList
		switch organization.Requirement {
		case NotRequired:
		case ReportOnly:
			wouldDeny = OrganizationRequiresAccessList
		default:
			return OrganizationRequiresAccessList, 0
		}
		if r.Endpoint.RequiresAccessList {
			return EndpointRequiresAccessList, wouldDeny
		}
	} else if !key.AccessList.Contains(r.Client, now) {
		return AddressNotListed, 0
	}

	if r.Organization != "" && r.Organization != key.Organization {
		return WrongOrganization, wouldDeny
	}
	reached, hasRole := false, false
	for i := range key.Grants {
		if grant := &key.Grants[i]; reaches(grant, r.Organization, r.Project) {
			reached = true
			hasRole = hasRole || slices.Contains(r.Endpoint.Roles, grant.Role)
		}
	}
	if r.Project != "" && !reached {
		return ProjectNotGranted, wouldDeny
	}
	if len(r.Endpoint.Roles) > 0 && !hasRole {
		return RoleMissing, wouldDeny
	}
	return allowed, wouldDeny
}

// reaches reports whether a grant reaches the resource (rule K5): the project, or the
// organization if there is none. The organization, if the request names one, is known
// to be the key's.
func reaches(grant *apikey.Grant, organization, project string) bool {
	if grant.AllProjects {
		// A grant that is both contradicts itself and reaches nothing.
		return project != "" && organization != "" && grant.Project == ""
	}
	return grant.Project == project
}
