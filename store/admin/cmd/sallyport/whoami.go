package main

import (
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A who is the actor of changes. If it is a key, its permissions from this address are there.
type who struct {
	Actor        actorView          `json:"actor"`
	Organization string             `json:"organization,omitempty"`
	Description  string             `json:"description,omitempty"`
	Status       string             `json:"status,omitempty"`
	Grants       []admin.GrantView  `json:"grants,omitempty"`
	NotBefore    time.Time          `json:"notBefore,omitzero"`
	Expires      time.Time          `json:"expires,omitzero"`
	Permissions  *admin.Permissions `json:"permissions,omitempty"`
}

// An actorView is the JSON of an admin.Actor.
type actorView struct {
	Kind    store.ActorKind `json:"kind"`
	ID      string          `json:"id"`
	Name    string          `json:"name,omitempty"`
	Address netip.Addr      `json:"address,omitzero"`
}

func (a actorView) String() string { return string(a.Kind) + " " + oneLine(a.ID) }

var whos = listing[who]{
	name: func(w who) string { return w.Actor.ID },
	detail: func(w who) [][2]string {
		may := ""
		if w.Permissions != nil {
			may = permissionsText(*w.Permissions)
		}
		return [][2]string{{"as", w.Actor.String()}, {"name", oneLine(w.Actor.Name)}, {"from", address(w.Actor.Address)},
			{"organization", oneLine(w.Organization)}, {"description", oneLine(w.Description)}, {"status", oneLine(w.Status)},
			{"grants", grantsText(admin.KeyView{Grants: w.Grants}, "\n")}, {"not before", when(w.NotBefore)}, {"expires", when(w.Expires)}, {"may", may}}
	},
}

func (s *session) whoamiCommand() *cobra.Command {
	c := &cobra.Command{Use: "whoami", Short: "Show as whom changes are made, and of a key what it may do", Args: exactly(0)}
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		me, err := r.Who(c.Context())
		if err != nil {
			return err
		}
		return show(s, whos, me)
	}
	return c
}
