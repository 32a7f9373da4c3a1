package adminhttp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// DefaultMaxKeys is the largest number of keys in an organization without Config.MaxKeys.
const DefaultMaxKeys = 500

// Config configures [New]. Admin and Store are required, and one of Guard and Person: no
// default lets anybody in.
type Config struct {
	Admin *admin.Admin // makes the changes
	Store store.Store  // the Admin's store, for lists, usage and events (see store.As)

	// Guard judges programs, and Roles says which of their keys may call what. Its
	// Config.Deny is not used: the documented API has answers of its own. nil: no program is
	// let in, and the documented API is not served.
	Guard *policyhttp.Guard
	Roles Roles // required with Guard

	// Person returns who is signed in, for our own API. An error, or a Person without an ID,
	// is nobody. nil: no people.
	Person func(*http.Request) (admin.Person, error)

	// OrganizationRoles and ProjectRoles are the roles that may be granted at an
	// organization and in a project. A key keeps any other role that it has. Required with
	// Guard, ProjectRoles only with Projects.
	OrganizationRoles, ProjectRoles []string

	// MemberRole is the role at the organization of a key that is created in a project, such
	// as ORG_MEMBER. Empty: none.
	MemberRole string

	Projects Projects // nil: there are no projects

	// Accept names the findings with which documented calls go ahead, beside those listed in
	// the package documentation. These calls cannot say so themselves. SelfLockout cannot be
	// accepted.
	Accept []admin.Kind

	// OpenEntryEndpoints admits keys without an access list to the documented calls that add
	// and remove entries. By default these calls require a list themselves, as documented,
	// and a key without one cannot give itself the first entry.
	OpenEntryEndpoints bool

	// MaxKeys is the largest number of keys in an organization: DefaultMaxKeys if it is 0.
	// Calls at the same moment may exceed it, and from 1,000 keys on so may several processes
	// within a minute: so often each of them counts the keys.
	MaxKeys int

	// NewID makes the ID of a new key. nil: 24 random hexadecimal digits, the form that
	// clients of the documented API check.
	NewID func() (apikey.ID, error)

	// Replicas are waited for after a change, so that it is in force when it is answered. A
	// failure is logged: the change is stored.
	Replicas []admin.Replica

	// Endpoints are those of the embedding program, for our own API: what may a key do.
	Endpoints []policy.Endpoint

	// BaseURL is the scheme and host of absolute links, such as "https://api.example.com",
	// with the path before /api if the handler is mounted below one. Empty: those of the
	// request. Behind a proxy set it: no X-Forwarded header is read.
	BaseURL string

	// TrustedOrigins are origins from which browsers may send changes, such as
	// "https://console.example.com". Changes from any other origin than the API's own are
	// refused.
	TrustedOrigins []string

	Logger *slog.Logger // of failures; nil: the default one at the time of the call
}

// Roles are the roles of keys by what they may do. None includes another: name a role in
// each list that it is for.
type Roles struct {
	Read          []string // at the organization: see it, its keys, settings, projects and events
	Manage        []string // at the organization: change it, its keys and every access list
	ProjectRead   []string // in a project: see it, its keys and its events
	ProjectManage []string // in a project: create and assign keys with its roles
}

// Projects has the projects of the embedding program. It must be safe for concurrent use.
type Projects interface {
	// Of yields the projects of an organization, always in the same order. It ends after an
	// error.
	Of(ctx context.Context, organization string) iter.Seq2[admin.Project, error]

	// Project returns the project with this ID, with the organization in its own record (rule
	// K7). For an unknown one found is false and err is nil.
	Project(ctx context.Context, id string) (project admin.Project, found bool, err error)
}

// noProjects is Projects without any.
type noProjects struct{}

func (noProjects) Of(context.Context, string) iter.Seq2[admin.Project, error] {
	return func(func(admin.Project, error) bool) {}
}

func (noProjects) Project(context.Context, string) (admin.Project, bool, error) {
	return admin.Project{}, false, nil
}

