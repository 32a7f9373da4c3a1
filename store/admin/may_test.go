package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

var calls = []policy.Endpoint{
	{Name: "ping"},
	{Name: "read", Roles: []string{"reader", "writer"}},
	{Name: "write", Roles: []string{"writer"}},
	{Name: "manage", Roles: []string{"owner"}, RequiresAccessList: true},
}

// May is a small value: its JSON is stable, and its text a table.
func TestMay(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.0/24+1h 198.51.100.1", "reader")
	w.edit("k", func(k *apikey.Key) {
		k.Grants = append(k.Grants, apikey.Grant{Role: "writer", Project: "p2"}, apikey.Grant{Role: "reader", Project: "p1"},
			apikey.Grant{Role: "writer", Project: "p1"}, apikey.Grant{Role: "owner", AllProjects: true})
	})
	may, err := w.admin.May(w.ctx, "acme", "k", calls, netip.MustParseAddr("::ffff:203.0.113.7"))
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(`
key "k" of organization "acme", from 203.0.113.7, at 2026-03-01T12:00:00Z: address_listed by 203.0.113.0/24
organization
  ping    yes  no grant needed
  read    yes  "reader" in the organization
  write   no   role_missing
  manage  no   role_missing

project "p1"
  ping    yes  "reader" in project "p1"
  read    yes  "reader" in project "p1"
  write   yes  "writer" in project "p1"
  manage  yes  "owner" in all projects

project "p2"
  ping    yes  "writer" in project "p2"
  read    yes  "writer" in project "p2"
  write   yes  "writer" in project "p2"
  manage  yes  "owner" in all projects

all projects
  ping    yes  "owner" in all projects
  read    no   role_missing
  write   no   role_missing
  manage  yes  "owner" in all projects`), may.String())

	may.Places = []admin.Place{may.Places[0], may.Places[3]}
	for i := range may.Places {
		may.Places[i].Endpoints = may.Places[i].Endpoints[2:]
	}
	data, err := json.Marshal(may)
	require.NoError(t, err)
	require.JSONEq(t, `{"key": "k", "organization": "acme", "time": "2026-03-01T12:00:00Z", "address": "203.0.113.7",
		"reason": "address_listed", "entry": {"address": "203.0.113.0/24", "expires": "2026-03-01T13:00:00Z"},
		"places": [
			{"endpoints": [{"endpoint": "write", "allowed": false, "reason": "role_missing"}, {"endpoint": "manage", "allowed": false, "reason": "role_missing"}]},
			{"allProjects": true, "endpoints": [{"endpoint": "write", "allowed": false, "reason": "role_missing"},
				{"endpoint": "manage", "allowed": true, "reason": "address_listed", "grant": {"role": "owner", "allProjects": true}}]}
		]}`, string(data))
}

// The zero client stands for an address on the list.
func TestMayFromAnyListedAddress(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		list        string
		requirement policy.Requirement
		reason      policy.Reason
		address     string
		from        string
	}{
		"listed":     {"198.51.100.9-1h 203.0.113.0/28", policy.Required, policy.AddressListed, "203.0.113.0", "from any address with a live entry"},
		"expired":    {"203.0.113.7-1h", policy.NotRequired, policy.AddressNotListed, "203.0.113.7", "from any address"},
		"open":       {"", policy.NotRequired, policy.OpenList, "192.0.2.1", "from any address"},
		"reportonly": {"", policy.ReportOnly, policy.OpenList, "192.0.2.1", "from any address"},
		"required":   {"", policy.Required, policy.OrganizationRequiresAccessList, "192.0.2.1", "from any address"},
	} {
		w.organization(name, test.requirement)
		w.keyOf(name, name, test.list, "owner")
		may, err := w.admin.May(w.ctx, name, apikey.ID(name), calls, netip.Addr{})
		require.NoError(t, err)
		require.True(t, may.AnyListed)
		require.Equal(t, test.reason.String(), may.Reason.String(), name)
		require.Equal(t, test.address, may.Address.String(), name)
		require.Contains(t, may.String(), test.from+", at", name)
		require.Equal(t, test.reason == policy.AddressListed, may.Entry != nil)
		require.Equal(t, test.reason.Allows(), may.Places[0].Endpoints[0].Allowed)
		if test.requirement == policy.ReportOnly {
			require.Equal(t, policy.OrganizationRequiresAccessList, may.Places[0].Endpoints[0].WouldDeny)
			require.Contains(t, may.String(), "  ping    yes  no grant needed, would deny: organization_requires_access_list\n")
			require.Equal(t, policy.EndpointRequiresAccessList, may.Places[0].Endpoints[3].Reason)
		}
	}
	given, err := w.admin.May(w.ctx, "open", "open", calls, netip.MustParseAddr("192.0.2.1"))
	require.NoError(t, err)
	require.False(t, given.AnyListed)
	require.Contains(t, given.String(), "from 192.0.2.1, at")
}

