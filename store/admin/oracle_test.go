package admin_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// The oracle judges a change a second time: slowly, from the text of the rules, and sharing
// nothing with the guard. It asks policy.Evaluate about every address of a small world, at
// every instant of it, for every secret and every grant.

// records are the stored ones at one side of a change.
type records struct {
	organization *policy.Organization
	keys         map[apikey.ID]*apikey.Key
}

// A pastCall is one that a key made.
type pastCall struct {
	at      time.Time
	address netip.Addr // invalid: nobody kept it
	secret  string     // empty: other proof
}

// An asker is the request of a key that asks for a change.
type asker struct {
	key      apikey.ID
	secret   string // the proven one; empty: other proof
	address  netip.Addr
	endpoint policy.Endpoint
	project  string
}

type oracle struct {
	now           time.Time
	notice        time.Duration
	people        bool // manage as well
	observed      bool // all of the window
	before, after records
	calls         map[apikey.ID][]pastCall // of the window
	asker         *asker                   // nil: a person
	narrows       bool                     // the change is one of rule M23
	addresses     []netip.Addr             // all there are
	instants      []time.Time              // all there are, from now on
}

// verified is a proof that holds for some keys.
type verified func(key apikey.Key, at time.Time) bool

func (v verified) Verify(key apikey.Key, at time.Time) (int, error) {
	if v(key, at) {
		return -1, nil
	}
	return -1, apikey.ErrWrongSecret
}

func live(key *apikey.Key, secret string, at time.Time) bool {
	return slices.ContainsFunc(key.Secrets, func(s apikey.StoredSecret) bool { return lasts(s, at) && s.ID() == secret })
}

func lasts(s apikey.StoredSecret, at time.Time) bool {
	return s.Expires.IsZero() || at.Before(s.Expires)
}

// anyLive is the proof of a caller who has each live secret of the key.
var anyLive = verified(func(key apikey.Key, at time.Time) bool {
	return slices.ContainsFunc(key.Secrets, func(s apikey.StoredSecret) bool { return lasts(s, at) })
})

func byOnly(secret string) verified {
	return func(key apikey.Key, at time.Time) bool { return live(&key, secret, at) }
}

// answer is that of a call.
func (r records) answer(key apikey.ID, address netip.Addr, proof policy.Verifier, endpoint policy.Endpoint, project string, at time.Time) policy.Reason {
	request := policy.Request{Key: key, Client: address, Verifier: proof, Endpoint: &endpoint, Organization: "acme", Project: project}
	if r.keys[key] == nil || r.organization == nil {
		return policy.Evaluate(policy.Subject{}, request, at).Reason
	}
	return policy.Evaluate(policy.NewSubject(r.keys[key], r.organization), request, at).Reason
}

// plain is the answer to a call that needs no role.
func (r records) plain(key apikey.ID, address netip.Addr, at time.Time) policy.Reason {
	return r.answer(key, address, anyLive, policy.Endpoint{}, "", at)
}

// handedOut are the secrets of a key that the change makes.
func (o *oracle) handedOut(key apikey.ID) (secrets []string) {
	if after, before := o.after.keys[key], o.before.keys[key]; after != nil && before != nil {
		for _, s := range after.Secrets {
			if !slices.ContainsFunc(before.Secrets, func(b apikey.StoredSecret) bool { return b.ID() == s.ID() }) {
				secrets = append(secrets, s.ID())
			}
		}
	}
	return secrets
}

// asked is the answer to the asker's request if it were made again at a time. With another
// secret, it is made with any.
func (o *oracle) asked(r records, changed, otherSecret bool, at time.Time) policy.Reason {
	a := o.asker
	proof := verified(func(key apikey.Key, at time.Time) bool {
		if changed && slices.ContainsFunc(o.handedOut(a.key), func(s string) bool { return live(&key, s, at) }) {
			return true // rule M4
		}
		if a.secret != "" {
			return live(&key, a.secret, at)
		}
		for _, s := range o.before.keys[a.key].Secrets { // perhaps the proof is of this one
			if changed && live(o.before.keys[a.key], s.ID(), at) && !live(&key, s.ID(), at) {
				return false
			}
		}
		return true
	})
	if otherSecret {
		proof = anyLive
	}
	return r.answer(a.key, a.address, proof, a.endpoint, a.project, at)
}

