package admin

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// A NewKey describes a key to create.
type NewKey struct {
	ID          apikey.ID // empty: a new random one
	Description string
	Grants      []apikey.Grant // each project checked to be the organization's (rule K5)

	// Entries is the access list. A key without entries is open to every address while
	// nothing requires a list, and is created only where Opens was accepted (rule A10).
	Entries []accesslist.Entry

	NotBefore time.Time // first instant of validity; zero: no bound
	Expires   time.Time // first instant after it; zero: no bound
	Disabled  bool

	Labels     map[string]string // see SetLabels
	ExternalID string            // see SetExternalID
}

// CreateKey creates a key with a new secret, returned in the [Result]. With a given ID a
// repeated call, such as of a reloaded form, is a Conflict and creates no second key.
func CreateKey(key NewKey) Change {
	entries, grants, labels := slices.Clone(key.Entries), slices.Clone(key.Grants), maps.Clone(key.Labels)
	args := []string{key.Description, stamp(key.NotBefore), stamp(key.Expires), fmt.Sprint(key.Disabled), key.ExternalID}
	args = slices.Concat(args, labelArgs(labels), grantArgs(grants), entryArgs(entries))
	change := ofKey("create_key", key.ID, func(d *draft) error {
		list, err := withEntries(accesslist.List{}, entries, d.now)
		if err != nil {
			return err
		}
		created, secret, err := d.issuer.Issue(apikey.Key{
			ID: key.ID, Organization: d.id, AccessList: list, Grants: grants, Description: key.Description,
			Metadata: &apikey.Metadata{Labels: labels, ExternalID: key.ExternalID}, Disabled: key.Disabled, NotBefore: moment(key.NotBefore), Expires: moment(key.Expires), Created: d.now,
		})
		if err != nil {
			return wrap(Invalid, err, "The key would be invalid: %s", plainText(err))
		}
		d.hand(created, secret)
		return nil
	}, args...)
	change.creates, change.problem = true, ""
	if key.ID != "" && key.ID.Validate() != nil {
		change = change.wrong(fmt.Sprintf("A key ID has 1 to %d letters, digits, - and _.", apikey.MaxID))
	}
	return change.describes(key.Description).grants(grants).lasts(key.NotBefore, key.Expires).labels(labels).externalID(key.ExternalID)
}

// Describe sets the description of a key, a text for people.
func Describe(key apikey.ID, description string) Change {
	change := ofKey("describe", key, func(d *draft) error {
		d.key.Description = description
		return nil
	}, description)
	change.words = true
	return change.describes(description)
}

func (c Change) describes(description string) Change {
	if problem := plain.Problem(description, apikey.MaxDescription); problem != "" {
		return c.wrong("The description " + problem + ".")
	}
	return c
}

// SetValidity sets the first instant at which a key is valid, and the first after it. A zero
// time is no bound.
func SetValidity(key apikey.ID, notBefore, expires time.Time) Change {
	return ofKey("set_validity", key, func(d *draft) error {
		d.key.NotBefore, d.key.Expires = moment(notBefore), moment(expires)
		return nil
	}, stamp(notBefore), stamp(expires)).lasts(notBefore, expires)
}

func (c Change) lasts(notBefore, expires time.Time) Change {
	if !notBefore.IsZero() && !expires.IsZero() && !notBefore.Before(expires) {
		return c.wrong("The key would never be valid: it would end before it begins.")
	}
	return c
}

// DisableKey switches a key off at once, until it is enabled. It is never in the way in an
// emergency: only SelfLockout and LastManager can refuse it (rule M23).
func DisableKey(key apikey.ID) Change {
	change := switchKey("disable_key", key, true)
	change.narrows = true
	return change
}

// EnableKey switches a key on again.
func EnableKey(key apikey.ID) Change { return switchKey("enable_key", key, false) }

func switchKey(kind string, key apikey.ID, disabled bool) Change {
	return ofKey(kind, key, func(d *draft) error {
		d.key.Disabled = disabled
		return nil
	})
}

// DeleteKey deletes a key with its list, grants, secrets and usage (rule K6).
func DeleteKey(key apikey.ID) Change {
	change := ofKey("delete_key", key, func(d *draft) error {
		d.key = nil
		return nil
	})
	change.deletes = true
	return change
}

