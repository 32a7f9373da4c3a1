package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// A Request is a call to judge: the caller, its proof, its address, and the endpoint and
// resource it calls. The zero Request is denied as invalid_request.
type Request struct {
	// Key is the public ID given by the caller.
	Key apikey.ID

	// Secret is the caller's secret, from apikey.Parse or an Issuer's Parse. The zero
	// Secret proves nothing.
	Secret apikey.Secret

	// Verifier checks another kind of proof, such as an HTTP Digest response. Either
	// Secret or Verifier is set; a request with both is invalid.
	Verifier Verifier

	// Client is the address of the caller: the peer of the connection, or the address
	// reported by a trusted proxy. IPv4-mapped IPv6 is taken as the mapped IPv4 address
	// (rule A5); an address with a zone is refused.
	Client netip.Addr

	// ClientDoubter is asked after a denial by address. See [ClientDoubter]; nil has no
	// doubts.
	ClientDoubter ClientDoubter

	// Organization and Project name the resource: the project, or without one the
	// organization itself. Take both from the resource's own record, never from the
	// caller (rule K7).
	Organization string
	Project      string

	// Resolver finds the resource where Organization and Project are empty. It is called
	// once, after line 11: guessed and stolen keys cause no call. A request with both an
	// Organization or Project and a Resolver is invalid.
	Resolver Resolver

	// Endpoint is the called operation, and its conditions on a key; nil has none. Declare it
	// once for all its requests. It must not be changed: the decisions keep it.
	Endpoint *Endpoint

	// Console marks a call to the console: people sign in there, and keys are refused.
	Console bool

	// ClientFrom is where Client was found. It is for logs and does not influence the
	// decision.
	ClientFrom ClientOrigin

	// Err is set by a guard that could not read the request, and says why. See
	// [ErrNoCredentials] and its siblings for the kinds; any other error is line 1. It
	// becomes the decision's Cause. A request with an Err is never allowed.
	Err error
}

// A ClientDoubter finds signs that a request's Client is a proxy in front of the caller.
// The owner of the key would then list the proxy's address, which admits all of its callers.
//
// DoubtClient is called only after a denial by address (lines 9 to 11). It returns nil, or
// an error that wraps [ErrPossibleProxy]; the error becomes the decision's Cause and changes
// nothing else.
type ClientDoubter interface{ DoubtClient() error }

// A ClientOrigin is where a client's address was found.
type ClientOrigin uint8

// The origins.
const (
	OriginUnknown       ClientOrigin = iota // not stated
	OriginPeer                              // the peer of the connection
	OriginForwarded                         // the Forwarded header of a trusted proxy (RFC 7239)
	OriginXForwardedFor                     // the X-Forwarded-For header of a trusted proxy
	OriginHeader                            // another header, overwritten by a trusted proxy
)

var origins = [...]string{"unknown", "peer", "forwarded", "x_forwarded_for", "header"}

// String returns "unknown", "peer", "forwarded", "x_forwarded_for" or "header", and
// "origin(9)" for any other value.
func (o ClientOrigin) String() string {
	if int(o) < len(origins) {
		return origins[o]
	}
	return fmt.Sprintf("origin(%d)", uint8(o))
}

// An Endpoint is one operation of the API.
type Endpoint struct {
	// Name is for logs; it does not influence the decision.
	Name string

	// RequiresAccessList refuses keys whose list has no entries, whatever their
	// organization requires.
	RequiresAccessList bool

	// Roles lists the acceptable roles: the key needs one of them, in a grant reaching the
	// resource (rule K5). Without roles any key will do. They are compared byte by byte.
	// The slice is only read.
	Roles []string
}

// none is the Endpoint of a request without one.
var none = new(Endpoint)

// A Verifier checks a proof other than a secret's text.
type Verifier interface {
	// Verify returns no error if the proof holds for the key at now, and otherwise the reason.
	// secret is the index in key.Secrets of the secret that the proof was made with, for
	// Decision.SecretID; -1 stands for proof of another kind. An index beyond the secrets is
	// answered like an error.
	//
	// The key is a copy without Grants: they prove nothing, and to copy them would take time by
	// their number (rule K3). For an unknown key it is called with the zero Key and should
	// take as long as for an existing one; its results are then ignored. It must be safe for
	// concurrent use.
	Verify(key apikey.Key, now time.Time) (secret int, err error)
}

