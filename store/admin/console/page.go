package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// An answer is a page, or a redirect.
type answer struct {
	Status   int    // 0: 200
	Page     string // name of the template
	Title    string
	Tab      string // of the navigation
	Body     any    // .Body of the template
	Location string // redirect to this link instead; see [visit.link]
}

// A page is the data of the layout. In a page's template "$" is the page, and so is .Page in
// a partial that got its value by "in". Its methods are for the templates.
type page struct {
	*visit
	answer
}

// Files of the pages. Every template in files "_*.html" is a partial and known to each page:
//
//   - "when": a time in UTC, with how long ago. {{template "when" (in $ .Created)}}
//   - "field": a form's field with label, hint and error, from a [field]
//   - "preview": the table of an admin.Preview with its classes and totals
//   - "terms": what a preview needs to be accepted, and the reason, in its form
//   - "status": the status of a key as a word with a mark
//   - "denials": the rows of a table of refusals by reason
//   - "grants", "permissions": what a key may do, from its grants and an admin.Permissions
//   - "pages": the links to the first and the next page, from a [turn]
//
//go:embed templates/*.html
var files embed.FS

// templates returns the templates by page. The files are part of the program, so an error is
// one of the program.
var templates = sync.OnceValue(func() map[string]*template.Template {
	functions := template.FuncMap{"in": func(p *page, value any) partial { return partial{p, value} }, "cut": func(text string) string { return plain.Cut(text, maxText) }}
	shared := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/_*.html"))
	names, _ := fs.Glob(files, "templates/[a-z]*.html")
	pages := map[string]*template.Template{}
	for _, name := range names {
		pages[strings.TrimSuffix(path.Base(name), ".html")] = template.Must(template.Must(shared.Clone()).ParseFS(files, name))
	}
	return pages
})

// A partial is the data of a partial: the page and a value.
type partial struct {
	Page  *page
	Value any
}

// maxText is the number of bytes shown of a foreign text.
const maxText = 300

// show writes an answer.
func (c *console) show(w http.ResponseWriter, v *visit, a answer) {
	if a.Location != "" {
		redirect(w, a.Location)
		return
	}
	var b bytes.Buffer
	if err := c.templates[a.Page].ExecuteTemplate(&b, "layout", &page{v, a}); err != nil {
		c.Observe(v.r.Context(), fmt.Errorf("store/admin/console: page %s: %w", a.Page, err))
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = b.WriteTo(w) // a client that went away is no error of ours
}

// link returns a relative link to a path below the mount point, from its segments, which may
// be any text. Without segments it is the first page.
func (v *visit) link(segments ...string) string {
	up := strings.Count(v.r.URL.EscapedPath(), "/") - 1
	link := "./" + strings.Repeat("../", max(up, 0))
	for i, s := range segments {
		segments[i] = url.PathEscape(segment(s))
	}
	return link + strings.Join(segments, "/")
}

// segment returns a text that is safe as a segment of a path: clients resolve "." and "..",
// escaped or not. unsegment returns the text.
func segment(text string) string {
	if strings.HasPrefix(text, "~") || strings.Trim(text, ".") == "" {
		return "~" + text
	}
	return text
}

func unsegment(text string) string { return strings.TrimPrefix(text, "~") }

// segments returns those of the request's own path.
func (v *visit) segments() []string {
	var segments []string
	for escaped := range strings.SplitSeq(strings.Trim(v.r.URL.EscapedPath(), "/"), "/") {
		if text, err := url.PathUnescape(escaped); err == nil && text != "" {
			segments = append(segments, unsegment(text))
		}
	}
	return segments
}

// to returns a link into the organization of the path.
func (v *visit) to(segments ...string) string {
	return v.link(append([]string{"o", v.organization.ID}, segments...)...)
}

// done returns a redirect to a page of the organization that shows a notice.
func (v *visit) done(notice string, segments ...string) answer {
	return answer{Location: v.to(segments...) + "?" + url.Values{"done": {notice}}.Encode()}
}

// Methods for the templates.

// To returns a link into the organization.
func (p *page) To(segments ...string) string { return p.to(segments...) }

// Home returns the link to the picker.
func (p *page) Home() string { return p.link() }

// Open returns the link to an organization.
func (p *page) Open(organization string) string { return p.link("o", organization) }

// Brand returns the name of the service.
func (p *page) Brand() string { return p.Config.Name }

// Style returns the link to the style sheet.
func (p *page) Style() string { return p.link(stylePath[1:]) + "?v=" + p.version }

// Who returns the name of the person, or the ID.
func (p *page) Who() string {
	if p.person.Name != "" {
		return plain.Cut(p.person.Name, 60)
	}
	return plain.Cut(p.person.ID, 60)
}

// Organization returns the organization of the page, or nil.
func (p *page) Organization() *policy.Organization { return p.organization }

// Tabs returns the navigation.
func (p *page) Tabs() []tab { return tabs }

// Notice returns the sentence after a redirect.
func (p *page) Notice() string { return notices[p.r.URL.Query().Get("done")] }

// MayManage reports whether forms for changes are shown.
func (p *page) MayManage() bool { return p.mayManage() }

// Now returns the time of the request.
func (p *page) Now() time.Time { return p.now }

// nameOf returns the name of an organization, or its ID.
func nameOf(o policy.Organization) string {
	if o.Name != "" {
		return plain.Cut(o.Name, maxText)
	}
	return plain.Cut(o.ID, maxText)
}

// OrganizationName returns the name of the page's organization.
func (p *page) OrganizationName() string { return nameOf(*p.organization) }
