package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Decision is the answer to one request, as the operator sees it (rule D1). Its
// [Decision.Answer] is the caller's side. The zero Decision denies.
type Decision struct {
	// Reason is the answering line of the order.
	Reason Reason

	// WouldDeny is the answer of a line that is not in force, or zero:
	//   - AddressNotListed if the call passed lines 6 to 11 and the key's list on trial does
	//     not cover the client (rule Q4);
	//   - otherwise OrganizationRequiresAccessList if line 10 would have answered under
	//     Required, and the requirement is report only (rule Q2) or suspended (rule M20).
	//
	// The call may have been allowed or denied all the same.
	WouldDeny Reason

	// Two fields of the request, here because they fit into a gap.
	clientFrom ClientOrigin
	console    bool

	secret int32 // index of the verified one of the key's secrets, or -1

	// Cause is the error behind the reason, for the operator: of the source or the Resolver
	// for unavailable, of the verification for wrong_secret, of the guard for an unreadable
	// request, of the [ClientDoubter] for a denial by address. It is nil for most denials;
	// [Decision.Err] is not.
	Cause error

	request  asked
	subject  Subject
	rehashed *apikey.StoredSecret // see Rehashed
	now      time.Time
}

// asked is the part of a Request kept in its decision: no proof.
type asked struct {
	key           apikey.ID
	client        netip.Addr
	organization  string
	project       string
	resourceValue any
	endpoint      *Endpoint // nil: none
}

// begin notes the request. Nothing is verified yet.
func (d *Decision) begin(r *Request) {
	// One by one: a composite literal would be made elsewhere and copied. And all are read before
	// the first is written: the garbage collector is then asked once whether it runs.
	key, client, organization, project := r.Key, r.Client, r.Organization, r.Project
	endpoint := r.Endpoint
	d.request.key = key
	d.request.client = client
	d.request.organization = organization
	d.request.project = project
	d.request.endpoint = endpoint
	d.console = r.Console
	d.clientFrom = r.ClientFrom
	d.secret = -1
}

// redact redacts an invalid key ID, since a text in the place of an ID is most often the
// secret (rule K2). The ID of a found key is valid.
func (d *Decision) redact() {
	if d.subject.key == nil {
		d.request.key = apikey.ID(d.request.key.String())
	}
}

// Allowed reports whether the call may be made.
func (d Decision) Allowed() bool { return d.Reason.Allows() }

// Err returns nil if the call may be made, and otherwise a [*DeniedError], for code in the
// style of "if err != nil". Unlike Cause it is never nil for a denial.
func (d Decision) Err() error {
	if d.Allowed() {
		return nil
	}
	return &DeniedError{d}
}

// KeyID returns the key ID given by the caller, or "" for an invalid one.
func (d Decision) KeyID() apikey.ID {
	if d.request.key.Validate() != nil {
		return ""
	}
	return d.request.key
}

// Client returns the client's address as it was judged: IPv4-mapped IPv6 is returned as
// IPv4 (rule A5). It is the zero Addr if the request had none. It has a zone only if line
// 1 refused it because of the zone.
func (d Decision) Client() netip.Addr {
	if d.request.client.Zone() != "" {
		return d.request.client // Unmap would drop the zone
	}
	return d.request.client.Unmap()
}

// ClientFrom returns where the client's address was found.
func (d Decision) ClientFrom() ClientOrigin { return d.clientFrom }

// Resource returns the judged resource, with the Value of its Resolver. Without a Resolver
// it is the request's Organization and Project. It is zero if the request was denied before
// its Resolver was called (lines 1 to 11), and if the Resolver failed.
func (d Decision) Resource() Resource {
	return Resource{Organization: d.request.organization, Project: d.request.project, Value: d.request.resourceValue}
}

// Endpoint returns the called endpoint, the zero Endpoint if the request had none. Its Roles
// must not be changed.
func (d Decision) Endpoint() Endpoint {
	if d.request.endpoint == nil {
		return Endpoint{}
	}
	return *d.request.endpoint
}

