package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// A Line is a line of the order as it was judged for a call. The names in its JSON do not change.
type Line struct {
	Number   int    `json:"number"` // 1 to 16
	Reason   Reason `json:"reason"` // of the line
	Applies  bool   `json:"applies"`
	Compared string `json:"compared"` // values, for an operator
}

// Lines returns the lines of the order up to the answering one, which alone applies. They are
// for the operator only (rule D1).
func (d Decision) Lines() []Line {
	if int(d.Reason) >= len(lines) {
		return nil
	}
	var judged []Line
	for line := InvalidRequest; line <= d.Reason; line++ {
		judged = append(judged, Line{int(line), line, line == d.Reason, d.compared(line)})
	}
	return judged
}

// Explain returns the answer, and then the [Decision.Lines], one a line. It is for the operator
// only (rule D1).
func (d Decision) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", d.verdict(), d.Reason)
	for _, line := range d.Lines() {
		applies := "no"
		if line.Applies {
			applies = "yes"
		}
		fmt.Fprintf(&b, "%2d %-33s %-3s  %s\n", line.Number, line.Reason, applies, line.Compared)
	}
	return b.String()
}

// compared returns the values compared on a line. A Decision put together by hand has no
// subject; it reads as one of a zero key.
func (d Decision) compared(line Reason) string {
	r, endpoint, key := &d.request, d.Endpoint(), d.key()
	switch line {
	case InvalidRequest:
		text := fmt.Sprintf("key %q, client %.80q, organization %.256q, project %.256q", r.key, r.client, r.organization, r.project)
		if d.Reason == InvalidRequest && d.Cause != nil {
			text += fmt.Sprintf("; %q", d.causeText())
		}
		return text
	case ConsoleForbidden:
		if d.console {
			return "the call is to the console"
		}
		return "the call is to the API"
	case Unavailable:
		if d.Reason == Unavailable {
			return fmt.Sprintf("%q", d.causeText())
		}
		return "the source answered"
	case UnknownKey:
		if d.subject.key == nil {
			return fmt.Sprintf("there is no key %q", r.key)
		}
		return fmt.Sprintf("key %q belongs to organization %q, revision %d", key.ID, key.Organization, key.Revision)
	case WrongSecret:
		switch {
		case d.Cause != nil && d.Reason == WrongSecret:
			return fmt.Sprintf("%q, with %s stored", d.causeText(), count(len(key.Secrets), "secret", "secrets"))
		case d.SecretID() == "":
			return "verified by other means than a secret"
		}
		return "verified by secret " + d.SecretID()
	case KeyDisabled:
		return fmt.Sprintf("the key is switched %s; organization %q is switched %s",
			offOrOn(key.Disabled), key.Organization, offOrOn(d.subject.Organization().Disabled))
	case KeyNotYetValid:
		return d.comparedTime("the not-before", key.NotBefore)
	case KeyExpired:
		return d.comparedTime("the expiry", key.Expires)
	case AddressNotListed, AddressListed:
		return d.comparedAddress(d.key().AccessList, "the list has ") + d.comparedTrial(line) + d.doubt(line)
	case OrganizationRequiresAccessList:
		would := ""
		switch {
		case d.WouldDeny != line:
		case d.subject.Organization().Requirement == Required:
			would = ", would deny otherwise"
		default:
			would = ", would deny if required"
		}
		return fmt.Sprintf("%s; the requirement of organization %q is %s%s%s", d.entries(), key.Organization,
			d.subject.Organization().Requirement, d.comparedSuspension(), would) + d.doubt(line)
	case EndpointRequiresAccessList:
		if endpoint.RequiresAccessList {
			return fmt.Sprintf("%s; endpoint %.256q requires one", d.entries(), endpoint.Name) + d.doubt(line)
		}
		return fmt.Sprintf("%s; endpoint %.256q requires none", d.entries(), endpoint.Name)
	case WrongOrganization:
		return fmt.Sprintf("the request names organization %.256q, the key belongs to %q", r.organization, key.Organization)
	case ProjectNotGranted:
		if r.project == "" {
			return "the request names no project"
		}
		return fmt.Sprintf("the request names project %.256q; grants: %s", r.project, d.grants())
	case RoleMissing:
		if len(endpoint.Roles) == 0 {
			return "the endpoint asks for no role"
		}
		return fmt.Sprintf("the endpoint asks for one of %q; grants: %s", endpoint.Roles, d.grants())
	}
	return "the list has no entries and nothing requires one"
}

// comparedSuspension returns the suspension of a requirement, in force or ended.
func (d Decision) comparedSuspension() string {
	organization := d.subject.Organization()
	switch {
	case organization.Requirement != Required || organization.SuspendedUntil.IsZero():
		return ""
	case organization.suspended(d.now):
		return d.comparedTime(" and suspended, the end", organization.SuspendedUntil.UTC())
	}
	return d.comparedTime(" again, the end of its suspension", organization.SuspendedUntil.UTC())
}

func offOrOn(disabled bool) string {
	if disabled {
		return "off"
	}
	return "on"
}

// doubt returns the sign that the client is a proxy, on the answering line.
func (d Decision) doubt(line Reason) string {
	if line != d.Reason || d.Cause == nil {
		return ""
	}
	return fmt.Sprintf("; %q", d.causeText())
}

func (d Decision) key() *apikey.Key {
	if d.subject.key == nil {
		return new(apikey.Key)
	}
	return d.subject.key
}

func (d Decision) entries() string {
	return "the list has " + count(d.key().AccessList.Len(), "entry", "entries")
}

func count(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// comparedTrial returns the comparison with the list on trial, if the key has one.
func (d Decision) comparedTrial(line Reason) string {
	list := d.key().TrialList
	if list.IsEmpty() || line != AddressNotListed {
		return ""
	}
	text := "; on trial: " + d.comparedAddress(list, "that list has ")
	if d.WouldDeny == line {
		text += ", would deny if in force"
	}
	return text
}

func (d Decision) comparedAddress(list accesslist.List, has string) string {
	client, entries := d.Client(), has+count(list.Len(), "entry", "entries")
	if list.IsEmpty() {
		return entries
	}
	if entry, ok := list.Match(client, d.now); ok {
		return fmt.Sprintf("%s is covered by %s; %s", client, entry, entries)
	}
	expired := 0
	for entry := range list.All() {
		if entry.ExpiredAt(d.now) {
			expired++
		}
	}
	return fmt.Sprintf("%s is covered by none; %s, %d expired", client, entries, expired)
}

// grants lists the key's first grants, and marks those reaching the resource.
func (d Decision) grants() string {
	grants := d.key().Grants
	if len(grants) == 0 {
		return "none"
	}
	const most = 20
	var texts []string
	for i := range grants {
		grant := &grants[i]
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more", len(grants)-most))
			break
		}
		where := "the organization"
		switch {
		case grant.AllProjects:
			where = "all projects"
		case grant.Project != "":
			where = fmt.Sprintf("project %q", grant.Project)
		}
		reached := "does not reach it"
		if reaches(grant, d.request.project) {
			reached = "reaches it"
		}
		texts = append(texts, fmt.Sprintf("%q in %s (%s)", grant.Role, where, reached))
	}
	return strings.Join(texts, ", ")
}

func (d Decision) comparedTime(what string, bound time.Time) string {
	if bound.IsZero() {
		return what + " is unset"
	}
	return fmt.Sprintf("%s is %s, now is %s", what, bound.Format(time.RFC3339Nano), d.now.Format(time.RFC3339Nano))
}
