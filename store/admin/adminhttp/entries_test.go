package adminhttp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// wire is an entry of the worker's list.
func wire(block, address, use string) string {
	path := address
	if address == "" {
		path = netip.MustParsePrefix(block).Addr().String() + `%2F` + fmt.Sprint(netip.MustParsePrefix(block).Bits())
	} else {
		address = `,"ipAddress":"` + address + `"`
	}
	count := 0
	if use != "" {
		count = 3
	}
	return fmt.Sprintf(`{"cidrBlock":"%s","count":%d,"created":"2026-03-01T12:00:00Z"%s%s,"links":[{"href":"%s/orgs/%s/apiKeys/%s/accessList/%s","rel":"self"}]}`,
		block, count, address, use, base, acme, worker, path)
}

func wirePage(path string, total int, entries string) string {
	return fmt.Sprintf(`{"links":[{"href":"http://example.com%s?includeCount=true\u0026itemsPerPage=100\u0026pageNum=1","rel":"self"}],"results":[%s],"totalCount":%d}`, path, entries, total)
}

func TestEntries(t *testing.T) {
	w := newWorld(t)
	w.used(worker, "198.51.100.0/24", "198.51.100.7")
	single := wire("192.0.2.1/32", "192.0.2.1", "")
	block := wire("198.51.100.0/24", "", `,"lastUsed":"2026-03-01T11:00:00Z","lastUsedAddress":"198.51.100.7"`)
	w.answers(owner, "GET", list, "", 200, wirePage(list, 2, single+","+block))
	for _, spelling := range []string{"/198.51.100.0%2F24", "/198.51.100.0/24", "/198.51.100.0%2f24", "/198.51.100.0/24/", "/198.51.100.0%2F24/"} {
		w.answers(owner, "GET", list+spelling, "", 200, block)
	}
	for _, spelling := range []string{"/192.0.2.1", "/192.0.2.1%2F32", "/192.0.2.1/32"} {
		w.answers(worker, "GET", list+spelling, "", 200, single)
	}
	for _, method := range []string{"GET", "DELETE"} {
		for spelling, text := range map[string]string{
			"/198.51.100.0%252F24": "198.51.100.0%2F24", "/198.51.100.1": "198.51.100.1", "/198.51.100.0%2F25": "198.51.100.0/25", "/x": "x", "/2001:db8::/32": "2001:db8::/32",
			"/%20": " ",
		} {
			w.refuses(owner, method, list+spelling, "", 404, "API_KEY_ACCESS_LIST_NOT_FOUND", text, worker)
		}
		w.refuses(owner, method, org+"/apiKeys/"+absent+"/accessList/192.0.2.1", "", 404, "API_KEY_NOT_FOUND", absent)
	}
	w.refuses(owner, "GET", org+"/apiKeys/"+absent+"/accessList", "", 404, "API_KEY_NOT_FOUND", absent)

	w.answers(owner, "DELETE", list+"/198.51.100.0/24", "", 204, "")
	require.Equal(t, []string{"breaks_key"}, w.newest(1)[0].Accepted)
	w.answers(owner, "GET", list, "", 200, wirePage(list, 1, single))
}

// IPv6 entries that the embedding program let in are found, and shown as they are.
func TestEntriesOfIPv6(t *testing.T) {
	w := newWorld(t)
	entry, err := (accesslist.Parser{AllowIPv6: true}).ParseEntry("2001:db8::1")
	require.NoError(t, err)
	w.edit(worker, func(k *apikey.Key) { k.AccessList, _ = k.AccessList.With(entry) })
	w.answers(owner, "GET", list+"/2001:db8::1", "", 200, `{"cidrBlock":"2001:db8::1/128","count":0,"ipAddress":"2001:db8::1","links":[{"href":"`+base+`/orgs/`+acme+`/apiKeys/`+worker+`/accessList/2001:db8::1","rel":"self"}]}`)
	w.answers(owner, "DELETE", list+"/2001:db8::1%2F128", "", 204, "")
}

