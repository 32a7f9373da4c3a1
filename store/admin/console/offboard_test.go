package console

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A key leaks: one confirmation switches it off, and one page has the rest.
func TestOffboardALeakedKey(t *testing.T) {
	s := newSite(t)
	s.observed(40 * 24 * time.Hour)
	page := s.shows("/o/acme/keys/k1", http.StatusOK, "After a leak: who used it")
	require.Contains(t, page, `href="./../../../o/acme/keys/k1/offboard"`)
	s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "The key still works.", "Disable now", "No served call was seen.", "Nobody has tried it for 7 days.", "What it can do", "<strong>owner</strong>")
	form := carried(s.shows("/o/acme/keys/k1/edit?do=disable", http.StatusOK))
	form.Set("reason", "found in a repository")
	location := s.submits("/o/acme/keys/k1/apply", form, http.StatusSeeOther)
	require.Equal(t, "./../../../../o/acme/keys/k1/offboard?done=saved", location)

	s.use("k1", "203.0.113.7", 20*24*time.Hour) // first 40 days ago
	s.use("k1", "192.0.2.1", 2*24*time.Hour)    // first 4 days ago, not on the list
	page = s.shows("/o/acme/keys/k1/offboard?done=saved", http.StatusOK, "Saved.", "Switched off.", "Look at 1 of 2 rows", "Not on the list", "found in a repository", "What it could do", ">write</th>",
		"It was tried in the last 7 days", "it is quiet from 2026-12-04 12:00 UTC on", "Delete it all the same", `create?like=k1">Make a replacement`, "Calls refused although the secret was right")
	require.NotContains(t, page, "New since the leak")
	require.NotContains(t, page, "Disable now")
	require.NotContains(t, page, "switched off</td>", "what it could do is not what it can do now")
	s.shows("/o/acme/keys/k1/offboard?leaked=2026-11-24T00%3A00", http.StatusOK, "New since the leak", "Look at 1 of 2 rows", `value="2026-11-24T00:00:00"`)
	s.shows("/o/acme/keys/k1/offboard?leaked=2026-01-01", http.StatusUnprocessableEntity, "Enter a date and a time.", `aria-invalid="true"`)

	s.config.Clock = func() time.Time { return day0.Add(8 * 24 * time.Hour) }
	s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "are not all known, so nobody can tell", "Delete it all the same")
	later := day0.Add(8 * 24 * time.Hour)
	require.NoError(t, s.store.RecordObservation(t.Context(), store.Report{Recorder: "r", Since: day0.Add(-40 * 24 * time.Hour), From: day0, Until: later, At: later}))
	s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "Nobody has tried it for 7 days.", `class="button danger" href="./../../../../o/acme/keys/k1/edit?do=delete">Delete the key`)
	require.NoError(t, s.store.RecordUsage(t.Context(), map[apikey.ID]store.KeyUsage{"k1": {Denials: map[policy.Reason]accesslist.Usage{policy.KeyDisabled: {Count: 1, Last: later.Add(-time.Hour), LastAddress: addr("192.0.2.66")}}}}))
	s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "It was tried in the last 7 days", "1 hour ago", "<code>192.0.2.66</code>")

	// Nobody but managers is offered a change, and a key of others is none.
	s.person.May = func(o string, access admin.Access) bool { return o == "acme" && access == admin.Read }
	page = s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "Switched off.")
	require.NotContains(t, page, "do=delete")
	require.NotContains(t, page, "create?like")
	s.shows("/o/acme/keys/foreign/offboard", http.StatusNotFound)
	for _, call := range []string{"Key", "Usage", "Observation", "Events"} {
		s.store.fail = call
		s.shows("/o/acme/keys/k1/offboard", http.StatusServiceUnavailable)
	}
	s.store.fail = ""
	s.config.Store = bare{s.store}
	s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "does not record how keys are used, so nobody can tell")
}

// More addresses than are kept.
func TestOffboardSaysWhatIsNotKept(t *testing.T) {
	s := newSite(t)
	many := map[netip.Addr]store.AddressUsage{}
	for i := range store.MaxUsageAddresses + 1 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i % 250)})
		many[a] = store.AddressUsage{Count: 1, First: day0.Add(-time.Hour), Last: day0.Add(-time.Duration(i) * time.Minute)}
	}
	require.NoError(t, s.store.RecordUsage(t.Context(), map[apikey.ID]store.KeyUsage{"k1": {Addresses: many}}))
	s.shows("/o/acme/keys/k1/offboard", http.StatusOK, "1 earlier calls came from other addresses")
}

