package console

import (
	"net/url"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

type organizationsBody struct {
	Organizations []organizationRow
	Turn          turn
}

type organizationRow struct {
	ID, Name, Requirement string
	Manage, Disabled      bool
}

// showOrganizations shows the organizations that the person may read.
func showOrganizations(v *visit) (answer, error) {
	cursor := v.r.URL.Query().Get("cursor")
	found, next, searched, err := scan(cursor, func(request store.PageRequest) (store.Page[policy.Organization], error) {
		return v.Store.Organizations(v.r.Context(), request)
	}, func(o policy.Organization) bool { return v.person.Has(o.ID, admin.Read) })
	if err != nil {
		return answer{}, err
	}
	var body organizationsBody
	for _, o := range found {
		body.Organizations = append(body.Organizations, organizationRow{
			ID: o.ID, Name: nameOf(o), Requirement: requirement(o, v.now),
			Manage: !v.ReadOnly && v.person.Has(o.ID, admin.Manage), Disabled: o.Disabled,
		})
	}
	body.Turn = v.turnOf(cursorOf(next), cursor == "", len(found), searched)
	return answer{Page: "organizations", Title: "Organizations", Body: body}, nil
}

// cursorOf returns the query of the next page, nil on the last one.
func cursorOf(next string) url.Values {
	if next == "" {
		return nil
	}
	return url.Values{"cursor": {next}}
}