// The answer is the first page of the whole list, whatever the query says.
func TestAddEntries(t *testing.T) {
	w := newWorld(t)
	path := list + "?includeCount=false&itemsPerPage=1&pageNum=x"
	w.answers(owner, "POST", path, `[{"ipAddress":"203.0.113.7"},{"cidrBlock":"203.0.113.0/24"},{"ipAddress":"203.0.113.8","cidrBlock":"203.0.113.8/32","comment":"x"}]`, 200,
		wirePage(list, 5, wire("192.0.2.1/32", "192.0.2.1", "")+","+wire("198.51.100.0/24", "", "")+","+wire("203.0.113.0/24", "", "")+","+
			wire("203.0.113.7/32", "203.0.113.7", "")+","+wire("203.0.113.8/32", "203.0.113.8", "")))
	require.Equal(t, 200, w.call(worker, "POST", list, `[{"cidrBlock":"0.0.0.0/0"}]`).Code, "its own list, and as wide as the caller says")
	require.Equal(t, []string{"over_broad"}, w.newest(1)[0].Accepted)

	before := w.records()
	for _, test := range []struct {
		body, code string
		parameters []string
	}{
		{`[]`, "BAD_ACCESS_LIST_ADD_REQUEST", nil},
		{`null`, "BAD_ACCESS_LIST_ADD_REQUEST", nil},
		{`[{}]`, "MISSING_ONE_OF_ATTRIBUTES", []string{"ipAddress", "cidrBlock"}},
		{`[{"ipAddress":"203.0.113.9","cidrBlock":"203.0.113.0/28"}]`, "BAD_ACCESS_LIST_ADD_REQUEST", nil},
		{`[{"ipAddress":"203.0.113.900"}]`, "INVALID_IP_ADDRESS_OR_CIDR_NOTATION", []string{"203.0.113.900"}},
		{`[{"ipAddress":""}]`, "INVALID_IP_ADDRESS_OR_CIDR_NOTATION", []string{""}},
		{`[{"ipAddress":"203.0.113.0/28"}]`, "INVALID_IP_ADDRESS_OR_CIDR_NOTATION", []string{"203.0.113.0/28"}},
		{`[{"cidrBlock":"203.0.113.9/24"}]`, "INVALID_IP_ADDRESS_OR_CIDR_NOTATION", []string{"203.0.113.9/24"}},
		{`[{"cidrBlock":"2001:db8::/32"}]`, "IPV6_UNSUPPORTED", []string{"2001:db8::/32"}},
		{`[{"ipAddress":"2001:db8::1"}]`, "IPV6_UNSUPPORTED", []string{"2001:db8::1"}},
		{`[{"ipAddress":"0.0.0.0"}]`, "CANNOT_ADD_IP_ADDRESS_TO_API_KEY_ACCESS_LIST", []string{"0.0.0.0"}},
		{`[{"ipAddress":"203.0.113.9"},{"cidrBlock":"203.0.113.9/32"}]`, "DUPLICATE_ADDRESSES_IN_INPUT", []string{"203.0.113.9"}},
		{`[{"ipAddress":9}]`, "INVALID_JSON_ATTRIBUTE", []string{"ipAddress"}},
		{`{"ipAddress":"203.0.113.9"}`, "INVALID_JSON", nil},
	} {
		w.refuses(owner, "POST", list, test.body, 400, test.code, test.parameters...)
	}
	w.refuses(owner, "POST", list, `[{"ipAddress":"203.0.113.9"},{"cidrBlock":"203.0.113.7/32"}]`, 409, "ADDRESS_ALREADY_IN_ACCESS_LIST", "203.0.113.7")
	w.refuses(owner, "POST", org+"/apiKeys/"+absent+"/accessList", `[{"ipAddress":"203.0.113.9"}]`, 404, "API_KEY_NOT_FOUND", absent)
	many := "["
	for i := range store.MaxEntries {
		many += fmt.Sprintf(`{"ipAddress":"10.0.%d.%d"},`, i/256, i%256)
	}
	w.refuses(owner, "POST", list, many[:len(many)-1]+"]", 400, "INVALID_ATTRIBUTE")
	require.Equal(t, before, w.records())
}

