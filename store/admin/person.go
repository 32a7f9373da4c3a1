package admin

import "net/netip"

// An Access is what somebody may do in an organization.
type Access string

// The accesses. Manage does not include Read: ask for each.
const (
	Read   Access = "read"   // see the organization, its keys, their usage and the events
	Manage Access = "manage" // preview and make changes
)

// A Person is somebody signed in with the embedding program, which vouches for every field.
// Packages with pages or an API for people ask a function of the program for the Person
// behind each request. The zero Person may do nothing.
type Person struct {
	ID      string     // required, for the events
	Name    string     // for the pages and the events; may be empty
	Address netip.Addr // of the request, resolved as for keys, for the events; may be zero

	// May reports whether the person has this access to the organization, which may not
	// exist. It is called for every request and every organization of a list, and should
	// answer from memory. nil: no access to any.
	May func(organization string, access Access) bool
}

// Has reports whether the person has this access to the organization.
func (p Person) Has(organization string, access Access) bool {
	return p.ID != "" && p.May != nil && p.May(organization, access)
}

// Actor returns the person as one who asks for changes: see [ByPerson].
func (p Person) Actor() Actor { return ByPerson(p.ID, p.Name, p.Address) }
