package policy

import (
	"encoding/json"
	"errors"

	"github.com/sallyport-go/sallyport/policy/internal/lookup"
)

// The kinds of error in [Request.Err], set by a guard. Any other error is invalid_request
// with the plain answer of line 1. See [Kind] for their marks in logs and metrics.
var (
	// ErrNoCredentials is set for a request without credentials of an accepted kind. Line 1
	// applies, and the caller is answered 401 with the code API_KEY_REQUIRED, since a 401
	// makes clients send them (RFC 9110 section 15.5.2).
	ErrNoCredentials = errors.New("no credentials")

	// ErrMalformedCredentials is set for unparsable credentials, and for several at once.
	// Line 1 applies, and the message to the caller says so.
	ErrMalformedCredentials = errors.New("malformed credentials")

	// ErrInvalidCredentials is set for well-formed credentials of no possible key, such as a
	// secret with a wrong checksum. The key, if the request names one, is looked up as for
	// any other request, and line 4 or 5 applies: nothing is verified.
	ErrInvalidCredentials = errors.New("credentials of no key")

	// ErrUndeclaredEndpoint is set for a call without an [Endpoint] in the guard's
	// configuration. Line 1 applies, and the caller is answered 403 with the code
	// API_KEY_CANNOT_USE_ENDPOINT.
	ErrUndeclaredEndpoint = errors.New("undeclared endpoint")

	// ErrTooEarly is set for a request in TLS early data, before the handshake: its source
	// address is the caller's word, and anybody may send it again. Line 1 applies, and the
	// caller is answered 425 with the code TOO_EARLY, so that the client sends the request
	// again after the handshake (RFC 8470 section 5.2).
	ErrTooEarly = errors.New("request in TLS early data")

	// ErrUnavailable is set for a failure of the service while the request was read, such
	// as a credential store that does not answer. Line 3 applies.
	ErrUnavailable = errors.New("unavailable")

	// ErrUnknownClient is set for a request whose client address cannot be found, since a
	// proxy of the service or its declaration is at fault: a trusted proxy sent no address
	// header, or an unreadable one. Line 3 applies, as for ErrUnavailable: an honest caller
	// cannot repair it, and the operator must hear of it.
	ErrUnknownClient = errors.New("unknown client address")
)

// ErrPossibleProxy is wrapped by the Cause of a denial by address (lines 9 to 11) if a
// proxy in front of the caller may have been judged; see [ClientDoubter].
var ErrPossibleProxy = errors.New("the client may be a proxy")

// A CredentialsError is an error of malformed or missing credentials that tells the caller
// what a right header looks like. A guard sets it as [Request.Err].
type CredentialsError struct {
	Err  error  // wraps [ErrMalformedCredentials] or [ErrNoCredentials]; for the operator
	Form string // such as "Authorization: Bearer YOUR_API_KEY"; for the caller, so nothing of the request
}

// Error returns the text of Err.
func (e *CredentialsError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *CredentialsError) Unwrap() error { return e.Err }

// The errors of a [Verifier] for a right but unusable proof, such as an HTTP Digest response.
// Line 5 applies, and the caller's side is that of a wrong secret.
var (
	// ErrStaleNonce is returned for a right proof with a nonce that has expired or is unknown.
	// An honest client tries again with the new nonce.
	ErrStaleNonce = errors.New("the proof is right, but its nonce cannot be used")

	// ErrReplayed is returned for a right proof that was accepted before: somebody sent a
	// captured request again, or a proxy or a client's connection pool repeated one by itself.
	ErrReplayed = errors.New("the proof is right, but it was used before")
)

// The errors wrapped by the Cause of a decision on a request whose context was done before the
// answer. Line 3 applies. They say nothing about the source: its own failures wrap neither.
var (
	// ErrCallerGone is wrapped if the context was cancelled: the caller hung up.
	ErrCallerGone = lookup.ErrCallerGone

	// ErrRequestExpired is wrapped if the context's deadline had passed. The service's own
	// middleware sets one, and the source may be too slow for it. A caller of gRPC sets one, too,
	// of any length.
	ErrRequestExpired = lookup.ErrRequestExpired
)

// A DeniedError is the error of a denial; see [Decision.Err]. Its text is the caller's side
// (rule D1): a program may send it to the caller and discloses nothing. It unwraps to
// [Decision.Cause].
type DeniedError struct {
	Decision Decision // the denial, for the operator
}

// Error returns the code and the message of [Decision.Answer].
func (e *DeniedError) Error() string {
	answer := e.Decision.Answer()
	return "policy: denied: " + answer.Code + ": " + answer.Message
}

// MarshalJSON returns the caller's side, as Error does. The operator's side is the
// Decision's own JSON.
func (e *DeniedError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }

// Unwrap returns the decision's Cause.
func (e *DeniedError) Unwrap() error { return e.Decision.Cause }
