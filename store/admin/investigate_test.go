package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
)

// read is a call of acme's key k to acme, from an address.
func read(address string) admin.Call {
	return admin.Call{Key: "k", Client: netip.MustParseAddr(address), Endpoint: calls[1], Resource: policy.Resource{Organization: "acme"}}
}

func (w *world) investigate(actor admin.Actor, call admin.Call) admin.Investigation {
	w.t.Helper()
	before := w.position()
	found, err := w.admin.Investigate(w.ctx, actor, "acme", call)
	require.NoError(w.t, err)
	require.Equal(w.t, before, w.position(), "an investigation writes nothing")
	return found
}

// proposed are the kinds of changes, those of one remedy joined by +.
func proposed(found admin.Investigation) []string {
	all := []string{}
	for _, remedy := range found.Remedies {
		var kinds []string
		for _, proposal := range remedy.Proposals {
			kinds = append(kinds, proposal.Kind)
		}
		all = append(all, strings.Join(kinds, "+"))
	}
	return all
}

// Each line has its remedies, and the answer is that of the records.
func TestInvestigate(t *testing.T) {
	type change = func(*apikey.Key, *policy.Organization, *admin.Call)
	requires := func(_ *apikey.Key, o *policy.Organization, _ *admin.Call) { o.Requirement = policy.Required }
	open := func(k *apikey.Key, _ *policy.Organization, _ *admin.Call) { k.AccessList = accesslist.List{} }
	from := func(address string) change {
		return func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Client = netip.MustParseAddr(address) }
	}
	roles := func(roles ...string) change {
		return func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Endpoint.Roles = roles }
	}
	project := func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Resource.Project = "p1" }
	disable := func(k *apikey.Key, _ *policy.Organization, _ *admin.Call) { k.Disabled = true }
	unproven := func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Unproven = true }
	ended := func(k *apikey.Key, _ *policy.Organization, _ *admin.Call) {
		k.Secrets[0].Expires = start.Add(-time.Hour)
	}
	for name, test := range map[string]struct {
		change    []change
		obstacles string // the first is the answer
		remedies  string
	}{
		"allowed":          {nil, "", ""},
		"disabled":         {[]change{disable}, "key_disabled", "enable_key"},
		"all disabled":     {[]change{func(_ *apikey.Key, o *policy.Organization, _ *admin.Call) { o.Disabled = true }}, "key_disabled", "enable_organization"},
		"both disabled":    {[]change{disable, func(_ *apikey.Key, o *policy.Organization, _ *admin.Call) { o.Disabled = true }}, "key_disabled", "enable_key+enable_organization"},
		"not yet valid":    {[]change{func(k *apikey.Key, _ *policy.Organization, _ *admin.Call) { k.NotBefore = start.Add(time.Hour) }}, "key_not_yet_valid", "set_validity"},
		"key expired":      {[]change{func(k *apikey.Key, _ *policy.Organization, _ *admin.Call) { k.Expires = start }}, "key_expired", "set_validity"},
		"elsewhere":        {[]change{from("192.0.2.9")}, "address_not_listed", "add_entries add_entries"},
		"proxy":            {[]change{from("198.51.100.8"), func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.PossibleProxy = true }}, "address_not_listed", ""},
		"entry expired":    {[]change{from("198.51.100.7")}, "address_not_listed", "edit_entries"},
		"block expired":    {[]change{from("198.51.100.8")}, "address_not_listed", "add_entries edit_entries add_entries"},
		"IPv6":             {[]change{from("2001:db8::1")}, "address_not_listed", "add_entries add_entries"},
		"no entry for it":  {[]change{from("0.0.0.0")}, "address_not_listed", ""},
		"required":         {[]change{requires, open}, "organization_requires_access_list", "add_entries add_entries suspend_requirement set_requirement"},
		"required, ::":     {[]change{requires, open, from("::")}, "organization_requires_access_list", "suspend_requirement set_requirement"},
		"endpoint":         {[]change{open, func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Endpoint.RequiresAccessList = true }}, "endpoint_requires_access_list", "add_entries add_entries"},
		"both require":     {[]change{requires, open, func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Endpoint.RequiresAccessList = true }}, "organization_requires_access_list", "add_entries add_entries"},
		"other resource":   {[]change{func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Resource.Organization = "other" }}, "wrong_organization", ""},
		"no resource":      {[]change{func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Resource = policy.Resource{} }}, "invalid_request", ""},
		"no client":        {[]change{func(_ *apikey.Key, _ *policy.Organization, c *admin.Call) { c.Client = netip.Addr{} }}, "invalid_request", ""},
		"project":          {[]change{project}, "project_not_granted", "add_grants add_grants"},
		"project, no role": {[]change{project, roles()}, "project_not_granted", "add_grants"},
		"no role at all":   {[]change{project, roles(), func(k *apikey.Key, _ *policy.Organization, _ *admin.Call) { k.Grants = nil }}, "project_not_granted", ""},
		"role":             {[]change{roles("owner", "auditor")}, "role_missing", "add_grants add_grants"},
		"many roles":       {[]change{roles(slices.Repeat([]string{"auditor"}, 12)...)}, "role_missing", strings.TrimSpace(strings.Repeat("add_grants ", 10))},
		"unproven":         {[]change{unproven, from("192.0.2.9")}, "wrong_secret address_not_listed", ""},
		"unproven, else":   {[]change{unproven}, "wrong_secret", ""},
		"unproven, ended":  {[]change{unproven, ended}, "wrong_secret", "rotate"}, // the caller was given an ended one
		"unproven, both":   {[]change{unproven, ended, from("192.0.2.9")}, "wrong_secret address_not_listed", "rotate+add_entries"},
		"secret ended":     {[]change{ended}, "wrong_secret", "rotate"},
		"ended, elsewhere": {[]change{ended, from("192.0.2.9")}, "wrong_secret address_not_listed", "rotate+add_entries"},
		"three":            {[]change{disable, from("192.0.2.9"), project}, "key_disabled address_not_listed project_not_granted", "enable_key+add_entries+add_grants"},
		"key first": {[]change{func(_ *apikey.Key, o *policy.Organization, _ *admin.Call) { o.Disabled = true }, from("192.0.2.9")},
			"key_disabled address_not_listed", "add_entries+enable_organization"},
		"organization twice": {[]change{func(_ *apikey.Key, o *policy.Organization, _ *admin.Call) { o.Disabled = true }, requires, open, from("::")},
			"key_disabled organization_requires_access_list", "enable_organization+suspend_requirement"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.key("boss", "198.51.100.1", "owner")
			w.key("k", "203.0.113.7 198.51.100.7-1h 198.51.100.0/24-2h", "reader")
			key, call := w.stored("k"), read("203.0.113.7")
			organization, err := w.memory.Organization(w.ctx, "acme")
			require.NoError(t, err)
			for _, change := range test.change {
				change(&key, &organization, &call)
			}
			_, err = w.memory.PutOrganization(w.ctx, organization)
			require.NoError(t, err)
			_, err = w.memory.PutKey(w.ctx, key, store.AllowOpen)
			require.NoError(t, err)
			found := w.investigate(ann, call)
			var obstacles []string
			for _, reason := range found.Obstacles {
				obstacles = append(obstacles, reason.String())
			}
			require.Equal(t, test.obstacles, strings.Join(obstacles, " "))
			require.Equal(t, test.remedies, strings.Join(proposed(found), " "))
			require.Equal(t, found.Again, found.Reason)
			require.Equal(t, test.obstacles == "", found.Again.Allows())
			if test.obstacles != "" {
				require.Equal(t, obstacles[0], found.Reason.String())
			}
			require.Regexp(t, fmt.Sprintf(`(?m)^ ?%d %s +yes `, found.Reason, found.Reason), found.Explanation)
		})
	}
}

