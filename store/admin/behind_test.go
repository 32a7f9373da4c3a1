package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A denial names the change from which it comes, without a time of the call.
func TestInvestigateNamesTheChangeBehind(t *testing.T) {
	every := accept(admin.Opens, admin.BreaksKey, admin.LastManager, admin.OrganizationLockout)
	create := func(entries string) func(*world) []admin.Change {
		return func(w *world) []admin.Change {
			key := admin.NewKey{ID: "k", Grants: []apikey.Grant{{Role: "reader"}}}
			if entries != "" {
				key.Entries = w.entries(entries)
			}
			return []admin.Change{admin.CreateKey(key)}
		}
	}
	describe := one(admin.Describe("k", "nightly"))
	require10, listless := one(admin.SetRequirement(policy.Required)), create("")
	for name, test := range map[string]struct {
		changes  []func(*world) []admin.Change
		endpoint policy.Endpoint
		unproven bool
		reason   policy.Reason
		behind   string // the event, with its entry
	}{
		"the requirement":        {[]func(*world) []admin.Change{listless, require10}, policy.Endpoint{}, false, policy.OrganizationRequiresAccessList, "organization.requirement_changed"},
		"a suspension's end":     {[]func(*world) []admin.Change{listless, require10, one(admin.SuspendRequirement(time.Time{})), one(admin.ResumeRequirement())}, policy.Endpoint{}, false, policy.OrganizationRequiresAccessList, "organization.requirement_resumed"},
		"no list from the first": {[]func(*world) []admin.Change{require10, listless}, policy.Endpoint{}, false, policy.OrganizationRequiresAccessList, "key.created"},
		"the last entry":         {[]func(*world) []admin.Change{create("203.0.113.7"), require10, one(admin.RemoveEntries("k", prefixes("203.0.113.7")...))}, policy.Endpoint{}, false, policy.OrganizationRequiresAccessList, "key.entry_removed 203.0.113.7/32"},
		"of an endpoint":         {[]func(*world) []admin.Change{create("203.0.113.7"), one(admin.RemoveEntries("k", prefixes("203.0.113.7")...))}, policy.Endpoint{RequiresAccessList: true}, false, policy.EndpointRequiresAccessList, "key.entry_removed 203.0.113.7/32"},
		"an entry":               {[]func(*world) []admin.Change{create("203.0.113.7 192.0.2.0/24 198.51.100.1"), one(admin.RemoveEntries("k", prefixes("203.0.113.7")...)), one(admin.RemoveEntries("k", prefixes("198.51.100.1")...))}, policy.Endpoint{}, false, policy.AddressNotListed, "key.entry_removed 203.0.113.7/32"},
		"the first entry":        {[]func(*world) []admin.Change{listless, add2("192.0.2.0/24"), add2("198.51.100.1")}, policy.Endpoint{}, false, policy.AddressNotListed, "key.entry_added 192.0.2.0/24"},
		"never listed":           {[]func(*world) []admin.Change{create("192.0.2.0/24 198.51.100.1")}, policy.Endpoint{}, false, policy.AddressNotListed, ""},
		"an entry that expired":  {[]func(*world) []admin.Change{listless, add2("192.0.2.1 203.0.113.7+1m")}, policy.Endpoint{}, false, policy.AddressNotListed, ""},
		"a replaced list": {[]func(*world) []admin.Change{create("203.0.113.7"), func(w *world) []admin.Change {
			return []admin.Change{admin.ReplaceEntries("k", manyEntries(t)...)}
		}}, policy.Endpoint{}, false, policy.AddressNotListed, "key.list_replaced"},
		"the switch of the key":          {[]func(*world) []admin.Change{listless, one(admin.DisableKey("k"))}, policy.Endpoint{}, false, policy.KeyDisabled, "key.disabled"},
		"the switch of the organization": {[]func(*world) []admin.Change{listless, one(admin.DisableOrganization())}, policy.Endpoint{}, false, policy.KeyDisabled, "organization.disabled"},
		"both switches":                  {[]func(*world) []admin.Change{listless, one(admin.DisableOrganization()), one(admin.DisableKey("k"))}, policy.Endpoint{}, false, policy.KeyDisabled, "key.disabled"},
		"the end":                        {[]func(*world) []admin.Change{listless, one(admin.SetValidity("k", time.Time{}, start.Add(time.Hour)))}, policy.Endpoint{}, false, policy.KeyExpired, "key.validity_changed"},
		"the secret":                     {[]func(*world) []admin.Change{listless, one(admin.Rotate("k", 0))}, policy.Endpoint{}, true, policy.WrongSecret, "key.rotated"},
		"an earlier key's":               {[]func(*world) []admin.Change{listless, one(admin.Rotate("k", 0)), one(admin.DeleteKey("k")), listless}, policy.Endpoint{}, true, policy.WrongSecret, ""},
		"a grant":                        {[]func(*world) []admin.Change{listless, one(admin.RemoveGrants("k", apikey.Grant{Role: "reader"}))}, policy.Endpoint{Roles: []string{"reader"}}, false, policy.RoleMissing, "key.grants_changed"},
		"never granted":                  {[]func(*world) []admin.Change{listless, one(admin.AddGrants("k", apikey.Grant{Role: "writer"}))}, policy.Endpoint{Roles: []string{"auditor"}}, false, policy.RoleMissing, ""},
		"allowed":                        {[]func(*world) []admin.Change{listless}, policy.Endpoint{}, false, policy.OpenList, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, changes := range append(test.changes, describe) {
				w.now = w.now.Add(10 * time.Minute)
				w.apply(ann, every, changes(w)...)
			}
			w.now = w.now.Add(2 * time.Hour)
			call := read("203.0.113.7")
			call.Endpoint, call.Unproven = test.endpoint, test.unproven
			found := w.investigate(ann, call)
			require.Equal(t, test.reason, found.Reason)
			require.Empty(t, found.Changed)
			if test.behind == "" {
				require.Nil(t, found.Behind)
				require.NotContains(t, found.String(), "behind it")
				return
			}
			require.NotNil(t, found.Behind)
			got := string(found.Behind.Type)
			if found.Behind.Entry.IsValid() {
				got += " " + found.Behind.Entry.String()
			}
			require.Equal(t, test.behind, got)
			require.Contains(t, found.String(), "The change behind it: "+found.Behind.Time.Format(time.RFC3339)+" "+string(found.Behind.Type)+` by person "ann@example.com"`)
			require.Contains(t, found.String(), `"it was agreed".`)
		})
	}
}

