package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A call is a call with a key, by flags.
type call struct {
	from     client
	org      string
	project  string
	endpoint policy.Endpoint
	at       instant
}

func (k *call) flags(c *cobra.Command) {
	flags := c.Flags()
	flags.Var(&k.from, "from", "address of the caller, as the service saw it")
	flags.StringVar(&k.org, "org", "", "the called `organization`")
	flags.StringVar(&k.project, "project", "", "the called `project`; none: the organization itself")
	flags.StringVar(&k.endpoint.Name, "endpoint", "", "`name` of the endpoint")
	flags.StringSliceVar(&k.endpoint.Roles, "role", nil, "the key needs one of these `roles`; none: the endpoint needs none")
	flags.BoolVar(&k.endpoint.RequiresAccessList, "requires-list", false, "the endpoint refuses keys without an access list")
	flags.Var(&k.at, "at", "when; now unless given")
}

// must marks flags as required.
func must(c *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := c.MarkFlagRequired(flag); err != nil {
			panic(err) // there is no such flag
		}
	}
}

// A decided is a decision and the caller's side of it.
type decided struct {
	Decision any    `json:"decision"`
	Answer   answer `json:"answer"`

	allowed           bool
	reason, wouldDeny policy.Reason
	entry, line       string // a server tells neither
	cause             error
	unjudged          error
}

func decidedOf(d policy.Decision) decided {
	a := d.Answer()
	of := decided{Decision: d, Answer: answer{a.Status, a.Code, a.Message, a.Parameters},
		allowed: d.Allowed(), reason: d.Reason, wouldDeny: d.WouldDeny, line: d.String(), cause: d.Cause}
	if entry, ok := d.Entry(); ok {
		of.entry = entryDetail(entry)
	}
	if d.Reason == policy.Unavailable || d.Reason == policy.InvalidRequest {
		of.unjudged = errors.Join(d.Err(), d.Cause)
	}
	return of
}

type answer struct {
	Status     int      `json:"status"`
	Code       string   `json:"code,omitempty"`
	Message    string   `json:"message,omitempty"`
	Parameters []string `json:"parameters,omitempty"`
}

var decisions = listing[decided]{
	name: func(d decided) string { return d.reason.String() },
	detail: func(d decided) [][2]string {
		verdict := "denied"
		if d.allowed {
			verdict = "allowed"
		}
		pairs := [][2]string{{"answer", verdict + ", " + d.reason.String()}}
		if d.wouldDeny != 0 {
			pairs = append(pairs, [2]string{"would deny", d.wouldDeny.String()})
		}
		if d.entry != "" {
			pairs = append(pairs, [2]string{"entry", d.entry})
		}
		if d.cause != nil {
			pairs = append(pairs, [2]string{"cause", d.cause.Error()})
		}
		pairs = append(pairs, [2]string{"to the caller", strings.TrimSpace(fmt.Sprintf("%d %s", d.Answer.Status, d.Answer.Code))}, [2]string{"", d.Answer.Message})
		return append(pairs, [2]string{"log line", d.line})
	},
}