// A key with no secret left may do nothing, and an unreadable subject neither.
func TestMayDenies(t *testing.T) {
	w := newWorld(t)
	key := w.key("k", "203.0.113.7", "owner")
	key.Secrets[0].Expires = w.now
	organization := policy.Organization{ID: "acme"}
	client := netip.MustParseAddr("203.0.113.7")
	for want, subject := range map[policy.Reason]policy.Subject{
		policy.WrongSecret:    policy.NewSubject(&key, &organization),
		policy.InvalidRequest: {},
		policy.Unavailable:    policy.NewSubject(&key, nil),
	} {
		may := admin.May(subject, calls, client, w.now)
		require.Equal(t, want.String(), may.Reason.String())
		for _, place := range may.Places {
			require.Len(t, place.Endpoints, len(calls))
			for _, permission := range place.Endpoints {
				require.Equal(t, want, permission.Reason)
				require.False(t, permission.Allowed)
			}
		}
	}
	zoned := admin.May(policy.NewSubject(&key, &organization), calls, netip.MustParseAddr("fe80::1%eth0"), w.now)
	require.Equal(t, policy.InvalidRequest, zoned.Reason)
	require.Contains(t, zoned.String(), `, from "fe80::1%eth0", at`)
	hostile := netip.MustParseAddr("fe80::1").WithZone("eth0\nallow" + strings.Repeat("\x1b", 1<<16))
	text := admin.May(policy.NewSubject(&key, &organization), nil, hostile, w.now).String()
	require.Contains(t, text, `from "fe80::1%eth0\nallow\x1b`)
	require.Less(t, len(text), 1000)
	none, err := json.Marshal(admin.May(policy.NewSubject(&key, &organization), nil, client, w.now).Places)
	require.NoError(t, err)
	require.JSONEq(t, `[{"endpoints": []}, {"allProjects": true, "endpoints": []}]`, string(none))
}

// Another organization's key is as absent, and a failing store is unavailable.
func TestMayReadsByOrganization(t *testing.T) {
	s := &looking{Store: memory.New()}
	w := worldOf(t, s, s.Store)
	w.organization("other", policy.NotRequired)
	w.keyOf("other", "foreign", "203.0.113.7", "owner")
	w.key("k", "203.0.113.7", "owner")
	for _, id := range []apikey.ID{"foreign", "absent", "", "sally_\x00port"} {
		_, err := w.admin.May(w.ctx, "acme", id, calls, netip.Addr{})
		requireClass(t, admin.NotFound, err)
		require.ErrorContains(t, err, fmt.Sprintf("There is no key %q in this organization.", id))
	}
	_, err := w.admin.May(w.ctx, "nobody", "k", calls, netip.Addr{})
	requireClass(t, admin.NotFound, err)

	s.as = "foreign"
	_, err = w.admin.May(w.ctx, "other", "k", calls, netip.Addr{})
	requireClass(t, admin.Unavailable, err)
	s.err = errFault
	_, err = w.admin.May(w.ctx, "acme", "k", calls, netip.Addr{})
	requireClass(t, admin.Unavailable, err)
}

// A looking store is one in memory that looks up another key, or fails to.
type looking struct {
	*memory.Store
	as  apikey.ID
	err error
}

func (l *looking) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if l.err != nil {
		return policy.Subject{}, false, l.err
	}
	if l.as != "" {
		id = l.as
	}
	return l.Store.Lookup(ctx, id)
}