// The names in the JSON do not change.
func TestInvestigationJSON(t *testing.T) {
	w := newWorld(t)
	w.organizationOf("acme", func(o *policy.Organization) { o.Requirement = policy.Required })
	w.key("k", "", "reader")
	w.edit("k", func(k *apikey.Key) { k.Expires = w.now })
	found := w.investigate(ann, read("203.0.113.7"))
	require.NotEmpty(t, found.Remedies[0].Preview.Token)
	require.Len(t, found.Lines, 8)
	found.Lines = found.Lines[7:]
	found.Explanation, found.Evidence, found.Remedies[0].Preview = "…", admin.Evidence{}, admin.Preview{}
	data, err := json.Marshal(found)
	require.NoError(t, err)
	require.JSONEq(t, `{"organization": "acme", "key": "k", "address": "203.0.113.7", "endpoint": "read", "time": "2026-03-01T12:00:00Z",
		"reason": "key_expired", "explanation": "…",
		"lines": [{"number": 8, "reason": "key_expired", "applies": true, "compared": "the expiry is 2026-03-01T12:00:00Z, now is 2026-03-01T12:00:00Z"}], "keyRevision": 4, "organizationRevision": 2, "changed": [], "journaled": true,
		"again": "key_expired", "obstacles": ["key_expired", "organization_requires_access_list"],
		"remedies": [{"after": "address_listed", "proposals": [
			{"kind": "set_validity", "text": "Let the key be valid until 2026-03-02T12:00:00Z.", "expires": "2026-03-02T12:00:00Z"},
			{"kind": "add_entries", "text": "Add 203.0.113.7 to the access list until 2026-03-02T12:00:00Z. It is the first entry: no other address is admitted then, and none from its end on.",
				"entry": {"address": "203.0.113.7", "expires": "2026-03-02T12:00:00Z"}}
		], "preview": {"token": "", "findings": null, "keys": null, "totals": {"breaks": 0, "mayBreak": 0, "unused": 0, "unknown": 0, "opens": 0, "widens": 0, "unchanged": 0},
			"evidence": {"time": "0001-01-01T00:00:00Z", "revision": 0, "begin": "0001-01-01T00:00:00Z"}}}],
		"denials": []}`, string(data))
}