// AlreadyVerified is the Verifier for a key whose possession was verified before, for
// instance by mutual TLS or by a gateway. Setting it vouches for the caller: Decide
// verifies nothing and believes the key ID.
type AlreadyVerified struct{}

// Verify implements [Verifier]. It returns -1 and no error.
func (AlreadyVerified) Verify(apikey.Key, time.Time) (secret int, err error) { return -1, nil }

// plain reports whether a request is of the usual kind, which refused lets pass. It is short
// enough to be inlined.
func (r *Request) plain() bool {
	return r.Err == nil && !r.Console && r.Key != "" && r.Client.Is4() && r.Organization != "" && r.Resolver == nil &&
		(r.Verifier == nil || r.Secret.IsZero())
}

// refused is lines 1 and 2, and line 3 for an unreadable request: they need no look-up.
func (r *Request) refused() (Reason, error) {
	err := r.invalid()
	switch {
	case r.Err != nil:
		return r.unreadable(err)
	case err != nil:
		return InvalidRequest, err
	case r.Console:
		return ConsoleForbidden, nil
	}
	return 0, nil
}

// unreadable is refused for a request with an Err. An unreadable part may seem to be missing:
// then the request is invalid, too.
func (r *Request) unreadable(invalid error) (Reason, error) {
	unavailable := errors.Is(r.Err, ErrUnavailable) || errors.Is(r.Err, ErrUnknownClient)
	switch {
	case !unavailable && !errors.Is(r.Err, ErrInvalidCredentials):
		return InvalidRequest, r.Err
	case !unavailable && invalid != nil:
		return InvalidRequest, invalid
	case r.Console:
		return ConsoleForbidden, nil
	case unavailable:
		return Unavailable, r.Err
	}
	return 0, nil
}

// Why a request is invalid.
var (
	errNoKey        = errors.New("policy: the request has no key ID: want Request.Key")
	errNoClient     = errors.New("policy: the request has no valid client address: want Request.Client, an address without a zone")
	errNoResource   = errors.New("policy: the request has no resource: want an Organization, or a Resolver")
	errTwoResources = errors.New("policy: the request has an Organization or a Project, and a Resolver: want one of the two")
	errTwoProofs    = errors.New("policy: the request has a Secret and a Verifier: want one of the two")
)

// invalid returns which part of the request is missing or contradicts another.
func (r *Request) invalid() error {
	switch {
	case r.Key == "" && r.Err == nil:
		return errNoKey
	case !r.Client.Is4() && (!r.Client.IsValid() || r.Client.Zone() != ""):
		return errNoClient
	case r.Organization == "" && r.Resolver == nil:
		return errNoResource
	case r.Resolver != nil && (r.Organization != "" || r.Project != ""):
		return errTwoResources
	case r.Verifier != nil && !r.Secret.IsZero():
		return errTwoProofs
	}
	return nil
}

// alreadyVerified reports whether nothing is left to verify.
func (r *Request) alreadyVerified() bool {
	_, ok := r.Verifier.(AlreadyVerified)
	return ok && r.Err == nil
}

// maxSecrets is the number of live secrets of a key (rule K4).
const maxSecrets = 2

// shown returns what a Verifier sees of a key, which may be nil. Copying takes the same time
// for every key (rule K3): without the grants, and with room for as many secrets as a key has.
func shown(key *apikey.Key) (copied apikey.Key) {
	secrets := make([]apikey.StoredSecret, 0, maxSecrets)
	if key != nil {
		copied = *key
		copied.Grants, copied.Secrets = nil, append(secrets, key.Secrets...)
	}
	return copied
}

// verify returns the index of the verified secret, -1 for proof of another kind, and an
// error if nothing was verified. It does the same work without a key (nil).
func (r *Request) verify(key *apikey.Key, now time.Time) (secret int32, err error) {
	if r.Verifier == nil || r.Err != nil {
		var stored []apikey.StoredSecret
		if key != nil {
			stored = key.Secrets
		}
		index, err := r.Secret.Verify(stored, now)
		if r.Err != nil {
			return -1, r.Err
		}
		return int32(index), err
	}
	index, err := r.Verifier.Verify(shown(key), now)
	switch {
	case err != nil || key == nil:
		return -1, err
	case index < -1 || index >= len(key.Secrets):
		return -1, fmt.Errorf("policy: the Verifier returned secret %d of %d: want an index of key.Secrets, or -1", index, len(key.Secrets))
	}
	return int32(index), nil
}
