package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

var organizations = listing[admin.OrganizationView]{
	header: "ID NAME REQUIREMENT SUSPENDED_UNTIL SWITCH REVISION",
	row: func(o admin.OrganizationView) []string {
		return []string{o.ID, o.Name, requirementText(o.Requirement), when(o.SuspendedUntil), onOff(o.Disabled), strconv.FormatUint(o.Revision, 10)}
	},
	name: func(o admin.OrganizationView) string { return o.ID },
	none: "There are no organizations.",
	detail: func(o admin.OrganizationView) [][2]string {
		return [][2]string{{"organization", o.ID}, {"name", o.Name}, {"access lists", requirementText(o.Requirement)},
			{"suspended until", when(o.SuspendedUntil)}, {"switch", onOff(o.Disabled)}, {"revision", strconv.FormatUint(o.Revision, 10)}}
	},
}

func onOff(disabled bool) string {
	if disabled {
		return "off"
	}
	return "on"
}

// requirementText and its inverse spell a requirement as the command line does.
func requirementText(r policy.Requirement) string { return strings.ReplaceAll(r.String(), "_", "-") }

func readRequirement(text string) (r policy.Requirement, err error) {
	if r.UnmarshalText([]byte(strings.ReplaceAll(text, "-", "_"))) != nil {
		err = usageError{fmt.Errorf("requirement %.40q%s: want not-required, report-only or required", text, didYouMean(text, requirements))}
	}
	return r, err
}

var requirements = []string{"not-required", "report-only", "required"}

func (s *session) orgCommands() *cobra.Command {
	return group("org", "Show organizations, and change what they require",
		s.orgList(), s.orgShow(), s.orgCreate(), s.orgRename(), s.orgRequire(), s.orgSuspend(), s.orgResume(), s.orgDisable(), s.orgEnable())
}

func (s *session) orgList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the organizations", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		return list(s, organizations, r.Organizations(c.Context()))
	}}
}

func (s *session) orgShow() *cobra.Command {
	return &cobra.Command{Use: "show ORG", Short: "Show an organization", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		o, err := r.Organization(c.Context(), args[0])
		if err != nil {
			return err
		}
		return show(s, organizations, o)
	}}
}

// changeOf is a command that changes its organization, the first argument.
func (s *session) changeOf(use, short string, n int, changes func(args []string) (text string, _ []change, err error)) (*cobra.Command, *changer) {
	c := &cobra.Command{Use: use, Short: short, Args: exactly(n)}
	ch := s.changing(c)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		text, made, err := changes(args)
		if err != nil {
			return err
		}
		if ch.records, err = s.records(c.Context()); err != nil {
			return err
		}
		return ch.make(c.Context(), args[0], text, made...)
	}
	return c, ch
}

func (s *session) orgCreate() *cobra.Command {
	var name, require string
	c, _ := s.changeOf("create ORG", "Create an organization", 1, func(args []string) (string, []change, error) {
		requirement, err := readRequirement(require)
		if err == nil {
			err = s.resolve()
		}
		if err == nil && s.isRemote() {
			err = storeOnlyError("Nobody has a right in an organization that does not exist: the program behind the server creates it for a new customer")
		}
		changes := []change{{Change: admin.CreateOrganization(requirement)}}
		if name != "" {
			changes = append(changes, change{Change: admin.SetName(name)})
		}
		return fmt.Sprintf("create organization %s, access lists %s", args[0], require), changes, err
	})
	c.Long = `Create an organization. It needs --store: behind a server nobody has a right in an organization
that does not exist, and the program there creates it for a new customer.`
	c.Flags().StringVar(&name, "name", "", "`name` for people")
	c.Flags().StringVar(&require, "require", "required", "whether its keys need access lists: not-required, report-only or required")
	complete(c, "require", requirements...)
	return c
}

