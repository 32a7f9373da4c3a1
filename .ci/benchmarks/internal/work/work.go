// Package work is the job given to every engine: organizations, keys, access lists and
// requests, made from a seed and the same for each. It consists of plain data, so that no engine
// has a head start.
package work

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// An Engine is asked whether a call may be made. Reasons are not compared, because most other
// engines have none.
type Engine interface {
	Decide(r *Request) bool
}

// A World is the data of an engine: a number of keys, each with a list of Entries entries. Its
// records are made on demand, always the same, so that a million lists are not kept beside those
// of the measured engine.
type World struct {
	Seed    uint64
	Keys    int
	Entries int

	// Secrets gives every key a real secret and every request one to verify. Without it,
	// callers were authenticated elsewhere.
	Secrets bool

	// Odd mixes in IPv6 and IPv4-mapped clients, for comparing answers and not for timing.
	Odd bool

	proofs []*Proof // by key
}

// A Requirement is an organization's.
type Requirement uint8

// The requirements, in sallyport's order.
const (
	NotRequired Requirement = iota
	ReportOnly
	Required
)

// An Organization owns some ten keys.
type Organization struct {
	ID          string
	Requirement Requirement
}

// A Key is the record of a key.
type Key struct {
	ID           string
	Organization Organization
	Role         string
	Disabled     bool
	Expires      time.Time // zero: never
	List         []netip.Prefix
	Sum          [sha256.Size]byte // of the secret
}

// A Proof is a secret in two forms: parsed by sallyport, and the text that other code hashes.
type Proof struct {
	Secret apikey.Secret
	Text   string
}

// An Endpoint is what is called.
type Endpoint struct {
	Name         string
	RequiresList bool
	Roles        []string
	Number       int // its place in Endpoints
}

// A Request is one call.
type Request struct {
	Key          string
	Client       netip.Addr
	Organization string
	Endpoint     *Endpoint
	Proof        *Proof

	index int // of the key, -1 if there is none
}

var (
	longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	farOff  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

const roles = 8

func role(i int) string { return fmt.Sprintf("service.role-%d", i%roles) }

// Endpoints are called by the requests. Each is open to two roles; one in four requires a list.
var Endpoints = func() (all []*Endpoint) {
	for i := range 2 * roles {
		all = append(all, &Endpoint{fmt.Sprintf("endpoint-%d", i), i%4 == 3, []string{role(i), role(i + 3)}, i})
	}
	return all
}()

const (
	idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"
	idLength   = 20 // as apikey.NewID makes them
)

func randomID(r *rand.Rand) string {
	var b [idLength]byte
	for i := range b {
		b[i] = idAlphabet[r.IntN(len(idAlphabet))]
	}
	return string(b[:])
}

// Organizations returns the number of organizations.
func (w *World) Organizations() int { return max(1, w.Keys/10) }

// Organization returns one of them: half of them require nothing, a quarter only reports.
func (w *World) Organization(i int) Organization {
	r := rand.New(rand.NewPCG(w.Seed, 1<<62|uint64(i)))
	o := Organization{ID: fmt.Sprintf("%024x", r.Uint64())}
	switch r.IntN(4) {
	case 0:
		o.Requirement = Required
	case 1:
		o.Requirement = ReportOnly
	}
	return o
}

// Key returns one of the keys. Half of them have an end, one in a hundred has reached it, and
// one in a hundred is switched off.
func (w *World) Key(i int) Key {
	r := rand.New(rand.NewPCG(w.Seed, uint64(i)))
	k := Key{ID: randomID(r), Organization: w.Organization(i % w.Organizations()), Role: role(r.IntN(roles))}
	k.Disabled = r.IntN(100) == 0
	switch n := r.IntN(200); {
	case n < 2:
		k.Expires = longAgo
	case n < 100:
		k.Expires = farOff
	}
	k.List = list(r, w.Entries)
	if w.Secrets {
		k.Sum = sha256.Sum256([]byte(w.proof(i).Text))
	} else {
		k.Sum = sha256.Sum256([]byte(k.ID))
	}
	return k
}

// proof returns the secret of a key. It is random, which changes no answer.
func (w *World) proof(i int) *Proof {
	if w.proofs == nil {
		w.proofs = make([]*Proof, w.Keys)
	}
	if w.proofs[i] == nil {
		_, secret, err := apikey.New("any")
		if err != nil {
			panic(err) // the organization's name is a constant
		}
		w.proofs[i] = &Proof{secret, secret.Reveal()}
	}
	return w.proofs[i]
}

// Requests returns n calls with keys in random order, so that caches miss as they do in a
// service. Half of the clients are on the key's list; few calls are wrong otherwise.
func (w *World) Requests(n int) []Request {
	r := rand.New(rand.NewPCG(w.Seed, 1<<63))
	requests := make([]Request, n)
	proofs := make([]Proof, n)
	var text strings.Builder
	for i := range requests {
		q := &requests[i]
		q.index = r.IntN(w.Keys)
		key := w.Key(q.index)
		q.Organization = key.Organization.ID
		if r.IntN(50) == 0 {
			q.Organization = w.Organization(r.IntN(w.Organizations())).ID
		}
		q.Endpoint = Endpoints[r.IntN(len(Endpoints))]
		if r.IntN(50) != 0 { // an endpoint open to the key
			for q.Endpoint.Roles[0] != key.Role && q.Endpoint.Roles[1] != key.Role {
				q.Endpoint = Endpoints[r.IntN(len(Endpoints))]
			}
		}
		q.Client = client(r, key.List)
		if w.Odd {
			q.Client = oddClient(r, q.Client)
		}
		if w.Secrets {
			shown := q.index
			if r.IntN(50) == 0 {
				shown = r.IntN(w.Keys)
			}
			proofs[i] = *w.proof(shown)
			q.Proof = &proofs[i]
		}
		if r.IntN(100) == 0 {
			q.index, key.ID = -1, randomID(r)
		}
		text.WriteString(key.ID)
	}
	// One text for all: the identifiers lie in the order of the requests, like those of
	// requests just read. None is the engine's own string, which would compare equal by its
	// pointer.
	ids := text.String()
	for i := range requests {
		requests[i].Key = ids[i*idLength : (i+1)*idLength]
	}
	return requests
}
