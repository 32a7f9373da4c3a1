package admin

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A side is the records of a key on one side of a change. Either may be absent.
type side struct {
	key          *apikey.Key
	organization *policy.Organization
}

// decide judges a request by these records (rule M1).
func (s side) decide(request policy.Request, now time.Time) policy.Decision {
	if s.key == nil || s.organization == nil {
		return policy.Evaluate(policy.Subject{}, request, now)
	}
	return policy.Evaluate(policy.NewSubject(s.key, s.organization), request, now)
}

// list returns the key's access list, and whether there is a key.
func (s side) list() (accesslist.List, bool) {
	if s.key == nil {
		return accesslist.List{}, false
	}
	return s.key.AccessList, true
}

// A call is tried before a change and after it.
type call struct {
	address       netip.Addr
	secret        string        // proven; empty: any live one
	grant         *apikey.Grant // nil: an endpoint without roles, at the organization
	before, after policy.Reason
}

func (c call) lost() bool   { return c.before.Allows() && !c.after.Allows() }
func (c call) gained() bool { return !c.before.Allows() && c.after.Allows() }

// A comparison is the effect of a change on the calls of one key. So that no difference is
// missed, it tries a call
//   - from each address where the coverage of one of the lists can begin or end, and from
//     strangers' addresses;
//   - with each secret live before;
//   - with each grant of only one side.
type comparison struct {
	before, after side
	now           time.Time
	unnamed       bool // the key is created under a new ID
	lost, gained  []call
	regions       []netip.Addr // of lost calls that need neither a secret nor a grant of their own, ascending
	everywhere    bool         // lost from every address
	usable        [2]bool
}

// strangers are addresses for documentation (RFC 5737, RFC 3849): no list expects them.
var strangers = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

func compare(before, after side, now time.Time) *comparison {
	c := &comparison{before: before, after: after, now: now}
	was, existed := before.list()
	is, exists := after.list()
	homes := []netip.Addr{home(was, now)}
	first := c.try(homes[0], "", nil)
	c.usable = [2]bool{first.before.Allows(), first.after.Allows()}
	if !exists || was.Equal(is) {
		c.keep(first)
		c.everywhere = first.lost()
	} else {
		for _, address := range edges(was, is) {
			c.keep(c.try(address, "", nil))
		}
		homes = append(homes, home(is, now))
		c.usable[1] = c.try(homes[1], "", nil).after.Allows()
	}
	if existed && exists && before.key != after.key {
		c.secrets(homes[0])
		c.grants(homes)
	}
	return c
}

// home returns an address from which a key with this list can call, if there is one.
func home(list accesslist.List, now time.Time) netip.Addr {
	address := strangers[0]
	for entry := range list.All() {
		address = entry.Prefix().Addr()
		if !entry.ExpiredAt(now) {
			break
		}
	}
	return address
}

// edges returns the first address of each entry, the one after its last, and the strangers:
// between two neighbours neither list changes its mind.
func edges(lists ...accesslist.List) []netip.Addr {
	addresses := slices.Clone(strangers)
	for _, list := range lists {
		for entry := range list.All() {
			addresses = append(addresses, entry.Prefix().Addr())
			if next := lastOf(entry.Prefix()).Next(); next.IsValid() {
				addresses = append(addresses, next)
			}
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// lastOf returns the last address of a masked prefix.
func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// secrets tries each secret that was live and changes.
func (c *comparison) secrets(home netip.Addr) {
	for _, secret := range c.before.key.Secrets {
		if isLive(secret, c.now) && !slices.Contains(c.after.key.Secrets, secret) {
			c.keep(c.try(home, secret.ID(), nil))
		}
	}
}

// grants tries each grant that only one side has.
func (c *comparison) grants(homes []netip.Addr) {
	was, is := c.before.key.Grants, c.after.key.Grants
	for _, grant := range append(without(was, is), without(is, was)...) {
		for _, home := range homes {
			c.keep(c.try(home, "", &grant))
		}
	}
}

// try returns a call with its answers.
func (c *comparison) try(address netip.Addr, secret string, grant *apikey.Grant) call {
	tried := call{address: address, secret: secret, grant: grant}
	request := policy.Request{Client: address, Verifier: anySecret{}}
	if secret != "" {
		request.Verifier = proof{secret: secret}
	}
	for _, side := range []side{c.before, c.after} {
		if side.key != nil {
			request.Key, request.Organization = side.key.ID, side.key.Organization
		}
	}
	if grant != nil {
		request.Endpoint.Roles, request.Project = []string{grant.Role}, grant.Project
		if grant.AllProjects {
			request.Project = anyProject
		}
	}
	tried.before = c.before.decide(request, c.now).Reason
	tried.after = c.after.decide(request, c.now).Reason
	return tried
}

// anyProject is no valid name, so that only a grant for all projects reaches it.
const anyProject = " "

// keep keeps a call if its answer changes.
func (c *comparison) keep(tried call) {
	switch {
	case tried.lost():
		c.lost = append(c.lost, tried)
		if tried.secret == "" && tried.grant == nil {
			c.regions = append(c.regions, tried.address)
		}
	case tried.gained():
		c.gained = append(c.gained, tried)
	}
}

// opens returns a call newly allowed from an unlisted address (rule M14).
func (c *comparison) opens() (call, bool) {
	for _, gained := range c.gained {
		if gained.after == policy.OpenList && gained.grant == nil {
			return gained, true
		}
	}
	return call{}, false
}

// empties reports whether the change removes the last entry, or creates a key without any:
// the store asks for AllowOpen then (rule A10).
func (c *comparison) empties() bool {
	was, existed := c.before.list()
	is, exists := c.after.list()
	return exists && is.IsEmpty() && !(existed && was.IsEmpty())
}

// touches reports whether calls of a use may be among the lost ones.
func (c *comparison) touches(use Use) bool {
	if c.everywhere || c.losesGrant() { // usage does not show the roles
		return true
	}
	if use.prefix.IsValid() {
		// A lost range begins inside the prefix, or before it: then it has the first address.
		i, _ := slices.BinarySearchFunc(c.regions, use.prefix.Addr(), netip.Addr.Compare)
		return i < len(c.regions) && use.prefix.Contains(c.regions[i]) || c.try(use.prefix.Addr(), "", nil).lost()
	}
	was, _ := c.before.list()
	return len(c.regions) > 0 && was.IsEmpty() ||
		slices.ContainsFunc(c.lost, func(lost call) bool { return lost.secret != "" && lost.secret == use.Secret })
}

func (c *comparison) losesGrant() bool {
	return slices.ContainsFunc(c.lost, func(lost call) bool { return lost.grant != nil })
}

// class classifies the key by its uses (rule M15), and returns the call to show. It is empty
// if no answer changes.
func (c *comparison) class(uses []Use, complete bool) (KeyClass, call) {
	if len(c.lost) == 0 {
		if opened, ok := c.opens(); ok {
			return KeyOpens, opened
		}
		if len(c.gained) > 0 {
			return KeyWidens, c.gained[0]
		}
		return "", call{}
	}
	class := KeyUnused
	if !complete {
		class = KeyUnknown
	}
	for _, use := range uses {
		if use.Address.IsValid() {
			if tried := c.try(use.Address, use.Secret, nil); tried.lost() {
				return KeyBreaks, tried
			}
		}
		// Of a single call the address is known, and it is not lost.
		known := use.Count == 1 && use.Address.IsValid() && !c.losesGrant()
		if c.touches(use) && !known {
			class = KeyMayBreak
		}
	}
	return class, c.lost[0]
}
