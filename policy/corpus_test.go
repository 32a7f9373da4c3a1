package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// The corpus is data that was written from the rules and not by this code; its
// format is described in the file itself.
type corpus struct {
	Description string
	Format      map[string]string
	Cases       []corpusCase
}

type corpusCase struct {
	Name         string
	Rule         []string
	Now          time.Time
	Organization *struct {
		ID          string
		Requirement policy.Requirement
		Disabled    bool

		SuspendedUntil time.Time
	}
	Source  string
	Key     *corpusKey
	Request corpusRequest
	Want    corpusWant
}

type corpusKey struct {
	ID                 apikey.ID
	Organization       string
	Disabled           bool
	NotBefore, Expires time.Time
	AccessList         []corpusEntry
	TrialList          []corpusEntry
	AllowIPv6          bool
	Grants             []struct {
		Role, Project string
		AllProjects   bool
	}
	Secrets []struct {
		Name    string
		Expires time.Time
	}
}

type corpusEntry struct {
	Address string
	Expires time.Time
}

type corpusRequest struct {
	Key                   apikey.ID
	Proof, Client         string
	Organization, Project string
	Endpoint              struct {
		Name               string
		RequiresAccessList bool
		Roles              []string
	}
	Console  bool
	Resolver *struct {
		policy.Resource
		Fails bool
	}
	Err string
}

// corpusErrs are the kinds of Request.Err by the names that the corpus has for them.
var corpusErrs = map[string]error{
	"no credentials": policy.ErrNoCredentials, "malformed credentials": policy.ErrMalformedCredentials,
	"invalid credentials": policy.ErrInvalidCredentials, "undeclared endpoint": policy.ErrUndeclaredEndpoint,
	"too early": policy.ErrTooEarly, "unavailable": policy.ErrUnavailable, "other": errors.New("two addresses"),
}

type corpusWant struct {
	Allowed           bool
	Reason, WouldDeny policy.Reason
	Entry, Secret     string
	Status            int
	Code              string
	Parameters        []string
}

func readCorpus(t *testing.T) []corpusCase {
	t.Helper()
	file, err := os.Open("testdata/decisions.json")
	require.NoError(t, err)
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	var c corpus
	require.NoError(t, decoder.Decode(&c))
	require.NotEmpty(t, c.Description)
	require.Len(t, c.Format, 8, "each field of a case is described")
	return c.Cases
}

// corpusSecrets are the secrets by the names that the corpus has for them.
type corpusSecrets map[string]struct {
	stored apikey.StoredSecret
	shown  apikey.Secret
}

func newCorpusSecrets(t testing.TB) corpusSecrets {
	secrets := corpusSecrets{}
	for name, id := range map[string]apikey.ID{"current": "key-1", "old": "key-1", "wrong": "key-2"} {
		s := secrets[name]
		s.stored, s.shown = newSecret(t, id)
		secrets[name] = s
	}
	return secrets
}

func TestCorpus(t *testing.T) {
	cases := readCorpus(t)
	require.GreaterOrEqual(t, len(cases), 150)
	secrets := newCorpusSecrets(t)
	names, rules, reasons := map[string]bool{}, map[string]bool{}, map[policy.Reason]bool{}
	for _, c := range cases {
		require.False(t, names[c.Name], "the name %q occurs twice", c.Name)
		require.NotEmpty(t, c.Rule, c.Name)
		names[c.Name], reasons[c.Want.Reason] = true, true
		for _, rule := range c.Rule {
			rules[rule] = true
		}
		t.Run(c.Name, func(t *testing.T) { c.run(t, secrets) })
	}
	for line := policy.InvalidRequest; line <= policy.OpenList; line++ {
		require.True(t, reasons[line], "no case is answered by %s", line)
		require.True(t, rules[fmt.Sprintf("line %d", line)], "no case names line %d", line)
	}
	for _, rule := range []string{"A1", "A2", "A3", "A4", "A5", "A6", "A8", "A11", "Q1", "Q2", "Q4", "M20", "K4", "K5", "D2", "D3", "truth table", "order"} {
		require.True(t, rules[rule], "no case names %s", rule)
	}
	t.Logf("%d cases", len(cases))
}

