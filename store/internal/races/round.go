package races

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A round is one race in organizations of its own, so that rounds can run beside each other.
type round struct {
	ctx     context.Context
	race    Race
	name    string // in every ID
	stores  []store.Store
	issuer  *apikey.Issuer
	secrets map[apikey.ID][]apikey.Secret
	keys    []apikey.Key // as stored before the race
	orgs    []policy.Organization
	err     error // the first one of the setup
}

// id returns the ID of a key or an organization in this round.
func (r *round) id(name apikey.ID) apikey.ID { return apikey.ID(r.name) + "-" + name }

func (r *round) orgID(name string) string {
	if name == "" {
		return r.name
	}
	return r.name + "-" + name
}

// fail keeps the first error of the setup.
func (r *round) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// organization stores an organization, of the round if it has no ID.
func (r *round) organization(o policy.Organization) {
	o.ID = r.orgID(o.ID)
	stored, err := r.stores[0].PutOrganization(r.ctx, o)
	r.fail(err)
	r.orgs = append(r.orgs, stored)
}

// key stores a key with as many secrets and an access list in words.
func (r *round) key(name apikey.ID, list string, secrets int, grants ...apikey.Grant) {
	r.record(name, apikey.Key{Grants: grants, AccessList: listFrom(entriesOf(list))}, secrets)
}

// record stores a key with as many secrets.
func (r *round) record(name apikey.ID, key apikey.Key, secrets int) {
	key.ID, key.Organization, key.Created = r.id(name), r.name, now.AddDate(0, -6, 0)
	key, first, err := r.issuer.Issue(key)
	r.fail(err)
	r.secrets[name] = []apikey.Secret{first}
	for range secrets - 1 {
		var next apikey.Secret
		key, next, err = r.issuer.Rotate(key, 24*time.Hour)
		r.fail(err)
		r.secrets[name] = append(r.secrets[name], next)
	}
	stored, err := r.stores[0].PutKey(r.ctx, key, store.AllowOpen)
	r.fail(err)
	r.keys = append(r.keys, stored)
}

// secretID returns the stored ID of a key's secret.
func (r *round) secretID(name apikey.ID, n int) string {
	for _, key := range r.keys {
		if key.ID == r.id(name) {
			return key.Secrets[n%len(key.Secrets)].ID()
		}
	}
	return ""
}

// endpoint carries the changes of keys.
var endpoint = &policy.Endpoint{Name: "manage", Roles: []string{"owner", "deputy"}}

// request is that of a key with one of its secrets.
func (r *round) request(name apikey.ID, secret int) policy.Request {
	return policy.Request{
		Key: r.id(name), Secret: r.secrets[name][secret], Client: netip.MustParseAddr(addresses[name]),
		Organization: r.name, Endpoint: endpoint, ClientFrom: policy.OriginPeer,
	}
}

// actor returns a key as the guard allowed it before the race.
func (r *round) actor(name apikey.ID, secret int) admin.Actor {
	subject, _, err := r.stores[0].Lookup(r.ctx, r.id(name))
	r.fail(err)
	actor, err := admin.ByKey(policy.Evaluate(subject, r.request(name, secret), now))
	r.fail(err)
	return actor
}

