package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

var usages = listing[admin.KeyUsage]{
	name: func(u admin.KeyUsage) string { return string(u.Key) },
	detail: func(u admin.KeyUsage) [][2]string {
		var entries, secrets, addresses, denials []string
		for _, use := range u.Uses {
			text := useText(use.Count, use.Last, address(use.Address))
			if use.Ended {
				text += " (ended)"
			}
			if use.Entry != "" {
				entries = append(entries, use.Entry+": "+text)
			} else {
				secrets = append(secrets, use.Secret+": "+text)
			}
		}
		for _, use := range u.Addresses {
			addresses = append(addresses, use.Address.String()+": "+useText(use.Count, use.Last, ""))
		}
		if u.MoreAddresses {
			addresses = append(addresses, "and maybe others")
		}
		for _, use := range u.Denials {
			denials = append(denials, use.Reason.String()+": "+useText(use.Count, use.Last, address(use.Address)))
		}
		for _, use := range u.WouldDeny {
			denials = append(denials, "would be "+use.Reason.String()+": "+useText(use.Count, use.Last, address(use.Address)))
		}
		if len(u.Uses)+len(u.Addresses) == 0 {
			entries = append(entries, "no served call is known")
		}
		return [][2]string{{"key", string(u.Key)}, {"entries", strings.Join(entries, "\n")}, {"secrets", strings.Join(secrets, "\n")},
			{"addresses", strings.Join(addresses, "\n")}, {"denied", strings.Join(denials, "\n")}, {"mind", strings.Join(u.Gaps, "\n")}}
	},
}

func useText(n uint64, last time.Time, from string) string {
	text := strconv.FormatUint(n, 10) + " calls"
	if n == 1 {
		text = "1 call"
	}
	if !last.IsZero() {
		text += ", the last " + when(last)
	}
	if from != "" {
		text += " from " + from
	}
	return text
}

func (s *session) usageCommand() *cobra.Command {
	var org string
	since := length{duration(30 * 24 * time.Hour)}
	c := &cobra.Command{Use: "usage KEY", Short: "Show how a key was used: entries, secrets, addresses, denials", Args: exactly(1)}
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := s.since(c, since)
		if err != nil {
			return err
		}
		organization, err := organizationOf(c.Context(), r, apikey.ID(args[0]), org)
		if err != nil {
			return err
		}
		used, err := r.Usage(c.Context(), organization, apikey.ID(args[0]))
		if err != nil {
			return err
		}
		return show(s, usages, used)
	}
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	c.Flags().Var(&since, "since", "how far back")
	return c
}

// A denial is how often calls with a key were denied for a reason.
type denial struct {
	Key          apikey.ID `json:"key"`
	Organization string    `json:"organization"`
	admin.DenialUse
	Served bool `json:"served,omitempty"` // the calls were served, and would have been denied
}

var denials = listing[denial]{
	header: "KEY ORGANIZATION REASON CALLS LAST FROM ANSWER",
	row: func(d denial) []string {
		answer := "denied"
		if d.Served {
			answer = "would be denied"
		}
		return []string{string(d.Key), d.Organization, d.Reason.String(), strconv.FormatUint(d.Count, 10), when(d.Last), address(d.Address), answer}
	},
	name: func(d denial) string { return string(d.Key) },
	none: "No denied call is known.",
}

func (s *session) denialsCommand() *cobra.Command {
	var org string
	since := length{duration(30 * 24 * time.Hour)}
	c := &cobra.Command{Use: "denials [KEY]", Short: "List the denied calls of a key, of an organization, or of all", Args: cobra.MaximumNArgs(1)}
	c.Long = `List the calls that were denied after the proof, by key and reason, and those that a list on
trial or a requirement not in force would have denied. Calls with a wrong secret are not among
them: strangers can make those.`
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := s.since(c, since)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			key, err := keyOf(c.Context(), r, args[0], org)
			if err != nil {
				return err
			}
			used, err := r.Usage(c.Context(), key.Organization, key.ID)
			if err != nil {
				return err
			}
			if err := list(s, denials, each(denialsOf(used, key.Organization))); err != nil {
				return err
			}
			return s.mind(used.Gaps)
		}
		var gaps []string
		err = list(s, denials, func(yield func(denial, error) bool) {
			for key, err := range views(c.Context(), r, org, store.Filter{}) {
				var used admin.KeyUsage
				if err == nil {
					used, err = r.Usage(c.Context(), key.Organization, key.ID)
				}
				if err != nil {
					yield(denial{}, err)
					return
				}
				for _, d := range denialsOf(used, key.Organization) {
					if !yield(d, nil) {
						return
					}
				}
				if len(gaps) == 0 {
					gaps = used.Gaps // those of the others are alike: one recorder counts all keys
				}
			}
		})
		if err != nil {
			return err
		}
		return s.mind(gaps)
	}
	c.Flags().StringVar(&org, "org", "", "only keys of this `organization`")
	c.Flags().Var(&since, "since", "how far back")
	return c
}

// mind says what the evidence lacks, since no call known is not no call made.
func (s *session) mind(gaps []string) error {
	for _, gap := range gaps {
		s.err.textf("Mind: %s", gap)
	}
	return s.err.flush()
}

func denialsOf(used admin.KeyUsage, organization string) (found []denial) {
	for _, use := range used.Denials {
		found = append(found, denial{used.Key, organization, use, false})
	}
	for _, use := range used.WouldDeny {
		found = append(found, denial{used.Key, organization, use, true})
	}
	return found
}
