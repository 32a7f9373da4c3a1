package races

import (
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A Race is calls made at the same moment.
type Race struct {
	Name string

	// Apart is true if the calls write different records. Only the conditions of the writes
	// find the lockout then.
	Apart bool

	setup func(r *round)
	calls []call

	random   bool          // made by Random
	refusals []admin.Class // the classes of an error; one call at least must have one
	findings []admin.Kind  // one of them is in an error of the class Refused
	ordered  bool          // all may be made, in the order of calls
	anyOrder bool          // all may be made
	self     apikey.ID     // of a key: its request must be allowed afterwards
}

// A call is one Apply.
type call struct {
	by           func(r *round) admin.Actor // nil: a person
	organization string                     // empty: that of the round
	accept       []admin.Kind
	changes      []func(r *round) admin.Change
}

// apply is a call of a person with these changes.
func apply(changes ...func(r *round) admin.Change) call { return call{changes: changes} }

// accepting returns the call with findings accepted.
func (c call) accepting(kinds ...admin.Kind) call {
	c.accept = kinds
	return c
}

// as returns the call as made with a key's secret, the first or a later one.
func (c call) as(key apikey.ID, secret int) call {
	c.by = func(r *round) admin.Actor { return r.actor(key, secret) }
	return c
}

// in returns the call with another organization than that of the round.
func (c call) in(organization string) call {
	c.organization = organization
	return c
}

// on makes a change of a key, whose ID is another one in each round.
func on(key apikey.ID, change func(id apikey.ID) admin.Change) func(*round) admin.Change {
	return func(r *round) admin.Change { return change(r.id(key)) }
}

func set(change admin.Change) func(*round) admin.Change {
	return func(*round) admin.Change { return change }
}

// now is the time of all calls: their clocks stand still.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	owner  = apikey.Grant{Role: "owner"}
	deputy = apikey.Grant{Role: "deputy"}
	reader = apikey.Grant{Role: "reader"}
	soon   = now.Add(30 * time.Minute) // within the notice
)

func remove(key apikey.ID, prefixes ...string) func(*round) admin.Change {
	var all []netip.Prefix
	for _, prefix := range prefixes {
		all = append(all, netip.MustParsePrefix(prefix))
	}
	return on(key, func(id apikey.ID) admin.Change { return admin.RemoveEntries(id, all...) })
}

func disable(key apikey.ID) func(*round) admin.Change   { return on(key, admin.DisableKey) }
func deleteKey(key apikey.ID) func(*round) admin.Change { return on(key, admin.DeleteKey) }

func lose(key apikey.ID, grant apikey.Grant) func(*round) admin.Change {
	return on(key, func(id apikey.ID) admin.Change { return admin.RemoveGrants(id, grant) })
}

func expire(key apikey.ID, at time.Time) func(*round) admin.Change {
	return on(key, func(id apikey.ID) admin.Change { return admin.SetValidity(id, time.Time{}, at) })
}

func rotate(key apikey.ID, overlap time.Duration) func(*round) admin.Change {
	return on(key, func(id apikey.ID) admin.Change { return admin.Rotate(id, overlap) })
}

// end ends a secret of a key.
func end(key apikey.ID, secret int) func(*round) admin.Change {
	return func(r *round) admin.Change { return admin.EndSecret(r.id(key), r.secretID(key, secret), now) }
}

// edit lets the entry of a key with one end soon.
func edit(key apikey.ID) func(*round) admin.Change {
	return func(r *round) admin.Change {
		entries := entriesOf(addresses[key])
		entries[0].Expires = soon
		return admin.EditEntries(r.id(key), entries...)
	}
}

func create(key apikey.ID, grants ...apikey.Grant) func(*round) admin.Change {
	return on(key, func(id apikey.ID) admin.Change {
		return admin.CreateKey(admin.NewKey{ID: id, Grants: grants, Entries: entriesOf("203.0.113.9")})
	})
}

// addresses are those of the keys.
var addresses = map[apikey.ID]string{"x": "203.0.113.1", "y": "203.0.113.2", "z": "203.0.113.3", "boss": "198.51.100.1", "self": "203.0.113.7"}

// managers has managers, each with its address listed.
func managers(requirement policy.Requirement, keys ...apikey.ID) func(*round) {
	return func(r *round) {
		r.organization(policy.Organization{Requirement: requirement})
		for _, key := range keys {
			r.key(key, addresses[key], 1, owner)
		}
	}
}

// one has a manager and self, a manager with this list.
func one(list string, grants ...apikey.Grant) func(*round) {
	return func(r *round) {
		r.organization(policy.Organization{})
		r.key("boss", addresses["boss"], 1, owner)
		r.key("self", list, 2, append(grants, owner)...)
	}
}

var (
	lastManager = []admin.Kind{admin.LastManager}
	lastUsable  = []admin.Kind{admin.OrganizationLockout}
	selfLockout = []admin.Kind{admin.SelfLockout}
	refused     = []admin.Class{admin.Refused}
)

