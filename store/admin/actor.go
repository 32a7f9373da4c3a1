package admin

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// An Actor asks for a change. Make one with [ByKey], [ByPerson] or [BySystem]. The zero Actor
// may do nothing.
type Actor struct {
	kind        store.ActorKind
	id, name    string
	address     netip.Addr
	via         store.Via
	correlation string
	request     *keyRequest // of a key
}

// keyRequest is the request carrying a key's change, as resolved by the guard (rule M24).
type keyRequest struct {
	key      apikey.ID
	secret   string // ID of the proven secret; empty for other proof
	client   netip.Addr
	origin   policy.ClientOrigin
	endpoint policy.Endpoint
	resource policy.Resource
}

// ByKey returns the key of an allowed decision, with the address resolved by the guard:
// nothing in the request can give another one (rule M24). A denied decision is Forbidden.
//
// The endpoint of that decision is the whole right: the key may then change everything in
// its organization, its own grants included. Package admin does not ask which changes a role
// is for. So guard endpoints that carry changes with the managing roles, at the organization:
// an endpoint without roles lets a viewer of one project make itself the owner; see
// [Actor.WithRoles].
func ByKey(decision policy.Decision) (Actor, error) {
	if !decision.Allowed() {
		return Actor{}, forbidden("The call was not allowed, so it cannot ask for a change.")
	}
	endpoint := decision.Endpoint()
	endpoint.Roles = slices.Clone(endpoint.Roles)
	return Actor{kind: store.ActorKey, id: string(decision.KeyID()), address: decision.Client(), request: &keyRequest{
		key: decision.KeyID(), secret: decision.SecretID(), client: decision.Client(), origin: decision.ClientFrom(),
		endpoint: endpoint, resource: decision.Resource(),
	}}, nil
}

// WithRoles returns the actor for a change that takes more than its endpoint asks for: its key
// needs one of these roles, too, where the decision judged it (rule K5). They are judged by the
// present records when the change is made. It is for an endpoint without roles at which a key may
// change what is its own, and only a managing key what is another's. Without roles, or if the
// endpoint has some, the zero Actor is returned. People and systems have no roles: they are
// returned as they are.
func (a Actor) WithRoles(roles ...string) Actor {
	if a.request == nil {
		return a
	}
	if len(roles) == 0 || len(a.request.endpoint.Roles) > 0 {
		return Actor{}
	}
	request := *a.request
	request.endpoint.Roles = slices.Clone(roles)
	a.request = &request
	return a
}

// ByPerson returns a person. The embedding program vouches for the ID, and for the person's
// right to manage the organization of the call. The name and the address are for the events,
// and may be empty.
func ByPerson(id, name string, address netip.Addr) Actor {
	return Actor{kind: store.ActorPerson, id: id, name: name, address: address.Unmap()}
}

// BySystem returns the embedding program itself, or an operator's tool, under this name.
func BySystem(name string) Actor { return Actor{kind: store.ActorSystem, id: name} }

// Via returns the actor with the way in, such as "api", "console" or "cli", and the
// correlation ID of the request, for the events. Both may be empty: the way in is "library"
// then.
func (a Actor) Via(via store.Via, correlation string) Actor {
	a.via, a.correlation = via, correlation
	return a
}

// Kind returns the kind, empty for the zero Actor.
func (a Actor) Kind() store.ActorKind { return a.kind }

// ID returns the ID of the key or the person, or the name of the system.
func (a Actor) ID() string { return a.id }

// String returns the kind and the ID, such as `person "ann@example.com"`.
func (a Actor) String() string {
	if a.kind == "" {
		return "nobody"
	}
	return string(a.kind) + " " + plain.Quote(a.id)
}

// MarshalJSON returns an object with kind, id, and name and address where known.
func (a Actor) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind    store.ActorKind `json:"kind"`
		ID      string          `json:"id"`
		Name    string          `json:"name,omitempty"`
		Address netip.Addr      `json:"address,omitzero"`
	}{a.kind, a.id, a.name, a.address})
}