// A call to come is judged at its time, and so are its remedies.
func TestInvestigateTheFuture(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7+1h", "reader")
	call := read("203.0.113.7")
	call.Time = w.now.Add(3 * day)
	found := w.investigate(ann, call)
	require.Equal(t, policy.AddressNotListed, found.Reason)
	require.Equal(t, policy.AddressNotListed, found.Again)
	require.Equal(t, []string{"edit_entries"}, proposed(found))
	require.Equal(t, call.Time.Add(admin.Temporary), found.Remedies[0].Proposals[0].Entry.Expires)
	require.False(t, found.Remedies[0].Proposals[0].Entry.Expired)

	w.edit("k", func(k *apikey.Key) { k.AccessList = accesslist.List{} })
	w.organization("free", policy.Required)
	w.keyOf("free", "free", "", "reader")
	call.Key, call.Resource.Organization = "free", "free"
	found, err := w.admin.Investigate(w.ctx, ann, "free", call)
	require.NoError(t, err)
	require.Equal(t, []string{"add_entries", "add_entries", "set_requirement"}, proposed(found), "a suspension cannot last until then")
	call.Time = w.now.Add(2 * time.Hour)
	found, err = w.admin.Investigate(w.ctx, ann, "free", call)
	require.NoError(t, err)
	require.Equal(t, []string{"add_entries", "add_entries", "suspend_requirement", "set_requirement"}, proposed(found))
	require.Equal(t, call.Time.Add(admin.DefaultSuspension), found.Remedies[2].Proposals[0].Until)

	for year, possible := range map[int]bool{-1: false, 1: true, 9999: true, 10000: false} { // those of JSON
		call.Time = time.Date(year, 12, 31, 23, 0, 0, 0, time.UTC)
		found, err = w.admin.Investigate(w.ctx, ann, "free", call)
		if !possible {
			requireClass(t, admin.Invalid, err)
			continue
		}
		require.NoError(t, err)
		_, err = json.Marshal(found)
		require.NoError(t, err)
	}
}