// Entry returns the entry of the access list that admitted the client: the most
// specific where several cover it (rule A11). It is false unless the reason is
// address_listed.
func (d Decision) Entry() (accesslist.Entry, bool) {
	if d.Reason != AddressListed || d.subject.key == nil {
		return accesslist.Entry{}, false
	}
	return d.subject.key.AccessList.Match(d.request.client, d.now)
}

// SecretID returns the [apikey.StoredSecret.ID] of the secret that the verified proof was made
// with (rule K4): the secret itself, or an HTTP Digest response. It is "" if none was
// verified, or proof of another kind.
func (d Decision) SecretID() string {
	if verified := d.verified(); verified != nil {
		return verified.ID()
	}
	return ""
}

// verified returns the verified secret, nil if there is none.
func (d *Decision) verified() *apikey.StoredSecret {
	if d.secret < 0 || d.subject.key == nil {
		return nil
	}
	return &d.subject.key.Secrets[d.secret]
}

// Subject returns the key and the organization behind the decision. It is the zero Subject
// if none was looked for or found, and if the source's answer contradicted itself or the
// request.
func (d Decision) Subject() Subject { return d.subject }

// Time returns when the request was judged, by the engine's clock. It is zero if the
// request was answered before a key was looked up, and after a failed look-up or a panic.
// It is zero, too, if nothing asked for the time: the engine has no observer, and the answer
// depends on no proof, validity, suspension or expiry.
func (d Decision) Time() time.Time { return d.now }

// An Answer is the caller's side of a decision (rule D1).
type Answer struct {
	Status     int      // an HTTP status (RFC 9110): 200, 400, 401, 403, 425 or 503
	Code       string   // for programs, stable, such as "IP_ADDRESS_NOT_ON_ACCESS_LIST"; empty if allowed
	Message    string   // for people, one or two sentences; empty if allowed
	Parameters []string // lines 9 to 11: the client's address as the service saw it (rule D3)
}

// Answer returns the caller's side. An unknown key and a wrong secret give the same
// answer (rule D2). The zero Decision gives the answer of unavailable.
func (d Decision) Answer() Answer {
	line := lines[0]
	if int(d.Reason) < len(lines) {
		line = lines[d.Reason]
	}
	answer := Answer{Status: line.status, Code: line.code, Message: line.message}
	switch d.Reason {
	case InvalidRequest:
		switch {
		case errors.Is(d.Cause, ErrNoCredentials):
			answer = Answer{Status: 401, Code: "API_KEY_REQUIRED", Message: "An API key is required." + formOf(d.Cause)}
		case errors.Is(d.Cause, ErrTooEarly):
			answer = Answer{Status: 425, Code: "TOO_EARLY", Message: "The request came before the TLS handshake. Send it again."}
		case errors.Is(d.Cause, ErrUndeclaredEndpoint):
			answer = Answer{Status: 403, Code: "API_KEY_CANNOT_USE_ENDPOINT", Message: "API keys cannot be used with this endpoint."}
		case errors.Is(d.Cause, ErrMalformedCredentials):
			answer.Message = "The credentials are malformed, or there are several." + formOf(d.Cause)
		}
	case AddressNotListed, OrganizationRequiresAccessList, EndpointRequiresAccessList:
		client := d.Client().String()
		answer.Parameters = []string{client}
		answer.Message = fmt.Sprintf(line.message, client)
	}
	return answer
}

// formOf returns a sentence with the right form of malformed credentials, if it is known.
func formOf(cause error) string {
	if e, ok := errors.AsType[*CredentialsError](cause); ok && e.Form != "" {
		return " Send one header: " + e.Form + "."
	}
	return ""
}

// maxText is the length of the longest value in a decision's texts, in bytes: some values
// come from the caller.
const maxText = 1024