// may returns why the actor may not make these changes in the organization, before anything
// is read (rule M2).
func (a Actor) may(organization string, changes []Change) error {
	switch {
	case a.kind == "":
		return forbidden("It is not known who asks for the change.")
	case a.id == "":
		return forbidden("Whoever asks for the change has no name.")
	case a.request != nil && a.request.resource.Organization != organization:
		return noOrganization(organization)
	}
	if err := a.event(time.Unix(0, 0)).Validate(); err != nil { // of package store: its bounds are those of a journal
		problem := strings.TrimPrefix(plainText(err), "event: ")
		return wrap(Invalid, err, "What is given about who asks cannot be kept in an event: %s.", problem)
	}
	for _, change := range changes {
		if a.request != nil && change.keyless != "" {
			return forbidden("%s", change.keyless)
		}
	}
	return nil
}

// event returns an event by the actor, without its subject.
func (a Actor) event(now time.Time) store.Event {
	event := store.Event{
		Time: now, Type: "none", Address: a.address, Via: a.via, Correlation: a.correlation,
		Actor: store.Actor{Kind: a.kind, ID: a.id, Name: a.name},
	}
	if event.Via == "" {
		event.Via = store.ViaLibrary
	}
	if a.request != nil {
		event.Actor.Secret, event.Origin = a.request.secret, a.request.origin
	}
	return event
}

// identity is the actor in a token (rule M17). A key's address decides what locks it out; a
// person may move between a preview and a change.
func (a Actor) identity() []string {
	parts := []string{string(a.kind), a.id}
	if a.request != nil {
		parts = append(parts, a.address.String(), a.request.secret)
	}
	return parts
}

// after returns the request as if made again. Its proof holds while the proven secret is
// live (rule M4). before are the key's secrets without the change, handedOut the IDs of those
// from the change.
func (r *keyRequest) after(before []apikey.StoredSecret, handedOut []string) policy.Request {
	return policy.Request{
		Key: r.key, Client: r.client, ClientFrom: r.origin, Endpoint: &r.endpoint,
		Organization: r.resource.Organization, Project: r.resource.Project,
		Verifier: verifier(proof{secret: r.secret, before: before, handedOut: handedOut}.check),
	}
}

// verifier is the check of a proof as a [policy.Verifier].
type verifier func(key apikey.Key, now time.Time) error

func (v verifier) Verify(key apikey.Key, now time.Time) (secret int, err error) {
	return -1, v(key, now)
}

// proof stands for a proof given once: with a request for a change, or with a call in the
// usage.
type proof struct {
	secret    string // empty: other proof than a secret, such as a client certificate
	before    []apikey.StoredSecret
	handedOut []string
}

// check is for a verifier. Other proof may have been made with any of the key's secrets: it
// holds unless the change ends one of them.
func (p proof) check(key apikey.Key, now time.Time) error {
	live := func(id string) bool {
		return slices.ContainsFunc(key.Secrets, func(s apikey.StoredSecret) bool { return s.ID() == id && isLive(s, now) })
	}
	if slices.ContainsFunc(p.handedOut, live) || p.secret != "" && live(p.secret) {
		return nil
	}
	if p.secret != "" {
		return apikey.ErrWrongSecret
	}
	for _, s := range p.before {
		if isLive(s, now) && !live(s.ID()) {
			return apikey.ErrWrongSecret
		}
	}
	return nil
}

// anySecret is for a verifier: a proof by whichever secret is live.
func anySecret(key apikey.Key, now time.Time) error {
	if slices.ContainsFunc(key.Secrets, func(s apikey.StoredSecret) bool { return isLive(s, now) }) {
		return nil
	}
	return apikey.ErrWrongSecret
}

func isLive(s apikey.StoredSecret, now time.Time) bool {
	return s.Expires.IsZero() || now.Before(s.Expires)
}
