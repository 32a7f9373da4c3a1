package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A builder makes of the oracle's plain data what the code under test takes.
type builder struct {
	stored map[string]apikey.StoredSecret
	shown  map[string]apikey.Secret
	accept policy.Verifier
	refuse policy.Verifier
}

func newBuilder(t testing.TB) *builder {
	b := &builder{
		stored: map[string]apikey.StoredSecret{}, shown: map[string]apikey.Secret{},
		accept: verifierFunc(func(apikey.Key, time.Time) error { return nil }),
		refuse: verifierFunc(func(apikey.Key, time.Time) error { return errors.New("refused") }),
	}
	for _, name := range []string{"first", "second", "other key's"} {
		b.stored[name], b.shown[name] = newSecret(t, "key-1")
	}
	return b
}

func (i instant) time() time.Time {
	if !i.set {
		return time.Time{}
	}
	return noon.Add(time.Duration(i.ns))
}

func (b *builder) subject(t testing.TB, w *world) policy.Subject {
	var key *apikey.Key
	if k := w.key; k != nil {
		key = &apikey.Key{ID: apikey.ID(k.id), Organization: k.organization, Disabled: k.disabled,
			NotBefore: k.notBefore.time(), Expires: k.expires.time()}
		key.AccessList, key.TrialList = listOf(t, k.entries), listOf(t, k.trial)
		for _, g := range k.grants {
			key.Grants = append(key.Grants, apikey.Grant{Role: g.role, Project: g.project, AllProjects: g.allProjects})
		}
		for _, s := range k.secrets {
			stored := b.stored[s.name]
			stored.Expires = s.expires.time()
			key.Secrets = append(key.Secrets, stored)
		}
	}
	var organization *policy.Organization
	if o := w.organization; o != nil {
		organization = &policy.Organization{ID: o.id, Requirement: 200, Disabled: o.disabled, SuspendedUntil: o.suspendedUntil.time()}
		_ = organization.Requirement.UnmarshalText([]byte(o.requirement)) // any other text: out of range
	}
	return policy.NewSubject(key, organization)
}

func listOf(t testing.TB, plain []plainEntry) accesslist.List {
	var entries []accesslist.Entry
	for _, e := range plain {
		entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry(e.text)
		require.NoError(t, err)
		entry.Expires = e.expires.time()
		entries = append(entries, entry)
	}
	list, err := accesslist.List{}.With(entries...)
	require.NoError(t, err)
	return list
}

func (b *builder) request(r *plainRequest) policy.Request {
	request := policy.Request{
		Key: apikey.ID(r.key), Organization: r.organization, Project: r.project, Console: r.console, Secret: b.shown[r.secret],
		Endpoint: &policy.Endpoint{Name: "things.read", RequiresAccessList: r.endpointRequires, Roles: r.roles},
	}
	if r.client != "" {
		request.Client = netip.MustParseAddr(r.client)
	}
	if r.resolver != "" {
		resource := policy.Resource{Organization: r.organization, Project: r.project}
		request.Organization, request.Project = "", ""
		request.Resolver = policy.ResolverFunc(func(context.Context) (policy.Resource, error) {
			if r.resolver == "fails" {
				return resource, errors.New("no connection")
			}
			return resource, nil
		})
	}
	switch r.unreadable {
	case "malformed":
		request.Err = policy.ErrMalformedCredentials
	case "invalid credentials":
		request.Err = policy.ErrInvalidCredentials
	case "unavailable":
		request.Err = policy.ErrUnavailable
	}
	switch r.verifier {
	case "already verified":
		request.Verifier = policy.AlreadyVerified{}
	case "accepts":
		request.Verifier = b.accept
	case "refuses":
		request.Verifier = b.refuse
	}
	return request
}

