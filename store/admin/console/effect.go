package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store/admin"
)

// step makes a proposal of a form again from its values. The project of a grant must be one of
// the organization (rule K5).
func (v *visit) step(key apikey.ID, p admin.Proposal) (admin.Proposal, error) {
	p, err := p.Again(key)
	if err != nil {
		return p, badChange
	}
	if p.Grant != nil && p.Grant.Project != "" {
		projects, err := v.projects()
		if err != nil {
			return p, err
		}
		if !slices.ContainsFunc(projects, func(project admin.Project) bool { return project.ID == p.Grant.Project }) {
			return p, problem{Status: http.StatusUnprocessableEntity, Title: "Not done", Text: "The project is not one of this organization."}
		}
	}
	return p, nil
}

// projects returns those of the organization.
func (v *visit) projects() (all []admin.Project, err error) {
	if v.Projects == nil {
		return nil, nil
	}
	for project, err := range v.Projects(v.r.Context(), v.organization.ID) {
		if err != nil {
			return nil, err
		}
		all = append(all, project)
	}
	return all, nil
}

// projectTitle returns the name of a project, or its ID.
func projectTitle(p admin.Project) string { return plain.Cut(cmp.Or(p.Name, p.ID), maxText) }

// effect is a preview in a sentence.
func effect(p admin.Preview) string {
	t := p.Totals
	var parts []string
	for _, part := range []struct {
		n         int
		one, many string
	}{
		{t.Breaks, "1 breaks", "%d break"}, {t.MayBreak, "1 may break", "%d may break"}, {t.Unused, "1 was not used", "%d were not used"},
		{t.Unknown, "1 is unknown", "%d are unknown"}, {t.Opens, "1 opens to every address", "%d open to every address"}, {t.Widens, "1 can do more", "%d can do more"},
	} {
		switch {
		case part.n == 1:
			parts = append(parts, part.one)
		case part.n > 1:
			parts = append(parts, fmt.Sprintf(part.many, part.n))
		}
	}
	affected := t.Breaks + t.MayBreak + t.Unused + t.Unknown + t.Opens + t.Widens
	if affected == 0 {
		return fmt.Sprintf("No call is answered differently. %s judged.", wasWere(t.Unchanged))
	}
	return fmt.Sprintf("The answer changes for %s: %s. For %d it stays.", count(affected, "key"), strings.Join(parts, ", "), t.Unchanged)
}

func wasWere(n int) string {
	if n == 1 {
		return "1 key was"
	}
	return fmt.Sprintf("%d keys were", n)
}

// completeness says what the classes of a preview rest on.
func completeness(e admin.Evidence) string {
	switch {
	case e.Unread:
		return "Some usage could not be read. A key without known calls is called unknown."
	case e.Until.IsZero():
		return "Usage was never observed. Every key without known calls is called unknown."
	case e.Missing <= admin.MaxMissing && e.Lost == 0 && e.Time.Sub(e.Until) <= admin.MaxLate:
		return "The observation is complete: a key called unused had no call in that time."
	}
	return "The observation is incomplete. A key without known calls is called unknown, and not unused."
}

// acceptances returns a checkbox for each kind of finding in the way. A person can accept all
// of them: only a key locks itself out.
func acceptances(p admin.Preview, accepted []string) (boxes []acceptance) {
	for _, kind := range p.Needs() {
		n := 0
		for _, finding := range p.Findings {
			if finding.Kind == kind && finding.Refuses {
				n += max(finding.Count, len(finding.Entries))
			}
		}
		label, advice := accepting(kind, n)
		boxes = append(boxes, acceptance{Kind: kind, Label: label, Advice: advice, Checked: slices.Contains(accepted, string(kind))})
	}
	return boxes
}

// accepting returns the label of a checkbox, and what to do instead.
func accepting(kind admin.Kind, n int) (label, advice string) {
	switch kind {
	case admin.BreaksKey:
		return "Go ahead: calls of " + count(n, "key") + " will be refused", "Better: give each of these keys an access list first, or report only, and look again."
	case admin.Opens:
		return "Go ahead: " + count(n, "key") + " will be open to every address", "Better: give each of these keys an access list first."
	case admin.OverBroad:
		return "Go ahead: the list gets " + count(n, "very wide block"), "Better: add the addresses that call, and no wider block."
	case admin.LastManager:
		return "Go ahead: no key can manage the organization", "Better: first give another key a managing role and an access list."
	case admin.OrganizationLockout:
		return "Go ahead: no key of the organization can be used", "Better: give at least one key an access list first."
	}
	return "Go ahead although: " + words(string(kind)), "Change something else first, or ask somebody else to make the change."
}
