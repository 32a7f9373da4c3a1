package admin

import (
	"github.com/sallyport-go/sallyport/policy"
)

// CreateOrganization creates the organization that the call names, with this requirement.
// Keys cannot do this: they belong to another organization.
func CreateOrganization(requirement policy.Requirement) Change {
	change := ofOrganization("create_organization", func(d *draft) error {
		d.organization = &policy.Organization{ID: d.id, Requirement: requirement}
		return nil
	}, requirement.String())
	change.creates = true
	return change.requires(requirement)
}

// SetRequirement sets whether the organization's keys need an access list. It holds for
// every key at once (rule Q3).
func SetRequirement(requirement policy.Requirement) Change {
	return ofOrganization("set_requirement", func(d *draft) error {
		d.organization.Requirement = requirement
		return nil
	}, requirement.String()).requires(requirement)
}

func (c Change) requires(requirement policy.Requirement) Change {
	if requirement > policy.Required {
		return c.wrong("The requirement is unknown. Choose not_required, report_only or required.")
	}
	return c
}

// DisableOrganization switches every key of the organization off (line 6), until it is
// enabled.
func DisableOrganization() Change { return switchOrganization("disable_organization", true) }

// EnableOrganization switches the organization's keys on again. Keys that are disabled
// themselves stay so.
func EnableOrganization() Change { return switchOrganization("enable_organization", false) }

func switchOrganization(kind string, disabled bool) Change {
	return ofOrganization(kind, func(d *draft) error {
		d.organization.Disabled = disabled
		return nil
	})
}

// DeleteOrganization deletes the organization. It is a Conflict while the organization has
// keys: delete them first, or before it in the same call.
func DeleteOrganization() Change {
	change := ofOrganization("delete_organization", func(d *draft) error {
		d.organization = nil
		return nil
	})
	change.deletes = true
	return change
}