// self decides rules M3 to M10.
func (o *oracle) self() []found {
	if o.asker == nil {
		return nil
	}
	reason, when := o.asked(o.after, true, false, o.now), o.now
	if reason.Allows() {
		locked := false
		for _, otherSecret := range []bool{false, true} { // rule M7
			ends := o.first(func(at time.Time) bool { return !o.asked(o.before, false, otherSecret, at).Allows() })
			at := o.first(func(at time.Time) bool { return !o.asked(o.after, true, otherSecret, at).Allows() })
			if at < 0 || ends >= 0 && ends <= at {
				continue // not of its making
			}
			if t := o.instants[at]; !locked || t.Before(when) {
				locked, when, reason = true, t, o.asked(o.after, true, otherSecret, t)
			}
		}
		if !locked {
			return nil
		}
	}
	kind, verb := admin.SelfLockout, "forbids"
	switch before, after := o.before.keys[o.asker.key], o.after.keys[o.asker.key]; { // rule M10
	case after == nil, reason == policy.WrongSecret, reason == policy.KeyDisabled && after.Disabled && !before.Disabled:
		verb = "refuses"
	}
	if when.After(o.now.Add(o.notice)) {
		kind, verb = admin.SelfLockoutAt, "reports"
	}
	return []found{{kind, verb, []apikey.ID{o.asker.key}, []string{reason.String()}, when}}
}

// first is the index of the first later instant of which something holds, or -1.
func (o *oracle) first(holds func(time.Time) bool) int {
	return slices.IndexFunc(o.instants, func(at time.Time) bool { return at.After(o.now) && holds(at) })
}

// usable reports whether a key could be used for something, or, with managing, for managing.
// An organization that was switched off may be switched on again.
func (o *oracle) usable(r records, managing bool, at time.Time) bool {
	if o.before.organization.Disabled && r.organization != nil {
		on := *r.organization
		on.Disabled = false
		r.organization = &on
	}
	for id, key := range r.keys {
		manages := slices.Contains(key.Grants, apikey.Grant{Role: "owner"})
		if (!managing || manages) && slices.ContainsFunc(o.addresses, func(a netip.Addr) bool { return r.plain(id, a, at).Allows() }) {
			return true
		}
	}
	return false
}

// loss decides rules M12 and M13.
func (o *oracle) loss(kind admin.Kind, managing, mayRefuse bool) []found {
	for _, at := range o.instants {
		if o.usable(o.before, managing, at) && !o.usable(o.after, managing, at) {
			verb := "reports"
			if mayRefuse && o.near(at) {
				verb = "refuses"
			}
			return []found{{kind, verb, nil, nil, at}}
		}
	}
	return nil
}

// near is within the notice, or at the end of a suspension.
func (o *oracle) near(at time.Time) bool {
	for _, r := range []records{o.before, o.after} {
		if r.organization != nil && r.organization.Requirement == policy.Required && r.organization.SuspendedUntil.Equal(at) {
			return true
		}
	}
	return !at.After(o.now.Add(o.notice))
}

// An effect is the class of a key, and when it begins.
type effect struct {
	class admin.KeyClass
	at    time.Time
	opens string // now, or later
}

// effect decides rules M14 to M16 of one key.
func (o *oracle) effect(id apikey.ID) effect {
	if o.untouched(id) {
		return effect{}
	}
	otherProof := slices.ContainsFunc(o.calls[id], func(c pastCall) bool { // the latest call: that is kept
		return c.secret == "" && !slices.ContainsFunc(o.calls[id], func(d pastCall) bool { return d.secret != "" && !d.at.Before(c.at) })
	})
	var lost, gained, opened, broken, dead, role, secret []time.Time // when
	for _, at := range o.instants {
		passed, passes := false, false
		for _, address := range o.addresses {
			before, after := o.before.plain(id, address, at), o.after.plain(id, address, at)
			passed, passes = passed || before.Allows(), passes || after.Allows()
			switch {
			case before.Allows() && !after.Allows():
				lost = append(lost, at)
			case after.Allows() && !before.Allows():
				gained = append(gained, at)
				if after == policy.OpenList {
					opened = append(opened, at)
				}
			}
			lostRole, gainedRole := o.roles(id, address, at)
			if lostRole {
				lost, role = append(lost, at), append(role, at)
			}
			if gainedRole {
				gained = append(gained, at)
			}
			for _, ended := range o.ended(id, at) {
				if o.loses(id, address, byOnly(ended), at) {
					lost = append(lost, at)
					if slices.ContainsFunc(o.calls[id], func(c pastCall) bool { return otherProof || c.secret == ended }) {
						secret = append(secret, at)
					}
				}
			}
		}
		if passed && !passes {
			dead = append(dead, at)
		}
		if o.breaks(id, at) {
			broken = append(broken, at)
		}
	}
	used := len(o.calls[id]) > 0
	known := !slices.ContainsFunc(o.calls[id], func(c pastCall) bool { return !c.address.IsValid() })
	opens := ""
	switch {
	case o.emptied(id), len(opened) > 0 && opened[0].Equal(o.now):
		opens = "now"
	case len(opened) > 0:
		opens = "later"
	}
	switch {
	case len(lost) == 0 && len(opened) > 0:
		return effect{admin.KeyOpens, opened[0], opens}
	case len(lost) == 0 && len(gained) > 0:
		return effect{admin.KeyWidens, gained[0], opens}
	case len(lost) == 0:
		return effect{opens: opens}
	case len(broken) > 0:
		return effect{admin.KeyBreaks, broken[0], opens}
	case used && (!known || !o.observed || len(dead) > 0 || len(role) > 0), len(secret) > 0:
		return effect{admin.KeyMayBreak, lost[0], opens}
	case !o.observed:
		return effect{admin.KeyUnknown, lost[0], opens}
	}
	return effect{admin.KeyUnused, lost[0], opens}
}

