package console

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// use records served calls of a key from an address, and refused ones.
func (s *site) use(id apikey.ID, address string, ago time.Duration) {
	s.Helper()
	used := accesslist.Usage{Count: 3, Last: day0.Add(-ago), LastAddress: addr(address)}
	require.NoError(s, s.store.RecordUsage(s.Context(), map[apikey.ID]store.KeyUsage{id: {
		Addresses: map[netip.Addr]store.AddressUsage{addr(address): {Count: 3, First: day0.Add(-2 * ago), Last: day0.Add(-ago)}},
		Denials:   map[policy.Reason]accesslist.Usage{policy.AddressNotListed: used, policy.KeyExpired: used},
		WouldDeny: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: used},
	}}))
}

func (s *site) observed(ago time.Duration) {
	s.Helper()
	require.NoError(s, s.store.RecordObservation(s.Context(), store.Report{Recorder: "r", Since: day0.Add(-ago), From: day0.Add(-ago), Until: day0, At: day0}))
}

func TestOverview(t *testing.T) {
	s := newSite(t)
	s.shows("/o/acme", http.StatusOK, "Usage was never observed", "1 key: 1 with an access list, 0 without", "No call with a proven key was refused")
	s.observed(time.Hour)
	s.key("acme", admin.NewKey{ID: "open"})
	s.key("acme", admin.NewKey{ID: "idle"})
	s.use("open", "192.0.2.1", time.Hour)
	s.use("k1", "192.0.2.1", 40*24*time.Hour)
	s.shows("/o/acme", http.StatusOK, "3 keys: 1 with an access list, 2 without. Of those 2, 1 had calls", "Calls of 1 key were refused", "were served that a trial", "were not observed", "Not required")
	s.apply("acme", admin.SetName("Acme <Inc>"), admin.SetRequirement(policy.ReportOnly))
	s.shows("/o/acme", http.StatusOK, "Acme &lt;Inc&gt;", "Report only")
	s.apply("globex", admin.SetRequirement(policy.Required))
	s.person.May = func(string, admin.Access) bool { return true }
	s.shows("/o/globex", http.StatusOK, "Every key needs an access list. Calls with a key without one are refused.")
	s.apply("globex", admin.SuspendRequirement(day0.Add(time.Hour)))
	s.shows("/o/globex", http.StatusOK, "Suspended", "It applies again at")
	s.apply("empty", admin.CreateOrganization(policy.NotRequired), admin.DisableOrganization())
	s.shows("/o/empty", http.StatusOK, "No keys yet", "Switched off.", "Create the first one")
	for i := range 120 {
		s.key("acme", admin.NewKey{ID: apikey.ID(fmt.Sprintf("many%03d", i))}, "203.0.113.1")
	}
	s.shows("/o/acme", http.StatusOK, "123 keys")
}

func TestKeys(t *testing.T) {
	s := newSite(t)
	s.key("acme", admin.NewKey{ID: "k2", Description: "<script>alert(1)</script>", ExternalID: "ext-7", Labels: map[string]string{"team": "blue"}})
	s.key("acme", admin.NewKey{ID: "k3", Disabled: true}, "203.0.113.1", "203.0.113.2")
	s.use("k1", "198.51.100.3", time.Minute)
	finds := func(query string, ids ...string) {
		t.Helper()
		page := s.shows("/o/acme/keys"+query, http.StatusOK)
		for _, id := range []string{"k1", "k2", "k3"} {
			require.Equal(t, strings.Contains(page, "<code>"+id+"</code>"), strings.Contains(strings.Join(ids, " "), id), "%s %s", query, id)
		}
	}
	finds("", "k1", "k2", "k3")
	finds("?q=FIRST", "k1")
	finds("?q=team%3Dblue", "k2")
	finds("?q=ext-7", "k2")
	finds("?q=203.0.113.2", "k3") // an entry
	finds("?q=k3", "k3")
	finds("?status=disabled", "k3")
	finds("?list=with", "k1", "k3")
	finds("?list=without", "k2")
	finds("?q=none")
	s.shows("/o/acme/keys", http.StatusOK, "&lt;script&gt;", "198.51.100.3", "2 entries")
	s.shows("/o/acme/keys?q=none", http.StatusOK, "No key matches")
	s.shows("/o/acme/keys?cursor=%00", http.StatusBadRequest)
	for i := range 60 {
		s.key("acme", admin.NewKey{ID: apikey.ID(fmt.Sprintf("many%02d", i))}, "203.0.113.1")
	}
	page := s.shows("/o/acme/keys?done=saved", http.StatusOK, `rel="next">Next page`)
	next := page[strings.Index(page, `href="./../../o/acme/keys?cursor=`)+len(`href="./../..`):]
	next = next[:strings.Index(next, `"`)]
	require.NotContains(t, next, "done")
	s.shows(strings.ReplaceAll(next, "&amp;", "&"), http.StatusOK, "First page", "many59")
}

