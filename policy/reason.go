package policy

import (
	"fmt"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Reason is the answering line of the order, by the line's number. Its text is part of the
// contract and does not change. The zero Reason is no answer, and denies.
type Reason uint8

// The reasons, in the order of the lines.
const (
	InvalidRequest                 Reason = iota + 1 // line 1
	ConsoleForbidden                                 // line 2
	Unavailable                                      // line 3
	UnknownKey                                       // line 4
	WrongSecret                                      // line 5
	KeyDisabled                                      // line 6: the key, or its organization
	KeyNotYetValid                                   // line 7
	KeyExpired                                       // line 8
	AddressNotListed                                 // line 9
	OrganizationRequiresAccessList                   // line 10
	EndpointRequiresAccessList                       // line 11
	WrongOrganization                                // line 12
	ProjectNotGranted                                // line 13
	RoleMissing                                      // line 14
	AddressListed                                    // line 15: allow
	OpenList                                         // line 16: allow
)

// lines are the text of each reason and the caller's answer. The first is for the zero
// Decision.
var lines = [...]struct {
	text, code string
	status     int
	message    string
}{
	{"undecided", "ACCESS_CONTROL_UNAVAILABLE", 503, "Access could not be checked. Try again later."},
	{"invalid_request", "INVALID_REQUEST", 400, "The request lacks an API key, a client address, or the organization that it is about."},
	{"console_forbidden", "API_KEY_CANNOT_USE_CONSOLE", 403, "API keys cannot be used with the console."},
	{"unavailable", "ACCESS_CONTROL_UNAVAILABLE", 503, "Access could not be checked. Try again later."},
	{"unknown_key", "INVALID_API_KEY", 401, "The API key is not valid."},
	{"wrong_secret", "INVALID_API_KEY", 401, "The API key is not valid."},
	{"key_disabled", "API_KEY_DISABLED", 401, "The API key is switched off."},
	{"key_not_yet_valid", "API_KEY_NOT_YET_VALID", 401, "The API key is not valid yet."},
	{"key_expired", "API_KEY_EXPIRED", 401, "The API key has expired."},
	{"address_not_listed", "IP_ADDRESS_NOT_ON_ACCESS_LIST", 403, "IP address %s is not on the access list of the API key."},
	{"organization_requires_access_list", "ORG_REQUIRES_ACCESS_LIST", 403, "The organization requires an access list, and the API key has none. The request came from IP address %s."},
	{"endpoint_requires_access_list", "RESOURCE_REQUIRES_ACCESS_LIST", 403, "This resource requires an access list, and the API key has none. The request came from IP address %s."},
	{"wrong_organization", "API_KEY_NOT_IN_ORGANIZATION", 403, "The API key does not belong to this organization."},
	{"project_not_granted", "API_KEY_NOT_IN_PROJECT", 403, "The API key has no access to this project."},
	{"role_missing", "API_KEY_LACKS_ROLE", 403, "The API key lacks the role that this resource asks for."},
	{"address_listed", "", 200, ""},
	{"open_list", "", 200, ""},
}

// Allows reports whether the reason is [AddressListed] or [OpenList].
func (r Reason) Allows() bool { return r == AddressListed || r == OpenList }

// AfterProof reports whether the reason denies a call whose proof was verified: lines 6 to 14.
// Without the secret of a key nobody can cause one of them.
func (r Reason) AfterProof() bool { return r >= KeyDisabled && r <= RoleMissing }

// String returns the reason's text, such as "address_not_listed"; "undecided" for the zero
// Reason and "reason(99)" for an unknown one.
func (r Reason) String() string {
	if int(r) < len(lines) {
		return lines[r].text
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// MarshalText returns the text of String. The zero Reason and unknown values are errors.
func (r Reason) MarshalText() ([]byte, error) {
	if r == 0 || int(r) >= len(lines) {
		return nil, fmt.Errorf("policy: %v is not a reason: want one of the constants", r)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads the text of String, to the letter. On an error the receiver
// is unchanged.
func (r *Reason) UnmarshalText(text []byte) error {
	for i, line := range lines {
		if i > 0 && string(text) == line.text {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("policy: reason %s: want one of the order, such as %q", plain.Quote(text), AddressNotListed)
}