// New returns the handler. Mount it at the root, or below a path with http.StripPrefix and
// BaseURL. The error joins everything wrong with the configuration.
func New(config Config) (http.Handler, error) {
	if err := errors.Join(config.mistakes()...); err != nil {
		return nil, err
	}
	return newHandler(config), nil
}

func (c *Config) mistakes() (mistakes []error) {
	add := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("adminhttp: Config."+format, args...))
	}
	if c.Admin == nil {
		add("Admin is nil: want one that admin.New returned")
	}
	if c.Store == nil {
		add("Store is nil: want that of Admin")
	}
	if c.Guard == nil && c.Person == nil {
		add("Guard and Person are nil, so nobody could be let in: want one of them")
	}
	type named struct {
		name     string
		roles    []string
		required bool
	}
	guarded, projects := c.Guard != nil, c.Guard != nil && c.Projects != nil
	for _, list := range []named{
		{"Roles.Read", c.Roles.Read, guarded}, {"Roles.Manage", c.Roles.Manage, guarded},
		{"Roles.ProjectRead", c.Roles.ProjectRead, projects}, {"Roles.ProjectManage", c.Roles.ProjectManage, projects},
		{"OrganizationRoles", c.OrganizationRoles, guarded}, {"ProjectRoles", c.ProjectRoles, projects},
	} {
		if list.required && len(list.roles) == 0 {
			add("%s is empty, and an endpoint without roles admits every key: want at least one role", list.name)
		}
		for _, role := range list.roles {
			if err := apikey.ValidateName("role", role); err != nil {
				add("%s: %w", list.name, err)
			}
		}
	}
	if c.MemberRole != "" && apikey.ValidateName("role", c.MemberRole) != nil {
		add("MemberRole %.100q is no role: want the name of one", c.MemberRole)
	}
	if slices.Contains(c.Roles.Manage, c.MemberRole) {
		add("MemberRole %.100q is in Roles.Manage, so whoever manages a project could manage the organization: want another role", c.MemberRole)
	}
	for _, kind := range c.Accept {
		if !slices.Contains(acceptable, kind) {
			add("Accept has %.40q: want some of %q", kind, acceptable)
		}
	}
	if c.MaxKeys < 0 {
		add("MaxKeys is %d: want 0 for the default, or more", c.MaxKeys)
	}
	if base, err := url.Parse(c.BaseURL); c.BaseURL != "" && (err != nil || base.Host == "" || !strings.HasPrefix(base.Scheme, "http") || base.RawQuery != "" || base.Fragment != "") {
		add("BaseURL is %.200q: want a scheme and a host, such as \"https://api.example.com\"", c.BaseURL)
	}
	for i, origin := range c.TrustedOrigins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			add("TrustedOrigins[%d]: %w", i, err)
		}
	}
	return mistakes
}

// acceptable are the findings that a program can accept for its clients. A self-lockout is
// accepted by nobody but a key that ends itself.
var acceptable = []admin.Kind{admin.BreaksKey, admin.LastManager, admin.OrganizationLockout, admin.Opens, admin.OverBroad}

// withDefaults returns the configuration with its defaults, and slices of its own.
func (c Config) withDefaults() Config {
	if c.MaxKeys == 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	if c.NewID == nil {
		c.NewID = newID
	}
	if c.Projects == nil {
		c.Projects = noProjects{}
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	c.OrganizationRoles, c.ProjectRoles = slices.Clone(c.OrganizationRoles), slices.Clone(c.ProjectRoles)
	c.Accept, c.Replicas, c.Endpoints = slices.Clone(c.Accept), slices.Clone(c.Replicas), slices.Clone(c.Endpoints)
	return c
}

// newID returns 24 random hexadecimal digits.
func newID() (apikey.ID, error) {
	var random [12]byte
	_, _ = rand.Read(random[:]) // it never fails
	return apikey.ID(hex.EncodeToString(random[:])), nil
}