// attributes appends the name and value pairs of String and LogValue, in order, without the
// empty ones. The texts made for them are placed in memory.
func (d *Decision) attributes(attrs []slog.Attr, memory []byte) []slog.Attr {
	var made [64]byte // room for each of these texts
	place := func(text []byte) (placed string) {
		placed, memory = plain.Place(memory, text)
		return placed
	}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, plain.Cut(value, maxText)))
		}
	}
	add("kind", d.Kind().String())
	add("key", d.request.key.String())
	if verified := d.verified(); verified != nil {
		add("secret", place(append(made[:0], verified.ID()...)))
	}
	if client := d.Client(); client.IsValid() {
		add("client", place(client.AppendTo(made[:0])))
	}
	if d.clientFrom != OriginUnknown {
		add("client_from", d.clientFrom.String())
	}
	if entry, ok := d.Entry(); ok {
		add("entry", place(appendEntry(made[:0], entry)))
	}
	add("organization", d.request.organization)
	add("project", d.request.project)
	add("endpoint", d.Endpoint().Name)
	if d.subject.organization != nil {
		add("requirement", d.subject.organization.Requirement.String())
		add("suspended_until", d.suspendedUntil())
	}
	add("disabled", d.disabled())
	if d.WouldDeny != 0 {
		add("would_deny", d.WouldDeny.String())
	}
	if d.Cause != nil {
		add("error", d.causeText())
	}
	return attrs
}

// suspendedUntil returns the end of the suspension of the requirement, or "" if none was in
// force.
func (d Decision) suspendedUntil() string {
	if organization := d.subject.organization; organization.suspended(d.now) {
		return organization.SuspendedUntil.UTC().Format(time.RFC3339Nano)
	}
	return ""
}

// appendEntry appends the text of an entry, as of its String.
func appendEntry(text []byte, entry accesslist.Entry) []byte {
	if prefix := entry.Prefix(); !prefix.IsSingleIP() {
		return prefix.AppendTo(text)
	}
	return entry.Prefix().Addr().AppendTo(text)
}

// disabled returns what is switched off if line 6 answered: "key", "organization" or "key
// and organization".
func (d Decision) disabled() string {
	switch {
	case d.Reason != KeyDisabled || d.subject.key == nil:
		return ""
	case !d.subject.organization.Disabled:
		return "key"
	case !d.subject.key.Disabled:
		return "organization"
	}
	return "key and organization"
}

// causeText is the text of Cause, for the operator. It names the key's server keys if one is
// unknown: the error does not, since Verify takes the same time for every record (rule K3).
// fmt ends a panic of the error's method, such as a nil pointer's: the denial must be
// recorded all the same.
func (d Decision) causeText() string {
	if d.Cause == apikey.ErrUnknownServerKey && d.subject.key != nil {
		return fmt.Sprintf("%v; the key's secrets are hashed under %q", d.Cause, serverKeysOf(d.subject.key))
	}
	return plain.Cut(fmt.Sprint(d.Cause), maxText)
}

func (d Decision) verdict() string {
	if d.Allowed() {
		return "allow"
	}
	return "deny"
}

// String returns one line for a log: the verdict, the reason, and the compared values as
// name="value" pairs. The values are quoted as Go strings, and cut after 1,024 bytes,
// since some come from the caller.
func (d Decision) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", d.verdict(), d.Reason)
	for _, a := range d.attributes(nil, nil) {
		fmt.Fprintf(&b, " %s=%q", a.Key, a.Value.String())
	}
	return b.String()
}

// LogValue implements [slog.LogValuer]. It returns the content of String as a group of
// attributes. For an allowed call that is one allocation.
func (d Decision) LogValue() slog.Value {
	line := new(struct { // 640 bytes, a size of the allocator
		attrs [13]slog.Attr
		texts [104]byte
	})
	attrs := append(line.attrs[:0], slog.Bool("allowed", d.Allowed()), slog.String("reason", d.Reason.String()))
	return slog.GroupValue(d.attributes(attrs, line.texts[:])...)
}

// MarshalJSON returns the content of String as an object, for an audit log. There is no way
// back: a decision is made, not read.
func (d Decision) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"allowed": d.Allowed(), "reason": d.Reason.String()}
	for _, a := range d.attributes(nil, nil) {
		fields[a.Key] = a.Value.String()
	}
	return json.Marshal(fields)
}
