package adminhttp

import (
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A keyBody is a key in the documented form.
type keyBody struct {
	Description string     `json:"desc"`
	ID          apikey.ID  `json:"id"`
	Links       []link     `json:"links"`
	PrivateKey  string     `json:"privateKey"`
	PublicKey   apikey.ID  `json:"publicKey"`
	Roles       []roleBody `json:"roles"`
}

type roleBody struct {
	Group        string `json:"groupId,omitempty"`
	Organization string `json:"orgId,omitempty"`
	Role         string `json:"roleName"`
}

// keyBody returns a key without its secret: its private key tells it apart from others by the
// ID of its newest secret.
func (c *call) keyBody(key admin.KeyView) keyBody {
	body := keyBody{
		Description: key.Description, ID: key.ID, PublicKey: key.ID, Roles: []roleBody{},
		Links:      []link{{c.href("orgs", key.Organization, "apiKeys", string(key.ID)), "self"}},
		PrivateKey: "********-****-****-0000" + key.Secrets[len(key.Secrets)-1].ID,
	}
	for _, grant := range key.Grants {
		switch {
		case grant.AllProjects: // it has no documented form
		case grant.Project != "":
			body.Roles = append(body.Roles, roleBody{Group: grant.Project, Role: grant.Role})
		default:
			body.Roles = append(body.Roles, roleBody{Organization: key.Organization, Role: grant.Role})
		}
	}
	return body
}

// eachKey calls a function for each key of the judged organization, until it returns false.
func (h *handler) eachKey(c *call, each func(key admin.KeyView) bool) error {
	for request := (store.PageRequest{Limit: maxPage}); ; {
		found, err := h.Admin.Keys(c.Context(), c.organization, request)
		if err != nil {
			return err
		}
		for _, key := range found.Items {
			if !each(key) {
				return nil
			}
		}
		if request.Cursor = found.Next; request.Cursor == "" {
			return nil
		}
	}
}

// keys lists the keys of the organization, or those with a role in the project.
func (h *handler) keys(c *call) (any, error) {
	p, err := readPage(c.URL.Query())
	if err != nil {
		return nil, err
	}
	at, now := keyPage{c.decision.KeyID(), c.organization, c.project, p.size, p.number}, time.Now()
	from, _ := h.bookmarks.get(at, now)
	next, err := h.readKeys(c, p, from)
	if err != nil {
		return nil, err
	}
	if at.number++; next.read >= exactly && next.cursor != "" {
		h.bookmarks.put(at, next, now)
	}
	return c.pageBody(p), nil
}

// readKeys reads a page from a bookmark, and counts the list if that is asked for and not known.
// It returns where the next page begins.
func (h *handler) readKeys(c *call, p *page, from bookmark) (next bookmark, err error) {
	p.seen, p.total = from.seen, from.total
	for at := from; ; {
		found, err := h.Admin.Keys(c.Context(), c.organization, store.PageRequest{Cursor: at.cursor, Limit: c.keysToRead(p)})
		if err != nil {
			return next, err
		}
		var last apikey.ID // of the page
		for _, key := range found.Items {
			if key.ID > from.after && (c.project == "" || inProject(key, c.project)) {
				p.add(func() any { return c.keyBody(key) })
				if p.seen == p.end() {
					last = key.ID
				}
			}
		}
		behind := bookmark{cursor: found.Next, read: at.read + len(found.Items), seen: p.seen}
		switch {
		case next != (bookmark{}):
		case p.seen > p.end():
			next = bookmark{cursor: at.cursor, after: last, read: at.read, seen: p.end()}
		case p.seen == p.end():
			next = behind
			p.follows = c.project == "" && found.Next != ""
		}
		switch at = behind; {
		case at.cursor == "":
			p.total = p.seen
		case !p.more(), p.counts && p.total == 0 && at.read <= maxCounted:
			continue
		case p.counts && p.total == 0:
			p.total = -1
		}
		next.total = p.total
		return next, nil
	}
}

// keysToRead returns how many keys to read next, so that a page of the store begins where one of
// the organization does. Which keys are in a project is known when they are read.
func (c *call) keysToRead(p *page) int {
	switch {
	case c.project == "" && p.seen < p.begin():
		return min(maxPage, p.begin()-p.seen)
	case c.project == "" && p.seen == p.begin():
		return p.size
	}
	return maxPage
}

func inProject(key admin.KeyView, project string) bool {
	return slices.ContainsFunc(key.Grants, func(g admin.GrantView) bool { return g.Project == project })
}

func (h *handler) key(c *call) (any, error) {
	key, err := h.findKey(c)
	if err != nil {
		return nil, err
	}
	return c.keyBody(key), nil
}

// A keyInput is the body of a new or changed key.
type keyInput struct {
	Description *string  `json:"desc"`
	Roles       []string `json:"roles"`
}

// checkDescription checks the description.
func (in keyInput) checkDescription() error {
	if problem := plain.Problem(*in.Description, apikey.MaxDescription); problem != "" {
		return badField("INVALID_API_KEY_DESC", "desc", problem)
	}
	return nil
}

// createKey creates a key of the organization or of the project, without an access list, as
// documented.
func (h *handler) createKey(c *call) (any, error) {
	in, err := readBody[keyInput](c)
	if err != nil {
		return nil, err
	}
	if in.Description == nil || *in.Description == "" {
		return nil, badField("API_KEY_REQUIRES_DESCRIPTION", "desc", "is missing: want a description")
	}
	if err := in.checkDescription(); err != nil {
		return nil, err
	}
	grants, err := h.roles(c, in.Roles, admin.KeyView{})
	if err != nil {
		return nil, err
	}
	if c.project != "" && h.MemberRole != "" {
		grants = append(grants, apikey.Grant{Role: h.MemberRole})
	}
	if err := h.checkMaxKeys(c, 1); err != nil {
		return nil, err
	}
	id, err := h.NewID()
	if err != nil {
		return nil, err
	}
	result, err := h.apply(c, []admin.Kind{admin.Opens}, admin.CreateKey(admin.NewKey{ID: id, Description: *in.Description, Grants: grants}))
	if err != nil {
		return nil, err
	}
	body := c.keyBody(result.Keys[0])
	body.PrivateKey = result.Secrets[0].Secret.Reveal()
	return body, nil
}

// checkMaxKeys refuses to create more keys than the organization may have. It refuses by a count
// of now.
func (h *handler) checkMaxKeys(c *call, more int) error {
	count, since := h.counts.get(c.organization, time.Now())
	if count == 0 || count+more > h.MaxKeys {
		count, since = 0, time.Now()
		if err := h.eachKey(c, func(admin.KeyView) bool { count++; return count+more <= h.MaxKeys }); err != nil {
			return err
		}
	}
	if count+more > h.MaxKeys {
		return &apiError{status: http.StatusBadRequest, code: "MAX_API_KEYS_PER_ORG_EXCEEDED", detail: "The organization has as many API keys as it may have. Delete one first.", parameters: []string{c.organization}}
	}
	if count >= exactly {
		h.counts.put(c.organization, count+more, since)
	}
	return nil
}

// changeKey sets the description, or the roles where the call is, or both. Roles in a project
// also assign a key to it.
func (h *handler) changeKey(c *call) (any, error) {
	in, err := readBody[keyInput](c)
	if err != nil {
		return nil, err
	}
	if in.Description == nil && in.Roles == nil {
		return nil, &apiError{status: http.StatusBadRequest, code: "MISSING_ONE_OF_ATTRIBUTES", detail: "One of desc and roles is needed.", parameters: []string{"desc", "roles"}}
	}
	key, err := h.edit(c, func(key admin.KeyView) (changes []admin.Change, err error) {
		if c.project != "" && in.Roles == nil && !inProject(key, c.project) {
			return nil, noKey(string(key.ID))
		}
		if in.Description != nil {
			if err := in.checkDescription(); err != nil {
				return nil, err
			}
			changes = append(changes, admin.Describe(key.ID, *in.Description))
		}
		if in.Roles != nil {
			change, err := h.setRoles(c, in.Roles, key)
			if err != nil {
				return nil, err
			}
			changes = append(changes, change)
		}
		return changes, nil
	})
	if err != nil {
		return nil, err
	}
	return c.keyBody(key), nil
}

// deleteKey deletes a key. The call goes ahead if it denies callers.
func (h *handler) deleteKey(c *call) (any, error) {
	key, err := h.findKey(c)
	if err != nil {
		return nil, err
	}
	_, err = h.apply(c, []admin.Kind{admin.BreaksKey}, admin.DeleteKey(key.ID))
	return nil, err
}

// here reports whether a grant holds where the call is: at the organization, or in the one
// project.
func (c *call) here(g admin.GrantView) bool { return !g.AllProjects && g.Project == c.project }

// roles returns roles as grants where the call is. A role that a key has there already need
// not be one of the configuration: clients write back what they read.
func (h *handler) roles(c *call, roles []string, key admin.KeyView) (grants []apikey.Grant, err error) {
	known, code, where := h.OrganizationRoles, "INVALID_ROLE_FOR_ORG", "an organization"
	if c.project != "" {
		known, code, where = h.ProjectRoles, "INVALID_ROLE_FOR_GROUP", "a group"
	}
	if len(roles) == 0 {
		return nil, badField("MISSING_API_KEY_ROLES", "roles", "is missing: want at least one role")
	}
	for _, role := range roles {
		grant := admin.GrantView{Role: role, Project: c.project}
		if !slices.Contains(known, role) && !slices.Contains(key.Grants, grant) {
			e := badField(code, "roles", "has "+quote(role)+", which is no role for "+where)
			e.parameters = []string{cut(role)}
			return nil, e
		}
		if !slices.Contains(grants, apikey.Grant(grant)) {
			grants = append(grants, apikey.Grant(grant))
		}
	}
	return grants, nil
}

// setRoles replaces the grants where the call is. All others stay.
func (h *handler) setRoles(c *call, roles []string, key admin.KeyView) (admin.Change, error) {
	grants, err := h.roles(c, roles, key)
	if err != nil {
		return admin.Change{}, err
	}
	return admin.SetGrants(key.ID, append(elsewhere(c, key), grants...)...), nil
}

// elsewhere returns the grants that do not hold where the call is.
func elsewhere(c *call, key admin.KeyView) (grants []apikey.Grant) {
	for _, grant := range key.Grants {
		if !c.here(grant) {
			grants = append(grants, apikey.Grant(grant))
		}
	}
	return grants
}

// addProjectRoles gives a key roles in the project, beside those it has.
func (h *handler) addProjectRoles(c *call) (any, error) {
	in, err := readBody[[]keyInput](c)
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, assignment := range in {
		roles = append(roles, assignment.Roles...)
	}
	_, err = h.edit(c, func(key admin.KeyView) ([]admin.Change, error) {
		grants, err := h.roles(c, roles, key)
		if err != nil {
			return nil, err
		}
		grants = slices.DeleteFunc(grants, func(g apikey.Grant) bool { return slices.Contains(key.Grants, admin.GrantView(g)) })
		if len(grants) == 0 {
			return nil, nil
		}
		return []admin.Change{admin.AddGrants(key.ID, grants...)}, nil
	})
	return nil, err
}

// removeFromProject takes every role in the project from a key.
func (h *handler) removeFromProject(c *call) (any, error) {
	_, err := h.edit(c, func(key admin.KeyView) ([]admin.Change, error) {
		if !inProject(key, c.project) {
			return nil, noKey(string(key.ID))
		}
		return []admin.Change{admin.SetGrants(key.ID, elsewhere(c, key)...)}, nil
	})
	return nil, err
}