func (s *session) decideCommand() *cobra.Command {
	var k call
	var issuing issuing
	var secret, file string
	c := &cobra.Command{Use: "decide KEY --from ADDRESS --org ORG", Short: "Decide a call with a key: exit status 0 if it is allowed", Args: cobra.MaximumNArgs(1)}
	c.Long = `Decide a call with a key as the service would: exit status 0 if it is allowed, 1 if it is
denied, 2 if that cannot be told. The right secret is assumed, unless --secret-file gives one
to verify. Nothing is written or counted.

With -f many calls are decided, one in each line of a file:

  {"key":"k3vsg","from":"203.0.113.7","organization":"acme","project":"p1","roles":["reader"]}

endpoint and requiresAccessList may be there, too. The exit status is 0 if all are allowed, 1 if
one is denied, and 2 if one could not be judged.`
	c.RunE = func(c *cobra.Command, args []string) error {
		if file != "" {
			if len(args) > 0 {
				return usageError{errors.New("with -f the keys are in the file: want no KEY beside it")}
			}
			return s.decideFile(c.Context(), file, k.at.Time)
		}
		if len(args) == 0 || !k.from.IsValid() || k.org == "" {
			return usageError{errors.New("which call? want KEY --from ADDRESS --org ORG, or -f FILE")}
		}
		request := policy.Request{Key: apikey.ID(args[0]), Client: k.from.Addr, Organization: k.org, Project: k.project, Endpoint: &k.endpoint, Verifier: policy.AlreadyVerified{}}
		if err := errors.Join(s.storeOnly(c, rolesAreTheServices, "role", "requires-list"), s.storeOnly(c, secretsAreTheServices, "secret-file", "prefix", "server-key")); err != nil {
			return err
		}
		if secret != "" {
			if err := s.readSecret(&request, secret, issuing); err != nil {
				return err
			}
		}
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		d, err := r.Decide(c.Context(), request, k.at.Time)
		if err != nil {
			return err
		}
		if err := show(s, decisions, d); err != nil {
			return err
		}
		switch {
		case d.allowed:
			return nil
		case d.unjudged != nil:
			return fmt.Errorf("the call could not be judged: %w", d.unjudged)
		}
		return errNo
	}
	k.flags(c)
	inputFlag(c, &file, "decide the calls")
	c.Flags().StringVar(&secret, "secret-file", "", "verify the secret in this `file`, - for standard input")
	issuing.flags(c)
	for _, flag := range []string{"from", "org", "project", "endpoint", "role", "requires-list", "secret-file"} {
		c.MarkFlagsMutuallyExclusive("file", flag)
	}
	return c
}

// readSecret reads the secret of a request, as the guard does.
func (s *session) readSecret(request *policy.Request, path string, issuing issuing) error {
	issuer, err := issuing.issuer(s)
	if err != nil {
		return err
	}
	text, err := s.readFile(path)
	if err != nil {
		return err
	}
	request.Verifier = nil
	id, secret, err := issuer.Parse(strings.TrimSpace(string(text)))
	switch {
	case err != nil:
		request.Err = policy.ErrInvalidCredentials
	case id != request.Key:
		return usageError{fmt.Errorf("the secret is that of key %s", id)}
	}
	request.Secret = secret
	return nil
}

var investigations = listing[admin.Investigation]{
	name: func(i admin.Investigation) string { return i.Reason.String() },
}

func (s *session) explainCommand() *cobra.Command {
	var k call
	var id string
	var unproven bool
	c := &cobra.Command{Use: "explain KEY --from ADDRESS --org ORG", Short: "Say why a call is refused, and what would let it pass", Args: exactly(1)}
	c.Long = `Say which line of the order answers a call and why, which change the refusal comes from, what
was changed since, and the changes after which the call would pass.

Exit status 0 if the call is allowed, 1 if it is denied: now or, with --at, at that time, by the
records of now. What the same call is answered when made again is in the text only.`
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.storeOnly(c, rolesAreTheServices, "role", "requires-list"); err != nil {
			return err
		}
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		found, err := r.Investigate(c.Context(), k.org, admin.Call{Key: apikey.ID(args[0]), Client: k.from.Addr, Endpoint: k.endpoint,
			Resource: policy.Resource{Organization: k.org, Project: k.project}, Time: k.at.Time, Secret: id, Unproven: unproven})
		if err != nil {
			return err
		}
		if s.output == "table" {
			s.out.text(found.String())
			if commands := remedies(found); len(commands) > 0 {
				s.out.strong("\nTo make one of these changes:\n")
				s.out.print("  " + strings.Join(commands, "\n  ") + "\n")
			}
		} else if err := show(s, investigations, found); err != nil {
			return err
		}
		if found.KeyRevision == 0 {
			absent := noKeyError{apikey.ID(args[0]), "organization " + k.org}
			if near := nearKey(c.Context(), r, k.org, args[0], absent); near != error(absent) {
				s.err.textf("Mind: %v", near)
			}
		}
		if !found.Reason.Allows() {
			return errNo
		}
		return nil
	}
	k.flags(c)
	must(c, "from", "org")
	c.Flags().StringVar(&id, "secret-id", "", "the `ID` of the proven secret, as the service's log has it")
	c.Flags().BoolVar(&unproven, "unproven", false, "the caller's secret did not match")
	return c
}