// SetGrants replaces all grants of a key. The caller has checked that each project is the
// organization's (rule K5).
func SetGrants(key apikey.ID, grants ...apikey.Grant) Change {
	grants = slices.Clone(grants)
	return changeGrants("set_grants", key, grants, func([]apikey.Grant) ([]apikey.Grant, error) { return grants, nil })
}

// AddGrants adds grants to a key. A grant it has already is Invalid, and nothing is added
// then.
func AddGrants(key apikey.ID, grants ...apikey.Grant) Change {
	grants = slices.Clone(grants)
	return someGrants(changeGrants("add_grants", key, grants, func(has []apikey.Grant) ([]apikey.Grant, error) {
		for _, grant := range grants {
			if slices.Contains(has, grant) {
				return nil, invalid("The key has %s already. Nothing was added.", grantText(grant))
			}
		}
		return append(slices.Clone(has), grants...), nil
	}), grants)
}

// RemoveGrants removes grants of a key, each exactly as it is. A grant it lacks is Invalid,
// and nothing is removed then.
func RemoveGrants(key apikey.ID, grants ...apikey.Grant) Change {
	grants = slices.Clone(grants)
	return someGrants(changeGrants("remove_grants", key, grants, func(has []apikey.Grant) ([]apikey.Grant, error) {
		for _, grant := range grants {
			if !slices.Contains(has, grant) {
				return nil, invalid("The key does not have %s. Nothing was removed.", grantText(grant))
			}
		}
		return slices.DeleteFunc(slices.Clone(has), func(g apikey.Grant) bool { return slices.Contains(grants, g) }), nil
	}), grants)
}

// someGrants refuses a change of grants that names none.
func someGrants(change Change, grants []apikey.Grant) Change {
	if len(grants) == 0 {
		change = change.wrong("The change names no grant.")
	}
	return change
}

func changeGrants(kind string, key apikey.ID, grants []apikey.Grant, edit func([]apikey.Grant) ([]apikey.Grant, error)) Change {
	return ofKey(kind, key, func(d *draft) (err error) {
		d.key.Grants, err = edit(d.key.Grants)
		if err == nil && len(d.key.Grants) > apikey.MaxGrants {
			err = invalid("The key would have %d grants, and %d are possible. Use one for all projects.", len(d.key.Grants), apikey.MaxGrants)
		}
		return err
	}, grantArgs(grants)...).grants(grants)
}

// grants checks grants that somebody gave.
func (c Change) grants(grants []apikey.Grant) Change {
	if len(grants) > apikey.MaxGrants {
		return c.wrong(fmt.Sprintf("%d grants are too many: %d are possible. Use one for all projects.", len(grants), apikey.MaxGrants))
	}
	seen := make(map[apikey.Grant]bool, len(grants))
	for _, grant := range grants {
		err := apikey.ValidateName("role", grant.Role)
		if err == nil && grant.Project != "" {
			err = apikey.ValidateName("project", grant.Project)
		}
		switch {
		case err != nil:
			return c.wrong(capital(plainText(err)) + ".")
		case grant.Project != "" && grant.AllProjects:
			return c.wrong("The role " + plain.Quote(grant.Role) + " is given for one project and for all projects. Choose one of them.")
		case seen[grant]:
			return c.wrong(capital(grantText(grant)) + " is given twice.")
		}
		seen[grant] = true
	}
	return c
}

func grantArgs(grants []apikey.Grant) []string {
	args := []string{fmt.Sprint(len(grants))}
	for _, g := range grants {
		args = append(args, g.Role, g.Project, fmt.Sprint(g.AllProjects))
	}
	return args
}

// grantText names a grant in a sentence.
func grantText(g apikey.Grant) string {
	switch {
	case g.AllProjects:
		return "the role " + plain.Quote(g.Role) + " for all projects"
	case g.Project != "":
		return "the role " + plain.Quote(g.Role) + " for the project " + plain.Quote(g.Project)
	}
	return "the role " + plain.Quote(g.Role) + " for the organization"
}

// capital returns a text with a capital first letter, for the beginning of a sentence. The
// text is ASCII there.
func capital(text string) string {
	return string(text[0]-'a'+'A') + text[1:]
}
