package policy

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// A Request is what is asked of [Engine.Decide]: who calls, what shows that it is
// they, from where, and what is called. The zero Request is denied as
// invalid_request.
type Request struct {
	// Key is the public ID that the caller gave.
	Key apikey.ID

	// Proof is the secret that the caller showed, as apikey.Parse or an Issuer's
	// Parse returned it. The zero Secret proves nothing.
	Proof apikey.Secret

	// Prover checks another kind of proof, such as an HTTP Digest response. nil
	// means that Proof alone decides; if both are set, both must hold.
	Prover Prover

	// Client is the address that the call came from: the peer of the connection, or
	// what a trusted proxy said. IPv4-mapped IPv6 is taken as the IPv4 address that
	// it maps (rule A5); an address with a zone is refused.
	Client netip.Addr

	// ClientFrom says where Client was found. It is for logs and does not influence the
	// decision.
	ClientFrom ClientOrigin

	// Organization and Project name the resource. At least one is given. With a
	// project the resource is that project, otherwise the organization itself. Take
	// both from the resource's own record, never from the caller (rule K7).
	Organization string
	Project      string

	// Endpoint is what is called, and what it asks of a key.
	Endpoint Endpoint

	// Console says that the call is to the console, where people sign in and keys
	// are refused.
	Console bool
}

// A ClientOrigin is where a client's address was found.
type ClientOrigin uint8

// The origins.
const (
	OriginUnknown       ClientOrigin = iota // it was not said
	OriginPeer                              // it is the peer of the connection
	OriginForwarded                         // the Forwarded header of a trusted proxy (RFC 7239)
	OriginXForwardedFor                     // the X-Forwarded-For header of a trusted proxy
	OriginHeader                            // another header, which a trusted proxy overwrites
)

var origins = [...]string{"unknown", "peer", "forwarded", "x_forwarded_for", "header"}

// String returns "unknown", "peer", "forwarded", "x_forwarded_for" or "header", and
// "origin(9)" for a value that is none of them.
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

	// Roles, if there are any, are those of which the key needs one, in a grant that
	// reaches the resource (rule K5). They are compared byte by byte. The slice is
	// read only.
	Roles []string
}

// A Prover is a proof other than a secret's text.
type Prover interface {
	// Prove returns nil if the proof holds for the key at now, and otherwise why it
	// does not. For a key that does not exist it is called with the zero Key and
	// should take as long as for one that does (rule K3); what it returns then
	// does not matter. It must be safe for concurrent use.
	Prove(key apikey.Key, now time.Time) error
}

// AlreadyProven is the Prover for a key whose possession was proven before, for
// instance by mutual TLS or by a gateway. Whoever sets it vouches for that: Decide
// then takes the key ID at its word.
type AlreadyProven struct{}

// Prove returns nil.
func (AlreadyProven) Prove(apikey.Key, time.Time) error { return nil }

// invalid reports whether line 1 applies.
func (r *Request) invalid() bool {
	return r.Key == "" || !r.Client.Is4() && (!r.Client.IsValid() || r.Client.Zone() != "") || r.Organization == "" && r.Project == ""
}

// alreadyProven reports whether there is nothing to prove.
func (r *Request) alreadyProven() bool {
	_, ok := r.Prover.(AlreadyProven)
	return ok && r.Proof.IsZero()
}

// someKey is cloned where there is no key, since cloning takes time.
var someKey = apikey.Key{Grants: make([]apikey.Grant, 1), Secrets: make([]apikey.StoredSecret, 1)}

// prove returns which of the key's secrets was proven, -1 if it was another kind
// of proof, and an error if nothing was. It does the same work for no key (nil).
func (r *Request) prove(key *apikey.Key, now time.Time) (secret int32, err error) {
	var stored []apikey.StoredSecret
	if key != nil {
		stored = key.Secrets
	}
	secret = -1
	if r.Prover == nil || !r.Proof.IsZero() {
		var index int
		index, err = r.Proof.Prove(stored, now)
		secret = int32(index)
	}
	if r.Prover != nil {
		cloned := key
		if key == nil {
			cloned = &someKey
		}
		shown := cloned.Clone() // a prover may keep it
		if key == nil {
			shown = apikey.Key{}
		}
		if proverErr := r.Prover.Prove(shown, now); err == nil {
			err = proverErr
		}
	}
	return secret, err
}
