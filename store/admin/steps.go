package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
)

// judgeSteps judges each step on the records left by those before it, as Apply will. Findings
// that the whole does not have are added (rule M26).
func (p *plan) judgeSteps(ctx context.Context) error {
	organization, request, made := p.before, p.call, 0
	present := make(map[*planned]*apikey.Key, len(p.keys))
	for _, k := range p.keys {
		present[k] = k.before
	}
	for n, s := range p.steps {
		between := &plan{admin: p.admin, actor: p.actor, call: request, organization: p.organization, now: p.now, changes: s.changes,
			before: organization, after: s.organization, recorder: p.recorder, evidence: p.evidence}
		at := &step{changes: s.changes}
		for _, k := range p.keys {
			known := &planned{id: k.id, before: present[k], after: present[k], unnamed: k.unnamed}
			if k == s.key {
				known.after, at.key = s.after, known
				for _, secret := range s.secrets {
					known.handedOut = append(known.handedOut, secret.ID)
				}
			}
			between.keys = append(between.keys, known)
		}
		between.steps = []*step{at}
		if err := between.assess(ctx); err != nil {
			return err
		}
		p.between = append(p.between, between)
		p.judge.evidence.Unread = p.judge.evidence.Unread || between.judge.evidence.Unread
		made += len(s.changes)
		last := n == len(p.steps)-1
		lockedOut := false
		for _, finding := range between.judge.findings() {
			if finding.Kind == SelfLockout && finding.At.IsZero() && !last {
				lockedOut, finding.Acceptable = true, false
				finding.Text += " No later change could be made."
			}
			if !covered(p.findings, finding, nil) {
				finding.Text = fmt.Sprintf("After %d of %d changes: %s", made, len(p.changes), finding.Text)
				p.findings = append(p.findings, finding)
			}
		}
		if lockedOut {
			return nil
		}
		organization = s.organization
		if s.key != nil {
			present[s.key] = s.after
			request = request.following(s)
		}
	}
	return nil
}

// following returns the request as proven after a step of its own key: by the new secret if
// the step ended the proven one (rule M4).
func (r *keyRequest) following(s *step) *keyRequest {
	if r == nil || s.key.id != r.key || r.secret == "" || len(s.secrets) == 0 || s.after == nil {
		return r
	}
	next := *r
	next.secret = s.secrets[len(s.secrets)-1].ID
	return &next
}

// covered reports whether findings say of every key what another one does. created are keys
// that the findings have as new ones.
func covered(findings []Finding, f Finding, created map[apikey.ID]bool) bool {
	return slices.ContainsFunc(findings, func(known Finding) bool {
		if known.Kind != f.Kind || known.Refuses != f.Refuses || known.Acceptable != f.Acceptable || !known.At.Equal(f.At) || known.Count < f.Count || !containsAll(known.Entries, f.Entries) {
			return false
		}
		keys := make(map[apikey.ID]bool, len(known.Keys))
		for _, id := range known.Keys {
			keys[id] = true
		}
		return !slices.ContainsFunc(f.Keys, func(id apikey.ID) bool {
			if created[id] {
				id = ""
			}
			return !keys[id]
		})
	})
}

func containsAll(known, texts []string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !slices.Contains(known, text) })
}

// A sequence is the steps of a plan being made one after the other: others may change the
// records meanwhile.
type sequence struct {
	plan         *plan
	options      ApplyOptions
	organization uint64             // its revision as previewed, or as written since
	written      revisions          // of the keys written
	created      map[apikey.ID]bool // under new IDs
	request      *keyRequest
}

// applySteps makes the steps of a plan in order, each judged again just before.
func (a *Admin) applySteps(ctx context.Context, p *plan, options ApplyOptions, preview Preview) (Result, error) {
	all := Result{Preview: preview}
	s := &sequence{plan: p, options: options, written: revisions{}, created: map[apikey.ID]bool{}, request: p.call}
	if p.before != nil {
		s.organization = p.before.Revision
	}
	for n, step := range p.steps {
		changes := s.changes(step)
		again := func() (*plan, error) { return a.plan(ctx, p.actor, s.request, p.organization, changes) }
		made, one, err := a.try(ctx, again, options, func(now *plan, _ bool) error { return s.check(p.between[n], now) })
		if err != nil {
			return all, partly(err, all.Made, len(p.changes))
		}
		s.note(made.steps[0], one)
		all.Made += one.Made
		all.Organizations = append(all.Organizations, one.Organizations...)
		all.Keys = append(all.Keys, one.Keys...)
		all.Secrets = append(slices.DeleteFunc(all.Secrets, made.ended), one.Secrets...)
		all.Events = append(all.Events, one.Events...)
		all.EventErr = errors.Join(all.EventErr, one.EventErr)
	}
	return all, nil
}

// ended reports whether the one step of a plan ended a secret of an earlier step.
func (p *plan) ended(secret NewSecret) bool {
	k := p.steps[0].key
	return k != nil && k.id == secret.Key && (k.after == nil || !slices.ContainsFunc(k.after.Secrets, func(s apikey.StoredSecret) bool {
		return s.ID() == secret.ID && isLive(s, p.now)
	}))
}

// changes returns those of a step. Their conditions were on the record before the whole.
func (s *sequence) changes(step *step) []Change {
	changes := slices.Clone(step.changes)
	for i, change := range changes {
		switch {
		case change.revision == 0:
		case step.key == nil:
			changes[i] = change.At(s.organization)
		case s.written[step.key.id] != 0:
			changes[i] = change.At(s.written[step.key.id])
		}
	}
	return changes
}

// check returns why a step may not be made: its records or its findings are not those of the
// preview.
func (s *sequence) check(shown, now *plan) error {
	preview := now.preview()
	refusing := s.options.refuses(now.findings)
	other := slices.ContainsFunc(now.findings, func(f Finding) bool { return f.Refuses && !covered(s.plan.findings, f, s.created) })
	switch {
	case s.options.Token != "" && !s.holds(shown, now):
		return changed(preview)
	case len(refusing) > 0:
		return refused(refusing, preview)
	case other && s.options.Token != "":
		return changed(preview)
	case other:
		return otherwise(preview)
	}
	return nil
}

// holds reports whether the records behind a step are at the revisions previewed, or written
// since by an earlier step.
func (s *sequence) holds(shown, now *plan) bool {
	if now.before != nil && now.before.Revision != s.organization || now.before == nil && s.organization != 0 {
		return false
	}
	want, got := maps.Clone(shown.listed), maps.Clone(now.listed)
	for id, revision := range s.written {
		if found, ok := got[id]; ok && found != revision {
			return false
		}
		delete(want, id)
		delete(got, id)
	}
	return maps.Equal(want, got)
}

// note notes what a step wrote.
func (s *sequence) note(made *step, result Result) {
	for _, view := range result.Organizations {
		s.organization = view.Revision
	}
	switch {
	case made.key == nil && len(result.Organizations) == 0:
		s.organization = 0
	case made.key != nil:
		s.written[made.key.id] = 0
		for _, view := range result.Keys {
			s.written[view.ID] = view.Revision
			s.created[view.ID] = made.key.unnamed
		}
		s.request = s.request.following(made)
	}
}