// From the report of an organization each key gets its list: the address of the last call, or a
// list suggested from all of them.
func TestKeysThatWouldBeRefusedGetTheirList(t *testing.T) {
	s := newSite(t)
	s.observed(40 * 24 * time.Hour)
	s.key("acme", admin.NewKey{ID: "open"})
	s.key("acme", admin.NewKey{ID: "six"})
	s.apply("acme", admin.SetRequirement(policy.ReportOnly))
	s.use("open", "198.51.100.7", time.Hour)
	s.use("six", "2001:db8::1", time.Hour)
	page := s.shows("/o/acme/settings", http.StatusOK, `Add 198.51.100.7<span class="unseen"> to the list of open</span>`, `keys/open/tighten">Suggest a list`, `keys/six/tighten">Suggest a list`)
	require.NotContains(t, page, "Add 2001")
	root, err := parse(page)
	require.NoError(t, err)
	var add url.Values
	for _, form := range root.all("form") {
		if form.attrs["action"] == "./../../o/acme/keys/open/preview" {
			add = valuesOf(form)
		}
	}
	require.Equal(t, "198.51.100.7", add.Get("entries"))
	form := carried(s.submits("/o/acme/keys/open/preview", add, http.StatusOK, "added: </span>198.51.100.7"))
	s.submits("/o/acme/keys/open/apply", form, http.StatusSeeOther)
	key, err := s.store.Store.Key(context.Background(), "open")
	require.NoError(t, err)
	require.Equal(t, []string{"198.51.100.7"}, listLines(key.AccessList))
	require.NotContains(t, s.shows("/o/acme/settings", http.StatusOK), "list of open")

	s.shows("/o/acme/keys/six/tighten", http.StatusOK, "No suggestion")
	s.use("six", "198.51.100.8", time.Hour)
	form = carried(s.shows("/o/acme/keys/six/tighten", http.StatusOK, "<h1>Suggest an access list</h1>", "open to every address", "added: </span>198.51.100.8"))
	form.Set("do", "replace")
	s.submits("/o/acme/keys/six/preview", form, http.StatusOK, "Replace the access list?")
	s.person.May = func(_ string, access admin.Access) bool { return access == admin.Read }
	page = s.shows("/o/acme/settings", http.StatusOK, "What would let it pass")
	require.NotContains(t, page, "Suggest a list")
	require.NotContains(t, page, "<form")
}

// A replacement begins with the list and the roles of the key, also with those that the console
// gives to no other.
func TestAReplacementHasTheListAndTheRoles(t *testing.T) {
	s := newSite(t)
	s.config.Roles = []string{"owner"}
	entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry("2001:db8::/48")
	require.NoError(t, err)
	grants := []apikey.Grant{{Role: "auditor"}, {Role: "owner", Project: "gone"}}
	s.apply("acme", admin.CreateKey(admin.NewKey{ID: "old", Description: "of the depot", Entries: []accesslist.Entry{entry}, Grants: grants}))
	root, err := parse(s.shows("/o/acme/create?like=old", http.StatusOK))
	require.NoError(t, err)
	form := valuesOf(root.all("form")[0])
	id := form.Get("id")
	again := s.submits("/o/acme/create/preview", form, http.StatusOK, "added: </span>2001:db8::/48", "role auditor in the organization", "role owner in project gone")
	s.submits("/o/acme/create/apply", carried(again), http.StatusOK, "Key created")
	made, err := s.store.Store.Key(t.Context(), apikey.ID(id))
	require.NoError(t, err)
	require.Equal(t, grants, made.Grants)
	require.Equal(t, []string{"2001:db8::/48"}, listLines(made.AccessList))

	form.Set("like", "foreign")
	s.submits("/o/acme/create/preview", form, http.StatusNotFound)
}

// A key without a list has no address that is off it: only those first seen after the leak stand
// out.
func TestOffboardAnOpenKey(t *testing.T) {
	s := newSite(t)
	s.key("acme", admin.NewKey{ID: "open"})
	s.use("open", "198.51.100.7", 20*24*time.Hour) // first 40 days ago
	page := s.shows("/o/acme/keys/open/offboard", http.StatusOK, "The key has no access list")
	require.NotContains(t, page, "Not on the list")
	s.use("open", "192.0.2.1", 2*24*time.Hour) // first 4 days ago
	s.shows("/o/acme/keys/open/offboard?leaked=2026-11-24T00%3A00", http.StatusOK, "Look at 1 of 2 rows: first seen after the leak.", "New since the leak")
}
