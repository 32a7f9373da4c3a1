package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

const (
	maxChange = time.Minute     // the longest time of a change: it may judge 100,000 keys
	maxWait   = 5 * time.Second // and then of the wait for the replicas
)

// A change is one or more changes of an organization or a key, carried by a form from the
// preview to the write. Their texts are made from the values, and never read from the form.
type change struct {
	Key     apikey.ID
	Steps   []admin.Proposal
	Back    url.Values // of the investigation to return to; nil: to the settings
	changes []admin.Change
}

type changeBody struct {
	Texts    []string
	Steps    string // of the form
	Key      apikey.ID
	Back     string // of the form
	Return   string // link
	Sentence string
	Evidence string
	Preview  admin.Preview
	Note     string // why the change was not made; empty: it was not tried
	Accept   []acceptance
	Reason   field
}

// An acceptance is a checkbox for one kind of finding.
type acceptance struct {
	Kind          admin.Kind
	Label, Advice string
	Checked       bool
}

// previewChange shows what a change would do.
func previewChange(v *visit) (answer, error) {
	c, err := v.readChange()
	if err != nil {
		return answer{}, err
	}
	return v.showChange(c, 0, "", "")
}

// applyChange makes a change that was previewed. If the preview no longer holds, or something
// in the way was not accepted, it shows the new preview.
func applyChange(v *visit) (answer, error) {
	c, err := v.readChange()
	if err != nil {
		return answer{}, err
	}
	options := v.terms()
	switch {
	case options.Token == "":
		return v.showChange(c, 0, "", "")
	case options.Reason == "":
		return v.showChange(c, http.StatusUnprocessableEntity, "Nothing was changed. A reason is missing below.", "Say why, in one line. It is kept with the change.")
	}
	result, err := v.apply(options, c.changes...)
	if err == nil {
		return v.changed(c), nil
	}
	made := "Nothing was changed."
	if result.Made > 0 {
		made = fmt.Sprintf("%d of %s was made. The rest is below.", result.Made, count(len(c.changes), "change"))
		c.Steps, c.changes = c.Steps[result.Made:], c.changes[result.Made:]
	}
	var failed *admin.Error
	errors.As(err, &failed) // errors of Admin are
	switch {
	case failed.Class == admin.Changed:
		return v.showChange(c, http.StatusConflict, made+" Since the preview something behind it has changed: the organization, a key or its calls. This is the new preview. Look at it again.", "")
	case failed.Class == admin.Refused:
		return v.showChange(c, http.StatusConflict, made+" Something is in the way. Accept it below by name to go ahead, or cancel.", "")
	case failed.Class == admin.Invalid && result.Made == 0:
		return v.showChange(c, http.StatusUnprocessableEntity, made, failed.Message)
	case result.Made > 0:
		v.Observe(v.r.Context(), fmt.Errorf("store/admin/console: %w", err))
		return answer{}, problem{Status: http.StatusServiceUnavailable, Title: "Partly done", Text: fmt.Sprintf("%d changes were made, and the next one failed. Look at the events for what was changed.", result.Made)}
	}
	return answer{}, err
}

// terms reads how a change is to be made from the form of a preview.
func (v *visit) terms() admin.ApplyOptions {
	form := v.r.PostForm
	options := admin.ApplyOptions{Token: form.Get("token"), Reason: strings.TrimSpace(form.Get("reason"))}
	for _, kind := range form["accept"] {
		options.Accept = append(options.Accept, admin.Kind(kind))
	}
	return options
}

// apply makes changes. A browser that goes away does not stop them half-way.
func (v *visit) apply(options admin.ApplyOptions, changes ...admin.Change) (admin.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.r.Context()), maxChange)
	defer cancel()
	result, err := v.Admin.Apply(ctx, v.actor(), v.organization.ID, options, changes...)
	if result.EventErr != nil {
		v.Observe(ctx, fmt.Errorf("store/admin/console: events: %w", result.EventErr))
	}
	return result, err
}