// run checks one case through everything that can answer it.
func (c corpusCase) run(t *testing.T, secrets corpusSecrets) {
	request, subject := c.request(t, secrets), c.subject(t, secrets)
	subject, found, err := c.garble(t, subject)

	// Evaluate answers what a source returned; what else a source does, it is not told.
	returned := err == nil && found == (subject != policy.Subject{}) && (c.Source == "ok" || strings.HasPrefix(c.Source, "garbage:"))
	if returned || c.Want.Reason <= policy.ConsoleForbidden {
		c.check(t, "Evaluate", policy.Evaluate(subject, request, c.Now), secrets)
	}

	ctx := context.Background()
	timeout := time.Minute
	waiting := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) { return subject, found, err })
	immediate := true
	switch c.Source {
	case "timeout":
		timeout, immediate = 5*time.Millisecond, false
		waiting = func(ctx context.Context, _ apikey.ID) (policy.Subject, bool, error) {
			<-ctx.Done()
			return policy.Subject{}, false, ctx.Err()
		}
	case "cancelled":
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		ctx = cancelled
	case "panic":
		immediate = false
		waiting = func(context.Context, apikey.ID) (policy.Subject, bool, error) { panic("the source is broken") }
	}
	options := []policy.Option{policy.WithClock(func() time.Time { return c.Now }), policy.WithTimeout(timeout)}
	c.check(t, "Decide", policy.New(waiting, options...).Decide(ctx, request), secrets)
	if immediate {
		source := &memory{subject: subject, found: found, err: err}
		c.check(t, "Decide at once", policy.New(source, options...).Decide(ctx, request), secrets)
	}
}

func (c corpusCase) request(t *testing.T, secrets corpusSecrets) policy.Request {
	r := policy.Request{
		Key: c.Request.Key, Organization: c.Request.Organization, Project: c.Request.Project, Console: c.Request.Console,
		Endpoint: (*policy.Endpoint)(&c.Request.Endpoint),
	}
	if c.Request.Client != "" {
		r.Client = netip.MustParseAddr(c.Request.Client)
	}
	if resolver := c.Request.Resolver; resolver != nil {
		r.Resolver = policy.ResolverFunc(func(context.Context) (policy.Resource, error) {
			if resolver.Fails {
				return resolver.Resource, errors.New("no connection")
			}
			return resolver.Resource, nil
		})
	}
	if c.Request.Err != "" {
		require.Contains(t, corpusErrs, c.Request.Err)
		r.Err = fmt.Errorf("while reading: %w", corpusErrs[c.Request.Err])
	}
	for part := range strings.SplitSeq(c.Request.Proof, "+") {
		switch part {
		case "none":
		case "already_verified":
			r.Verifier = policy.AlreadyVerified{}
		case "verifier_accepts":
			r.Verifier = verifierFunc(func(apikey.Key, time.Time) error { return nil })
		case "verifier_refuses":
			r.Verifier = verifierFunc(func(apikey.Key, time.Time) error { return errors.New("refused") })
		default:
			require.Contains(t, secrets, part, "an unknown proof")
			r.Secret = secrets[part].shown
		}
	}
	return r
}

// subject builds what is stored; the zero Subject where nothing is.
func (c corpusCase) subject(t *testing.T, secrets corpusSecrets) policy.Subject {
	if c.Key == nil {
		require.Nil(t, c.Organization, "an organization without a key takes no part")
		return policy.Subject{}
	}
	k := c.Key
	key := &apikey.Key{ID: k.ID, Organization: k.Organization, Disabled: k.Disabled, NotBefore: k.NotBefore, Expires: k.Expires}
	key.AccessList, key.TrialList = k.list(t, k.AccessList), k.list(t, k.TrialList)
	for _, g := range k.Grants {
		key.Grants = append(key.Grants, apikey.Grant(g))
	}
	for _, s := range k.Secrets {
		require.Contains(t, secrets, s.Name)
		stored := secrets[s.Name].stored
		stored.Expires = s.Expires
		key.Secrets = append(key.Secrets, stored)
	}
	return policy.NewSubject(key, &policy.Organization{ID: c.Organization.ID, Requirement: c.Organization.Requirement,
		Disabled: c.Organization.Disabled, SuspendedUntil: c.Organization.SuspendedUntil})
}

