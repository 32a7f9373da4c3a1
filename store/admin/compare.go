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

// enabled returns the records with an organization that is switched on.
func (s side) enabled() side {
	if s.organization != nil {
		organization := *s.organization
		organization.Disabled = false
		s.organization = &organization
	}
	return s
}

// list returns the key's access list, and whether there is a key.
func (s side) list() (accesslist.List, bool) {
	if s.key == nil {
		return accesslist.List{}, false
	}
	return s.key.AccessList, true
}

// trialList returns the key's list on trial, if there is a key.
func (s side) trialList() accesslist.List {
	if s.key == nil {
		return accesslist.List{}
	}
	return s.key.TrialList
}

// A call is tried before a change and after it.
type call struct {
	at            time.Time
	address       netip.Addr
	secret        string        // proven; empty: any live one
	grant         *apikey.Grant // nil: an endpoint without roles, at the organization
	before, after policy.Reason
}

func (c call) lost() bool   { return c.before.Allows() && !c.after.Allows() }
func (c call) gained() bool { return !c.before.Allows() && c.after.Allows() }

// A comparison is the effect of a change on the calls of one key. So that no difference is
// missed, it tries a call now, and whenever the clock alone can change an answer,
//   - from each address where the coverage of one of the lists can begin or end, and from
//     strangers' addresses;
//   - with each secret live before;
//   - with each grant of only one side.
type comparison struct {
	before, after side
	now           time.Time
	handover      time.Time    // from then on a new secret stands in for the others
	unnamed       bool         // the key is created under a new ID
	edges         []netip.Addr // of the lists, if they differ
	lost, gained  []call       // the earliest first
	everywhere    bool         // at some time every call is lost
	role          bool         // a role is lost
	was, left     *span        // in which the key is usable, by judge.compare
}

// strangers are addresses for documentation (RFC 5737, RFC 3849): no list expects them.
var strangers = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

func compare(before, after side, now, handover time.Time) *comparison {
	c := &comparison{before: before, after: after, now: now, handover: handover}
	was, existed := before.list()
	is, exists := after.list()
	if exists && !was.Equal(is) {
		c.edges = edges(was, is)
	}
	both := existed && exists && before.key != after.key
	for _, at := range append([]time.Time{now}, c.instants(is)...) {
		homes := []netip.Addr{home(was, at)}
		if c.edges == nil {
			c.keep(c.try(at, homes[0], "", nil))
		} else {
			for _, address := range c.edges {
				c.keep(c.try(at, address, "", nil))
			}
			homes = append(homes, home(is, at))
		}
		if both {
			c.secrets(at, homes[0])
			c.grants(at, homes)
		}
		passed := c.try(at, homes[0], "", nil).before
		passes := c.try(at, homes[len(homes)-1], "", nil).after
		c.everywhere = c.everywhere || passed.Allows() && !passes.Allows()
	}
	if c.edges != nil {
		c.ends(was)
		c.ends(is)
	}
	for _, calls := range [][]call{c.lost, c.gained} {
		slices.SortStableFunc(calls, func(a, b call) int { return a.at.Compare(b.at) })
	}
	return c
}

// instants returns the later times, ascending, of a possible change of the answer to calls
// from everywhere: none if the change is of neither record. A changed list ends with its last
// entry.
func (c *comparison) instants(is accesslist.List) []time.Time {
	if c.before.key == c.after.key && alike(c.before.organization, c.after.organization) {
		return nil
	}
	var times []time.Time
	if c.edges != nil {
		times = append(times, listEnd(is))
	}
	for _, s := range []side{c.before, c.after} {
		if s.organization != nil {
			times = append(times, s.organization.SuspendedUntil)
		}
		if s.key != nil {
			times = append(times, s.key.NotBefore, s.key.Expires)
			for _, secret := range s.key.Secrets {
				times = append(times, secret.Expires)
			}
		}
	}
	return upcoming(c.now, times...)
}

