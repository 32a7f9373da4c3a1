package adminhttp

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/admin"
)

// New finds everything wrong at once, and lets nobody in by default.
func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	for want, change := range map[string]func(*Config){
		"Config.Admin is nil":                     func(c *Config) { c.Admin = nil },
		"Config.Store is nil":                     func(c *Config) { c.Store = nil },
		"Guard and Person are nil":                func(c *Config) { c.Guard = nil },
		"Config.Roles.Read is empty":              func(c *Config) { c.Roles.Read = nil },
		"Config.Roles.Manage is empty":            func(c *Config) { c.Roles.Manage = nil },
		"Config.Roles.ProjectRead is empty":       func(c *Config) { c.Roles.ProjectRead = nil },
		"Config.Roles.ProjectManage is empty":     func(c *Config) { c.Roles.ProjectManage = nil },
		"Config.OrganizationRoles is empty":       func(c *Config) { c.OrganizationRoles = nil },
		"Config.ProjectRoles is empty":            func(c *Config) { c.ProjectRoles = nil },
		"Config.OrganizationRoles: apikey":        func(c *Config) { c.OrganizationRoles = []string{"a b\n"} },
		"Config.MemberRole \"\\n\" is no role":    func(c *Config) { c.MemberRole = "\n" },
		"Config.MemberRole \"ORG_OWNER\" is in":   func(c *Config) { c.MemberRole = manages },
		"Config.Accept has \"self_lockout\"":      func(c *Config) { c.Accept = []admin.Kind{admin.SelfLockout} },
		"Config.MaxKeys is -1":                    func(c *Config) { c.MaxKeys = -1 },
		"Config.BaseURL is \"api.example.com\"":   func(c *Config) { c.BaseURL = "api.example.com" },
		"Config.BaseURL is \"ftp://example.com\"": func(c *Config) { c.BaseURL = "ftp://example.com" },
		"Config.BaseURL is \"https://h/?x\"":      func(c *Config) { c.BaseURL = "https://h/?x" },
		"Config.BaseURL is \":\"":                 func(c *Config) { c.BaseURL = ":" },
		"Config.TrustedOrigins[0]: ":              func(c *Config) { c.TrustedOrigins = []string{"example.com/x"} },
	} {
		config := w.config
		change(&config)
		_, err := New(config)
		require.ErrorContains(t, err, want)
		require.Len(t, strings.Split(err.Error(), "\n"), 1, "%v", err)
	}
	_, err := New(Config{})
	require.Len(t, strings.Split(err.Error(), "\n"), 3)

	config := w.config
	config.Projects, config.ProjectRoles, config.Roles.ProjectRead, config.Roles.ProjectManage = nil, nil, nil, nil
	_, err = New(config)
	require.NoError(t, err)
	_, err = New(Config{Admin: w.admin, Store: w.store, Person: func(*http.Request) (admin.Person, error) { return admin.Person{}, nil }})
	require.NoError(t, err)
}
