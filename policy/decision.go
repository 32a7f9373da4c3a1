package policy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// A Decision is the answer to one request, as the operator sees it (rule D1). What
// the caller may see is its [Decision.Answer]. The zero Decision denies.
type Decision struct {
	// Reason is the line of the order that answered.
	Reason Reason

	// WouldDeny is OrganizationRequiresAccessList when the organization's
	// requirement is report only and line 10 would have answered under Required
	// (rule Q2); otherwise zero. The call may have been allowed or denied all the
	// same.
	WouldDeny Reason

	secret int32 // index of the key's secret that was proven, or -1

	// Err is the error of the source when the reason is unavailable, and why the
	// proof failed when it is wrong_secret; otherwise nil.
	Err error

	request asked
	subject Subject
	now     time.Time
}

// asked is a Request without its proof.
type asked struct {
	Key                   apikey.ID
	Client                netip.Addr
	Organization, Project string
	Endpoint              Endpoint
	Console               bool
	ClientFrom            ClientOrigin
}

// begin notes what is asked. Nothing was proven yet.
func (d *Decision) begin(r *Request) {
	// One by one: a composite literal would be made elsewhere and copied.
	d.request.Key = r.Key
	d.request.Client = r.Client
	d.request.Organization = r.Organization
	d.request.Project = r.Project
	d.request.Endpoint = r.Endpoint
	d.request.Console = r.Console
	d.request.ClientFrom = r.ClientFrom
	d.secret = -1
}

// Allowed reports whether the call may be made.
func (d Decision) Allowed() bool { return d.Reason.Allows() }

// Entry returns the entry of the access list that admitted the client: the most
// specific where several cover it (rule A11). It is false unless the reason is
// address_listed.
func (d Decision) Entry() (accesslist.Entry, bool) {
	if d.Reason != AddressListed || d.subject.key == nil {
		return accesslist.Entry{}, false
	}
	return d.subject.key.AccessList.Match(d.request.Client, d.now)
}

// SecretID names the one of the key's secrets that was proven (rule K4), by
// [apikey.StoredSecret.ID]; empty if none was, or if the proof was another.
func (d Decision) SecretID() string {
	if d.secret < 0 || d.subject.key == nil {
		return ""
	}
	return d.subject.key.Secrets[d.secret].ID()
}

// Subject returns the key and organization that the decision was made by; the
// zero Subject if none was found or looked for.
func (d Decision) Subject() Subject { return d.subject }

// Time returns when the request was judged, by the engine's clock. It is zero if the
// request was answered before a key was looked up, and if nothing asked for the time:
// the engine has no observer, and neither the key, its list nor a proof depends on it.
func (d Decision) Time() time.Time { return d.now }

// An Answer is what the caller may know of a decision (rule D1).
type Answer struct {
	Status     int      // an HTTP status (RFC 9110): 200, 400, 401, 403 or 503
	Code       string   // for programs, stable: "IP_ADDRESS_NOT_ON_ACCESS_LIST"; empty if allowed
	Message    string   // for people: one sentence or two; empty if allowed
	Parameters []string // lines 9 to 11: the client's address as it was seen (rule D3)
}

// Answer returns the caller's side. An unknown key and a wrong secret give the
// same (rule D2); a decision that was never made gives that of unavailable.
func (d Decision) Answer() Answer {
	line := lines[0]
	if int(d.Reason) < len(lines) {
		line = lines[d.Reason]
	}
	answer := Answer{Status: line.status, Code: line.code, Message: line.message}
	switch d.Reason {
	case AddressNotListed, OrganizationRequiresAccessList, EndpointRequiresAccessList:
		client := d.request.Client.Unmap().String()
		answer.Parameters = []string{client}
		answer.Message = fmt.Sprintf(line.message, client)
	}
	return answer
}

// attributes are what String and LogValue tell, in order; what is empty is left
// out.
func (d Decision) attributes() []slog.Attr {
	var attrs []slog.Attr
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	add("key", d.request.Key.String())
	add("secret", d.SecretID())
	if client := d.request.Client; client.Zone() != "" {
		add("client", client.String()) // Unmap would drop what line 1 refuses
	} else if client.IsValid() {
		add("client", client.Unmap().String())
	}
	if d.request.ClientFrom != OriginUnknown {
		add("client_from", d.request.ClientFrom.String())
	}
	if entry, ok := d.Entry(); ok {
		add("entry", entry.String())
	}
	add("organization", d.request.Organization)
	add("project", d.request.Project)
	add("endpoint", d.request.Endpoint.Name)
	if d.subject.organization != nil {
		add("requirement", d.subject.organization.Requirement.String())
	}
	if d.WouldDeny != 0 {
		add("would_deny", d.WouldDeny.String())
	}
	if d.Err != nil {
		add("error", d.Err.Error())
	}
	return attrs
}

func (d Decision) verdict() string {
	if d.Allowed() {
		return "allow"
	}
	return "deny"
}

// String returns one line for a log: the verdict, the reason, and what was
// compared as name="value" pairs, quoted as Go strings, since some of it is the
// caller's.
func (d Decision) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", d.verdict(), d.Reason)
	for _, a := range d.attributes() {
		fmt.Fprintf(&b, " %s=%q", a.Key, a.Value.String())
	}
	return b.String()
}

// LogValue returns the same as a group of attributes for log/slog.
func (d Decision) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Bool("allowed", d.Allowed()), slog.String("reason", d.Reason.String())}
	return slog.GroupValue(append(attrs, d.attributes()...)...)
}

// MarshalJSON returns the same as an object, for an audit log. There is no way back:
// a decision is made, not read.
func (d Decision) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"allowed": d.Allowed(), "reason": d.Reason.String()}
	for _, a := range d.attributes() {
		fields[a.Key] = a.Value.String()
	}
	return json.Marshal(fields)
}