func (s *session) orgRename() *cobra.Command {
	c, _ := s.changeOf("rename ORG NAME", "Set the name of an organization for people", 2, func(args []string) (string, []change, error) {
		return fmt.Sprintf("name organization %s %q", args[0], args[1]), []change{sent(admin.SetName(args[1]), object{"name": args[1]})}, nil
	})
	c.Long = `Set the name of an organization for people. An empty one takes the name away. Calls name the
organization by its ID, which stays.`
	return c
}

func (s *session) orgRequire() *cobra.Command {
	c, _ := s.changeOf("require ORG not-required|report-only|required", "Set whether the keys of an organization need access lists", 2,
		func(args []string) (string, []change, error) {
			requirement, err := readRequirement(args[1])
			return fmt.Sprintf("access lists of organization %s: %s", args[0], args[1]), []change{sent(admin.SetRequirement(requirement), object{"requirement": requirement})}, err
		})
	return c
}

func (s *session) orgSuspend() *cobra.Command {
	pause := length{duration(admin.DefaultSuspension)}
	var until instant
	c, ch := s.changeOf("suspend ORG", "Suspend the requirement of access lists for a while", 1, func(args []string) (string, []change, error) {
		end := until.Time
		if end.IsZero() {
			end = s.env.now().Add(time.Duration(pause.duration)).Truncate(time.Second)
		}
		return fmt.Sprintf("suspend the requirement of organization %s until %s", args[0], when(end)), []change{sent(admin.SuspendRequirement(end), object{}.with("until", end))}, nil
	})
	c.Long = `Suspend the requirement of access lists: until the end, keys without a list may call again.
Access lists stay in force. At the end the requirement applies again by itself. That keys
without a list are open meanwhile is a finding, opens: accept it by its name.

No key can do this, so --server with the secret of a key is refused: it needs --store, or the
console.

A running suspension gets the new end. One that would end earlier is shown with both ends, and
asked for; with --yes it has to be named by --until.

  sallyport org suspend acme --for 1h --reason "thrown by mistake"
  sallyport org suspend acme --for 1h --reason "thrown by mistake" --yes --accept opens`
	ch.needsReason = true
	ch.unasked = func(p admin.Preview) error {
		if moved := p.Suspension; moved != nil && moved.Will.Before(moved.Was) && until.IsZero() {
			return usageError{fmt.Errorf("a suspension is running until %s, and --for %s would end it earlier: want --until %s to shorten it, or org resume to end it now",
				when(moved.Was), pause, moved.Will.Format(time.RFC3339))}
		}
		return nil
	}
	c.Flags().Var(&pause, "for", "how long, at most 24h")
	c.Flags().Var(&until, "until", "or until when: with --token, that of the preview")
	c.MarkFlagsMutuallyExclusive("for", "until")
	return c
}

func (s *session) orgResume() *cobra.Command {
	c, _ := s.changeOf("resume ORG", "End a suspension now", 1, func(args []string) (string, []change, error) {
		return fmt.Sprintf("resume the requirement of organization %s now", args[0]), []change{sent(admin.ResumeRequirement(), nil)}, nil
	})
	c.Long = `End a suspension now. No key can do this, so --server with the secret of a key is refused: it
needs --store, or the console.`
	return c
}

func (s *session) orgDisable() *cobra.Command {
	c, _ := s.changeOf("disable ORG", "Switch every key of an organization off at once", 1, func(args []string) (string, []change, error) {
		return fmt.Sprintf("switch organization %s off, and each of its keys", args[0]), []change{sent(admin.DisableOrganization(), nil)}, nil
	})
	return c
}

func (s *session) orgEnable() *cobra.Command {
	c, _ := s.changeOf("enable ORG", "Switch the keys of an organization on again", 1, func(args []string) (string, []change, error) {
		return fmt.Sprintf("switch organization %s on again", args[0]), []change{sent(admin.EnableOrganization(), nil)}, nil
	})
	return c
}
