package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
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
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	if err := p.checkActor(ctx); err != nil {
		return nil, err
	}
	if err := check(changes); err != nil {
		return nil, err
	}
	for _, change := range changes {
		if err := p.make(ctx, change); err != nil {
			return nil, err
		}
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

// read reads the organization.
func (p *plan) read(ctx context.Context) error {
	found, err := p.admin.store.Organization(ctx, p.organization)
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
	found, err := p.admin.store.Key(ctx, id)
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
		return forbidden("The key that asks for the change may not do so any more: %s.", reasons[d.Reason])
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

// assess judges the records before and after.
func (p *plan) assess(ctx context.Context) error {
	p.judge = &judge{rules: p.admin.rules, before: p.before, after: p.after,
		narrows:  !slices.ContainsFunc(p.changes, func(c Change) bool { return !c.narrows }),
		listed:   sha256.New(),
		evidence: p.evidence,
	}
	p.listed = revisions{}
	if p.call != nil {
		i := slices.IndexFunc(p.keys, func(k *planned) bool { return k.id == p.call.key })
		own := p.keys[i]
		p.judge.self = &selfRequest{request: p.call, before: own.before, after: own.after, handedOut: own.handedOut}
		p.lists(own)
	}
	for _, step := range p.steps {
		if step.key != nil && !step.key.unnamed {
			p.lists(step.key)
		}
	}
	if p.before != nil {
		p.sees(p.before.Revision)
	}
	var comparisons []*comparison
	for _, k := range p.keys {
		if k.before != nil || k.after != nil {
			c := p.judge.compare(k.before, k.after)
			c.unnamed = k.unnamed
			comparisons = append(comparisons, c)
		}
	}
	if err := p.judgeAll(ctx, comparisons); err != nil {
		return err
	}
	return p.others(ctx)
}

// lists notes the revision of a key of the plan.
func (p *plan) lists(k *planned) {
	p.listed[k.id] = 0
	if k.before != nil {
		p.listed[k.id] = k.before.Revision
	}
}

// sees notes the revision of a record that the plan was judged by.
func (p *plan) sees(revision uint64) {
	p.judge.evidence.Revision = max(p.judge.evidence.Revision, revision)
}

// others judges the other keys of the organization if it changes for them. Otherwise it only
// looks for a manager and a usable key among them, if one was lost.
func (p *plan) others(ctx context.Context) error {
	all, gone := !alike(p.before, p.after), p.before != nil && p.after == nil
	known := make(map[apikey.ID]bool, len(p.keys))
	for _, k := range p.keys {
		known[k.id] = true
		if gone && k.after != nil {
			return conflict("The organization has keys. Delete them first.")
		}
	}
	request := store.PageRequest{Limit: store.MaxPageSize}
	for p.before != nil && (all || p.judge.manages.lost() || p.judge.usable.lost()) {
		page, err := p.admin.store.Keys(ctx, p.organization, request)
		if err != nil {
			return unread(err)
		}
		page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool { return known[key.ID] })
		if gone && len(page.Items) > 0 {
			return conflict("The organization has keys. Delete them first.")
		}
		comparisons := make([]*comparison, 0, len(page.Items))
		for i := range page.Items {
			c := p.judge.compare(&page.Items[i], &page.Items[i])
			if comparisons = append(comparisons, c); !all {
				p.sees(page.Items[i].Revision)
				p.judge.see(c)
			}
		}
		if all {
			if err := p.judgeAll(ctx, comparisons); err != nil {
				return err
			}
		}
		if page.Next == "" {
			break
		}
		request.Cursor = page.Next
	}
	return nil
}

// alike reports whether an organization's keys are judged alike before and after.
func alike(before, after *policy.Organization) bool {
	if before == nil || after == nil {
		return before == after
	}
	return before.Requirement == after.Requirement && before.Disabled == after.Disabled && before.SuspendedUntil.Equal(after.SuspendedUntil)
}

// judgeAll judges keys. Their usage is read only where an answer changes.
func (p *plan) judgeAll(ctx context.Context, comparisons []*comparison) error {
	var changed []apikey.ID
	for _, c := range comparisons {
		p.sees(c.subject().Revision)
		if c.before.key != nil && len(c.lost)+len(c.gained) > 0 {
			changed = append(changed, c.before.key.ID)
			if !c.unnamed {
				p.listed[c.before.key.ID] = c.before.key.Revision
			}
		}
	}
	usage := p.usage(ctx, changed)
	if err := ctx.Err(); err != nil {
		return unread(err)
	}
	for _, c := range comparisons {
		p.judge.key(c, usage[c.subject().ID])
	}
	return nil
}

// observation reads how completely usage is observed. It comes before the usage, which then
// has every call up to Until.
func (p *plan) observation(ctx context.Context) {
	var known store.Observation
	p.evidence = Evidence{Time: p.now, Begin: p.now.Add(-p.admin.rules.window)}
	if recorder, ok := store.As[store.UsageRecorder](p.admin.store); ok {
		var err error
		p.recorder = recorder
		if known, err = recorder.Observation(ctx); err != nil {
			p.unread(ctx, &p.evidence, fmt.Errorf("store/admin: observation of usage: %w", err))
		}
	}
	e := &p.evidence
	coverage := known.Coverage(e.Begin, e.Time)
	e.Since, e.Until, e.Missing, e.Lost = coverage.Since.UTC(), coverage.Until.UTC(), coverage.Missing, coverage.Lost
}

// usage reads the usage of keys.
func (p *plan) usage(ctx context.Context, ids []apikey.ID) map[apikey.ID]store.KeyUsage {
	if p.recorder == nil {
		return nil
	}
	all := make(map[apikey.ID]store.KeyUsage, len(ids))
	for batch := range slices.Chunk(ids, store.MaxUsageKeys) {
		usage, err := p.recorder.Usage(ctx, batch...)
		if err != nil {
			p.unread(ctx, &p.judge.evidence, fmt.Errorf("store/admin: usage: %w", err))
			return all
		}
		maps.Copy(all, usage)
	}
	return all
}

// unread notes usage that cannot be read. It makes classes unknown, and not the change
// impossible (rule M25).
func (p *plan) unread(ctx context.Context, evidence *Evidence, err error) {
	evidence.Unread = true
	p.admin.observe(ctx, Notice{Kind: UsageUnread, Actor: p.actor, Organization: p.organization, Changes: p.changes, Err: err})
}