// May agrees with Engine.Decide on random keys, and names a grant that suffices by itself, and
// no earlier one does.
func TestMayAgreesWithDecide(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(5, 13))
	engine := policy.New(w.memory, policy.WithClock(func() time.Time { return w.now }))
	decided := map[policy.Reason]int{}
	for n := range 400 {
		id := fmt.Sprintf("k%d", n)
		key, _ := w.randomKey(random, id)
		client := netip.MustParseAddr(randomOf(random, clients))
		may, err := w.admin.May(w.ctx, id, key.ID, calls, client)
		require.NoError(t, err)
		for _, place := range may.Places {
			for i, permission := range place.Endpoints {
				request := policy.Request{Key: key.ID, Secret: w.secrets[key.ID], Client: client, Organization: id, Project: place.Project, Endpoint: &calls[i]}
				if place.AllProjects {
					request.Project = "not-named-by-any-grant"
				}
				d := engine.Decide(w.ctx, request)
				require.Equal(t, d.Reason.String(), permission.Reason.String(), "%v\n%s", d, may)
				require.Equal(t, d.WouldDeny, permission.WouldDeny)
				require.Equal(t, d.Allowed(), permission.Allowed)
				decided[d.Reason]++
				w.requireGrant(key, permission, request)
			}
		}
	}
	for reason := policy.KeyDisabled; reason <= policy.OpenList; reason++ {
		if reason != policy.WrongOrganization {
			require.NotZero(t, decided[reason], "no call was answered %s", reason)
		}
	}
}

// requireGrant checks the grant of a permission.
func (w *world) requireGrant(key apikey.Key, permission admin.Permission, request policy.Request) {
	w.t.Helper()
	subject, _, err := w.memory.Lookup(w.ctx, key.ID)
	require.NoError(w.t, err)
	organization := subject.Organization()
	with := func(grants ...apikey.Grant) bool {
		key.Grants = grants
		return policy.Evaluate(policy.NewSubject(&key, &organization), request, w.now).Allowed()
	}
	all := key.Grants
	if permission.Grant == nil {
		require.Equal(w.t, permission.Allowed, with(), "a call without a grant needs none")
		return
	}
	require.True(w.t, permission.Allowed)
	for _, grant := range all {
		if grant == apikey.Grant(*permission.Grant) {
			require.True(w.t, with(grant))
			return
		}
		require.False(w.t, with(grant), "an earlier grant suffices")
	}
	require.Fail(w.t, "the key does not have the grant")
}

var (
	clients  = []string{"203.0.113.7", "203.0.113.200", "198.51.100.1", "2001:db8::7", "::ffff:203.0.113.7"}
	projects = []string{"", "p1", "p2", "p3"}
)

func randomOf[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }

// randomKey stores an organization and a key of it, both under this ID, as at random as the
// rules can tell apart.
func (w *world) randomKey(random *rand.Rand, id string) (apikey.Key, policy.Organization) {
	w.t.Helper()
	one := func(in int) bool { return random.IntN(in) == 0 }
	soon := func() time.Time { return w.now.Add(randomOf(random, []time.Duration{-time.Hour, 0, time.Hour})) }
	organization := policy.Organization{ID: id, Requirement: policy.Requirement(random.IntN(3)), Disabled: one(8)}
	if one(4) {
		organization.SuspendedUntil = soon()
	}
	organization, err := w.memory.PutOrganization(w.ctx, organization)
	require.NoError(w.t, err)
	key := apikey.Key{ID: apikey.ID(id), Organization: id, Disabled: one(8), Created: w.now}
	if one(6) {
		key.NotBefore = soon()
	}
	if one(6) {
		key.Expires = soon().Add(time.Minute)
	}
	if key.NotBefore.After(key.Expires) && !key.Expires.IsZero() {
		key.NotBefore = time.Time{}
	}
	key.AccessList, key.TrialList = w.randomList(random), w.randomList(random)
	for range random.IntN(4) {
		grant := apikey.Grant{Role: randomOf(random, []string{"reader", "writer", "owner"}), Project: randomOf(random, projects)}
		if grant.Project == "" {
			grant.AllProjects = one(2)
		}
		if !contains(key.Grants, grant) {
			key.Grants = append(key.Grants, grant)
		}
	}
	key, secret, err := w.issuer.Issue(key)
	require.NoError(w.t, err)
	key, err = w.memory.PutKey(w.ctx, key, 1)
	require.NoError(w.t, err)
	w.secrets[key.ID] = secret
	return key, organization
}

func contains(grants []apikey.Grant, grant apikey.Grant) bool {
	for _, has := range grants {
		if has == grant {
			return true
		}
	}
	return false
}

func (w *world) randomList(random *rand.Rand) (list accesslist.List) {
	w.t.Helper()
	var words []string
	for _, text := range []string{"203.0.113.7", "203.0.113.0/25", "203.0.113.0/24", "198.51.100.0/24", "2001:db8::/64"} {
		if random.IntN(4) == 0 {
			words = append(words, text+randomOf(random, []string{"", "-1h", "+30m"}))
		}
	}
	return w.list(strings.Join(words, " "))
}