// manyEntries are more than an event each can be written for.
func manyEntries(t *testing.T) (entries []accesslist.Entry) {
	for prefix := prefixes("192.0.2.0")[0]; len(entries) < 150; prefix = prefixes(prefix.Addr().Next().String())[0] {
		entry, err := accesslist.Parser{}.ParseEntry(prefix.String())
		require.NoError(t, err)
		entries = append(entries, entry)
	}
	return entries
}

// The search for it has a bound, and a journal that fails makes the investigation unavailable.
func TestInvestigateSearchesForTheChangeBehind(t *testing.T) {
	j := &journal{Store: memory.New()}
	w := worldOf(t, j, j.Store)
	w.apply(ann, plain, admin.CreateKey(admin.NewKey{ID: "k", Entries: w.entries("192.0.2.9")}))
	w.apply(ann, plain, admin.DisableKey("k"))
	for range 20 {
		w.apply(ann, plain, admin.Describe("k", "a"))
		w.apply(ann, plain, admin.Describe("k", "b"))
	}
	j.size = 4
	require.Nil(t, w.investigate(ann, read("192.0.2.9")).Behind, "ten pages")
	j.size = 5
	require.Equal(t, store.EventKeyDisabled, w.investigate(ann, read("192.0.2.9")).Behind.Type)

	j.err = errFault
	_, err := w.admin.Investigate(w.ctx, ann, "acme", read("192.0.2.9"))
	requireClass(t, admin.Unavailable, err)
	require.ErrorIs(t, err, errFault)
}
