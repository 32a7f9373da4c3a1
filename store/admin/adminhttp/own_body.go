package adminhttp

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store/admin"
)

// readObject reads the body of a request. No body is an object without fields.
func (c *call) readObject() (strictjson.Value, error) {
	data, err := c.readAll("INVALID_BODY")
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return strictjson.Value("{}"), nil
	}
	contentType := c.Header.Get("Content-Type")
	if name, _, err := mime.ParseMediaType(contentType); err != nil || name != json1 {
		return nil, notJSON(contentType)
	}
	value, err := strictjson.Parse(data)
	return value, badBody(err)
}

// badBody is a 400 for an error of package strictjson, with the field that it names.
func badBody(err error) error {
	if err == nil {
		return nil
	}
	text := plain.Cut(err.Error(), 1000)
	e := &apiError{status: http.StatusBadRequest, code: "INVALID_BODY", detail: "The body is refused. " + text + ".", cause: err}
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		name, _ := strconv.Unquote(quoted) // it is one
		e.fields = []fieldError{{name, strings.TrimPrefix(strings.TrimPrefix(text[len(quoted):], ":"), " ")}}
		e.parameters = []string{name}
	}
	return e
}

// fieldProblem is a 400 about a field that was read.
func fieldProblem(name, problem string) error { return badField("INVALID_BODY", name, problem) }

func texts(to *[]string) func(strictjson.Value) error {
	return strictjson.Slice(to, func(v strictjson.Value) (text string, err error) {
		return text, strictjson.Text(&text)(v)
	})
}

// entriesField is the list of entries of a body.
func entriesField(to *[]accesslist.Entry, required bool, parser accesslist.Parser) strictjson.Field {
	return strictjson.Field{Name: "entries", Required: required, Read: strictjson.Slice(to, func(v strictjson.Value) (accesslist.Entry, error) { return readEntry(v, parser) })}
}

// readEntry reads an entry. added and expired are ignored: clients send back whole entries.
func readEntry(v strictjson.Value, parser accesslist.Parser) (accesslist.Entry, error) {
	var address, comment string
	var expires time.Time
	if err := v.Object(
		strictjson.Field{Name: "address", Required: true, Read: strictjson.Text(&address)},
		strictjson.Field{Name: "comment", Read: strictjson.Text(&comment)},
		strictjson.Field{Name: "expires", Read: strictjson.Time(&expires)},
		strictjson.Field{Name: "added", Read: unread}, strictjson.Field{Name: "expired", Read: unread},
	); err != nil {
		return accesslist.Entry{}, err
	}
	entry, err := parser.ParseEntry(address)
	entry.Comment, entry.Expires = comment, expires
	return entry, err
}

func unread(strictjson.Value) error { return nil }

// grantsField is the list of grants of a body.
func grantsField(to *[]apikey.Grant, required bool) strictjson.Field {
	return strictjson.Field{Name: "grants", Required: required, Read: strictjson.Slice(to, func(v strictjson.Value) (g apikey.Grant, err error) {
		return g, v.Object(
			strictjson.Field{Name: "role", Required: true, Read: strictjson.Text(&g.Role)},
			strictjson.Field{Name: "project", Read: strictjson.Text(&g.Project)},
			strictjson.Field{Name: "allProjects", Read: strictjson.Bool(&g.AllProjects)},
		)
	})}
}

// checkGrants refuses roles that are not to be granted, and projects of other organizations
// (rule K5). Grants that the key has already stay possible.
func (h *handler) checkGrants(c *call, grants []apikey.Grant, has []admin.GrantView) error {
	for _, grant := range grants {
		if slices.Contains(has, admin.GrantView(grant)) {
			continue
		}
		known, where := h.OrganizationRoles, "the organization"
		if grant.Project != "" || grant.AllProjects {
			known, where = h.ProjectRoles, "a project"
		}
		if !slices.Contains(known, grant.Role) {
			return fieldProblem("grants", "has "+quote(grant.Role)+", which is no role to grant in "+where+": want one of "+strings.Join(known, ", "))
		}
		if err := h.checkProject(c, "grants", grant.Project); err != nil {
			return err
		}
	}
	return nil
}

// checkProject refuses a project of another organization like an absent one.
func (h *handler) checkProject(c *call, field, id string) error {
	if id == "" {
		return nil
	}
	project, found, err := h.Projects.Project(c.Context(), id)
	switch {
	case err != nil:
		return err
	case !found || project.ID != id || project.Organization != c.organization:
		return fieldProblem(field, "has the project "+quote(id)+", which is not in this organization")
	}
	return nil
}

func labelsField(to *map[string]string) strictjson.Field {
	return strictjson.Field{Name: "labels", Read: strictjson.Map(to, func(name string, v strictjson.Value) (string, string, error) {
		var value string
		return name, value, strictjson.Text(&value)(v)
	})}
}

// seconds64 is the largest number of seconds of a Duration.
const seconds64 = int64(1<<63-1) / int64(time.Second)