// difference says how a decision differs from what the oracle answered, or "".
func (b *builder) difference(w *world, want plainAnswer, got policy.Decision) string {
	switch {
	case int(got.Reason) != want.line:
		return fmt.Sprintf("line %d", want.line)
	case got.Allowed() != want.allowed():
		return fmt.Sprintf("allowed %t", want.allowed())
	case int(got.WouldDeny) != want.wouldDeny:
		return fmt.Sprintf("would deny by line %d", want.wouldDeny)
	case (got.Cause != nil) != (want.line == 1 || want.line == 3 || want.line == 5 || want.line == 4 && w.request.unreadable != ""):
		return "a cause with lines 1, 3 and 5, and with credentials of no key"
	case (got.Err() == nil) != want.allowed():
		return "an error for each denial"
	case attributeOf(got, "disabled") != w.disabled(want.line):
		return fmt.Sprintf("disabled %q", w.disabled(want.line))
	case want.line >= 5 && (attributeOf(got, "suspended_until") != "") != w.suspended():
		return fmt.Sprintf("suspended %t", w.suspended())
	}
	wantEntry, gotEntry := "", ""
	if want.line == 15 {
		wantEntry = w.entry()
	}
	if entry, ok := got.Entry(); ok {
		gotEntry = entry.String()
	}
	if gotEntry != wantEntry {
		return fmt.Sprintf("entry %q", wantEntry)
	}
	if want.line < 6 {
		return ""
	}
	secret := ""
	if name := w.secretVerified(); name != "" && w.request.verifier == "" {
		secret = b.stored[name].ID()
	}
	if got.SecretID() != secret {
		return fmt.Sprintf("secret %q", secret)
	}
	return ""
}

// attributeOf is an attribute by its name, or "".
func attributeOf(d policy.Decision, name string) string {
	for _, a := range d.LogValue().Group() {
		if a.Key == name {
			return a.Value.String()
		}
	}
	return ""
}

func entries(texts ...string) (entries []plainEntry) {
	for _, text := range texts {
		text, isExpired := strings.CutPrefix(text, "expired ")
		e := plainEntry{text: text, bits: bitsOf(text)}
		if isExpired {
			e.expires = at(-1)
		}
		entries = append(entries, e)
	}
	return entries
}

// The finite part of what a decision depends on.
var (
	oracleLists = map[string][]plainEntry{
		"empty":                 nil,
		"covering":              entries("203.0.113.7", "198.51.100.0/24"),
		"not covering":          entries("203.0.113.8", "198.51.100.0/24"),
		"all expired":           entries("expired 203.0.113.7", "expired 0.0.0.0/0"),
		"covering, but expired": entries("expired 203.0.113.7", "198.51.100.0/24"),
		"covering twice":        entries("203.0.113.0/24", "expired 203.0.113.7", "203.0.112.0/22"),
	}
	oracleGrants = [][]plainGrant{
		nil,
		{{role: "reader"}},
		{{role: "writer", project: "alpha"}, {role: "reader", project: "alpha"}, {role: "owner", project: "beta"}},
		{{role: "reader", allProjects: true}},
		{{role: "reader"}, {role: "writer", project: "alpha"}, {role: "owner", allProjects: true}},
		{{role: "reader", project: "alpha", allProjects: true}}, // contradicts itself
	}
	oracleRequirements = []plainOrganization{
		{requirement: "not_required"}, {requirement: "report_only"}, {requirement: "required"}, {requirement: "out of range"},
		{requirement: "required", suspendedUntil: at(1)}, {requirement: "required", suspendedUntil: at(0)},
		{requirement: "report_only", suspendedUntil: at(1)}, {requirement: "not_required", suspendedUntil: at(1)},
		{requirement: "out of range", suspendedUntil: at(1)},
	}
	oracleTrials = [][]plainEntry{
		nil, entries("203.0.113.0/24", "expired 203.0.113.7"), entries("203.0.113.8"), entries("expired 203.0.113.7", "198.51.100.0/24"),
	}
	oracleRoles = [][]string{nil, {"reader"}, {"owner", "reader"}, {"nobody"}}
)

// oracleWorlds are all combinations of what is stored.
func oracleWorlds() (worlds []*world) {
	worlds = append(worlds, &world{}) // no such key
	for _, disabled := range []struct{ key, organization bool }{{}, {true, false}, {false, true}, {true, true}} {
		for _, notBefore := range []instant{{}, at(0), at(1)} {
			for _, expires := range []instant{{}, at(0), at(1)} {
				for _, list := range oracleLists {
					for _, grants := range oracleGrants {
						if disabled.organization && grants != nil {
							continue // TestOracleByDice has these
						}
						for _, o := range oracleRequirements {
							if o.suspendedUntil.set && (disabled.key || notBefore.set || expires.set) {
								continue // likewise
							}
							organization := o
							organization.id, organization.disabled = "acme", disabled.organization
							for _, trial := range oracleTrials {
								if trial != nil && (disabled.key || disabled.organization || notBefore.set || expires.set || len(grants) != 1) {
									continue // likewise
								}
								worlds = append(worlds, &world{
									organization: &organization,
									key: &plainKey{id: "key-1", organization: "acme", disabled: disabled.key, notBefore: notBefore, expires: expires,
										entries: list, trial: trial, grants: grants},
								})
							}
						}
					}
				}
			}
		}
	}
	return worlds
}

