package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A keyChange makes the change of a key from the arguments after it. The text says what it does.
type keyChange func(id apikey.ID, rest []string) (text string, _ change, err error)

// changeKey is a command that changes a key, its first argument.
func (s *session) changeKey(use, short string, args cobra.PositionalArgs, of keyChange) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: args}
	ch := s.changing(c)
	org := ch.keyFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		text, made, err := of(apikey.ID(args[0]), args[1:])
		if err != nil {
			return err
		}
		return ch.makeOfKey(c.Context(), apikey.ID(args[0]), *org, text, nil, made)
	}
	return c
}

func (ch *changer) keyFlags(c *cobra.Command) (org *string) {
	return c.Flags().String("org", "", "the key's `organization`; found by the key unless given")
}

// makeOfKey makes a change of a key. issuer makes the issuer of its new secret; nil: it has none.
func (ch *changer) makeOfKey(ctx context.Context, id apikey.ID, organization, text string, issuer func(apikey.Key) (*apikey.Issuer, error), made change) (err error) {
	if err := ch.secrets.check(ch); err != nil {
		return err
	}
	if ch.records, err = ch.session.records(ctx); err != nil {
		return err
	}
	if organization, err = organizationOf(ctx, ch.records, id, organization); err != nil {
		return err
	}
	if issuer != nil && !ch.isRemote() { // a server has its own
		key, err := ch.store.Key(ctx, id)
		if err != nil {
			return err
		}
		of, err := issuer(key)
		if err != nil {
			return err
		}
		if ch.records, err = ch.session.records(ctx, admin.WithIssuer(of)); err != nil {
			return err
		}
	}
	return ch.make(ctx, organization, fmt.Sprintf("organization %s: %s", organization, text), made)
}

func (s *session) keysCreate() *cobra.Command {
	var key admin.NewKey
	var org, project, id string
	var roles, from []string
	var all, ipv6 bool
	var expires, notBefore instant
	var issuing issuing
	c := &cobra.Command{Use: "create --org ORG", Short: "Create a key, and print its secret", Args: exactly(0)}
	c.Long = `Create a key, and print its secret alone on standard output, or into --secret-file. A key
without --from is open to every address where nothing requires a list: that is a finding.

  SECRET=$(sallyport keys create --org acme --role reader --all-projects --from 203.0.113.0/24 --yes)`
	ch := s.changing(c)
	ch.secretFlags(c)
	issuing.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := ch.secrets.check(ch); err != nil {
			return err
		}
		key.ID, key.Expires, key.NotBefore = apikey.ID(id), expires.Time, notBefore.Time
		key.Grants = grants(roles, project, all)
		if key.Entries, err = entries(from, ipv6, "", time.Time{}); err != nil {
			return err
		}
		if err := s.storeOnly(c, secretsAreTheServices, "prefix", "server-key", "digest-realm"); err != nil {
			return err
		}
		if ch.records, err = issuing.records(c.Context(), s, org); err != nil {
			return err
		}
		return ch.make(c.Context(), org, newKeyText(org, key, issuing.text(s)), sent(admin.CreateKey(key), keyObject(key)))
	}
	flags := c.Flags()
	flags.StringVar(&org, "org", "", "its `organization`")
	flags.StringVar(&id, "id", "", "its `ID`; a random one unless given")
	flags.StringVar(&key.Description, "description", "", "a `text` for people")
	flags.StringVar(&key.ExternalID, "external-id", "", "the service's own `ID` of it")
	flags.StringToStringVar(&key.Labels, "label", nil, "its labels, as `NAME=VALUE`")
	flags.StringSliceVar(&from, "from", nil, "`addresses` and blocks on its access list")
	flags.BoolVar(&ipv6, "ipv6", false, "allow IPv6 addresses on it")
	flags.Var(&expires, "expires", "its end")
	flags.Var(&notBefore, "not-before", "its begin")
	flags.StringVar(&issuing.realm, "digest-realm", "", "make HTTP Digest credentials for this `realm`, too")
	grantFlags(c, &roles, &project, &all)
	must(c, "org")
	return c
}

// newKeyText says what a new key is.
func newKeyText(organization string, key admin.NewKey, secret string) string {
	var from []string
	for _, entry := range key.Entries {
		from = append(from, entry.String())
	}
	id := "a key"
	if key.ID != "" {
		id = "key " + string(key.ID)
	}
	return fmt.Sprintf("create %s in organization %s, with %s\nroles: %s\nfrom: %s", id, organization, secret,
		cmp.Or(grantsText(admin.KeyView{Grants: grantViews(key.Grants)}, ", "), "none"), cmp.Or(strings.Join(from, ", "), "every address"))
}