// readEndpoints reads flags of the form NAME=ROLE,ROLE, or NAME for an endpoint without roles.
func readEndpoints(texts []string) (endpoints []policy.Endpoint, err error) {
	for _, text := range texts {
		name, roles, hasRoles := strings.Cut(text, "=")
		endpoint := policy.Endpoint{Name: name, Roles: split(roles)}
		if strings.TrimSpace(name) == "" || hasRoles && len(endpoint.Roles) == 0 {
			return nil, usageError{fmt.Errorf("--endpoint %s: want NAME=ROLE,ROLE, or NAME if it needs no role", quoted(text))}
		}
		endpoints = append(endpoints, endpoint)
	}
	return endpoints, nil
}

// endpointsOf are an endpoint without roles, and one for each role of a key.
func endpointsOf(key admin.KeyView) []policy.Endpoint {
	endpoints := []policy.Endpoint{{Name: "(no role)"}}
	roles := map[string]bool{}
	for _, grant := range key.Grants {
		roles[grant.Role] = true
	}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		endpoints = append(endpoints, policy.Endpoint{Name: role, Roles: []string{role}})
	}
	return endpoints
}

var permissions = listing[admin.Permissions]{
	name: func(p admin.Permissions) string { return p.Reason.String() },
}

// permissionsText is the table of permissions. A service that declares no endpoints has none in it.
func permissionsText(may admin.Permissions) string {
	for _, place := range may.Places {
		if len(place.Endpoints) > 0 {
			return strings.ReplaceAll(may.String(), "\t", "  ")
		}
	}
	may.Places = nil
	return may.String() + "\nno endpoints are declared"
}

func (s *session) mayCommand() *cobra.Command {
	var from client
	var org string
	var endpoints []string
	c := &cobra.Command{Use: "may KEY", Short: "Say what a key may do", Args: exactly(1)}
	c.Long = `Say what a key may do, in its organization and in each project that a grant names. Without
--endpoint there is a row for each of its roles. Exit status 1 if every call is denied.`
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.storeOnly(c, endpointsAreTheServices, "endpoint"); err != nil {
			return err
		}
		r, err := s.records(c.Context())
		if err != nil {
			return err
		}
		key, err := keyOf(c.Context(), r, args[0], org)
		if err != nil {
			return err
		}
		asked, err := readEndpoints(endpoints)
		if err != nil {
			return err
		}
		if len(asked) == 0 {
			asked = endpointsOf(key)
		}
		may, err := r.May(c.Context(), key.Organization, key.ID, asked, from.Addr)
		if err != nil {
			return err
		}
		if s.output == "table" {
			s.out.print(permissionsText(may) + "\n")
		} else if err := show(s, permissions, may); err != nil {
			return err
		}
		if !may.Reason.Allows() {
			return errNo
		}
		return nil
	}
	c.Flags().Var(&from, "from", "address of the caller; any listed one unless given")
	c.Flags().StringArrayVar(&endpoints, "endpoint", nil, "an endpoint, as `NAME=ROLE,ROLE`, or NAME if it needs none; repeat it for each")
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	return c
}

// keyOf returns a key by its ID, and maybe its organization.
func (s *session) keyOf(ctx context.Context, id, organization string) (admin.KeyView, error) {
	r, err := s.records(ctx)
	if err != nil {
		return admin.KeyView{}, err
	}
	return keyOf(ctx, r, id, organization)
}

func keyOf(ctx context.Context, r records, id, organization string) (admin.KeyView, error) {
	organization, err := organizationOf(ctx, r, apikey.ID(id), organization)
	if err != nil {
		return admin.KeyView{}, err
	}
	return r.Key(ctx, organization, apikey.ID(id))
}
