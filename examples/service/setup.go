package main

import (
	"context"
	"errors"
	"slices"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// setUp creates an organization with its first key. From these addresses the key manages the
// organization and creates the others. Show the returned secret once. The service may run
// meanwhile.
func setUp(ctx context.Context, database, organization string, owner apikey.ID, addresses ...string) (_ apikey.Secret, err error) {
	list, err := accesslist.Parse(addresses...)
	if err != nil {
		return apikey.Secret{}, err
	}
	keys, err := sqlite.Open(ctx, database)
	if err != nil {
		return apikey.Secret{}, err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	a, err := newAdmin(keys)
	if err != nil {
		return apikey.Secret{}, err
	}
	operator := admin.BySystem("set-up").Via(store.ViaCLI, "")
	result, err := a.Apply(ctx, operator, organization, admin.ApplyOptions{Reason: "new customer"},
		admin.CreateOrganization(policy.Required),
		admin.CreateKey(admin.NewKey{ID: owner, Description: "manages " + organization, Grants: []apikey.Grant{{Role: "owner"}},
			Entries: slices.Collect(list.All())}))
	if err != nil {
		return apikey.Secret{}, err
	}
	return result.Secrets[0].Secret, nil
}
