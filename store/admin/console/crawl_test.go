package console

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A visited page of a crawl.
type visited struct {
	method, target string // below the mount point
	page           string
	root           *node
}

// crawl follows every link from the first page, and sends every form that leads to a page:
// searches, and previews with the values the form has. It returns the pages in order, each once.
func (s *site) crawl(prefix string) (pages []visited) {
	s.Helper()
	c, err := build(s.config, s.routes)
	require.NoError(s, err)
	handler := http.StripPrefix(prefix, c)
	type request struct{ method, target, form string }
	queue, seen := []request{{http.MethodGet, prefix + "/", ""}}, map[request]bool{}
	for len(queue) > 0 {
		next := queue[0]
		if queue = queue[1:]; seen[next] {
			continue
		}
		seen[next] = true
		r := httptest.NewRequestWithContext(s.Context(), next.method, next.target, strings.NewReader(next.form))
		if next.method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		checkAnswer(s, w)
		require.Contains(s, []int{200, 409, 422}, w.Code, "%v: %s", next, w.Body)
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
			continue
		}
		root, err := parse(w.Body.String())
		require.NoError(s, err)
		pages = append(pages, visited{next.method, strings.TrimPrefix(next.target, prefix), w.Body.String(), root})
		base, err := url.Parse(next.target)
		require.NoError(s, err)
		resolve := func(link string) string {
			to, err := base.Parse(link)
			require.NoError(s, err)
			require.True(s, strings.HasPrefix(to.EscapedPath(), prefix+"/") && to.Host == "", "%s has the link %s", next.target, link)
			to.Fragment = ""
			return to.String()
		}
		for _, n := range root.all("a", "link", "form") {
			switch link := n.attrs["href"] + n.attrs["action"]; {
			case strings.HasPrefix(link, "#"): // within the page
			case n.name != "form" && !strings.HasPrefix(link, "/"):
				queue = append(queue, request{http.MethodGet, resolve(link), ""})
			case n.attrs["method"] == "get":
				form := valuesOf(n)
				queue = append(queue, request{http.MethodGet, base.EscapedPath() + "?" + form.Encode(), ""})
			case strings.HasSuffix(link, "/preview"):
				queue = append(queue, request{http.MethodPost, resolve(link), valuesOf(n).Encode()})
			}
		}
	}
	return pages
}

// valuesOf returns what a browser sends of a form as it is, by its first button.
func valuesOf(form *node) url.Values {
	values := url.Values{}
	for _, n := range form.all("input", "select", "textarea") {
		name, value := n.attrs["name"], n.attrs["value"]
		_, checked := n.attrs["checked"]
		switch {
		case n.name == "textarea":
			value = strings.TrimPrefix(n.text.String(), "\n")
		case n.name == "select":
			options := n.all("option")
			i := max(0, slices.IndexFunc(options, func(o *node) bool { _, ok := o.attrs["selected"]; return ok }))
			value = options[i].attrs["value"]
		case (n.attrs["type"] == "checkbox" || n.attrs["type"] == "radio") && !checked:
			continue
		}
		values.Add(name, value)
	}
	if buttons := form.all("button"); len(buttons) > 0 && buttons[0].attrs["name"] != "" {
		values.Set(buttons[0].attrs["name"], buttons[0].attrs["value"])
	}
	return values
}

// busy gives the site of newSite something for every part of every page: this text wherever one
// can be stored, usage, events, a list on trial, two secrets, a key switched off.
func (s *site) busy(text string) *site {
	s.Helper()
	s.config.Roles = []string{"owner", "reader"}
	s.config.Projects = projectsOf(text)
	s.person.Name, s.person.Address = text, addr("198.51.100.9")
	s.config.SignOut = "/logout"
	s.observed(40 * 24 * time.Hour)
	entry, err := accesslist.ParseEntry("198.51.100.0/24")
	require.NoError(s, err)
	entry.Comment = text
	trial, err := accesslist.ParseEntry("203.0.113.0/28")
	require.NoError(s, err)
	trial.Comment = text
	s.key("acme", admin.NewKey{ID: "k2", Description: text, ExternalID: text, Labels: map[string]string{"team": text}, Entries: []accesslist.Entry{entry}, Grants: []apikey.Grant{{Role: "reader", Project: "acme-web"}}})
	s.key("acme", admin.NewKey{ID: "off", Description: text, Disabled: true}, "203.0.113.1")
	s.key("acme", admin.NewKey{ID: "open", Description: text})
	_, err = s.admin.Apply(s.Context(), admin.ByPerson(text, text, addr("192.0.2.77")).Via(store.ViaConsole, text), "acme", admin.ApplyOptions{Reason: text},
		admin.SetName(text), admin.SetRequirement(policy.ReportOnly), admin.SetTrialList("k2", trial), admin.Rotate("k2", time.Hour))
	require.NoError(s, err)
	for _, id := range []apikey.ID{"k1", "k2", "open", "off"} {
		s.use(id, "198.51.100.3", time.Hour)
	}
	return s
}

// projectsOf is a Config.Projects of two organizations.
func projectsOf(name string) func(ctx context.Context, organization string) iter.Seq2[admin.Project, error] {
	return func(ctx context.Context, organization string) iter.Seq2[admin.Project, error] {
		return fixedProjects(nil, admin.Project{ID: organization + "-web", Name: name}, admin.Project{ID: organization + "-data"})(ctx, organization)
	}
}

// fixedProjects is a Config.Projects with these for every organization, and then an error, if it
// is not nil.
func fixedProjects(err error, all ...admin.Project) func(ctx context.Context, organization string) iter.Seq2[admin.Project, error] {
	return func(context.Context, string) iter.Seq2[admin.Project, error] {
		return func(yield func(admin.Project, error) bool) {
			for _, project := range all {
				if !yield(project, nil) {
					return
				}
			}
			if err != nil {
				yield(admin.Project{}, err)
			}
		}
	}
}

// Every page has the structure needed by screen readers and browsers (see problems), is reached by
// a link, and has no link to nowhere.
func TestEveryPageOfACrawl(t *testing.T) {
	for name, change := range map[string]func(*site){
		"report only": func(*site) {},
		"required":    func(s *site) { s.force(admin.SetRequirement(policy.Required)) },
		"suspended": func(s *site) {
			s.force(admin.SetRequirement(policy.Required), admin.SuspendRequirement(day0.Add(time.Hour)))
		},
		"switched off": func(s *site) { s.force(admin.DisableOrganization()) },
		"read only":    func(s *site) { s.config.ReadOnly = true },
		"no usage":     func(s *site) { s.config.Store = bare{s.store.Store} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t).busy("Nightly")
			change(s)
			reached := map[string]bool{}
			for _, p := range s.crawl("/p") {
				for _, r := range routes() {
					if matches(r, p.method, p.target) {
						reached[r.Method+" "+r.Pattern] = true
					}
				}
			}
			for _, r := range routes() {
				if r.Method == http.MethodGet && (r.Access != admin.Manage || !s.config.ReadOnly) || strings.HasSuffix(r.Pattern, "/preview") && !s.config.ReadOnly {
					require.True(t, reached[r.Method+" "+r.Pattern], "no link leads to %s %s", r.Method, r.Pattern)
				}
			}
		})
	}
}

// matches reports whether a target is one of a route.
func matches(r route, method, target string) bool {
	mux := http.NewServeMux()
	mux.HandleFunc(r.Pattern, func(http.ResponseWriter, *http.Request) {})
	_, pattern := mux.Handler(httptest.NewRequest(method, target, nil))
	return pattern == r.Pattern && method == r.Method
}
