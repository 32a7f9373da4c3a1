package console

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Stamp returns a time for the attribute datetime.
func (p *page) Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Time returns a time for people, to the minute, in UTC.
func (p *page) Time(t time.Time) string { return t.UTC().Format(minute) }

// minute is the layout of a time for people, in UTC.
const minute = "2006-01-02 15:04 UTC"

// Ago returns how far a time is from the time of the request, such as "3 minutes ago".
func (p *page) Ago(t time.Time) string {
	d := p.now.Sub(t)
	switch {
	case d <= -time.Second: // a request reads the clock more than once
		return "in " + span(-d)
	case d < time.Minute:
		return "just now"
	}
	return span(d) + " ago"
}

// Window returns how far back usage is shown, such as "30 days".
func (p *page) Window() string { return span(p.Admin.Window()) }

// Span is span, for templates.
func (p *page) Span(d time.Duration) string { return span(d) }

// Quiet returns how long nobody may have tried a key before its deletion is suggested.
func (p *page) Quiet() string { return span(quiet) }

// span returns a length of time in its largest unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.length {
			return count(int(d/unit.length), unit.name)
		}
	}
	return "less than a minute"
}

// count returns a number with its noun: "1 key", "2 keys".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Count is count, for templates.
func (p *page) Count(n int, noun string) string { return count(n, noun) }

// words returns an identifier of the program as words: "not_yet_valid" is "not yet valid".
func words(identifier string) string { return strings.ReplaceAll(identifier, "_", " ") }

// Words is words, for templates.
func (p *page) Words(identifier string) string { return words(identifier) }

// Address returns an address without the mapping of IPv4, or a dash.
func (p *page) Address(a netip.Addr) string {
	if !a.IsValid() {
		return "–"
	}
	return a.Unmap().String()
}

// reasons are the answers to calls, for people.
var reasons = map[policy.Reason]string{
	policy.UnknownKey:                     "The key does not exist",
	policy.WrongSecret:                    "No live secret",
	policy.KeyDisabled:                    "The key or its organization is switched off",
	policy.KeyNotYetValid:                 "The key is not valid yet",
	policy.KeyExpired:                     "The key has expired",
	policy.AddressNotListed:               "The address is not on the access list",
	policy.OrganizationRequiresAccessList: "The organization requires an access list, and the key has none",
	policy.EndpointRequiresAccessList:     "The endpoint requires an access list, and the key has none",
	policy.WrongOrganization:              "The call was for another organization",
	policy.ProjectNotGranted:              "The key has no access to the project",
	policy.RoleMissing:                    "The key lacks the role",
	policy.AddressListed:                  "The address is on the access list",
	policy.OpenList:                       "Open to every address",
}

// Why returns a reason for people.
func (p *page) Why(r policy.Reason) string { return why(r) }

func why(r policy.Reason) string {
	if text, ok := reasons[r]; ok {
		return text
	}
	return words(r.String())
}

// requirement returns the state of an organization's requirement in a sentence.
func requirement(o policy.Organization, now time.Time) string {
	switch {
	case o.Requirement == policy.NotRequired:
		return "Keys do not need an access list. A key without one is open to every address."
	case o.Requirement == policy.ReportOnly:
		return "Keys do not need an access list yet. Calls that the requirement would refuse are reported, and served."
	case o.SuspendedUntil.After(now):
		return "Every key needs an access list. The requirement is suspended now, and applies again by itself."
	}
	return "Every key needs an access list. Calls with a key without one are refused."
}

// classes are the classes of a preview, for people.
var classes = map[admin.KeyClass]string{
	admin.KeyBreaks: "Breaks", admin.KeyMayBreak: "May break", admin.KeyUnused: "Unused", admin.KeyUnknown: "Unknown",
	admin.KeyOpens: "Opens", admin.KeyWidens: "Widens",
}

// Class returns a class for people.
func (p *page) Class(c admin.KeyClass) string {
	if text, ok := classes[c]; ok {
		return text
	}
	return words(string(c))
}

// events are the types of events, for people.
var events = map[store.EventType]string{
	store.EventKeyCreated: "Key created", store.EventKeyDeleted: "Key deleted", store.EventKeyDescribed: "Key described",
	store.EventKeyMetadataChanged: "Labels changed", store.EventKeyGrantsChanged: "Grants changed",
	store.EventKeyProjectAdded: "Project added", store.EventKeyProjectRemoved: "Project removed",
	store.EventEntryAdded: "Entry added", store.EventEntryChanged: "Entry changed", store.EventEntryRemoved: "Entry removed",
	store.EventListReplaced: "Access list replaced", store.EventTrialListChanged: "List on trial changed",
	store.EventKeyRotated: "Key rotated", store.EventSecretEnded: "Secret ended", store.EventKeyDisabled: "Key switched off",
	store.EventKeyEnabled: "Key switched on", store.EventKeyValidityChanged: "Validity changed",
	store.EventOrganizationCreated: "Organization created", store.EventOrganizationDeleted: "Organization deleted",
	store.EventOrganizationRenamed: "Organization renamed", store.EventOrganizationDisabled: "Organization switched off",
	store.EventOrganizationEnabled: "Organization switched on", store.EventRequirementChanged: "Requirement changed",
	store.EventRequirementSuspended: "Requirement suspended", store.EventRequirementResumed: "Requirement resumed",
	store.EventEventsForgotten: "Events forgotten",
}

func eventTitle(t store.EventType) string {
	if text, ok := events[t]; ok {
		return text
	}
	return words(string(t))
}
