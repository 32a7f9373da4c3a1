package policy

import (
	"fmt"
	"strings"
	"time"
)

// Explain returns the lines of the order that were looked at, one a line, with
// what was compared and whether the line applied; the last one is the answer. It
// is for the operator only (rule D1).
func (d Decision) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", d.verdict(), d.Reason)
	if int(d.Reason) >= len(lines) {
		return b.String()
	}
	for line := InvalidRequest; line <= d.Reason; line++ {
		if line == AddressListed && d.Reason == OpenList {
			continue // lines 15 and 16 are the two sides of one question
		}
		applies := "no"
		if line == d.Reason {
			applies = "yes"
		}
		fmt.Fprintf(&b, "%2d %-33s %-3s  %s\n", line, line, applies, d.compared(line))
	}
	return b.String()
}

// compared says what was compared on a line that was looked at.
func (d Decision) compared(line Reason) string {
	r, key := &d.request, d.subject.key
	switch line {
	case InvalidRequest:
		return fmt.Sprintf("key %q, client %v, organization %q, project %q", r.Key, r.Client, r.Organization, r.Project)
	case ConsoleForbidden:
		if r.Console {
			return "the call is to the console"
		}
		return "the call is to the API"
	case Unavailable:
		if d.Reason == Unavailable {
			return fmt.Sprintf("%q", fmt.Sprint(d.Err))
		}
		return "the source answered"
	case UnknownKey:
		if key == nil {
			return fmt.Sprintf("there is no key %q", r.Key)
		}
		return fmt.Sprintf("key %q belongs to organization %q, revision %d", key.ID, key.Organization, key.Revision)
	case WrongSecret:
		switch {
		case d.Err != nil:
			return fmt.Sprintf("%q, %d secrets stored", d.Err.Error(), len(key.Secrets))
		case d.secret < 0:
			return "proven otherwise than by a secret"
		}
		return "proven by secret " + d.SecretID()
	case KeyDisabled:
		return fmt.Sprintf("disabled is %t", key.Disabled)
	case KeyNotYetValid:
		return fmt.Sprintf("now is %s, not before %s", instant(d.now), instant(key.NotBefore))
	case KeyExpired:
		return fmt.Sprintf("now is %s, expires %s", instant(d.now), instant(key.Expires))
	case AddressNotListed, AddressListed:
		return d.comparedAddress()
	case OrganizationRequiresAccessList:
		would := ""
		if d.WouldDeny == line {
			would = "; would deny under required"
		}
		return fmt.Sprintf("the list has %d entries, the requirement of organization %q is %s%s", key.AccessList.Len(), key.Organization, d.subject.organization.Requirement, would)
	case EndpointRequiresAccessList:
		return fmt.Sprintf("the list has %d entries, endpoint %q requires one: %t", key.AccessList.Len(), r.Endpoint.Name, r.Endpoint.RequiresAccessList)
	case WrongOrganization:
		return fmt.Sprintf("the request names %q, the key belongs to %q", r.Organization, key.Organization)
	case ProjectNotGranted:
		return fmt.Sprintf("the request names project %q; grants: %s", r.Project, d.grants())
	case RoleMissing:
		return fmt.Sprintf("the endpoint asks for one of %q; grants: %s", r.Endpoint.Roles, d.grants())
	}
	return "the list has no entries and nothing requires one"
}

func (d Decision) comparedAddress() string {
	list, client := d.subject.key.AccessList, d.request.Client.Unmap()
	if list.IsEmpty() {
		return "the list has no entries"
	}
	if entry, ok := list.Match(client, d.now); ok {
		return fmt.Sprintf("%s is covered by %s, of %d entries", client, entry, list.Len())
	}
	expired := 0
	for entry := range list.All() {
		if entry.ExpiredAt(d.now) {
			expired++
		}
	}
	return fmt.Sprintf("%s is covered by none of %d entries, of which %d have expired", client, list.Len(), expired)
}

// grants lists the key's grants, those that reach the resource marked.
func (d Decision) grants() string {
	if len(d.subject.key.Grants) == 0 {
		return "none"
	}
	var texts []string
	for i := range d.subject.key.Grants {
		grant := &d.subject.key.Grants[i]
		where := "the organization"
		switch {
		case grant.AllProjects:
			where = "all projects"
		case grant.Project != "":
			where = fmt.Sprintf("project %q", grant.Project)
		}
		reaches := "does not reach it"
		if d.request.reachedBy(grant) {
			reaches = "reaches it"
		}
		texts = append(texts, fmt.Sprintf("%q in %s (%s)", grant.Role, where, reaches))
	}
	return strings.Join(texts, ", ")
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "unset"
	}
	return t.Format(time.RFC3339Nano)
}