// A plainProof is what is stored as secrets and what is shown.
type plainProof struct {
	stored                       []plainSecret
	secret, verifier, unreadable string
}

var oracleProofs = []plainProof{
	{stored: []plainSecret{{name: "first"}}, secret: "first"},
	{stored: []plainSecret{{name: "first"}}, secret: "other key's"},
	{stored: []plainSecret{{name: "first"}}},
	{stored: []plainSecret{{name: "first", expires: at(1)}, {name: "second"}}, secret: "first"},
	{stored: []plainSecret{{name: "first", expires: at(0)}, {name: "second"}}, secret: "first"},
	{stored: []plainSecret{{name: "first", expires: at(0)}, {name: "second"}}, secret: "second"},
	{stored: []plainSecret{{name: "first"}}, verifier: "already verified"},
	{stored: []plainSecret{{name: "first"}}, verifier: "refuses"},
	{stored: []plainSecret{{name: "first"}}, secret: "first", verifier: "accepts"},
	{stored: []plainSecret{{name: "first"}}, secret: "first", unreadable: "invalid credentials"},
	{stored: []plainSecret{{name: "first"}}, secret: "first", unreadable: "unavailable"},
}

// oracleRequests are all combinations of what is asked, but for the proof.
func oracleRequests() (requests []*plainRequest) {
	for _, resolver := range []string{"", "finds", "fails"} {
		for _, organization := range []string{"", "acme", "globex"} {
			for _, project := range []string{"", "alpha", "gamma"} {
				if resolver == "fails" && (organization == "" || project != "") {
					continue // what a failing resolver names does not matter
				}
				for _, endpointRequires := range []bool{false, true} {
					if resolver != "" && endpointRequires {
						continue // TestOracleByDice has these
					}
					for _, roles := range oracleRoles {
						requests = append(requests, &plainRequest{key: "key-1", client: "203.0.113.7", resolver: resolver,
							organization: organization, project: project, endpointRequires: endpointRequires, roles: roles})
					}
				}
			}
		}
	}
	return requests
}

// TestOracle compares Evaluate and Decide with the oracle on every combination of
// the key's state, its list, its grants, the requirement, what the request names,
// the proof, the surface and the source.
func TestOracle(t *testing.T) {
	b := newBuilder(t)
	combinations, seen := 0, map[plainAnswer]int{}
	failing := policy.New(&memory{err: errors.New("down")}, policy.WithClock(atNoon))
	source := &memory{}
	engine := policy.New(source, policy.WithClock(atNoon))

	compare := func(w *world, subject policy.Subject, request policy.Request) {
		want := w.answer()
		seen[want]++
		combinations++
		e := engine
		if w.sourceFails {
			e = failing
		} else if d := policy.Evaluate(subject, request, noon); b.difference(w, want, d) != "" {
			t.Fatalf("Evaluate: %v\nwant %s\n%+v\n%+v\n%+v", d, b.difference(w, want, d), w.key, w.organization, w.request)
		}
		if d := e.Decide(context.Background(), request); b.difference(w, want, d) != "" {
			t.Fatalf("Decide: %v\nwant %s\n%+v\n%+v\n%+v", d, b.difference(w, want, d), w.key, w.organization, w.request)
		}
	}

	requests, every := oracleRequests(), 0
	for _, w := range oracleWorlds() {
		for _, proof := range oracleProofs {
			if w.key != nil {
				w.key.secrets = proof.stored
			}
			subject := b.subject(t, w)
			source.subject, source.found = subject, w.key != nil
			for _, plain := range requests {
				if every++; every%oracleStride != 0 {
					continue
				}
				plain.secret, plain.verifier, plain.unreadable = proof.secret, proof.verifier, proof.unreadable
				w.request = plain
				request := b.request(plain)
				compare(w, subject, request)
				plain.console, request.Console = true, true
				compare(w, subject, request)
				plain.console, request.Console = false, false
				w.sourceFails = true
				compare(w, subject, request)
				w.sourceFails = false
			}
		}
	}
	require.Greater(t, combinations, 100_000)
	for line := 1; line <= 16; line++ {
		require.NotZero(t, seen[plainAnswer{line: line}], "line %d never answered", line)
	}
	for _, line := range []int{11, 12, 13, 14, 16} {
		require.NotZero(t, seen[plainAnswer{line, 10}], "line %d never answered what would be denied", line)
	}
	for _, line := range []int{1, 3, 12, 13, 14, 15, 16} {
		require.NotZero(t, seen[plainAnswer{line, 9}], "line %d never answered what a list on trial would deny", line)
	}
	t.Logf("%d combinations", combinations)
}