// untouched reports whether neither record was written.
func (o *oracle) untouched(id apikey.ID) bool {
	before, after := o.before, o.after
	return before.keys[id] != nil && after.keys[id] != nil && before.keys[id].Revision == after.keys[id].Revision &&
		before.organization.Revision == after.organization.Revision
}

func (o *oracle) loses(id apikey.ID, address netip.Addr, proof policy.Verifier, at time.Time) bool {
	return o.before.answer(id, address, proof, policy.Endpoint{}, "", at).Allows() && !o.after.answer(id, address, proof, policy.Endpoint{}, "", at).Allows()
}

// succeeded reports whether an overlap has ended: the new secret stands in (rule M4). Somebody
// has to bring it to a key other than the actor's, which takes the notice (rule M11).
func (o *oracle) succeeded(id apikey.ID, at time.Time) bool {
	if (o.asker == nil || id != o.asker.key) && at.Before(o.now.Add(o.notice)) {
		return false
	}
	return at.After(o.now) && slices.ContainsFunc(o.handedOut(id), func(s string) bool { return live(o.after.keys[id], s, at) })
}

// ended are the secrets that the change has ended by a time.
func (o *oracle) ended(id apikey.ID, at time.Time) (secrets []string) {
	before, after := o.before.keys[id], o.after.keys[id]
	if before == nil || after == nil || o.succeeded(id, at) {
		return nil
	}
	for _, s := range before.Secrets {
		if live(before, s.ID(), at) && !live(after, s.ID(), at) {
			secrets = append(secrets, s.ID())
		}
	}
	return secrets
}

// roles reports whether a call that needs a role is lost, or gained, by the grants alone.
func (o *oracle) roles(id apikey.ID, address netip.Addr, at time.Time) (lost, gained bool) {
	before, after := o.before.keys[id], o.after.keys[id]
	if before == nil || after == nil || slices.Equal(before.Grants, after.Grants) {
		return false, false
	}
	for _, role := range []string{"owner", "reader", "writer"} {
		for _, project := range []string{"", "p", "q", "another"} {
			endpoint := policy.Endpoint{Name: "x", Roles: []string{role}}
			allowed := func(r records) bool { return r.answer(id, address, anyLive, endpoint, project, at).Allows() }
			lost = lost || allowed(o.before) && !allowed(o.before.granted(id, after.Grants))
			gained = gained || allowed(o.after) && !allowed(o.after.granted(id, before.Grants))
		}
	}
	return lost, gained
}

// granted returns records in which one key has other grants.
func (r records) granted(id apikey.ID, grants []apikey.Grant) records {
	key := *r.keys[id]
	key.Grants = grants
	return records{r.organization, map[apikey.ID]*apikey.Key{id: &key}}
}

// breaks reports whether a call of the window would be lost at a time.
func (o *oracle) breaks(id apikey.ID, at time.Time) bool {
	last := map[string]pastCall{}
	for _, call := range o.calls[id] {
		if call.address.IsValid() && o.loses(id, call.address, anyLive, at) {
			return true
		}
		if !call.at.Before(last[call.secret].at) {
			last[call.secret] = call
		}
	}
	for secret, call := range last { // all that is kept: from where a secret was used last
		proof := byOnly(secret)
		if o.succeeded(id, at) {
			proof = anyLive
		}
		if call.address.IsValid() && o.loses(id, call.address, proof, at) {
			return true
		}
	}
	return false
}