// What is known of the proof is compared on line 5, for the operator.
func TestInvestigateTheProof(t *testing.T) {
	w := newWorld(t)
	key := w.key("k", "203.0.113.7", "reader")
	call := read("203.0.113.7")
	call.Secret = key.Secrets[0].ID()
	require.Equal(t, policy.AddressListed, w.investigate(ann, call).Reason)
	w.edit("k", func(k *apikey.Key) { k.Secrets[0].Expires = w.now.Add(-time.Hour) })
	found := w.investigate(ann, call)
	require.Contains(t, found.Explanation, "the secret "+call.Secret+" of the key has ended: 2026-03-01T11:00:00Z")
	require.Equal(t, []string{"rotate"}, proposed(found))
	result := w.apply(ann, plain, found.Remedies[0].Changes()...)
	require.Len(t, result.Secrets, 1)
	found = w.investigate(ann, call)
	require.Contains(t, found.Explanation, "the key has no secret "+call.Secret, "a rotation forgets ended secrets")
	require.Empty(t, proposed(found), "there is a live secret to use")

	call.Secret = ""
	require.Equal(t, policy.AddressListed, w.investigate(ann, call).Reason)
	call.Unproven = true
	require.Contains(t, w.investigate(ann, call).Explanation, "the secret of the caller did not match")
	call.Unproven = false
	w.apply(ann, plain, admin.EndSecret("k", result.Secrets[0].ID, time.Time{}))
	require.Contains(t, w.investigate(ann, call).Explanation, "no secret of the key is live")

	call.Secret = "a secret, by mistake"
	_, err := w.admin.Investigate(w.ctx, ann, "acme", call)
	requireClass(t, admin.Invalid, err)
	require.NotContains(t, err.Error(), "mistake")
}

// Managing roles are proposed last, and each where the call was made.
func TestInvestigateProposesGrants(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	call := read("203.0.113.7")
	call.Endpoint.Roles, call.Resource.Project = []string{"owner", "auditor"}, "p1"
	found := w.investigate(ann, call)
	require.Len(t, found.Remedies, 2)
	require.Equal(t, &admin.GrantView{Role: "auditor", Project: "p1"}, found.Remedies[0].Proposals[0].Grant)
	require.Equal(t, &admin.GrantView{Role: "owner", Project: "p1"}, found.Remedies[1].Proposals[0].Grant)
}

// A possible proxy is named, and not to be listed.
func TestInvestigateAProxy(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	call := read("192.0.2.9")
	require.NotContains(t, w.investigate(ann, call).Explanation, "proxy")
	call.PossibleProxy = true
	found := w.investigate(ann, call)
	require.Contains(t, found.Explanation, `; "the client may be a proxy"`)
	require.Empty(t, found.Remedies)
}

// The denials of the key in the window are listed, those for the same reason first.
func TestInvestigateShowsDenials(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.7", "reader")
	denied := func(reason policy.Reason, ago time.Duration, count uint64) {
		require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(store.UsageRecord{Key: "k", Denied: reason,
			Usage: accesslist.Usage{Count: count, Last: w.now.Add(-ago), LastAddress: netip.MustParseAddr("192.0.2.9")}})))
	}
	denied(policy.KeyDisabled, day, 1)
	denied(policy.RoleMissing, 2*day, 7)
	denied(policy.KeyExpired, 40*day, 3)
	call := read("203.0.113.7")
	call.Endpoint = calls[2]
	found := w.investigate(ann, call)
	require.Equal(t, []admin.DenialUse{
		{Reason: policy.RoleMissing, Count: 7, Last: w.now.Add(-2 * day), Address: netip.MustParseAddr("192.0.2.9")},
		{Reason: policy.KeyDisabled, Count: 1, Last: w.now.Add(-day), Address: netip.MustParseAddr("192.0.2.9")},
	}, found.Denials)
	require.Contains(t, found.String(), "Denied before: role_missing 7 times, the last 2026-02-27T12:00:00Z from 192.0.2.9.\nDenied before: key_disabled 1 time, the last ")
	require.Equal(t, found.KeyRevision, found.Evidence.Revision)
	require.Zero(t, found.Evidence.Missing)

	found.Denials[0].Last = time.Time{}
	require.Contains(t, found.String(), "Denied before: role_missing 7 times.\n")
}

