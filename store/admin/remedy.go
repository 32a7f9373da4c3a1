package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Temporary is how long a temporary entry, a renewed entry and a prolonged key of a [Remedy]
// hold.
const Temporary = 24 * time.Hour

// maxRoles bounds the roles proposed for one call.
const maxRoles = 10

// A Remedy is one change after which an investigated call is allowed, or a combination of
// several where no single one suffices.
type Remedy struct {
	Proposals []Proposal    `json:"proposals"`
	After     policy.Reason `json:"after"`   // the answer to the call after the changes
	Preview   Preview       `json:"preview"` // of the changes, for the actor of the investigation; see Call.WithoutPreviews
}

// Changes returns the changes, to Apply with the token of the preview.
func (r Remedy) Changes() []Change {
	var changes []Change
	for _, proposal := range r.Proposals {
		changes = append(changes, proposal.Change)
	}
	return changes
}

// String returns the texts, and the kinds of findings to accept.
func (r Remedy) String() string {
	var texts []string
	for _, proposal := range r.Proposals {
		texts = append(texts, proposal.Text)
	}
	text := strings.Join(texts, " ")
	if needs := r.Preview.Needs(); len(needs) > 0 {
		text += fmt.Sprintf(" In the way: %v.", needs)
	}
	return text
}

// claim is what is known of the proof of an investigated call.
type claim struct {
	secret            string // empty: any live one
	unproven, assumed bool
	handedOut         []string
}

var (
	errUnproven     = errors.New("the secret of the caller did not match")
	errNoLiveSecret = errors.New("no secret of the key is live")
)

// check is for a verifier. Its errors are for the operator.
func (c claim) check(key apikey.Key, now time.Time) error {
	given := func(s apikey.StoredSecret) bool { return slices.Contains(c.handedOut, s.ID()) && isLive(s, now) }
	switch {
	case c.assumed || slices.ContainsFunc(key.Secrets, given):
		return nil
	case c.unproven:
		return errUnproven
	case c.secret == "":
		if anySecret(key, now) != nil {
			return errNoLiveSecret
		}
		return nil
	}
	if (proof{secret: c.secret}).check(key, now) != nil {
		for _, s := range key.Secrets {
			if s.ID() == c.secret {
				return fmt.Errorf("the secret %s of the key has ended: %s", c.secret, shown(s.Expires))
			}
		}
		return fmt.Errorf("the key has no secret %s", c.secret)
	}
	return nil
}

// remedies returns the remedies of a call, and notes its obstacles. A call that is allowed
// again has none.
func (q *inquiry) remedies(ctx context.Context, found *Investigation) ([]Remedy, error) {
	remedies := []Remedy{}
	var proposed []Proposal
	if q.found.key != nil && !found.Again.Allows() {
		proposed = q.proposals()
	}
	var chosen []Remedy
	for _, proposal := range proposed {
		if q.decide(q.after(q.found, proposal.Change), q.retry).Allowed() {
			chosen = append(chosen, Remedy{Proposals: []Proposal{proposal}})
		}
	}
	if together := q.combine(proposed, found); len(chosen) == 0 && together != nil {
		chosen = []Remedy{{Proposals: together}}
	}
	for _, remedy := range chosen {
		after, err := q.remedied(ctx, found.Organization, &remedy)
		if err != nil {
			if class := ClassOf(err); class == Unavailable || class == Forbidden {
				return nil, err
			}
			continue // the records were changed meanwhile
		}
		if remedy.After = q.decide(after, q.retry).Reason; remedy.After.Allows() {
			remedies = append(remedies, remedy)
		}
	}
	return remedies, nil
}

// remedied returns the records after a remedy, and sets its preview.
func (q *inquiry) remedied(ctx context.Context, organization string, remedy *Remedy) (records, error) {
	if q.call.WithoutPreviews {
		after := q.found
		for _, change := range remedy.Changes() {
			after = q.after(after, change)
		}
		return after, nil
	}
	p, err := q.admin.plan(ctx, q.actor, q.actor.request, organization, remedy.Changes())
	if err != nil {
		return records{}, err
	}
	remedy.Preview = p.preview()
	return q.planned(p), nil
}

// after returns the records after a change, and the same ones if it is impossible.
func (q *inquiry) after(r records, change Change) records {
	key, organization := r.key.Clone(), *r.organization
	d := draft{now: q.now, issuer: q.admin.issuer, id: organization.ID, organization: &organization, key: &key}
	if change.check() != nil || change.apply(&d) != nil {
		return r
	}
	r.side = side{d.key, d.organization}
	if !d.secret.IsZero() {
		r.handedOut = []string{d.key.Secrets[len(d.key.Secrets)-1].ID()}
	}
	return r
}

// planned returns the records of the call after a plan.
func (q *inquiry) planned(p *plan) records {
	after := records{side: side{q.found.key, p.after}}
	if i := slices.IndexFunc(p.keys, func(k *planned) bool { return k.id == q.call.Key }); i >= 0 {
		after.key, after.handedOut = p.keys[i].after, p.keys[i].handedOut
	}
	return after
}

// combine notes the obstacles of the call, and returns the shortest combination of proposals
// that removes them, nil if there is none. Behind a missing proof the obstacles are those of a
// caller with one.
func (q *inquiry) combine(proposed []Proposal, found *Investigation) (together []Proposal) {
	present := q.found
	for {
		line := q.decide(present, q.retry).Reason
		if line.Allows() {
			break
		}
		found.Obstacles = append(found.Obstacles, line)
		next, made := q.past(line, present, proposed)
		switch {
		case made != nil:
			together = append(together, made...)
		case line == policy.WrongSecret:
			next.assumed = true
		default:
			return nil
		}
		present = next
	}
	// The key first: two writes at most (rule M26), and nothing is switched on too early.
	slices.SortStableFunc(together, func(a, b Proposal) int {
		switch {
		case a.Change.ofKey == b.Change.ofKey:
			return 0
		case a.Change.ofKey:
			return -1
		}
		return 1
	})
	return together
}

