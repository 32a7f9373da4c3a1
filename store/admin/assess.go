package admin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// assess judges the records before and after.
func (p *plan) assess(ctx context.Context) error {
	p.judge = &judge{rules: p.admin.rules, before: p.before, after: p.after,
		narrows:  p.narrows(),
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

// narrows reports whether the changes only narrow in an emergency (rule M23). Texts beside
// them take nothing from that.
func (p *plan) narrows() bool {
	return !slices.ContainsFunc(p.changes, func(c Change) bool { return !c.narrows && !c.words })
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
		page, err := p.admin.keys(ctx, p.organization, request)
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

// observation reads how completely usage is observed in the window.
func (p *plan) observation(ctx context.Context) {
	p.observationSince(ctx, p.now.Add(-p.admin.rules.window))
}

// observationSince reads how completely usage is observed since a time. It comes before the
// usage, which then has every call up to Until.
func (p *plan) observationSince(ctx context.Context, begin time.Time) {
	var known store.Observation
	p.evidence = Evidence{Time: p.now, Begin: begin}
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

// observed reads the usage of a key since a time, with its evidence.
func (p *plan) observed(ctx context.Context, key apikey.Key, begin time.Time) (store.KeyUsage, Evidence) {
	p.observationSince(ctx, begin)
	p.judge = &judge{evidence: p.evidence}
	p.sees(key.Revision)
	usage := p.usage(ctx, []apikey.ID{key.ID})[key.ID]
	return usage, p.judge.evidence
}

// unread notes usage that cannot be read. It makes classes unknown, and not the change
// impossible (rule M25).
func (p *plan) unread(ctx context.Context, evidence *Evidence, err error) {
	evidence.Unread = true
	p.admin.observe(ctx, Notice{Kind: UsageUnread, Actor: p.actor, Organization: p.organization, Changes: p.changes, Err: err})
}
