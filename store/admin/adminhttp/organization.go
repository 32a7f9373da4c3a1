package adminhttp

import (
	"strings"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/admin"
)

// An organizationBody is an organization in the documented form.
type organizationBody struct {
	ID                string `json:"id"`
	Deleted           bool   `json:"isDeleted"`
	Links             []link `json:"links"`
	Name              string `json:"name"`
	SkipDefaultAlerts bool   `json:"skipDefaultAlertsSettings"`
}

func (c *call) organizationBody(o admin.OrganizationView) organizationBody {
	body := organizationBody{ID: o.ID, Name: o.Name, Links: []link{
		{c.href("orgs", o.ID), "self"},
		{c.href("orgs", o.ID, "groups"), "https://cloud.mongodb.com/groups"},
	}}
	if body.Name == "" {
		body.Name = o.ID
	}
	return body
}

func (h *handler) organization(c *call) (any, error) {
	found, err := h.Admin.Organization(c.Context(), c.organization)
	if err != nil {
		return nil, err
	}
	return c.organizationBody(found), nil
}

// organizations lists the one organization of the key. A name selects those that begin with
// it.
func (h *handler) organizations(c *call) (any, error) {
	p, err := readPage(c.URL.Query())
	if err != nil {
		return nil, err
	}
	found, err := h.Admin.Organization(c.Context(), c.organization)
	if err != nil {
		return nil, err
	}
	body := c.organizationBody(found)
	if strings.HasPrefix(strings.ToLower(body.Name), strings.ToLower(c.URL.Query().Get("name"))) {
		p.add(func() any { return body })
	}
	return c.pageBody(p), nil
}

// settingsBody are the settings of an organization: the documented ones that exist here.
type settingsBody struct {
	Required bool `json:"apiAccessListRequired"`
}

func settingsOf(o admin.OrganizationView) settingsBody {
	return settingsBody{o.Requirement == policy.Required}
}

func (h *handler) settings(c *call) (any, error) {
	found, err := h.Admin.Organization(c.Context(), c.organization)
	if err != nil {
		return nil, err
	}
	return settingsOf(found), nil
}

// changeSettings sets whether keys need a list. Report only and a suspension have no documented
// form: false leaves the former, and true the latter, as they are. The call
// goes ahead if false opens keys without a list, and not if true ends their calls.
func (h *handler) changeSettings(c *call) (any, error) {
	in, err := readBody[struct {
		Required *bool `json:"apiAccessListRequired"`
	}](c)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		found, err := h.Admin.Organization(c.Context(), c.organization)
		if err != nil || in.Required == nil || *in.Required == settingsOf(found).Required {
			return settingsOf(found), err
		}
		to := policy.NotRequired
		var accept []admin.Kind
		if *in.Required {
			to = policy.Required
		} else {
			accept = []admin.Kind{admin.Opens}
		}
		result, err := h.apply(c, accept, admin.SetRequirement(to).At(found.Revision))
		switch {
		case err == nil:
			return settingsOf(result.Organizations[0]), nil
		case admin.ClassOf(err) != admin.Conflict || attempt == attempts:
			return nil, err
		}
	}
}

// A groupBody is a project in the documented form.
type groupBody struct {
	Clusters     int    `json:"clusterCount"`
	Created      string `json:"created,omitempty"`
	ID           string `json:"id"`
	Links        []link `json:"links"`
	Name         string `json:"name"`
	Organization string `json:"orgId"`
}

func (c *call) groupBody(p admin.Project) groupBody {
	body := groupBody{ID: p.ID, Name: p.Name, Organization: p.Organization, Created: seconds(p.Created), Links: []link{{c.href("groups", p.ID), "self"}}}
	if body.Name == "" {
		body.Name = p.ID
	}
	return body
}

func (h *handler) group(c *call) (any, error) {
	judged, _ := policyhttp.ValueOf[admin.Project](c.Context()) // the documented API is for keys
	return c.groupBody(judged), nil
}

// organizationGroups lists every project of the organization.
func (h *handler) organizationGroups(c *call) (any, error) {
	return h.groupPage(c, func(admin.Project) bool { return true })
}

// groups lists the projects that the key may read.
func (h *handler) groups(c *call) (any, error) {
	grants := c.decision.Subject().Key().Grants
	all := hasRole(grants, h.Roles.Read, "")
	return h.groupPage(c, func(p admin.Project) bool { return all || hasRole(grants, h.Roles.ProjectRead, p.ID) })
}

func (h *handler) groupPage(c *call, shows func(admin.Project) bool) (any, error) {
	p, err := readPage(c.URL.Query())
	if err != nil {
		return nil, err
	}
	for project, err := range h.Projects.Of(c.Context(), c.organization) {
		if err != nil {
			return nil, err
		}
		if project.Organization == c.organization && shows(project) && !p.add(func() any { return c.groupBody(project) }) {
			break
		}
	}
	return c.pageBody(p), nil
}

// clientAddress answers with the caller's address, as the guard resolved it. Clients put it on a
// list.
func (h *handler) clientAddress(c *call) (any, error) {
	return map[string]string{"currentIpv4Address": c.decision.Client().String()}, nil
}