func entriesOf(words string) []accesslist.Entry {
	var entries []accesslist.Entry
	for _, word := range strings.Fields(words) {
		entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry(word)
		if err != nil {
			panic(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// An answer is what one call returned.
type answer struct {
	changes int
	result  admin.Result
	err     error
}

// check returns what is wrong with the answers and with the records after the race.
func (r *round) check(answers []answer) error {
	var made, unknown int
	for i, a := range answers {
		switch {
		case a.err == nil:
			made++
			if a.result.Made != a.changes {
				return fmt.Errorf("call %d made %d of %d changes without an error", i, a.result.Made, a.changes)
			}
		case admin.ClassOf(a.err) == admin.Unavailable:
			unknown++
		default:
			if err := r.expected(a.err); err != nil {
				return fmt.Errorf("call %d: %w", i, err)
			}
		}
	}
	all := r.race.anyOrder || r.race.ordered
	switch n := len(answers); {
	case made == n && !all:
		return fmt.Errorf("all %d calls were made: want one of them refused", n)
	case n == 2 && made == 0 && unknown == 0 && !r.race.random:
		return fmt.Errorf("no call was made: %w", errors.Join(answers[0].err, answers[1].err))
	case made == n && r.race.ordered && revision(answers[0]) > revision(answers[1]):
		return fmt.Errorf("the first call was made at revision %d, after the other one at %d: want it before, or refused", revision(answers[0]), revision(answers[1]))
	}
	after, err := r.read()
	if err != nil {
		return err
	}
	return errors.Join(r.lockedOut(after, answers), r.acknowledged(after, answers), r.events(answers, unknown))
}

// revision is that of the last event of an answer.
func revision(a answer) uint64 {
	if n := len(a.result.Events); n > 0 {
		return a.result.Events[n-1].Revision
	}
	return 0
}

// expected returns why a refusal is not the one expected.
func (r *round) expected(err error) error {
	class := admin.ClassOf(err)
	if r.race.random {
		return nil
	}
	if !slices.Contains(r.race.refusals, class) {
		return fmt.Errorf("the class is %v: want one of %v: %w", class, r.race.refusals, err)
	}
	var refusal *admin.Error
	if class != admin.Refused || !errors.As(err, &refusal) {
		return nil
	}
	for _, finding := range refusal.Findings {
		if slices.Contains(r.race.findings, finding.Kind) {
			return nil
		}
	}
	return fmt.Errorf("none of the findings is of a kind of %v: %w", r.race.findings, err)
}

// records are those of the round.
type records struct {
	organizations map[string]policy.Organization
	keys          map[apikey.ID]apikey.Key
}

// read reads the records through every connection, which must agree.
func (r *round) read() (records, error) {
	found := records{map[string]policy.Organization{}, map[apikey.ID]apikey.Key{}}
	for i, s := range r.stores {
		for _, name := range []string{"", "other"} {
			organization, err := s.Organization(r.ctx, r.orgID(name))
			if err == nil {
				if known, ok := found.organizations[organization.ID]; i > 0 && (!ok || known != organization) {
					return found, fmt.Errorf("two connections read the organization as %v and %v", known, organization)
				}
				found.organizations[organization.ID] = organization
			} else if !errors.Is(err, store.ErrNotFound) {
				return found, err
			}
		}
		for _, name := range slices.Concat([]apikey.ID{"x", "y", "z", "boss", "self", "new"}, crowd) {
			key, err := s.Key(r.ctx, r.id(name))
			if err == nil {
				if known, ok := found.keys[key.ID]; i > 0 && (!ok || known.Revision != key.Revision) {
					return found, fmt.Errorf("two connections read the key %q at revisions %d and %d", key.ID, known.Revision, key.Revision)
				}
				found.keys[key.ID] = key
			} else if !errors.Is(err, store.ErrNotFound) {
				return found, err
			}
		}
	}
	return found, nil
}

// lockedOut returns who is locked out, now or within the notice, and was not before.
func (r *round) lockedOut(after records, answers []answer) error {
	before := records{map[string]policy.Organization{}, map[apikey.ID]apikey.Key{}}
	for _, organization := range r.orgs {
		before.organizations[organization.ID] = organization
	}
	for _, key := range r.keys {
		before.keys[key.ID] = key
	}
	for id := range after.keys {
		if _, ok := after.organizations[after.keys[id].Organization]; !ok {
			return fmt.Errorf("the key %q has no organization", id)
		}
	}
	if _, ok := after.organizations[r.name]; !ok {
		return nil
	}
	for _, at := range []time.Time{now, soon, now.Add(time.Hour)} {
		if !r.race.random && before.usable(r.name, at) && !after.usable(r.name, at) {
			return fmt.Errorf("no key is usable at %v", at)
		}
		if before.usable(r.name, at, "owner") && !after.usable(r.name, at, "owner") {
			return fmt.Errorf("no key can manage the organization at %v", at)
		}
	}
	if r.race.self == "" {
		return nil
	}
	for secret := range r.secrets[r.race.self] {
		key, organization := after.keys[r.id(r.race.self)], after.organizations[r.name]
		if policy.Evaluate(policy.NewSubject(&key, &organization), r.request(r.race.self, secret), now).Allowed() {
			return nil
		}
	}
	return fmt.Errorf("the key %q has locked itself out", r.race.self)
}

// usable reports whether a key of an organization is usable, with a role at the organization
// if one is given. An organization that is switched off counts as if it were on.
func (all records) usable(organization string, at time.Time, roles ...string) bool {
	of := all.organizations[organization]
	of.Disabled = false
	for _, key := range all.keys {
		live := slices.ContainsFunc(key.Secrets, func(s apikey.StoredSecret) bool { return s.Expires.IsZero() || at.Before(s.Expires) })
		client := netip.MustParseAddr("192.0.2.1")
		for entry := range key.AccessList.All() {
			if !entry.ExpiredAt(at) {
				client = entry.Prefix().Addr()
			}
		}
		request := policy.Request{Key: key.ID, Organization: organization, Client: client, Verifier: policy.AlreadyVerified{}}
		request.Endpoint = &policy.Endpoint{Roles: roles}
		if live && policy.Evaluate(policy.NewSubject(&key, &of), request, at).Allowed() {
			return true
		}
	}
	return false
}

// acknowledged returns which change or secret was returned and is not stored. The record of
// one call may have been changed by another since.
func (r *round) acknowledged(after records, answers []answer) error {
	newest := map[apikey.ID]uint64{}
	for _, a := range answers {
		for _, event := range a.result.Events {
			newest[event.Key] = max(newest[event.Key], event.Revision)
		}
	}
	for i, a := range answers {
		for _, view := range a.result.Keys {
			if stored := after.keys[view.ID]; view.Revision == newest[view.ID] && stored.Revision != view.Revision {
				return fmt.Errorf("call %d returned the key %q at revision %d, and it is stored at %d", i, view.ID, view.Revision, stored.Revision)
			}
		}
		for _, secret := range a.result.Secrets {
			if r.race.random && revision(a) != newest[secret.Key] {
				continue // a later change may have ended it
			}
			if _, err := secret.Secret.Verify(after.keys[secret.Key].Secrets, now); err != nil {
				return fmt.Errorf("call %d returned a secret of the key %q: %w", i, secret.Key, err)
			}
		}
	}
	return nil
}

// events returns which events are not those of the acknowledged changes. A call of unknown
// outcome may have more.
func (r *round) events(answers []answer, unknown int) error {
	var want, got []string
	for _, a := range answers {
		for _, event := range a.result.Events {
			want = append(want, textOf(event))
		}
	}
	journal, _ := store.As[store.Journal](r.stores[0])
	for _, name := range []string{"", "other"} {
		for event, err := range store.AllEvents(r.ctx, journal, store.EventRequest{Organization: r.orgID(name)}) {
			if err != nil {
				return err
			}
			got = append(got, textOf(event))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if unknown == 0 && !slices.Equal(got, want) {
		return fmt.Errorf("the events kept are %q: want %q", got, want)
	}
	return nil
}

func textOf(event store.Event) string {
	return fmt.Sprintf("%020d.%d %s %s", event.Revision, event.Index, event.Type, event.Key)
}