// A search stops after a bounded number of keys, and says so.
func TestASearchIsBounded(t *testing.T) {
	reads := 0
	found, next, searched, err := scan("", func(r store.PageRequest) (store.Page[int], error) {
		reads++
		return store.Page[int]{Items: make([]int, r.Limit), Next: "more"}, nil
	}, func(int) bool { return false })
	require.NoError(t, err)
	require.Empty(t, found)
	require.Equal(t, []any{"more", maxSearch, maxSearch / pageRows}, []any{next, searched, reads})
	s := newSite(t)
	r, err := http.NewRequest(http.MethodGet, "/o/acme/keys?q=x", nil)
	require.NoError(t, err)
	v := &visit{console: &console{Config: s.config}, r: r}
	require.Equal(t, turn{Next: "./../../o/acme/keys?cursor=more&q=x", Searched: maxSearch}, v.turnOf(cursorOf(next), true, 0, searched))
}

func TestKey(t *testing.T) {
	s := newSite(t)
	hostile := `"><img src=x onerror=alert(1)>`
	entry, err := accesslist.ParseEntry("198.51.100.0/24")
	require.NoError(t, err)
	entry.Comment, entry.Expires = hostile, day0.Add(-time.Hour)
	narrow, err := accesslist.ParseEntry("203.0.113.7")
	require.NoError(t, err)
	s.key("acme", admin.NewKey{ID: "k2", Description: hostile, Entries: []accesslist.Entry{entry, narrow}, Labels: map[string]string{"b": "2", "a": "<i>"}, ExternalID: "<u>",
		Grants: []apikey.Grant{{Role: "owner", Project: "p1"}, {Role: "<em>", AllProjects: true}}, NotBefore: day0.Add(-time.Hour), Expires: day0.Add(50 * time.Hour)})
	s.apply("acme", admin.SetTrialList("k2", narrow))
	s.apply("acme", admin.Rotate("k2", 24*time.Hour))
	s.observed(40 * 24 * time.Hour)
	s.use("k2", "203.0.113.7", 24*time.Hour)
	s.use("k2", "192.0.2.9", 2*time.Hour)
	s.use("k2", "192.0.2.8", 40*24*time.Hour)
	page := s.shows("/o/acme/keys/k2", http.StatusOK, "&lt;i&gt;", "&lt;u&gt;", "&lt;em&gt;", "in 2 days", "Expired", "List on trial", "Role owner", "The key lacks the role",
		"The latest secret was not used yet", "<svg", `class="outside"`, `class="inside"`, "✕<title>The key has expired", "Calls refused although", "Calls served that a trial", "Key rotated", `href="./../../../o/acme/events?key=k2"`)
	require.NotContains(t, page, "<img")
	s.shows("/o/acme/keys/k1", http.StatusOK, "No served call was seen", "Calls are answered from the addresses on its list", "Needs no role")
	s.key("acme", admin.NewKey{ID: "k3", Disabled: true, NotBefore: day0.Add(time.Hour)})
	s.shows("/o/acme/keys/k3", http.StatusOK, "Every call is refused. The key or its organization is switched off.", "No access list", "k3 · ")
	s.key("acme", admin.NewKey{ID: "k4"})
	for i := range 70 {
		s.use("k4", fmt.Sprintf("192.0.2.%d", i), time.Duration(i+1)*time.Hour)
	}
	s.shows("/o/acme/keys/k4", http.StatusOK, "earlier calls came from other addresses", "Calls are answered from every address")
	s.store.fail, s.store.keys = "second Key", 0
	s.shows("/o/acme/keys/k1", http.StatusServiceUnavailable)
}

func TestALongListIsCut(t *testing.T) {
	var entries []string
	for i := range maxEntryRows + 5 {
		entries = append(entries, fmt.Sprintf("10.0.%d.%d", i/200, i%200))
	}
	list, err := accesslist.Parse(entries...)
	require.NoError(t, err)
	rows, more := entryRows(list, accesslist.Evidence{}, day0)
	require.Len(t, rows, maxEntryRows)
	require.Equal(t, 5, more)
}