func (k *corpusKey) list(t *testing.T, written []corpusEntry) accesslist.List {
	var entries []accesslist.Entry
	for _, e := range written {
		entry, err := accesslist.Parser{AllowIPv6: k.AllowIPv6}.ParseEntry(e.Address)
		require.NoError(t, err)
		entry.Expires = e.Expires
		entries = append(entries, entry)
	}
	list, err := accesslist.List{}.With(entries...)
	require.NoError(t, err)
	return list
}

// garble makes of the stored records what the source returns of them.
func (c corpusCase) garble(t *testing.T, sound policy.Subject) (subject policy.Subject, found bool, err error) {
	key, organization := sound.Key(), sound.Organization()
	subject, found = policy.NewSubject(&key, &organization), true
	switch c.Source {
	case "ok", "timeout", "cancelled", "panic":
		return sound, sound != policy.Subject{}, nil
	case "error":
		return policy.Subject{}, false, errors.New("connection refused")
	case "stale":
		return sound, sound != policy.Subject{}, errors.New("the copy is 40s old, the bound is 30s")
	case "garbage:record_and_error":
		return sound, true, errors.New("half a record")
	case "garbage:list":
		err = new(accesslist.List).UnmarshalJSON([]byte(`[{"address":"203.0.113.256"}]`))
		require.Error(t, err)
		key.AccessList = accesslist.List{} // what a careless reader would be left with
	case "garbage:found_nothing":
		return policy.Subject{}, true, nil
	case "garbage:no_key":
		return policy.NewSubject(nil, &organization), true, nil
	case "garbage:no_organization":
		return policy.NewSubject(&key, nil), true, nil
	case "garbage:other_key":
		key.ID = "key-2"
	case "garbage:longer_id":
		key.ID += "0"
	case "garbage:folded_id":
		key.ID = apikey.ID(strings.ToUpper(string(key.ID)))
	case "garbage:other_organization":
		organization.ID = "globex"
	case "garbage:folded_organization":
		organization.ID = strings.ToUpper(organization.ID)
	case "garbage:unnamed_organization":
		key.Organization, organization.ID = "", ""
	default:
		t.Fatalf("an unknown source %q", c.Source)
	}
	return subject, found, err
}

func (c corpusCase) check(t *testing.T, by string, got policy.Decision, secrets corpusSecrets) {
	t.Helper()
	require.Equal(t, c.Want.Reason.String(), got.Reason.String(), "%s: reason of %v", by, got)
	require.Equal(t, c.Want.Allowed, got.Allowed(), "%s: allowed", by)
	require.Equal(t, c.Want.WouldDeny.String(), got.WouldDeny.String(), "%s: would deny", by)
	text := ""
	if entry, ok := got.Entry(); ok {
		text = entry.String()
	}
	require.Equal(t, c.Want.Entry, text, "%s: entry", by)
	hasCause := slices.Contains([]policy.Reason{policy.InvalidRequest, policy.Unavailable, policy.WrongSecret}, got.Reason)
	require.Equal(t, hasCause || c.Request.Err != "" && got.Reason == policy.UnknownKey, got.Cause != nil, "%s: cause %v", by, got.Cause)
	require.Equal(t, !c.Want.Allowed, got.Err() != nil, "%s: error %v", by, got.Err())
	if c.Want.Secret != "" {
		require.Equal(t, secrets[c.Want.Secret].stored.ID(), got.SecretID(), "%s: secret", by)
	}

	answer := got.Answer()
	require.Equal(t, c.Want.Status, answer.Status, "%s: status", by)
	require.Equal(t, c.Want.Code, answer.Code, "%s: code", by)
	require.Equal(t, c.Want.Parameters, answer.Parameters, "%s: parameters", by)
	require.Equal(t, c.Want.Allowed, answer.Message == "", "%s: message %q", by, answer.Message)
	for _, parameter := range answer.Parameters {
		require.Contains(t, answer.Message, parameter, by)
	}
	require.Equal(t, c.Request.Key.String(), string(requestKeyOf(got)), "%s: the decision tells of this request", by)
}

// requestKeyOf reads the key ID back from the decision's attributes.
func requestKeyOf(d policy.Decision) apikey.ID {
	for _, attr := range d.LogValue().Group() {
		if attr.Key == "key" {
			return apikey.ID(attr.Value.String())
		}
	}
	return ""
}