// The guard's refusals in the documented codes.
func TestEntriesGuarded(t *testing.T) {
	w := newWorld(t)
	const own = org + "/apiKeys/" + owner + "/accessList"
	before := w.records()
	w.refuses(owner, "DELETE", own+"/192.0.2.1", "", 400, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST", client)
	require.Equal(t, before, w.records())
	require.Equal(t, 200, w.call(owner, "POST", own, `[{"ipAddress":"203.0.113.9"},{"cidrBlock":"192.0.2.0/24"}]`).Code)
	w.answers(owner, "DELETE", own+"/192.0.2.1", "", 204, "")

	// The last entry opens the key.
	w.answers(owner, "DELETE", list+"/198.51.100.0/24", "", 204, "")
	w.refuses(owner, "DELETE", list+"/192.0.2.1", "", 409, "CHANGE_WOULD_OPEN")
	w.config.Accept = append(w.config.Accept, "opens")
	w.handler = newHandler(w.config)
	w.answers(owner, "DELETE", list+"/192.0.2.1", "", 204, "")

	// The first entry of a key that is called from elsewhere.
	w.used(worker, "", "203.0.113.77")
	w.refuses(owner, "POST", list, `[{"ipAddress":"192.0.2.1"}]`, 409, "CHANGE_WOULD_LOCK_OUT")

	// A key cannot give itself the first entry, unless the program says so.
	w.refuses(worker, "POST", list, `[{"ipAddress":"203.0.113.77"}]`, 403, "RESOURCE_REQUIRES_ACCESS_LIST", client)
	w.config.OpenEntryEndpoints = true
	w.handler = newHandler(w.config)
	w.refuses(worker, "POST", list, `[{"ipAddress":"203.0.113.77"}]`, 409, "CHANGE_WOULD_LOCK_OUT", client)
	require.Equal(t, 200, w.call(worker, "POST", list, `[{"ipAddress":"203.0.113.77"},{"ipAddress":"192.0.2.1"}]`).Code)
}

// A list is of its key, and of who manages the organization.
func TestEntriesOfOthers(t *testing.T) {
	w := newWorld(t)
	for _, by := range []apikey.ID{viewer, lead} {
		for _, test := range [][2]string{{"GET", list}, {"POST", list}, {"GET", list + "/192.0.2.1"}, {"DELETE", list + "/192.0.2.1"}} {
			w.refuses(by, test[0], test[1], "", 403, "API_KEY_ACCESS_LIST_ACCESS_DENIED", worker)
		}
	}
}

// The requirement, by the documented name.
func TestSettings(t *testing.T) {
	w := newWorld(t)
	settings := org + "/settings"
	is := func(want policy.Requirement) {
		t.Helper()
		found, err := w.memory.Organization(t.Context(), acme)
		require.NoError(t, err)
		require.Equal(t, want, found.Requirement)
	}
	w.answers(viewer, "GET", settings, "", 200, `{"apiAccessListRequired":false}`)
	w.answers(owner, "PATCH", settings, `{"apiAccessListRequired":true,"multiFactorAuthRequired":true}`, 200, `{"apiAccessListRequired":true}`)
	is(policy.Required)
	w.answers(owner, "PATCH", settings, `{"multiFactorAuthRequired":true}`, 200, `{"apiAccessListRequired":true}`)
	w.answers(owner, "PATCH", settings, `{"apiAccessListRequired":true}`, 200, `{"apiAccessListRequired":true}`)
	w.edit(worker, func(k *apikey.Key) { k.AccessList = accesslist.List{} })
	w.answers(owner, "PATCH", settings, `{"apiAccessListRequired":false}`, 200, `{"apiAccessListRequired":false}`)
	is(policy.NotRequired)
	require.Equal(t, []string{"opens"}, w.newest(1)[0].Accepted)
	w.used(worker, "", "203.0.113.77")
	w.refuses(owner, "PATCH", settings, `{"apiAccessListRequired":true}`, 409, "CHANGE_WOULD_LOCK_OUT")
	is(policy.NotRequired)
	w.config.Accept = append(w.config.Accept, "breaks_key")
	w.handler = newHandler(w.config)
	w.answers(owner, "PATCH", settings, `{"apiAccessListRequired":true}`, 200, `{"apiAccessListRequired":true}`)
	w.requirement(policy.ReportOnly)
	w.answers(owner, "PATCH", settings, `{"apiAccessListRequired":false}`, 200, `{"apiAccessListRequired":false}`)
	is(policy.ReportOnly)
	w.answers(owner, "PATCH", settings, `{"apiAccessListRequired":true}`, 200, `{"apiAccessListRequired":true}`)
	is(policy.Required)
	w.refuses(owner, "PATCH", settings, `{"apiAccessListRequired":"yes"}`, 400, "INVALID_JSON_ATTRIBUTE", "apiAccessListRequired")
}

// requirement sets that of acme, past the Admin.
func (w *world) requirement(to policy.Requirement) {
	w.t.Helper()
	found, err := w.memory.Organization(w.t.Context(), acme)
	require.NoError(w.t, err)
	found.Requirement = to
	_, err = w.memory.PutOrganization(w.t.Context(), found)
	require.NoError(w.t, err)
}

// Every client begins with its organizations and projects.
func TestOrganizationsAndGroups(t *testing.T) {
	w := newWorld(t)
	acmeBody := `{"id":"` + acme + `","isDeleted":false,"links":[{"href":"` + base + `/orgs/` + acme + `","rel":"self"},{"href":"` + base + `/orgs/` + acme + `/groups","rel":"https://cloud.mongodb.com/groups"}],"name":"Acme","skipDefaultAlertsSettings":false}`
	w.answers(viewer, "GET", org, "", 200, acmeBody)
	w.answers(worker, "GET", "/api/atlas/v1.0/orgs", "", 200, wirePage("/api/atlas/v1.0/orgs", 1, acmeBody))
	require.Contains(t, w.call(viewer, "GET", "/api/atlas/v1.0/orgs?name=aC", "").Body.String(), `"totalCount":1`)
	require.Contains(t, w.call(viewer, "GET", "/api/atlas/v1.0/orgs?name=x", "").Body.String(), `"results":[],"totalCount":0`)
	require.Contains(t, w.call(stranger, "GET", "/api/atlas/v1.0/orgs", "").Body.String(), `"name":"`+globex+`"`)

	alphaBody := `{"clusterCount":0,"created":"2026-03-01T12:00:00Z","id":"` + alpha + `","links":[{"href":"` + base + `/groups/` + alpha + `","rel":"self"}],"name":"Alpha","orgId":"` + acme + `"}`
	secondBody := `{"clusterCount":0,"id":"` + second + `","links":[{"href":"` + base + `/groups/` + second + `","rel":"self"}],"name":"` + second + `","orgId":"` + acme + `"}`
	w.answers(lead, "GET", group, "", 200, alphaBody)
	const all = "/api/atlas/v1.0/groups"
	w.answers(viewer, "GET", org+"/groups", "", 200, wirePage(org+"/groups", 2, alphaBody+","+secondBody))
	w.answers(viewer, "GET", all, "", 200, wirePage(all, 2, alphaBody+","+secondBody))
	w.answers(lead, "GET", all, "", 200, wirePage(all, 1, alphaBody))
	w.answers(worker, "GET", all, "", 200, wirePage(all, 1, secondBody))
	require.Contains(t, w.call(viewer, "GET", all+"?itemsPerPage=1&includeCount=false", "").Body.String(), `"rel":"next"`)
	for _, id := range []string{beta, absent} {
		w.refuses(lead, "GET", all+"/"+id, "", 404, "GROUP_NOT_FOUND", id)
	}
	w.refuses(lead, "GET", all+"/"+second, "", 403, "USER_UNAUTHORIZED")
	w.config.Projects = nil
	w.handler = newHandler(w.config)
	w.answers(viewer, "GET", all, "", 200, wirePage(all, 0, ""))
	w.refuses(lead, "GET", group, "", 404, "GROUP_NOT_FOUND", alpha)
}
