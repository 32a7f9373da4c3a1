package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// An edit is one change of a key, as its form has it. It goes from the form to the preview, and
// from there to the write. Every page carries the values of the form, and the revision of the
// key when the form was made: a form sent twice is a conflict.
type edit struct {
	visit    *visit
	work     work
	form     url.Values
	key      apikey.Key // as stored; zero: to be created
	like     apikey.Key // whose values a new key begins with; zero: none
	projects []admin.Project
}

// A made is the change of a form. Before and After are what it is about, in lines.
type made struct {
	change        admin.Change
	before, after []string
}

// A wrongField is an error of a field.
type wrongField struct{ name, text string }

// Error implements error.
func (w *wrongField) Error() string { return w.name + ": " + w.text }

type editBody struct {
	Work   work
	Key    apikey.Key
	Title  string // of the key
	Back   string // link
	Action string // link for the form
	Note   string // why the form was not accepted
	Hidden []hiddenValue
	Fields []field
	Grants []grantChoice

	// Of the preview:
	Lines    []line
	Preview  admin.Preview
	Sentence string
	Evidence string
	Accept   []acceptance
	Reason   field
}

// A hiddenValue is a value carried along by a form.
type hiddenValue struct{ Name, Value string }

// A line is one of a difference.
type line struct {
	Added bool
	Text  string
}

// control are the values of a form that are not of the change itself.
var control = []string{"token", "accept", "reason"}

// edit reads what is to be done from a form or a query.
func (v *visit) edit(form url.Values) (*edit, error) {
	e := &edit{visit: v, form: form, work: works["create"]}
	var err error
	if v.r.PathValue("key") != "" {
		if e.key, err = v.keyOf(); err != nil {
			return nil, err
		}
		do := form.Get("do")
		if do == "" {
			do = "describe"
		}
		known := false
		if e.work, known = works[do]; !known || do == "create" {
			return nil, badChange
		}
	} else if like := form.Get("like"); like != "" {
		if e.like, err = v.keyNamed(apikey.ID(like)); err != nil {
			return nil, err
		}
	}
	if e.work.Grants {
		e.projects, err = v.projects()
	}
	return e, err
}