// past returns the records after the first proposal that gets the call past a line. Line 6 has
// two switches: where no single proposal does, it tries two.
func (q *inquiry) past(line policy.Reason, present records, proposed []Proposal) (next records, made []Proposal) {
	for _, proposal := range proposed {
		if next = q.after(present, proposal.Change); q.decide(next, q.retry).Reason > line {
			return next, []Proposal{proposal}
		}
	}
	for i, first := range proposed {
		after := q.after(present, first.Change)
		for _, second := range proposed[i+1:] {
			if next = q.after(after, second.Change); q.decide(next, q.retry).Reason > line {
				return next, []Proposal{first, second}
			}
		}
	}
	return present, nil
}

// proposals returns the changes to try, the narrowest of each sort first. Entries come before
// the requirement: an entry gets a call past lines 9 to 11 at once. Whether a change helps is
// decided by policy.Evaluate alone.
func (q *inquiry) proposals() []Proposal {
	key := q.found.key
	until, suspended := q.retry.Add(Temporary).Truncate(time.Second), q.retry.Add(DefaultSuspension).Truncate(time.Second) // nobody needs a part of one
	all := []Proposal{
		q.propose(Proposal{Kind: "enable_key"}, ""),
		q.propose(Proposal{Kind: "enable_organization"}, ""),
		q.propose(Proposal{Kind: "set_validity", Expires: key.Expires.UTC()}, ""),
		q.propose(Proposal{Kind: "set_validity", NotBefore: key.NotBefore.UTC(), Expires: until}, ""),
	}
	if anySecret(*key, q.retry) != nil { // otherwise a caller has a secret to use
		all = append(all, q.rotation())
	}
	all = slices.Concat(all, q.entries(until), q.grants(), []Proposal{
		q.propose(Proposal{Kind: "suspend_requirement", Until: suspended}, ""),
		q.propose(Proposal{Kind: "set_requirement", Requirement: policy.ReportOnly}, " The requirement of the organization refuses no call then."),
	})
	return slices.DeleteFunc(all, func(p Proposal) bool { return q.actor.request != nil && p.Change.keyless != "" })
}

// propose makes a proposal, with a hint behind its text.
func (q *inquiry) propose(p Proposal, hint string) Proposal {
	p, _ = p.Again(q.call.Key) // with valid values
	p.Text += hint
	return p
}

// rotation proposes a new secret. One that is live until a call to come keeps its end.
func (q *inquiry) rotation() Proposal {
	id, overlap, live := q.call.Key, q.retry.Sub(q.now), 0
	for _, s := range q.found.key.Secrets {
		if isLive(s, q.now) {
			live++
		}
	}
	if live > 1 { // and a key has no third
		return Proposal{Kind: "rotate", Text: "Rotate the key, which ends its two live secrets at once, and give the caller the new secret.", Change: Rotate(id, 0)}
	}
	return Proposal{Kind: "rotate", Text: "Rotate the key, and give the caller the new secret.", Change: Rotate(id, overlap)}
}

// entries proposes the client's address: an entry of its own, temporary or lasting, or the
// most specific one over it renewed.
func (q *inquiry) entries(until time.Time) (all []Proposal) {
	if q.call.PossibleProxy {
		return nil
	}
	client, list := q.call.Client.Unmap(), q.found.key.AccessList
	var over accesslist.Entry // expired, or the list is not in the way
	for entry := range list.All() {
		if entry.Prefix().Contains(client) && entry.Prefix().Bits() >= over.Prefix().Bits() {
			over = entry
		}
	}
	propose := func(kind string, entry accesslist.Entry, hint string) {
		view := viewEntry(entry, q.now)
		all = append(all, q.propose(Proposal{Kind: kind, Entry: &view}, hint))
	}
	first, only := "", ""
	if list.IsEmpty() {
		first = " It is the first entry: no other address is admitted then."
		only = " It is the first entry: no other address is admitted then, and none from its end on."
	}
	entry, err := accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(client, client.BitLen()))
	if err == nil {
		temporary := entry
		temporary.Expires = until
		propose("add_entries", temporary, only)
	}
	if over.Prefix().IsValid() {
		over.Expires = until
		propose("edit_entries", over, "")
	}
	if err == nil {
		propose("add_entries", entry, first)
	}
	return all
}

// grants proposes each role of the endpoint where the call was made, managing roles last. For
// an endpoint without roles it is one that the key has elsewhere.
func (q *inquiry) grants() (all []Proposal) {
	roles, most := slices.Clone(q.call.Endpoint.Roles), maxRoles
	if len(roles) == 0 {
		most = 1
		for _, grant := range q.found.key.Grants {
			roles = append(roles, grant.Role)
		}
	}
	managing := func(role string) int {
		if slices.Contains(q.admin.rules.managing, role) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(roles, func(a, b string) int { return managing(a) - managing(b) })
	for _, role := range roles[:min(len(roles), most)] {
		all = append(all, q.propose(Proposal{Kind: "add_grants", Grant: &GrantView{Role: role, Project: q.call.Resource.Project}}, ""))
	}
	return all
}

// shown returns a time for a sentence.
func shown(t time.Time) string { return t.UTC().Format(time.RFC3339) }