// A key may investigate in its own organization, and is not offered what it may not do.
func TestInvestigateByAKey(t *testing.T) {
	w := newWorld(t)
	w.organization("other", policy.NotRequired)
	w.organizationOf("acme", func(o *policy.Organization) { o.Requirement = policy.Required })
	w.key("self", "198.51.100.1", "owner")
	w.key("k", "", "reader")
	self := w.by("self", "198.51.100.1")
	found := w.investigate(self, read("203.0.113.7"))
	require.Equal(t, []string{"add_entries", "add_entries", "set_requirement"}, proposed(found))
	require.Equal(t, []admin.Kind{admin.Opens}, found.Remedies[2].Preview.Needs())
	require.Contains(t, found.String(), "- Add 203.0.113.7 to the access list until 2026-03-02T12:00:00Z. It is the first entry: no other address is admitted then, and none from its end on.\n"+
		"- Add 203.0.113.7 to the access list. It is the first entry: no other address is admitted then.\n")
	require.Contains(t, found.String(), "- Report only. The requirement of the organization refuses no call then. In the way: [opens].\n")

	_, err := w.admin.Investigate(w.ctx, self, "other", read("203.0.113.7"))
	requireClass(t, admin.NotFound, err)
	_, err = w.admin.Investigate(w.ctx, admin.Actor{}, "acme", read("203.0.113.7"))
	requireClass(t, admin.Forbidden, err)
	_, err = w.admin.Investigate(w.ctx, ann, "nobody", read("203.0.113.7"))
	requireClass(t, admin.NotFound, err)
	w.edit("k", func(k *apikey.Key) { k.AccessList = w.list("203.0.113.7") })
	w.edit("self", func(k *apikey.Key) { k.Disabled = true })
	for _, address := range []string{"203.0.113.7", "192.0.2.9"} { // allowed, and denied with remedies
		_, err = w.admin.Investigate(w.ctx, self, "acme", read(address))
		requireClass(t, admin.Forbidden, err)
	}
}

// organizationOf changes a stored organization behind the Admin's back.
func (w *world) organizationOf(id string, edit func(*policy.Organization)) {
	w.t.Helper()
	organization, err := w.memory.Organization(w.ctx, id)
	require.NoError(w.t, err)
	edit(&organization)
	_, err = w.memory.PutOrganization(w.ctx, organization)
	require.NoError(w.t, err)
}

// What cannot be read is unavailable, but for usage.
func TestInvestigateUnavailable(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	w.key("k", "203.0.113.7", "reader")
	unavailable := func(call admin.Call) {
		t.Helper()
		_, err := w.admin.Investigate(w.ctx, ann, "acme", call)
		requireClass(t, admin.Unavailable, err)
		require.ErrorIs(t, err, errFault)
	}
	f.fail("Key", false)
	unavailable(read("192.0.2.9"))
	f.fail("Organization", false)
	call := read("192.0.2.9")
	call.Key = "absent"
	unavailable(call)
	f.fail("Usage", false)
	require.True(t, w.investigate(ann, read("192.0.2.9")).Evidence.Unread)

	f.fail("Organization", false)
	_, err := w.admin.Investigate(w.ctx, w.by("boss", "198.51.100.1"), "acme", read("203.0.113.7"))
	requireClass(t, admin.Unavailable, err)

	looked := &looking{Store: f.Store, err: errFault}
	other := worldLike(w, looked)
	_, err = other.Investigate(w.ctx, ann, "acme", read("192.0.2.9"))
	requireClass(t, admin.Unavailable, err)

	// Remedies of records that are changed meanwhile are left out.
	for _, meanwhile := range []func(*apikey.Key){
		func(k *apikey.Key) { k.Disabled = true },
		func(k *apikey.Key) { k.AccessList = w.list("203.0.113.7 192.0.2.9-1h") },
	} {
		f.before = func(call string) error {
			if call == "Key" {
				f.before = func(string) error { return nil }
				w.edit("k", meanwhile)
			}
			return nil
		}
		found, err := w.admin.Investigate(w.ctx, ann, "acme", read("192.0.2.9"))
		require.NoError(t, err)
		require.Empty(t, found.Remedies)
		require.Equal(t, []policy.Reason{policy.AddressNotListed}, found.Obstacles)
		w.edit("k", func(k *apikey.Key) { k.Disabled = false })
	}
}

// worldLike returns an Admin like that of a world, on another store.
func worldLike(w *world, s store.Store) *admin.Admin {
	w.t.Helper()
	a, err := admin.New(s, admin.WithManagers("owner"), admin.WithClock(func() time.Time { return w.now }),
		admin.WithEvents(func(context.Context, []store.Event) error { return nil }))
	require.NoError(w.t, err)
	return a
}