// actor returns the person, for changes by this console.
func (v *visit) actor() admin.Actor { return v.person.Actor().Via(store.ViaConsole, "") }

// changed returns the redirect after a change, and says whether it is in force everywhere.
func (v *visit) changed(c change) answer {
	if c.Back == nil {
		return v.done(v.inForce(), "settings")
	}
	c.Back.Set("done", v.inForce())
	return answer{Location: v.to("investigate") + "?" + c.Back.Encode()}
}

// inForce waits for the replicas after a change, and returns the notice.
func (v *visit) inForce() string {
	if len(v.Replicas) == 0 {
		return "saved"
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), maxWait)
	defer cancel()
	if err := admin.WaitFor(ctx, v.Replicas...); err != nil {
		v.Observe(v.r.Context(), fmt.Errorf("store/admin/console: replicas: %w", err))
		return "stored"
	}
	return "in-force"
}

// badChange is for a form that is not one of the console's.
var badChange = problem{Status: http.StatusBadRequest, Title: "Not a change", Text: "The form has no change that can be made here. Begin again from the page before."}

// suspensions are the lengths offered, by the value of the form.
var suspensions = map[string]time.Duration{"15m": 15 * time.Minute, "1h": time.Hour, "4h": 4 * time.Hour, "24h": admin.MaxSuspension}

// readChange reads the change of a form: "steps" of an earlier preview or a proposal, or one of
// the settings.
func (v *visit) readChange() (change, error) {
	form := v.r.PostForm
	c := change{Key: apikey.ID(form.Get("key"))}
	if form.Has("back") {
		var err error
		if c.Back, err = url.ParseQuery(form.Get("back")); err != nil {
			return change{}, badChange
		}
	}
	length, timed := suspensions[form.Get("suspend")]
	switch {
	case form.Has("steps"):
		if err := json.Unmarshal([]byte(form.Get("steps")), &c.Steps); err != nil {
			return change{}, badChange
		}
	case form.Has("requirement"):
		step := admin.Proposal{Kind: "set_requirement"}
		if err := step.Requirement.UnmarshalText([]byte(form.Get("requirement"))); err != nil {
			return change{}, badChange
		}
		c.Steps = []admin.Proposal{step}
	case timed:
		c.Steps = []admin.Proposal{{Kind: "suspend_requirement", Until: v.now.Add(length).Truncate(time.Second)}}
	case form.Has("resume"):
		c.Steps = []admin.Proposal{{Kind: "resume_requirement"}}
	}
	if len(c.Steps) == 0 || len(c.Steps) > admin.MaxChanges {
		return change{}, badChange
	}
	for i := range c.Steps {
		made, err := v.step(c.Key, c.Steps[i])
		if err != nil {
			return change{}, err
		}
		c.Steps[i], c.changes = made, append(c.changes, made.Change)
	}
	return c, nil
}

// showChange previews a change. With a status it was not made, and the note says why.
func (v *visit) showChange(c change, status int, note, wrong string) (answer, error) {
	p, err := v.Admin.Preview(v.r.Context(), v.actor(), v.organization.ID, c.changes...)
	if err != nil {
		return answer{}, err
	}
	steps, _ := json.Marshal(c.Steps) // of texts and times that were read from JSON
	form := v.r.PostForm
	body := changeBody{Steps: string(steps), Key: c.Key, Return: v.to("settings"), Sentence: effect(p), Evidence: completeness(p.Evidence), Preview: p, Note: note,
		Reason: field{Name: "reason", Label: "Reason", Kind: "text", Value: form.Get("reason"), Hint: "One line, for the events.", Error: wrong, Required: true}}
	if c.Back != nil {
		body.Back, body.Return = c.Back.Encode(), v.to("investigate")+"?"+c.Back.Encode()
	}
	for _, step := range c.Steps {
		body.Texts = append(body.Texts, step.Text)
	}
	body.Accept = acceptances(p, form["accept"])
	return answer{Status: status, Page: "change", Title: strings.TrimSuffix(c.Steps[0].Text, "."), Tab: "settings", Body: body}, nil
}