// ends tries, at the end of each entry of a changed list, the addresses under it: only their
// answer can change then.
func (c *comparison) ends(list accesslist.List) {
	for entry := range list.All() {
		if !entry.Expires.After(c.now) {
			continue
		}
		prefix := entry.Prefix()
		first, _ := slices.BinarySearchFunc(c.edges, prefix.Addr(), netip.Addr.Compare)
		for _, address := range c.edges[first:] {
			if !prefix.Contains(address) {
				break
			}
			c.keep(c.try(entry.Expires, address, "", nil))
		}
	}
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

// secrets tries each secret that was live and has ended. The end of an overlap is no loss:
// the new secret stands in for the earlier one (rule M4).
func (c *comparison) secrets(at time.Time, home netip.Addr) {
	if c.succeeded(at) {
		return
	}
	for _, secret := range c.before.key.Secrets {
		if isLive(secret, at) && (proof{secret: secret.ID()}).check(*c.after.key, at) != nil {
			c.keep(c.try(at, home, secret.ID(), nil))
		}
	}
}

// succeeded reports whether a new secret stands in for the others at a later time: there was
// time to hand it over.
func (c *comparison) succeeded(at time.Time) bool {
	return at.After(c.now) && !at.Before(c.handover) && c.before.key != nil && c.after.key != nil && slices.ContainsFunc(c.after.key.Secrets, func(new apikey.StoredSecret) bool {
		return isLive(new, at) && !slices.ContainsFunc(c.before.key.Secrets, func(old apikey.StoredSecret) bool { return old.ID() == new.ID() })
	})
}

// grants tries each grant that only one side has. A role is lost where the call would be
// denied by the change of grants alone.
func (c *comparison) grants(at time.Time, homes []netip.Addr) {
	was, is := c.before.key.Grants, c.after.key.Grants
	alone := *c.before.key
	alone.Grants = is
	for _, grant := range append(without(was, is), without(is, was)...) {
		for _, home := range homes {
			tried := c.try(at, home, "", &grant)
			c.keep(tried)
			denied := !side{&alone, c.before.organization}.decide(c.request(tried), at).Allowed()
			c.role = c.role || tried.before.Allows() && denied
		}
	}
}

// anyCall is a call by whichever secret is live.
func anyCall(key *apikey.Key, address netip.Addr) policy.Request {
	return policy.Request{Key: key.ID, Organization: key.Organization, Client: address, Verifier: verifier(anySecret)}
}

// try returns a call with its answers.
func (c *comparison) try(at time.Time, address netip.Addr, secret string, grant *apikey.Grant) call {
	tried := call{at: at, address: address, secret: secret, grant: grant}
	request := c.request(tried)
	tried.before = c.before.decide(request, at).Reason
	tried.after = c.after.decide(request, at).Reason
	return tried
}

func (c *comparison) request(tried call) policy.Request {
	request := anyCall(c.subject(), tried.address)
	if tried.secret != "" {
		request.Verifier = verifier(proof{secret: tried.secret}.check)
	}
	if grant := tried.grant; grant != nil {
		request.Endpoint, request.Project = &policy.Endpoint{Roles: []string{grant.Role}}, grant.Project
		if grant.AllProjects {
			request.Project = anyProject
		}
	}
	return request
}

// anyProject is no valid name, so that only a grant for all projects reaches it.
const anyProject = " "

// keep keeps a call if its answer changes.
func (c *comparison) keep(tried call) {
	switch {
	case tried.lost():
		c.lost = append(c.lost, tried)
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

// losesUsed reports whether lost calls may be among those of the window, although none of the
// known ones is. Usage shows neither the roles of a call, nor every address of a secret, nor
// the secret behind other proof.
func (c *comparison) losesUsed(seen observed) bool {
	other := seen.otherProof()
	return seen.used() && (!seen.all || !seen.complete || c.everywhere || c.role) ||
		slices.ContainsFunc(c.lost, func(lost call) bool { return lost.secret != "" && (other || seen.usedSecret(lost.secret)) })
}

// class classifies the key by its usage (rule M15), and returns the call to show. It is empty
// if no answer changes.
func (c *comparison) class(seen observed) (KeyClass, call) {
	if len(c.lost) == 0 {
		if opened, ok := c.opens(); ok {
			return KeyOpens, opened
		}
		if len(c.gained) > 0 {
			return KeyWidens, c.gained[0]
		}
		return "", call{}
	}
	var at time.Time
	for _, lost := range c.lost {
		if lost.at.Equal(at) {
			continue
		}
		at = lost.at
		if tried, ok := c.breaks(at, seen); ok {
			return KeyBreaks, tried
		}
	}
	switch {
	case c.losesUsed(seen):
		return KeyMayBreak, c.lost[0]
	case !seen.complete:
		return KeyUnknown, c.lost[0]
	}
	return KeyUnused, c.lost[0]
}

// breaks returns a call of the window that is lost at a time.
func (c *comparison) breaks(at time.Time, seen observed) (call, bool) {
	for _, use := range seen.addresses {
		if tried := c.try(at, use.Address, "", nil); tried.lost() {
			return tried, true
		}
	}
	for _, use := range seen.wouldDeny { // line 1 answers, before and after, if the address is not known
		if tried := c.try(at, use.Address, "", nil); tried.lost() {
			return tried, true
		}
	}
	for _, use := range seen.uses {
		secret := use.Secret
		if c.succeeded(at) {
			secret = ""
		}
		if tried := c.try(at, use.Address, secret, nil); tried.lost() { // none without an address
			return tried, true
		}
	}
	return call{}, false
}