// Races are all of them.
var Races = []Race{
	{Name: "two managers are switched off", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{apply(disable("x")), apply(disable("y"))}},
	{Name: "two managers are deleted", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{apply(deleteKey("x")), apply(deleteKey("y"))}},
	{Name: "two managers lose their role", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{apply(lose("x", owner)), apply(lose("y", owner))}},
	{Name: "a manager loses its role, the other expires", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{
			apply(on("x", func(id apikey.ID) admin.Change { return admin.SetGrants(id, reader) })),
			apply(expire("y", now)),
		}},
	{Name: "a manager is deleted, the other expires soon", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{apply(deleteKey("x")), apply(expire("y", soon))}},
	{Name: "a manager is confined to a project, the other's secret ends", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{
			apply(on("x", func(id apikey.ID) admin.Change {
				return admin.SetGrants(id, apikey.Grant{Role: "owner", Project: "p"})
			})),
			apply(end("y", 0)),
		}},
	{Name: "two managers of an organization that is switched off", Apart: true, refusals: refused, findings: lastManager,
		setup: func(r *round) {
			r.organization(policy.Organization{Disabled: true})
			r.key("x", addresses["x"], 1, owner)
			r.key("y", addresses["y"], 1, owner)
		},
		calls: []call{apply(deleteKey("x")), apply(deleteKey("y"))}},
	{Name: "the lists of two managers are emptied", Apart: true, setup: managers(policy.Required, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{
			apply(remove("x", "203.0.113.1/32")).accepting(admin.Opens),
			apply(remove("y", "203.0.113.2/32")).accepting(admin.Opens),
		}},
	{Name: "the entries of two managers expire soon", Apart: true, setup: managers(policy.Required, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{apply(edit("x")), apply(edit("y"))}},
	{Name: "a list is required, the only one is emptied", Apart: true, refusals: refused, findings: lastManager,
		setup: func(r *round) {
			r.organization(policy.Organization{})
			r.key("x", "", 1, owner)
			r.key("y", addresses["y"], 1, owner)
		},
		calls: []call{
			apply(set(admin.SetRequirement(policy.Required))),
			apply(on("y", func(id apikey.ID) admin.Change { return admin.ReplaceEntries(id) })).accepting(admin.Opens),
		}},
	{Name: "the lists are emptied while the requirement is suspended", Apart: true, refusals: refused, findings: lastManager,
		setup: func(r *round) {
			r.organization(policy.Organization{Requirement: policy.Required, SuspendedUntil: soon})
			for _, key := range []apikey.ID{"x", "y"} {
				r.key(key, addresses[key], 1, owner)
			}
		},
		calls: []call{
			apply(remove("x", "203.0.113.1/32")).accepting(admin.Opens),
			apply(remove("y", "203.0.113.2/32")).accepting(admin.Opens),
		}},
	{Name: "the two secrets of the only manager end", refusals: refused, findings: lastManager,
		setup: func(r *round) {
			r.organization(policy.Organization{})
			r.key("x", addresses["x"], 2, owner)
		},
		calls: []call{apply(end("x", 0)), apply(end("x", 1))}},
	{Name: "the only manager is rotated while its secret ends", refusals: []admin.Class{admin.Conflict, admin.NotFound}, anyOrder: true,
		setup: func(r *round) {
			r.organization(policy.Organization{})
			r.key("x", addresses["x"], 2, owner)
		},
		calls: []call{apply(rotate("x", 0)), apply(end("x", 1))}},
	{Name: "a manager is rotated with an overlap while its secret ends", setup: managers(policy.NotRequired, "x", "y"), anyOrder: true,
		calls: []call{apply(rotate("x", time.Hour)), apply(end("x", 0))}},
	{Name: "a manager is rotated twice", setup: managers(policy.NotRequired, "x", "y"), refusals: []admin.Class{admin.Conflict},
		calls: []call{apply(rotate("x", time.Hour)), apply(rotate("x", time.Hour))}},
	{Name: "the last two keys are deleted", Apart: true, refusals: refused, findings: lastUsable,
		setup: func(r *round) {
			r.organization(policy.Organization{})
			r.key("x", addresses["x"], 1, reader)
			r.key("y", addresses["y"], 1, reader)
		},
		calls: []call{apply(deleteKey("x")), apply(deleteKey("y"))}},
	{Name: "of the last two keys one expires, one ends soon", Apart: true, refusals: refused, findings: lastUsable,
		setup: func(r *round) {
			r.organization(policy.Organization{})
			r.key("x", addresses["x"], 1, reader)
			r.key("y", addresses["y"], 1, reader)
		},
		calls: []call{apply(expire("x", now)), apply(expire("y", soon))}},
	{Name: "two managers switch each other off", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: []admin.Class{admin.Forbidden},
		calls: []call{apply(disable("y")).as("x", 0), apply(disable("x")).as("y", 0)}},
	{Name: "two managers take each other's role", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: []admin.Class{admin.Forbidden},
		calls: []call{apply(lose("y", owner)).as("x", 0), apply(lose("x", owner)).as("y", 0)}},
	{Name: "a manager is deleted beside several changes", Apart: true, setup: managers(policy.NotRequired, "x", "y"), refusals: refused, findings: lastManager,
		calls: []call{
			apply(deleteKey("x"), set(admin.SetName("Acme"))),
			apply(deleteKey("y")),
		}},
	{Name: "five managers are deleted", Apart: true, refusals: []admin.Class{admin.Refused, admin.Conflict}, findings: lastManager,
		setup: func(r *round) {
			r.organization(policy.Organization{})
			for _, key := range crowd {
				r.key(key, "203.0.113.0/24", 1, owner)
			}
		},
		calls: []call{apply(deleteKey("a")), apply(deleteKey("b")), apply(deleteKey("c")), apply(deleteKey("d")), apply(deleteKey("e"))}},
	{Name: "both entries that cover the actor are removed", setup: one("203.0.113.7 203.0.113.0/24 198.51.100.2"), self: "self", refusals: refused, findings: selfLockout,
		calls: []call{
			apply(remove("self", "203.0.113.7/32")).as("self", 0),
			apply(remove("self", "203.0.113.0/24")).as("self", 0),
		}},
	{Name: "an entry is added where the actor's is removed", setup: one("203.0.113.7"), self: "self", refusals: refused, findings: selfLockout,
		calls: []call{
			apply(on("self", func(id apikey.ID) admin.Change { return admin.AddEntries(id, entriesOf("198.51.100.2")...) })).as("self", 0),
			apply(remove("self", "203.0.113.7/32")).as("self", 0).accepting(admin.Opens),
		}},
	{Name: "the actor requires a list and empties its own", Apart: true, setup: one("203.0.113.7"), self: "self", refusals: refused, findings: selfLockout,
		calls: []call{
			apply(set(admin.SetRequirement(policy.Required))).as("self", 0),
			apply(remove("self", "203.0.113.7/32")).as("self", 0).accepting(admin.Opens),
		}},
	{Name: "the actor drops both roles that let it pass", setup: one("203.0.113.7", deputy), self: "self", refusals: refused, findings: selfLockout,
		calls: []call{
			apply(lose("self", owner)).as("self", 0),
			apply(lose("self", deputy)).as("self", 0),
		}},
	{Name: "each secret ends the other", setup: one("203.0.113.7"), self: "self", refusals: []admin.Class{admin.Forbidden},
		calls: []call{
			apply(end("self", 1)).as("self", 0),
			apply(end("self", 0)).as("self", 1),
		}},
	{Name: "a key makes another while it is switched off", setup: one("203.0.113.7"), ordered: true, refusals: []admin.Class{admin.Forbidden},
		calls: []call{apply(create("new", owner)).as("self", 0), apply(disable("self"))}},
	{Name: "a key makes another while its role is taken", setup: one("203.0.113.7"), ordered: true, refusals: []admin.Class{admin.Forbidden},
		calls: []call{apply(create("new", owner)).as("self", 0), apply(lose("self", owner))}},
	{Name: "a key gets its role back while it is switched off", setup: one("203.0.113.7", deputy), anyOrder: true, refusals: []admin.Class{admin.Forbidden},
		calls: []call{
			apply(on("self", func(id apikey.ID) admin.Change { return admin.AddGrants(id, reader) })).as("self", 0),
			apply(disable("self")),
		}},
	{Name: "an organization is deleted while it gets a key", refusals: []admin.Class{admin.Conflict, admin.NotFound},
		setup: func(r *round) { r.organization(policy.Organization{}) },
		calls: []call{apply(set(admin.DeleteOrganization())), apply(create("new", owner))}},
	{Name: "an organization is created twice", setup: func(*round) {}, refusals: []admin.Class{admin.Conflict},
		calls: []call{
			apply(set(admin.CreateOrganization(policy.Required))),
			apply(set(admin.CreateOrganization(policy.NotRequired))),
		}},
	{Name: "a key is created twice", setup: managers(policy.NotRequired, "x"), refusals: []admin.Class{admin.Conflict},
		calls: []call{apply(create("new", owner)), apply(create("new", owner))}},
	{Name: "a key ID is taken in two organizations", refusals: []admin.Class{admin.Conflict},
		setup: func(r *round) {
			r.organization(policy.Organization{})
			r.organization(policy.Organization{ID: "other"})
		},
		calls: []call{apply(create("new", owner)), apply(create("new", owner)).in("other")}},
	{Name: "a key is deleted while it is changed", setup: managers(policy.NotRequired, "x", "y"), ordered: true, refusals: []admin.Class{admin.NotFound},
		calls: []call{apply(on("x", func(id apikey.ID) admin.Change { return admin.Describe(id, "changed") })), apply(deleteKey("x"))}},
}

var crowd = []apikey.ID{"a", "b", "c", "d", "e"}