// showEdit shows the form of a change.
func showEdit(v *visit) (answer, error) {
	e, err := v.edit(v.r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	return e.showForm(0, "", nil), nil
}

// previewEdit shows what a change would do.
func previewEdit(v *visit) (answer, error) {
	e, err := v.edit(v.r.PostForm)
	if err != nil {
		return answer{}, err
	}
	m, err := e.make()
	if err != nil {
		return e.failed(err)
	}
	return e.showPreview(m, 0, "")
}

// applyEdit makes a change. What was not previewed is previewed first, except in an emergency.
func applyEdit(v *visit) (answer, error) {
	e, err := v.edit(v.r.PostForm)
	if err != nil {
		return answer{}, err
	}
	m, err := e.make()
	if err != nil {
		return e.failed(err)
	}
	options := v.terms()
	if options.Token == "" && !e.work.Emergency {
		return e.showPreview(m, 0, "")
	}
	result, err := v.apply(options, m.change)
	switch {
	case err != nil && admin.ClassOf(err) == admin.Changed:
		return e.showPreview(m, http.StatusConflict, "Nothing was changed. Since the preview something behind it has changed. This is the new preview: look at it again.")
	case err != nil && admin.ClassOf(err) == admin.Refused:
		return e.showPreview(m, http.StatusConflict, "Nothing was changed. Something is in the way: accept it below by name and give a reason, or go back.")
	case err != nil && admin.ClassOf(err) == admin.Invalid:
		var failed *admin.Error
		errors.As(err, &failed) // errors of Admin are
		return e.showPreview(m, http.StatusUnprocessableEntity, "Nothing was changed. "+failed.Message)
	case err != nil:
		return e.failed(err)
	case len(result.Secrets) > 0:
		return e.showSecret(result), nil
	case e.work.Do == "delete":
		return v.done(v.inForce(), "keys"), nil
	case e.work.Do == "disable":
		return v.done(v.inForce(), "keys", string(e.key.ID), "offboard"), nil
	}
	return v.done(v.inForce(), "keys", string(e.key.ID)), nil
}

// make returns the change, on the condition that the key is as the form showed it.
func (e *edit) make() (made, error) {
	m, err := e.work.make(e)
	if err != nil || e.work.Do == "create" {
		return m, err
	}
	revision, err := strconv.ParseUint(e.form.Get("revision"), 10, 64)
	if err != nil || revision == 0 {
		return made{}, badChange
	}
	m.change = m.change.At(revision)
	return m, nil
}

// failed returns the page of an error: the form, for a value that is wrong, or a way back to
// the key for a conflict.
func (e *edit) failed(err error) (answer, error) {
	var wrong *wrongField
	var failed *admin.Error
	switch {
	case errors.As(err, &wrong):
		return e.showForm(http.StatusUnprocessableEntity, "", wrong), nil
	case errors.As(err, &failed) && failed.Class == admin.Invalid:
		return e.showForm(http.StatusUnprocessableEntity, failed.Message, nil), nil
	case errors.As(err, &failed) && failed.Class == admin.Conflict:
		return e.showConflict(failed.Message)
	}
	return answer{}, err
}

// body returns what all pages of a change have.
func (e *edit) body() editBody {
	v := e.visit
	b := editBody{Work: e.work, Key: e.key, Back: v.to("keys")}
	if e.key.ID != "" {
		b.Back = v.to("keys", string(e.key.ID))
		b.Title = keyTitle(e.key)
	}
	return b
}

// path returns the segments of the form's targets.
func (e *edit) path(last string) string {
	if e.key.ID == "" {
		return e.visit.to("create", last)
	}
	return e.visit.to("keys", string(e.key.ID), last)
}

// showForm shows the form with its values.
func (e *edit) showForm(status int, note string, wrong *wrongField) answer {
	b := e.body()
	b.Action, b.Note = e.path("preview"), note
	if e.work.Emergency {
		b.Action = e.path("apply")
	}
	if e.key.ID == "" {
		b.Hidden = []hiddenValue{{"id", e.value("id", string(apikey.NewID()))}}
		if e.like.ID != "" {
			b.Hidden = append(b.Hidden, hiddenValue{"like", string(e.like.ID)})
		}
	} else {
		b.Hidden = []hiddenValue{{"do", e.work.Do}, {"revision", e.value("revision", strconv.FormatUint(e.key.Revision, 10))}}
	}
	if e.work.Grants {
		b.Grants = e.grants()
	}
	if e.work.fields != nil {
		b.Fields = e.work.fields(e)
	}
	for i, f := range b.Fields {
		if wrong != nil && wrong.name == f.Name {
			b.Fields[i].Error = wrong.text
		}
	}
	if wrong != nil {
		b.Note = wrong.text
	}
	return answer{Status: status, Page: "edit", Title: e.work.Title, Tab: "keys", Body: b}
}

// showPreview shows what the change would do. With a status it was not made, and the note says
// why.
func (e *edit) showPreview(m made, status int, note string) (answer, error) {
	v := e.visit
	p, err := v.Admin.Preview(v.r.Context(), v.actor(), v.organization.ID, m.change)
	if err != nil {
		return e.failed(err)
	}
	b := e.body()
	b.Action, b.Note, b.Preview, b.Sentence, b.Evidence = e.path("apply"), note, p, effect(p), completeness(p.Evidence)
	b.Lines = difference(m.before, m.after)
	b.Accept = acceptances(p, e.form["accept"])
	for i, a := range b.Accept {
		if advice := advices[a.Kind]; advice != "" {
			b.Accept[i].Advice = advice
		}
	}
	b.Reason = field{Name: "reason", Label: "Reason", Kind: "text", Value: e.form.Get("reason"), Hint: "One line, for the events.", Required: len(b.Accept) > 0}
	for name, values := range e.form {
		if slices.Contains(control, name) {
			continue
		}
		for _, value := range values {
			b.Hidden = append(b.Hidden, hiddenValue{name, value})
		}
	}
	slices.SortStableFunc(b.Hidden, func(a, b hiddenValue) int { return strings.Compare(a.Name, b.Name) })
	b.Hidden = append(b.Hidden, hiddenValue{"token", p.Token})
	return answer{Status: status, Page: "edit_preview", Title: e.work.Title, Tab: "keys", Body: b}, nil
}

// advices are what to do about a finding instead, where one key is changed.
var advices = map[admin.Kind]string{
	admin.BreaksKey: "Better: go back, and keep or add the addresses that its calls come from.",
	admin.Opens:     "Better: go back, and keep at least one address on the list.",
}

// difference returns the lines removed, and then the lines added.
func difference(before, after []string) (lines []line) {
	for _, text := range before {
		if !slices.Contains(after, text) {
			lines = append(lines, line{Text: text})
		}
	}
	for _, text := range after {
		if !slices.Contains(before, text) {
			lines = append(lines, line{Added: true, Text: text})
		}
	}
	return lines
}

type secretBody struct {
	Key     apikey.ID
	Secret  string
	Link    string
	Rotated bool
	Overlap bool // the earlier secret is still live
	Force   string
}

// showSecret answers a POST with its new secret. The page cannot be had again: the form sent
// once more is a conflict.
func (e *edit) showSecret(result admin.Result) answer {
	v := e.visit
	n := result.Secrets[0]
	b := secretBody{Key: n.Key, Secret: n.Secret.Reveal(), Link: v.to("keys", string(n.Key)), Rotated: e.work.Do == "rotate", Force: notices[v.inForce()]}
	b.Overlap = b.Rotated && e.form.Get("overlap") != "0"
	title := "Key created"
	if b.Rotated {
		title = "Key rotated"
	}
	return answer{Page: "edit_secret", Title: title, Tab: "keys", Body: b}
}

type conflictBody struct {
	Text   string
	Exists bool // the key to create exists, in this organization
	Link   string
}

// showConflict says what is in the way, with a link to the key as it is.
func (e *edit) showConflict(text string) (answer, error) {
	v := e.visit
	b := conflictBody{Text: text, Link: e.body().Back}
	if id := apikey.ID(e.form.Get("id")); e.key.ID == "" {
		key, err := v.Store.Key(v.r.Context(), id)
		if b.Exists = err == nil && key.Organization == v.organization.ID; b.Exists {
			b.Link = v.to("keys", string(id))
		}
	}
	return answer{Status: http.StatusConflict, Page: "edit_conflict", Title: "Not done", Tab: "keys", Body: b}, nil
}

// value returns a value of the form, or this one before it was filled in.
func (e *edit) value(name, otherwise string) string {
	if e.form.Has(name) {
		return e.form.Get(name)
	}
	return otherwise
}
