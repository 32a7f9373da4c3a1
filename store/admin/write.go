package admin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// errAgain is returned if a record was changed meanwhile: read and judge again.
var errAgain = errors.New("store/admin: a record was changed meanwhile")

// settleTime bounds the look for a write of unknown outcome.
const settleTime = 5 * time.Second

// write makes the one step of a plan. It returns errAgain if a record was changed meanwhile.
func (p *plan) write(ctx context.Context, options ApplyOptions) (Result, error) {
	step := p.steps[0]
	result := Result{Made: len(p.changes)}
	events := p.events(options)
	if len(events) == 0 {
		result.add(p, step, 0)
		return result, nil
	}
	write := p.request(options)
	write.Events = events
	revision, err := p.put(ctx, write)
	if err != nil {
		if revision = p.settle(ctx, step, err); revision == 0 {
			return Result{}, outcome(err)
		}
	}
	for i := range events {
		events[i].Revision, events[i].Index = revision, i
	}
	result.Events = events
	result.add(p, step, revision)
	if p.admin.journal == nil {
		if result.EventErr = p.admin.sink(context.WithoutCancel(ctx), events); result.EventErr != nil {
			p.admin.observe(ctx, Notice{Kind: EventsLost, Actor: p.actor, Organization: p.organization, Changes: p.changes, Err: result.EventErr})
		}
	}
	return result, nil
}

// add adds the record of a step as stored, with its revision: zero if it was not written.
func (r *Result) add(p *plan, step *step, revision uint64) {
	if step.key == nil {
		if p.after != nil {
			stored := *p.after
			stored.Revision = max(revision, stored.Revision)
			r.Organizations = append(r.Organizations, viewOrganization(stored, p.now))
		}
		return
	}
	if step.key.after == nil {
		return
	}
	stored := *step.key.after
	stored.Revision = max(revision, stored.Revision)
	r.Keys = append(r.Keys, viewKey(stored, p.now))
	for _, secret := range step.secrets {
		if slices.ContainsFunc(stored.Secrets, func(s apikey.StoredSecret) bool { return s.ID() == secret.ID && isLive(s, p.now) }) {
			r.Secrets = append(r.Secrets, secret)
		}
	}
}

// events returns what the step changes. None: the record stays as it is.
func (p *plan) events(options ApplyOptions) []store.Event {
	list := &eventList{template: p.actor.event(p.now)}
	list.template.Organization, list.template.Reason = p.organization, options.Reason
	for _, kind := range (Preview{Findings: p.findings}).Needs() { // nothing else was in the way
		list.template.Accepted = append(list.template.Accepted, string(kind))
	}
	if k := p.steps[0].key; k != nil {
		list.template.Key = k.id
		list.keyEvents(k.before, k.after)
	} else {
		list.organizationEvents(p.before, p.after)
	}
	return list.events
}

// request returns the write without its events.
func (p *plan) request(options ApplyOptions) store.Write {
	var write store.Write
	k := p.steps[0].key
	switch {
	case k == nil && p.after == nil:
		write.Delete = &store.Condition{Organization: p.organization, Revision: p.before.Revision}
	case k == nil:
		write.PutOrganization = p.after
	case k.after == nil:
		write.Delete = &store.Condition{Organization: p.organization, Key: k.id, Revision: k.before.Revision}
	default:
		write.PutKey = k.after
		if slices.Contains(options.Accept, Opens) { // only then, by rule M14
			write.Options = []store.PutOption{store.AllowOpen}
		}
	}
	write.If = p.conditions(k)
	return write
}

// conditions returns the other records behind rules M3, M12 and M13 (rule M19): the
// organization, the actor's key, and the witnesses of a manager and a usable key. A witness
// of something that could refuse nothing is none: in an emergency its writes cause no
// conflict.
func (p *plan) conditions(written *planned) []store.Condition {
	var conditions []store.Condition
	if written != nil {
		conditions = append(conditions, store.Condition{Organization: p.organization, Revision: p.before.Revision})
	}
	seen := map[apikey.ID]bool{"": true}
	if written != nil {
		seen[written.id] = true
	}
	depends := func(key apikey.ID, revision uint64) {
		if !seen[key] {
			seen[key] = true
			conditions = append(conditions, store.Condition{Organization: p.organization, Key: key, Revision: revision})
		}
	}
	if self := p.judge.self; self != nil {
		depends(self.before.ID, self.before.Revision)
	}
	for _, w := range p.judge.witnesses() {
		depends(w.key, w.revision)
	}
	return conditions
}

// put makes a write, without its conditions and events if the store is no Journal.
func (p *plan) put(ctx context.Context, write store.Write) (uint64, error) {
	s := p.admin.store
	switch {
	case p.admin.journal != nil:
		return p.admin.journal.Write(ctx, write)
	case write.PutOrganization != nil:
		stored, err := s.PutOrganization(ctx, *write.PutOrganization)
		return stored.Revision, err
	case write.PutKey != nil:
		stored, err := s.PutKey(ctx, *write.PutKey, write.Options...)
		return stored.Revision, err
	case write.Delete.Key != "":
		return write.Delete.Revision, s.DeleteKey(ctx, write.Delete.Key, write.Delete.Revision)
	}
	return write.Delete.Revision, s.DeleteOrganization(ctx, write.Delete.Organization, write.Delete.Revision)
}

// outcome returns what a failed write means.
func outcome(err error) error {
	for _, changed := range []error{store.ErrConflict, store.ErrNotFound, store.ErrExists, store.ErrNotEmpty} {
		if errors.Is(err, changed) {
			return errAgain // judging again tells what is in the way
		}
	}
	if errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrOpensKey) {
		return wrap(Invalid, err, "The store does not take the record. Nothing was changed.")
	}
	if errors.Is(err, store.ErrNewer) { // which changes nothing (S32)
		return wrap(Unavailable, err, "A newer version of this program has changed the store, and this one may only read it. Nothing was changed. Make the change with the newer one.")
	}
	if errors.Is(err, store.ErrNotWritten) {
		return wrap(Unavailable, err, "The store could not write. Nothing was changed. Try again.")
	}
	return wrap(Unavailable, err, "It is not known whether the change was made. Look before you try again.")
}

// settle looks for the step's record after a failed write, which may have happened. It
// returns the revision of the record, or zero. The new secret shows that this write stored it:
// without one, another write may have. A record changed since is not that of the Result.
// Absence proves nothing: the write may be on its way.
func (p *plan) settle(ctx context.Context, step *step, failed error) uint64 {
	if len(step.secrets) == 0 || errors.Is(failed, store.ErrNotWritten) || errors.Is(failed, store.ErrNewer) {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	stored, err := p.admin.key(ctx, step.key.id)
	made := *step.key.after
	made.Revision = stored.Revision
	if err != nil || !stored.Equal(made) {
		return 0
	}
	return stored.Revision
}