// emptied reports whether the key has no entries, and had some or did not exist (rule A10).
func (o *oracle) emptied(id apikey.ID) bool {
	before, after := o.before.keys[id], o.after.keys[id]
	return after != nil && after.AccessList.IsEmpty() && (before == nil || !before.AccessList.IsEmpty())
}

// wide are entries that are over-broad for longer than before (rules A8, M14).
func (o *oracle) wide(id apikey.ID) (entries []string) {
	before, after := o.before.keys[id], o.after.keys[id]
	if after == nil {
		return nil
	}
	for entry := range after.AccessList.All() {
		prefix := entry.Prefix()
		if narrow := prefix.Addr().Is4() && prefix.Bits() >= 8 || prefix.Addr().Is6() && prefix.Bits() >= 32; narrow || entry.ExpiredAt(o.now) {
			continue
		}
		stood := false
		if before != nil {
			for old := range before.AccessList.All() {
				lasts := old.Expires.IsZero() || !entry.Expires.IsZero() && !old.Expires.Before(entry.Expires)
				stood = stood || old.Prefix() == prefix && !old.ExpiredAt(o.now) && lasts
			}
		}
		if !stood {
			entries = append(entries, entry.String())
		}
	}
	return entries
}

// judge returns the findings, and the classes of keys.
func (o *oracle) judge() (findings []found, effects map[apikey.ID]string) {
	effects = map[apikey.ID]string{}
	all := maps.Clone(o.before.keys)
	maps.Copy(all, o.after.keys)
	findings = o.self()
	var broken, opened []apikey.ID
	openedNow := false
	var wide []found
	for _, id := range slices.Sorted(maps.Keys(all)) {
		e := o.effect(id)
		if e.class != "" {
			effects[id] = string(e.class) + o.when(e.at)
		}
		told := len(findings) > 0 && findings[0].kind == admin.SelfLockout && o.asker.key == id
		if e.class == admin.KeyBreaks && o.near(e.at) && !told {
			broken = append(broken, id)
		}
		if e.opens != "" {
			opened, openedNow = append(opened, id), openedNow || e.opens == "now"
		}
		if entries := o.wide(id); entries != nil {
			wide = append(wide, found{admin.OverBroad, "refuses", []apikey.ID{id}, entries, o.now})
		}
	}
	findings = append(findings, o.loss(admin.LastManager, true, !o.people)...)
	findings = append(findings, o.loss(admin.OrganizationLockout, false, !o.narrows)...)
	if broken != nil {
		verb := map[bool]string{true: "reports", false: "refuses"}[o.narrows] // rule M23
		findings = append(findings, found{admin.BreaksKey, verb, broken, nil, o.now})
	}
	if opened != nil {
		verb := "refuses"
		if o.narrows && !openedNow { // rule M23
			verb = "reports"
		}
		findings = append(findings, found{admin.Opens, verb, opened, nil, o.now})
	}
	return append(findings, wide...), effects
}

// judgeSteps judges a change and each step of it, as it is made (rule M26).
func judgeSteps(whole *oracle, steps []*oracle) (findings []found, effects map[apikey.ID]string) {
	findings, effects = whole.judge()
	for i, step := range steps {
		more, _ := step.judge()
		last, lockedOut := i == len(steps)-1, false
		for _, f := range more {
			if f.kind == admin.SelfLockout && f.at.Equal(step.now) && !last {
				f.verb, lockedOut = "forbids", true // no further step could be made
			}
			if !slices.ContainsFunc(findings, f.saidBy) {
				findings = append(findings, f)
			}
		}
		if lockedOut {
			break
		}
	}
	return findings, effects
}

// found is a finding.
type found struct {
	kind  admin.Kind
	verb  string // refuses, forbids or reports
	keys  []apikey.ID
	words []string // the reason, or the entries
	at    time.Time
}

// saidBy reports whether another finding says as much, or more.
func (f found) saidBy(other found) bool {
	return other.kind == f.kind && other.verb == f.verb && other.at.Equal(f.at) &&
		!slices.ContainsFunc(f.keys, func(id apikey.ID) bool { return !slices.Contains(other.keys, id) }) &&
		(f.kind != admin.OverBroad || !slices.ContainsFunc(f.words, func(word string) bool { return !slices.Contains(other.words, word) }))
}

// text writes a finding as the corpus does.
func (o *oracle) text(f found) string {
	words := []string{string(f.kind), f.verb}
	for _, id := range f.keys {
		words = append(words, string(id))
	}
	return strings.Join(append(words, f.words...), " ") + o.when(f.at)
}

func (o *oracle) when(at time.Time) string {
	if !at.After(o.now) {
		return ""
	}
	return " " + short(at.Sub(o.now))
}
