package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A Config is what a console needs of the embedding program. Admin, Store and Person are
// required.
type Config struct {
	Admin *admin.Admin
	Store store.Store // the one of Admin

	// Person returns who is signed in. With an error, or a Person without an ID, nobody is.
	Person func(*http.Request) (admin.Person, error)

	// Projects yields the projects of an organization, like Of of adminhttp.Projects. It ends
	// after an error. nil: there are none.
	Projects func(ctx context.Context, organization string) iter.Seq2[admin.Project, error]

	Roles     []string          // that people can grant; valid names
	Endpoints []policy.Endpoint // those of the guard, to show what a key may do

	ReadOnly bool            // refuse every change
	Replicas []admin.Replica // copies to wait for after a change

	// TrustedOrigins are origins such as "https://console.example.com". Their forms are
	// accepted although the Host header differs, as behind a proxy that rewrites it.
	TrustedOrigins []string

	Name string // of the service, for the pages; "API keys" unless set

	// Accent is the colour of links and buttons, as "#rrggbb", AccentDark that of the dark
	// mode. Each needs a contrast of 4.5 to the pages' background. Empty: a blue.
	Accent, AccentDark string

	// SignIn is where people without a session are sent: a path or an https URL. SignOut is
	// the path of a form's POST that ends the session. Empty: no link, no button.
	SignIn, SignOut string

	Clock   func() time.Time                     // nil: time.Now. Should be that of Admin.
	Observe func(ctx context.Context, err error) // receives errors that a page only hints at; nil: nobody
}

// Defaults of the Config.
const (
	defaultName       = "API keys"
	defaultAccent     = "#1f5fbf"
	defaultAccentDark = "#8ab4f8"
)

// Backgrounds of the style sheet, by which accents are judged.
const (
	lightBackground = "#ffffff"
	darkBackground  = "#1a1e25"
)

// New returns a console. Its errors, all of them joined, are a missing Admin, Store or Person,
// and invalid values of the other fields.
func New(config Config) (http.Handler, error) { return build(config, routes()) }

// check returns all errors of a config, joined.
func (c *Config) check() error {
	var errs []error
	need := func(ok bool, format string, arguments ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("store/admin/console: "+format, arguments...))
		}
	}
	need(c.Admin != nil, "no Admin: want the one that makes the changes")
	need(c.Store != nil, "no Store: want the one of Admin")
	need(c.Person != nil, "no Person: want a function that returns who is signed in")
	for _, role := range c.Roles {
		if err := apikey.ValidateName("role", role); err != nil {
			errs = append(errs, fmt.Errorf("store/admin/console: %w", err))
		}
	}
	for i, replica := range c.Replicas {
		need(replica != nil, "replica %d is nil: leave it out", i)
	}
	need(c.Name == "" || plain.Problem(c.Name, 100) == "", "name %s: want at most 100 bytes of visible characters", plain.Quote(c.Name))
	need(fits(c.accent(), lightBackground), "accent %s: want #rrggbb with a contrast of 4.5 to %s", plain.Quote(c.Accent), lightBackground)
	need(fits(c.accentDark(), darkBackground), "dark accent %s: want #rrggbb with a contrast of 4.5 to %s", plain.Quote(c.AccentDark), darkBackground)
	need(c.SignIn == "" || isPath(c.SignIn) || isHTTPS(c.SignIn), "sign-in %s: want a path such as /login, or an https URL", plain.Quote(c.SignIn))
	need(c.SignOut == "" || isPath(c.SignOut), "sign-out %s: want a path such as /logout", plain.Quote(c.SignOut))
	return errors.Join(errs...)
}

func (c *Config) accent() string     { return cmp.Or(c.Accent, defaultAccent) }
func (c *Config) accentDark() string { return cmp.Or(c.AccentDark, defaultAccentDark) }

func isPath(text string) bool {
	return strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") && !strings.Contains(text, `\`)
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != ""
}