func grantFlags(c *cobra.Command, roles *[]string, project *string, all *bool) {
	c.Flags().StringSliceVar(roles, "role", nil, "its `roles`, at the organization unless a project is given")
	c.Flags().StringVar(project, "project", "", "the `project` where the roles hold")
	c.Flags().BoolVar(all, "all-projects", false, "the roles hold in all projects")
	c.MarkFlagsMutuallyExclusive("project", "all-projects")
}

func grants(roles []string, project string, all bool) (grants []apikey.Grant) {
	for _, role := range roles {
		grants = append(grants, apikey.Grant{Role: role, Project: project, AllProjects: all})
	}
	return grants
}

// entries reads addresses and blocks.
func entries(texts []string, ipv6 bool, comment string, expires time.Time) ([]accesslist.Entry, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	list, err := accesslist.Parser{AllowIPv6: ipv6}.Parse(texts...)
	if err != nil {
		return nil, usageError{errors.New(strings.ReplaceAll(err.Error(), "accesslist: ", ""))}
	}
	made := slices.Collect(list.All())
	for i := range made {
		made[i].Comment, made[i].Expires = comment, expires
	}
	return made, nil
}

func (s *session) keysDescribe() *cobra.Command {
	return s.changeKey("describe KEY TEXT", "Set the description of a key", exactly(2), func(id apikey.ID, rest []string) (string, change, error) {
		return fmt.Sprintf("describe key %s as %q", id, rest[0]), describing(id, rest[0]), nil
	})
}

func describing(id apikey.ID, text string) change {
	return sent(admin.Describe(id, text), object{"kind": "edit_key", "description": text})
}

func (s *session) keysGrant() *cobra.Command {
	var roles []string
	var project string
	var all, remove bool
	c := &cobra.Command{Use: "grant KEY --role ROLE", Short: "Give a key roles, or take them away", Args: exactly(1)}
	c.Long = `Give a key roles, or take them away. If it has all of them already, nothing is changed, and the
exit status is 0. If it has only some, or is to lose one that it has not, nothing is changed either,
and it is 2.`
	ch := s.changing(c)
	org := ch.keyFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		key, err := s.keyOf(c.Context(), args[0], *org)
		if err != nil {
			return err
		}
		made := grants(roles, project, all)
		views := grantViews(made)
		text := fmt.Sprintf("give key %s: %s", key.ID, grantsText(admin.KeyView{Grants: views}, ", "))
		change := sent(admin.AddGrants(key.ID, made...), grantObjects(made))
		has := func(g admin.GrantView) bool { return slices.Contains(key.Grants, g) }
		switch {
		case remove:
			text = strings.Replace(text, "give", "take from", 1)
			change = sent(admin.RemoveGrants(key.ID, made...), grantObjects(made))
		case !slices.ContainsFunc(views, func(g admin.GrantView) bool { return !has(g) }):
			change = describing(key.ID, key.Description) // changes nothing
		}
		return ch.makeOfKey(c.Context(), key.ID, *org, text, nil, change)
	}
	grantFlags(c, &roles, &project, &all)
	c.Flags().BoolVar(&remove, "remove", false, "take the roles away")
	must(c, "role")
	return c
}

func grantViews(grants []apikey.Grant) (views []admin.GrantView) {
	for _, grant := range grants {
		views = append(views, admin.GrantView(grant))
	}
	return views
}

func (s *session) keysDisable() *cobra.Command {
	return s.changeKey("disable KEY", "Switch a key off at once", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		return fmt.Sprintf("switch key %s off", id), sent(admin.DisableKey(id), nil), nil
	})
}

func (s *session) keysEnable() *cobra.Command {
	return s.changeKey("enable KEY", "Switch a key on again", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		return fmt.Sprintf("switch key %s on", id), sent(admin.EnableKey(id), nil), nil
	})
}