func TestEvents(t *testing.T) {
	s := newSite(t)
	s.key("acme", admin.NewKey{ID: "open"})
	s.apply("acme", admin.DisableKey("k1"), admin.Describe("k1", "<b>new</b>"))
	person := admin.ByPerson("bob@example.com", "Bob", addr("192.0.2.77")).Via(store.ViaConsole, "c1")
	_, err := s.admin.Apply(t.Context(), person, "acme", admin.ApplyOptions{Reason: "opened it again", Accept: []admin.Kind{admin.Opens}}, admin.EnableKey("k1"))
	require.NoError(t, err)
	page := s.shows("/o/acme/events", http.StatusOK, "Organization created", "Entry added", "<code>203.0.113.7</code>", "by person Bob from <code>192.0.2.77</code>, via console", "opened it again", "Accepted: opens", "&lt;b&gt;", "Key switched off")
	require.NotContains(t, page, "foreign")
	page = s.shows("/o/acme/events?type=key.disabled&key=k1&from=2026-11-29&until=2026-11-29", http.StatusOK, "<strong>Key switched off")
	require.NotContains(t, page, "<strong>Key created")
	s.shows("/o/acme/events?until=2026-11-28", http.StatusOK, "Nothing matches")
	s.shows("/o/acme/events?key=foreign", http.StatusOK, "Nothing matches")
	for _, query := range []string{"from=x", "until=2026-13-01", "revision=-1"} {
		s.shows("/o/acme/events?"+query, http.StatusBadRequest)
	}
	s.shows("/o/acme/events?history=other&revision=99999", http.StatusGone, "No longer kept")
	for i := range 60 {
		s.apply("acme", admin.Describe("k1", fmt.Sprint("text ", i)))
	}
	page = s.shows("/o/acme/events", http.StatusOK, "Next page")
	next := page[strings.Index(page, `href="./../../o/acme/events?history=`)+len(`href="./../..`):]
	next = strings.ReplaceAll(next[:strings.Index(next, `"`)], "&amp;", "&")
	s.shows(next, http.StatusOK, "First page", "Organization created")

	row := newEventRow(store.Event{Type: "own.word_of_program", Entry: netip.MustParsePrefix("10.0.0.0/8")})
	require.Equal(t, []string{"own.word of program", "10.0.0.0/8"}, []string{row.Title, row.Entry})
}

func TestWords(t *testing.T) {
	p := &page{visit: &visit{now: day0}}
	for ago, text := range map[time.Duration]string{0: "just now", time.Minute: "1 minute ago", 2 * time.Hour: "2 hours ago", 49 * time.Hour: "2 days ago", -90 * time.Second: "in 1 minute", -time.Second: "in less than a minute"} {
		require.Equal(t, text, p.Ago(day0.Add(-ago)))
	}
	require.Equal(t, "–", p.Address(netip.Addr{}))
	require.Equal(t, "1.2.3.4", p.Address(addr("::ffff:1.2.3.4")))
	require.Equal(t, "invalid request", p.Why(policy.InvalidRequest))
	require.Equal(t, "May break", p.Class(admin.KeyMayBreak))
	require.Equal(t, "no change", p.Class("no_change"))
}

// The partials for forms and previews, of which the pages here have none.
func TestPartials(t *testing.T) {
	s := newSite(t)
	render := func(name string, data any) string {
		var b strings.Builder
		require.NoError(t, templates()["keys"].ExecuteTemplate(&b, name, data))
		return b.String()
	}
	text := render("field", field{Name: "desc", Label: "Description", Kind: "text", Value: `"<b>`, Hint: "One line.", Error: "Too long.", Required: true})
	for _, part := range []string{`<label for="f-desc">Description</label>`, `value="&#34;&lt;b&gt;"`, `aria-invalid="true" aria-describedby="e-desc h-desc"`, `id="e-desc"`, `id="h-desc"`, " required"} {
		require.Contains(t, text, part)
	}
	require.Contains(t, render("field", field{Name: "a", Kind: "textarea", Value: "</textarea>"}), "&lt;/textarea&gt;")
	require.Contains(t, render("field", field{Name: "a", Kind: "select", Choices: choices("2", "1", "One", "2", "Two")}), `value="2" selected>Two`)
	require.Contains(t, render("field", field{Name: "a", Kind: "checkbox", Checked: true}), ` value="on" checked`)

	s.observed(time.Hour)
	s.key("acme", admin.NewKey{ID: "open", Description: "<b>open</b>"})
	s.use("open", "192.0.2.1", time.Hour)
	preview, err := s.admin.Preview(t.Context(), s.person.Actor(), "acme", admin.SetRequirement(policy.Required))
	require.NoError(t, err)
	r, err := http.NewRequest(http.MethodGet, "/o/acme/settings", nil)
	require.NoError(t, err)
	p := &page{visit: &visit{console: &console{Config: s.config}, r: r, now: day0, organization: &policy.Organization{ID: "acme"}}}
	text = render("preview", partial{p, preview})
	for _, part := range []string{"&lt;b&gt;open", "Breaks</span>", "192.0.2.1", `href="./../../o/acme/keys/open"`, "Open to every address", `role="alert"`} {
		require.Contains(t, text, part)
	}
	require.True(t, newTimeline(nil, nil, day0, time.Hour).Empty())
}

// The pages have the window by which changes are judged.
func TestTheWindowIsThatOfTheAdmin(t *testing.T) {
	s := newSite(t)
	s.use("k1", "203.0.113.7", 10*24*time.Hour)
	require.Contains(t, s.shows("/o/acme", http.StatusOK), "<dt>Used in 30 days</dt><dd>1</dd>")
	var err error
	s.config.Admin, err = admin.New(s.store, admin.WithClock(s.config.Clock), admin.WithPeopleManaging(), admin.WithWindow(7*24*time.Hour))
	require.NoError(t, err)
	require.Contains(t, s.shows("/o/acme", http.StatusOK), "<dt>Used in 7 days</dt><dd>0</dd>")
	s.use("k1", "203.0.113.7", 24*time.Hour)
	s.shows("/o/acme/keys/k1", http.StatusOK, `>7 days ago</text>`, `>3 days ago</text>`)
}
