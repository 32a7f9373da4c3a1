package admin

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// MaxChanges is the largest number of changes in one call.
const MaxChanges = 100

// A plan is changes made to copies of the records, and judged.
type plan struct {
	admin        *Admin
	actor        Actor
	organization string
	now          time.Time
	changes      []Change
	call         *keyRequest // of a key; its proof is a new secret, once an earlier step ended the proven one

	before *policy.Organization // nil: absent
	after  *policy.Organization
	keys   []*planned // of the changes, and the actor's own, in order of reading
	steps  []*step

	recorder store.UsageRecorder // nil: usage is not known
	evidence Evidence            // without the revision

	judge    *judge
	findings []Finding
	listed   revisions // of the judged records, other than the organization
	between  []*plan   // the steps, each judged on the records left by those before it; nil: one step
}

// revisions are those of keys, zero for an absent one.
type revisions map[apikey.ID]uint64

// planned is one key of a plan.
type planned struct {
	id        apikey.ID
	before    *apikey.Key // nil: absent
	after     *apikey.Key
	handedOut []string // IDs of its new secrets
	unnamed   bool     // created under a new ID, another one each time
	foreign   bool     // the ID is of another organization's key
}

// A step is the changes of one write: consecutive ones of one record (rule M26).
type step struct {
	changes []Change
	key     *planned // nil: the organization
	secrets []NewSecret

	organization *policy.Organization // after the step
	after        *apikey.Key          // its key after the step
}

// plan reads the records, makes the changes to copies of them and judges the result (rule
// M2). It writes nothing.
func (a *Admin) plan(ctx context.Context, actor Actor, request *keyRequest, organization string, changes []Change) (*plan, error) {
	p := &plan{admin: a, actor: actor, call: request, organization: organization, now: moment(a.clock()), changes: changes}
	if err := actor.may(organization, changes); err != nil {
		return nil, err
	}
	err := p.read(ctx)
	if err == nil {
		err = p.checkActor(ctx)
	}
	if err == nil || ClassOf(err) == Unavailable { // whether a change is well formed needs no record
		err = cmp.Or(check(changes), err)
	}
	if err != nil {
		return nil, err
	}
	p.changes = together(changes)
	for _, change := range p.changes {
		if err := p.make(ctx, change); err != nil {
			return nil, err
		}
	}
	if err := p.checkTurns(); err != nil {
		return nil, err
	}
	p.observation(ctx)
	if err := p.assess(ctx); err != nil {
		return nil, err
	}
	p.findings = p.judge.findings()
	if len(p.steps) > 1 {
		if err := p.judgeSteps(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func check(changes []Change) error {
	if len(changes) == 0 {
		return invalid("There is no change to make.")
	}
	if len(changes) > MaxChanges {
		return invalid("%d changes in one call are too many: %d are possible.", len(changes), MaxChanges)
	}
	for _, change := range changes {
		if err := change.check(); err != nil {
			return err
		}
	}
	return nil
}

// together returns the changes of one call as each of their steps is judged: as an emergency
// only if all of them are one (rule M23).
func together(changes []Change) []Change {
	if !slices.ContainsFunc(changes, func(c Change) bool { return !c.narrows && !c.words }) {
		return changes
	}
	changes = slices.Clone(changes)
	for i := range changes {
		changes[i].narrows = false
	}
	return changes
}

// maxTurns bounds how often one call comes back to the organization: each time all keys are
// judged.
const maxTurns = 10

func (p *plan) checkTurns() error {
	turns := 0
	for _, step := range p.steps {
		if step.key == nil {
			turns++
		}
	}
	if turns > maxTurns {
		return invalid("The organization is changed %d times in turns with its keys: %d are possible. Put its changes next to each other.", turns, maxTurns)
	}
	return nil
}

// read reads the organization.
func (p *plan) read(ctx context.Context) error {
	found, err := p.admin.organization(ctx, p.organization)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return unread(err)
	}
	after := found
	p.before, p.after = &found, &after
	return nil
}

// key returns a key of the plan, read from the store the first time.
func (p *plan) key(ctx context.Context, id apikey.ID) (*planned, error) {
	if i := slices.IndexFunc(p.keys, func(k *planned) bool { return k.id == id }); i >= 0 {
		return p.keys[i], nil
	}
	k := &planned{id: id}
	found, err := p.admin.key(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, unread(err)
	case found.Organization != p.organization:
		k.foreign = true
	default:
		after := found.Clone()
		k.before, k.after = &found, &after
	}
	p.keys = append(p.keys, k)
	return k, nil
}

// checkActor judges a key's request by the present records: the guard may have used older
// ones.
func (p *plan) checkActor(ctx context.Context) error {
	if p.call == nil {
		return nil
	}
	k, err := p.key(ctx, p.call.key)
	if err != nil {
		return err
	}
	d := side{k.before, p.before}.decide(p.call.after(nil, nil), p.now)
	if !d.Allowed() {
		reason := reasons[d.Reason]
		if d.Reason == policy.KeyDisabled {
			reason = "the organization is switched off"
			if k.before.Disabled {
				reason = "the key is switched off"
			}
		}
		return forbidden("The key that asks for the change may not do so any more: %s.", reason)
	}
	return nil
}

// make makes one change to the copies.
func (p *plan) make(ctx context.Context, change Change) error {
	d := draft{now: p.now, issuer: p.admin.issuer, id: p.organization, organization: p.after}
	if !change.ofKey {
		if p.after != nil {
			copied := *p.after
			d.organization = &copied
		}
		if err := change.apply(&d); err != nil {
			return err
		}
		p.after = d.organization
		p.step(change, nil, d.secret)
		return nil
	}
	k := &planned{}
	if change.key != "" {
		var err error
		if k, err = p.key(ctx, change.key); err != nil {
			return err
		}
		if k.foreign && change.creates {
			return taken(change.key)
		}
	}
	if k.after != nil {
		copied := k.after.Clone()
		d.key = &copied
	}
	if err := change.apply(&d); err != nil {
		return err
	}
	k.after = d.key
	if k.id == "" {
		k.id, k.unnamed = d.key.ID, true
		p.keys = append(p.keys, k)
	}
	if !d.secret.IsZero() {
		k.handedOut = append(k.handedOut, d.key.Secrets[len(d.key.Secrets)-1].ID())
	}
	p.step(change, k, d.secret)
	return nil
}

// step adds a change to the last step, if both are of the same record. A deletion and a
// creation are two writes.
func (p *plan) step(change Change, k *planned, secret apikey.Secret) {
	var last *step
	if n := len(p.steps); n > 0 {
		last = p.steps[n-1]
	}
	if last == nil || last.key != k || last.changes[len(last.changes)-1].deletes || change.creates || change.deletes && last.changes[0].creates {
		last = &step{key: k}
		p.steps = append(p.steps, last)
	}
	last.changes, last.organization = append(last.changes, change), p.after
	if k != nil {
		last.after = k.after
	}
	if !secret.IsZero() {
		last.secrets = append(last.secrets, NewSecret{k.id, k.handedOut[len(k.handedOut)-1], secret})
	}
}
