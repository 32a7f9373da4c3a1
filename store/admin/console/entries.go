package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store/admin"
)

// list reads the entries of the form, in the text form of a list.
func (e *edit) list() (accesslist.List, error) {
	list, err := e.parser().ParseText([]byte(e.form.Get("entries")))
	if err != nil {
		return list, &wrongField{"entries", plain.Cut(strings.ReplaceAll(strings.TrimPrefix(err.Error(), "accesslist: "), "\n", "; "), maxText)}
	}
	return list, nil
}

func newEntryFields(e *edit) []field {
	return []field{{Name: "entries", Label: "Addresses or blocks to add", Kind: "textarea", Value: e.value("entries", ""), Hint: entryHint, Required: true}}
}

func makeAdd(e *edit) (made, error) {
	added, err := e.list()
	before := listLines(e.key.AccessList)
	return made{admin.AddEntries(e.key.ID, slices.Collect(added.All())...), before, append(slices.Clone(before), listLines(added)...)}, err
}

func listFields(e *edit) []field {
	return []field{{Name: "entries", Label: "The whole list", Kind: "textarea", Value: e.value("entries", listText(e.key.AccessList)), Hint: entryHint, Required: true}}
}

func makeReplace(e *edit) (made, error) {
	list, err := e.list()
	return made{admin.ReplaceEntries(e.key.ID, slices.Collect(list.All())...), listLines(e.key.AccessList), listLines(list)}, err
}

func trialFields(e *edit) []field {
	list := e.key.TrialList
	if list.IsEmpty() {
		list = e.key.AccessList
	}
	return []field{{Name: "entries", Label: "The list on trial", Kind: "textarea", Value: e.value("entries", listText(list)), Hint: entryHint, Required: true}}
}

func makeTrial(e *edit) (made, error) {
	list, err := e.list()
	return made{admin.SetTrialList(e.key.ID, slices.Collect(list.All())...), listLines(e.key.TrialList), listLines(list)}, err
}

// entry returns the entry of the list that the form names.
func (e *edit) entry() (accesslist.Entry, error) {
	for entry := range e.key.AccessList.All() {
		if entry.String() == e.form.Get("entry") {
			return entry, nil
		}
	}
	return accesslist.Entry{}, &wrongField{"entry", "The list has no such entry. Choose one of these."}
}

func entryField(e *edit) []field {
	all := choices("")
	for entry := range e.key.AccessList.All() {
		all = append(all, choice{entry.String(), entry.String(), entry.String() == e.form.Get("entry")})
	}
	return []field{{Name: "entry", Label: "Entry", Kind: "select", Choices: all, Required: true}}
}

func entryFields(e *edit) []field {
	entry, _ := e.entry() // without one the fields are empty
	return append(entryField(e),
		field{Name: "comment", Label: "Comment", Kind: "text", Value: e.value("comment", entry.Comment), Hint: "Whose address it is, and why it is here."},
		field{Name: "expires", Label: "Ends", Kind: "text", Value: e.value("expires", formTime(entry.Expires)), Hint: timeHint})
}

func makeEntry(e *edit) (made, error) {
	entry, err := e.entry()
	if err != nil {
		return made{}, err
	}
	before := entryLines(entry)
	entry.Comment = strings.TrimSpace(e.form.Get("comment"))
	entry.Expires, err = e.time("expires")
	return made{admin.EditEntries(e.key.ID, entry), before, entryLines(entry)}, err
}

func makeRemove(e *edit) (made, error) {
	entry, err := e.entry()
	return made{admin.RemoveEntries(e.key.ID, entry.Prefix()), entryLines(entry), nil}, err
}

// entryLines returns entries as the lines of a list's text, without the time of adding: a form
// cannot set it.
func entryLines(entries ...accesslist.Entry) []string {
	if len(entries) == 0 {
		return nil
	}
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Added = time.Time{}
	}
	list, _ := accesslist.New(entries...) // they are those of a list
	text, _ := list.MarshalText()
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func listLines(list accesslist.List) []string { return entryLines(slices.Collect(list.All())...) }

func listText(list accesslist.List) string { return strings.Join(listLines(list), "\n") }

// A grantChoice is a checkbox for one grant.
type grantChoice struct {
	Grant   apikey.Grant
	Value   string
	Where   string
	Checked bool
}

// grants returns what can be granted: each role in the organization, in all projects and in
// each project, and what the key, or the one it is to be like, has already. So a project is
// always one of the organization (rule K5).
func (e *edit) grants() (all []grantChoice) {
	add := func(g apikey.Grant, where string) {
		value := url.Values{"role": {g.Role}, "project": {g.Project}}
		if g.AllProjects {
			value.Set("all", "1")
		}
		c := grantChoice{Grant: g, Value: value.Encode(), Where: where, Checked: slices.Contains(e.key.Grants, g) || slices.Contains(e.like.Grants, g)}
		if e.visit.r.Method == http.MethodPost {
			c.Checked = slices.Contains(e.form["grant"], c.Value)
		}
		if !slices.ContainsFunc(all, func(o grantChoice) bool { return o.Grant == g }) {
			all = append(all, c)
		}
	}
	for _, role := range e.visit.Roles {
		add(apikey.Grant{Role: role}, "the organization")
		add(apikey.Grant{Role: role, AllProjects: true}, "all projects")
		for _, p := range e.projects {
			add(apikey.Grant{Role: role, Project: p.ID}, "project "+projectTitle(p))
		}
	}
	for _, g := range slices.Concat(e.key.Grants, e.like.Grants) {
		add(g, grantPlace(g))
	}
	return all
}

// granted returns the grants that were checked.
func (e *edit) granted() (grants []apikey.Grant, err error) {
	offered := e.grants()
	for _, value := range e.form["grant"] {
		i := slices.IndexFunc(offered, func(c grantChoice) bool { return c.Value == value })
		if i < 0 {
			return nil, &wrongField{"grant", "A role that was chosen cannot be granted here. Choose from these."}
		}
		grants = append(grants, offered[i].Grant)
	}
	return grants, nil
}

func grantPlace(g apikey.Grant) string {
	switch {
	case g.AllProjects:
		return "all projects"
	case g.Project != "":
		return "project " + plain.Cut(g.Project, maxText)
	}
	return "the organization"
}

func grantLines(grants []apikey.Grant) (lines []string) {
	for _, g := range grants {
		lines = append(lines, "role "+g.Role+" in "+grantPlace(g))
	}
	return lines
}