func (s *session) keysValidity() *cobra.Command {
	var f span
	c := &cobra.Command{Use: "validity KEY", Short: "Set the begin or the end of a key", Args: exactly(1)}
	ch := s.changing(c)
	org := ch.keyFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		key, err := s.keyOf(c.Context(), args[0], *org)
		if err != nil {
			return err
		}
		begin, end := f.of(key.NotBefore, key.Expires, s.env.now())
		text := fmt.Sprintf("key %s is valid from %s until %s", key.ID, cmp.Or(when(begin), "ever"), cmp.Or(when(end), "ever"))
		return ch.makeOfKey(c.Context(), key.ID, *org, text, nil, sent(admin.SetValidity(key.ID, begin, end), object{}.with("notBefore", begin).with("expires", end)))
	}
	c.Flags().Var(&f.begin, "not-before", "its begin")
	c.Flags().BoolVar(&f.noBegin, "no-begin", false, "or it has none")
	c.Flags().Var(&f.end, "expires", "its end")
	c.Flags().Var(&f.length, "for", "or how long it holds from now on")
	c.Flags().BoolVar(&f.forever, "no-end", false, "or it has none")
	c.MarkFlagsMutuallyExclusive("not-before", "no-begin")
	c.MarkFlagsMutuallyExclusive("expires", "for", "no-end")
	c.MarkFlagsOneRequired("not-before", "no-begin", "expires", "for", "no-end")
	return c
}

func (s *session) keysRotate() *cobra.Command {
	var overlap duration
	var issuing issuing
	c := &cobra.Command{Use: "rotate KEY --overlap 24h", Short: "Give a key a new secret, and print it", Args: exactly(1)}
	c.Long = `Give a key a new secret, and print it alone on standard output, or into --secret-file. The
earlier secret stays valid for the overlap. With --overlap 0s, as after a leak, it ends at once.`
	ch := s.changing(c)
	ch.secretFlags(c)
	issuing.flags(c)
	org := ch.keyFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		id := apikey.ID(args[0])
		if err := s.storeOnly(c, secretsAreTheServices, "prefix", "server-key", "digest-realm"); err != nil {
			return err
		}
		text := fmt.Sprintf("rotate key %s to %s, the earlier one ends in %s", id, issuing.text(s), overlap)
		issuer := func(key apikey.Key) (*apikey.Issuer, error) { return issuing.like(s, key) }
		return ch.endOne(c.Context(), id, *org, ch.makeOfKey(c.Context(), id, *org, text, issuer, sent(admin.Rotate(id, time.Duration(overlap)), overlapObject(time.Duration(overlap)))))
	}
	c.Flags().Var(&overlap, "overlap", "how long the earlier secret stays valid; 0s: it ends at once")
	c.Flags().Lookup("overlap").DefValue = "" // it must be given
	c.Flags().StringVar(&issuing.realm, "digest-realm", "", "make HTTP Digest credentials for this `realm`; that of the earlier secret unless given")
	must(c, "overlap")
	return c
}

// endOne adds to the refusal to rotate a key with two live secrets the commands that end one.
func (ch *changer) endOne(ctx context.Context, id apikey.ID, organization string, err error) error {
	refusal, ok := errors.AsType[*admin.Error](err)
	if !ok || refusal.Class != admin.Conflict || isStale(refusal) {
		return err
	}
	key, _ := ch.keyOf(ctx, string(id), organization)
	var commands []string
	for _, secret := range key.Secrets {
		if secret.Expires.IsZero() || secret.Expires.After(ch.env.now()) {
			commands = append(commands, fmt.Sprintf("sallyport keys end-secret %s %s", quoted(string(id)), secret.ID))
		}
	}
	if len(commands) < 2 { // or the key cannot be read
		return err
	}
	return fmt.Errorf("%w To end one: %s", err, strings.Join(commands, ", or "))
}

func (s *session) keysEndSecret() *cobra.Command {
	var at instant
	c := s.changeKey("end-secret KEY SECRET-ID", "End a secret of a key", exactly(2), func(id apikey.ID, rest []string) (string, change, error) {
		if len(rest[0]) > maxSecretID {
			return "", change{}, usageError{errors.New("that is no ID of a secret: want its 8 digits, as keys show has them, and never the secret itself")}
		}
		return fmt.Sprintf("end secret %s of key %s", rest[0], id), sent(admin.EndSecret(id, rest[0], at.Time), object{"secret": rest[0]}.with("expires", at.Time)), nil
	})
	c.Flags().Var(&at, "at", "when; now unless given")
	return c
}

// maxSecretID is more than the length of a secret's ID, and less than that of a secret.
const maxSecretID = 16

func (s *session) keysDelete() *cobra.Command {
	return s.changeKey("delete KEY", "Delete a key with its list, grants and usage", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		return fmt.Sprintf("delete key %s", id), sent(admin.DeleteKey(id), nil), nil
	})
}
