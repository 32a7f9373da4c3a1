package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// maxBody is the size of the largest form, in bytes: an access list with comments fits.
const maxBody = 1 << 20

// stylePath is that of the style sheet, below the mount point.
const stylePath = "/console.css"

// policyOfContent permits the style sheet and forms.
const policyOfContent = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// A console is the handler.
type console struct {
	Config
	sheet, version string
	protection     *http.CrossOriginProtection
	mux            *http.ServeMux
	templates      map[string]*template.Template // by page
}

// build makes a console of these routes.
func build(config Config, routes []route) (*console, error) {
	c := &console{Config: config, protection: http.NewCrossOriginProtection(), mux: http.NewServeMux(), templates: templates()}
	err := config.check()
	for _, origin := range config.TrustedOrigins {
		if refused := c.protection.AddTrustedOrigin(origin); refused != nil {
			err = errors.Join(err, fmt.Errorf("store/admin/console: trusted origin: %w", refused))
		}
	}
	if err != nil {
		return nil, err
	}
	c.sheet, c.version = config.styleSheet()
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Observe == nil {
		c.Observe = func(context.Context, error) {}
	}
	methods := map[string][]route{}
	for _, r := range routes {
		methods[r.Pattern] = append(methods[r.Pattern], r)
	}
	for pattern, there := range methods {
		c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.visit(w, r, there) })
	}
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.visit(w, r, nil) })
	return c, nil
}

// ServeHTTP implements [http.Handler].
func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policyOfContent)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch escaped := r.URL.EscapedPath(); {
	case len(r.Header.Values("Authorization")) > 0:
		c.refuse(w, r, problem{Status: http.StatusForbidden, Title: "Keys cannot use the console", Text: "The request has an Authorization header. The console is for people who sign in; programs have their own API."})
	case escaped == "" && r.RequestURI != "": // the mount point without its slash
		asked, _, _ := strings.Cut(r.RequestURI, "?")
		redirect(w, "./"+path.Base(asked)+"/")
	case escaped == stylePath:
		h.Set("Content-Type", "text/css; charset=utf-8")
		h.Set("Cache-Control", "public, max-age=3600")
		_, _ = io.WriteString(w, c.sheet) // a client that went away is no error of ours
	case !strings.HasPrefix(escaped, "/") || path.Clean(escaped) != escaped: // ServeMux would redirect, without the prefix
		c.visit(w, r, nil)
	default:
		c.mux.ServeHTTP(w, r)
	}
}

// redirect answers with a relative reference: http.Redirect would lose the prefix.
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// visit answers a request at a pattern with these routes. Without a person every path has
// the same answer: nobody learns which pages exist.
func (c *console) visit(w http.ResponseWriter, r *http.Request, routes []route) {
	v := &visit{console: c, r: r, now: c.Clock().UTC()}
	a, err := v.answer(w, routes)
	if err != nil {
		c.show(w, v, v.problem(err).answer())
		return
	}
	c.show(w, v, a)
}

// refuse answers without a person.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, p problem) {
	c.show(w, &visit{console: c, r: r, now: c.Clock().UTC()}, p.answer())
}

// answer checks everything that holds for all routes, in this order: the session, the route
// and its method, the origin, the organization, the right, the form.
func (v *visit) answer(w http.ResponseWriter, routes []route) (answer, error) {
	person, err := v.Person(v.r)
	switch {
	case err != nil:
		v.Observe(v.r.Context(), fmt.Errorf("store/admin/console: person: %w", err))
		return answer{}, signInFirst
	case person.ID == "":
		return answer{}, signInFirst
	}
	v.person = person
	if len(routes) == 0 {
		return answer{}, notFound
	}
	method := v.r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	i := slices.IndexFunc(routes, func(r route) bool { return r.Method == method })
	if i < 0 {
		for _, r := range routes {
			w.Header().Add("Allow", r.Method)
		}
		return answer{}, problem{Status: http.StatusMethodNotAllowed, Title: "This cannot be done here", Text: "The page does not take requests of this method."}
	}
	if err := v.protection.Check(v.r); err != nil {
		v.Observe(v.r.Context(), fmt.Errorf("store/admin/console: %w", err))
		return answer{}, problem{Status: http.StatusForbidden, Title: "Refused", Text: "The form was sent from another site. Open the page here and send it again."}
	}
	if err := v.enter(routes[i].Access); err != nil {
		return answer{}, err
	}
	if method == http.MethodPost {
		if err := v.readForm(w); err != nil {
			return answer{}, err
		}
	}
	return routes[i].serve(v)
}

// enter reads the organization of the path and checks the access to it.
func (v *visit) enter(access admin.Access) error {
	if access == "" {
		return nil
	}
	id := unsegment(v.r.PathValue("organization"))
	if !v.person.Has(id, admin.Read) {
		return notFound
	}
	organization, err := v.Store.Organization(v.r.Context(), id)
	if err != nil {
		return err
	}
	v.organization = &organization
	switch {
	case access == admin.Read:
		return nil
	case v.ReadOnly:
		return problem{Status: http.StatusForbidden, Title: "Read only", Text: "This console makes no changes."}
	case !v.person.Has(id, admin.Manage):
		return problem{Status: http.StatusForbidden, Title: "Not permitted", Text: "You may see this organization, and not change it."}
	}
	return nil
}

// readForm reads the form of a POST into r.PostForm.
func (v *visit) readForm(w http.ResponseWriter) error {
	if kind, _, _ := strings.Cut(v.r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/x-www-form-urlencoded" {
		return problem{Status: http.StatusUnsupportedMediaType, Title: "Not a form", Text: "The page takes its own form and nothing else."}
	}
	v.r.Body = http.MaxBytesReader(w, v.r.Body, maxBody)
	err := v.r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem{Status: http.StatusRequestEntityTooLarge, Title: "Too large", Text: "The form has more than 1 MiB. Send less at once."}
	case err != nil:
		return problem{Status: http.StatusBadRequest, Title: "Not readable", Text: "The form could not be read. Send it again."}
	}
	return nil
}

// A visit is one request, and what is known of it. Its methods are the ground of every page.
type visit struct {
	*console
	r            *http.Request
	now          time.Time
	person       admin.Person
	organization *policy.Organization // of the path; nil: none
}

// mayManage reports whether forms for changes are shown.
func (v *visit) mayManage() bool {
	return !v.ReadOnly && v.organization != nil && v.person.Has(v.organization.ID, admin.Manage)
}
