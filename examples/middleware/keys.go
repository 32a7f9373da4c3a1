package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/examples/middleware/backups"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// The two organizations and their projects.
const acme, globex = "acme", "globex"

func projects() []backups.Project {
	return []backups.Project{
		{ID: "atlas", Organization: acme},
		{ID: "borealis", Organization: acme},
		{ID: "gamma", Organization: globex},
	}
}

// A credential is a key as its owner has it, with the secret. The store has only a hash.
type credential struct {
	key     apikey.Key
	secret  apikey.Secret
	purpose string
}

// addKeys puts both organizations and their keys into the store, and returns the
// credentials to show once to the owners.
func addKeys(ctx context.Context, keys *memory.Store) ([]credential, error) {
	for _, id := range []string{acme, globex} {
		if _, err := keys.PutOrganization(ctx, policy.Organization{ID: id, Requirement: policy.NotRequired}); err != nil {
			return nil, err
		}
	}
	var made []credential
	for _, want := range []struct {
		id, organization, purpose string
		list                      string // an entry, "" for none
		grants                    []apikey.Grant
	}{
		{"nightly", acme, "makes the backups of atlas", "127.0.0.1",
			[]apikey.Grant{{Role: backups.Operator, Project: "atlas"}}},
		{"admin", acme, "may do everything, from here", "127.0.0.1",
			[]apikey.Grant{{Role: backups.Admin}, {Role: backups.Admin, AllProjects: true}}},
		{"office", acme, "reads, from another network", "203.0.113.0/24",
			[]apikey.Grant{{Role: backups.Reader}, {Role: backups.Reader, AllProjects: true}}},
		{"ci", acme, "has no access list yet", "",
			[]apikey.Grant{{Role: backups.Admin, Project: "atlas"}}},
		{"stranger", globex, "is another organization's", "",
			[]apikey.Grant{{Role: backups.Admin, AllProjects: true}}},
	} {
		list, options := accesslist.List{}, []store.PutOption{}
		if want.list == "" {
			options = append(options, store.AllowOpen) // admits every address, on purpose
		} else {
			var err error
			if list, err = accesslist.Parse(want.list); err != nil {
				return nil, err
			}
		}
		// Issue and not New, which makes a random ID: these IDs are for reading.
		key, secret, err := apikey.Issue(apikey.Key{
			ID: apikey.ID(want.id), Organization: want.organization, Description: want.purpose,
			AccessList: list, Grants: want.grants,
		})
		if err != nil {
			return nil, err
		}
		if key, err = keys.PutKey(ctx, key, options...); err != nil {
			return nil, err
		}
		made = append(made, credential{key, secret, want.purpose})
	}
	return made, nil
}

// printKeys shows the secrets, for the only time: the store has only their hashes.
func printKeys(w io.Writer, credentials []credential) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tORGANIZATION\tACCESS LIST\tPURPOSE\tSECRET, SHOWN ONCE")
	for _, c := range credentials {
		list := "none"
		for entry := range c.key.AccessList.All() {
			list = entry.String() // one at most
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.key.ID, c.key.Organization, list, c.purpose, c.secret.Reveal())
	}
	return table.Flush()
}
