package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

const golden = `
the owner's key asks for a change and gets 200 OK
in force; secrets to show once: 1

the new key from 203.0.113.7 gets 200 OK
{"id":"atlas","organization":"acme","title":"Atlas"}

the new key from 192.0.2.1 gets 403 Forbidden
{"type":"about:blank","title":"Forbidden","status":403,"detail":"IP address 192.0.2.1 is not on the access list of the API key.","code":"IP_ADDRESS_NOT_ON_ACCESS_LIST","parameters":["192.0.2.1"]}

the owner's key asks for a change and gets 409 Conflict
The change is refused. The key that makes this change, from the address 198.51.100.7, would be denied after the change: no entry of its access list covers the address. An entry 198.51.100.7 would cover it.

Ann asks for a change and gets 200 OK
preview: key report, unknown: now address_listed, then key_disabled

Ann asks for a change and gets 200 OK
in force; secrets to show once: 0

the new key from 203.0.113.7 gets 401 Unauthorized
{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The API key is switched off.","code":"API_KEY_DISABLED","parameters":[]}

key.disabled, by person ann@acme.example, "found in a public log"
key.entry_added, by key owner, ""
key.created, by key owner, ""
key.entry_added, by system set-up, "new customer"
key.created, by system set-up, "new customer"
organization.created, by system set-up, "new customer"

entry 203.0.113.0/24 admitted 1 call, the last from 203.0.113.7
`

func TestDemo(t *testing.T) {
	var out strings.Builder
	require.NoError(t, demo(t.Context(), &out))
	require.Equal(t, strings.TrimPrefix(golden, "\n"), out.String())
}

// An output that cannot be written is an error, and still ends the service.
func TestDemoFails(t *testing.T) {
	require.ErrorIs(t, demo(t.Context(), fullDisk{}), errFull)
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// aDatabase returns one with the organization acme, its key owner for 198.51.100.0/24, and
// its key report for 203.0.113.0/24, which reads every project.
func aDatabase(t *testing.T) (database string, owner, report apikey.Secret) {
	database = filepath.Join(t.TempDir(), "keys.db")
	owner, err := setUp(t.Context(), database, "acme", "owner", "198.51.100.0/24")
	require.NoError(t, err)
	keys, err := sqlite.Open(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, keys.Close()) }()
	a, err := newAdmin(keys)
	require.NoError(t, err)
	list, err := accesslist.Parse("203.0.113.0/24")
	require.NoError(t, err)
	made, err := a.Apply(t.Context(), admin.BySystem("test"), "acme", admin.ApplyOptions{}, admin.CreateKey(admin.NewKey{
		ID: "report", Entries: slices.Collect(list.All()), Grants: []apikey.Grant{{Role: "reader"}, {Role: "reader", AllProjects: true}}}))
	require.NoError(t, err)
	return database, owner, made.Secrets[0].Secret
}

// start runs the service with aDatabase until the test ends, and returns both addresses.
func start(t *testing.T, proxies ...netip.Prefix) (api, operators string, owner, report apikey.Secret) {
	database, owner, report := aDatabase(t)
	ctx, stop := context.WithCancel(context.Background())
	ended, started := make(chan error, 1), make(chan [2]string, 1)
	go func() {
		ended <- run(ctx, database, proxies, "127.0.0.1:0", "0", func(api, operators string) { started <- [2]string{api, operators} })
	}()
	select {
	case err := <-ended:
		stop()
		require.FailNow(t, "the service ended", err)
	case addresses := <-started:
		api, operators = addresses[0], addresses[1]
	}
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return api, operators, owner, report
}

func get(t *testing.T, url string, secret apikey.Secret, client string) (status int, body string) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+url, nil)
	require.NoError(t, err)
	if !secret.IsZero() {
		r.Header.Set("Authorization", "Bearer "+secret.Reveal())
	}
	if client != "" {
		r.Header.Set("X-Forwarded-For", client)
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, errors.Join(err, answer.Body.Close()))
	return answer.StatusCode, strings.TrimSpace(string(text))
}

func TestAPI(t *testing.T) {
	api, _, _, secret := start(t, loopback)
	const listed = "203.0.113.7"
	atlas, borealis := `{"id":"atlas","organization":"acme","title":"Atlas"}`, `{"id":"borealis","organization":"acme","title":"Borealis"}`
	for _, test := range []struct {
		path, client string
		secret       apikey.Secret
		status       int
		body         string // part of it
	}{
		{"/projects/atlas", listed, secret, 200, atlas},
		{"/projects/%61tlas", listed, secret, 200, atlas},
		{"/organizations/acme/projects", listed, secret, 200, "[" + atlas + "," + borealis + "]"},
		{"/projects/gamma", listed, secret, 403, "API_KEY_NOT_IN_ORGANIZATION"},
		{"/projects/nonesuch", listed, secret, 403, "API_KEY_NOT_IN_ORGANIZATION"},
		{"/organizations/globex/projects", listed, secret, 403, "API_KEY_NOT_IN_ORGANIZATION"},
		{"/projects/atlas", "192.0.2.1", secret, 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"},
		{"/projects/atlas", listed + ", 192.0.2.1", secret, 403, "192.0.2.1"}, // the left part is the caller's
		{"/projects/atlas", listed, apikey.Secret{}, 401, "API_KEY_REQUIRED"},
		{"/projects/atlas", "", secret, 503, "ACCESS_CONTROL_UNAVAILABLE"}, // the proxy always names the client
		{"/counters", listed, secret, 404, ""},
		{"/doctor/projects/atlas", listed, secret, 404, ""},
	} {
		status, body := get(t, api+test.path, test.secret, test.client)
		require.Equal(t, test.status, status, "%s from %q: %s", test.path, test.client, body)
		require.Contains(t, body, test.body, "%s from %q", test.path, test.client)
	}
}

// Only a declared proxy's header is read.
func TestUndeclaredProxy(t *testing.T) {
	api, _, _, secret := start(t, netip.MustParsePrefix("10.0.0.4/32"))
	status, body := get(t, api+"/projects/atlas", secret, "203.0.113.7")
	require.Equal(t, 403, status)
	require.Contains(t, body, `"parameters":["127.0.0.1"]`)
}

// The doctor tells which keys exist, and the counters are of all organizations: customers, who
// sign in at the same listener, get neither.
func TestOperators(t *testing.T) {
	_, operators, _, secret := start(t, loopback)
	require.True(t, strings.HasPrefix(operators, "127.0.0.1:"), operators)
	asking := caller{base: operators, client: "192.0.2.1", secret: secret.Reveal()}
	for _, person := range []string{"", "ann@acme.example", "gus@globex.example"} {
		asking.person = person
		for _, path := range []string{"/doctor/projects/atlas", "/counters"} {
			require.NotContains(t, asking.must(t, http.MethodGet, path, "", 404), "address_not_listed")
		}
	}
	asking.person = "olga@service.example"
	require.Contains(t, asking.must(t, http.MethodGet, "/doctor/projects/atlas", "", 200), "address_not_listed")
	require.Contains(t, asking.must(t, http.MethodGet, "/counters", "", 200), `"address_not_listed":1`)
}

// A failure at each step of the start ends the service, and leaves nothing open: the
// store can be opened and the port be taken again.
func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	address := taken.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	database := filepath.Join(t.TempDir(), "keys.db")
	never := func(string, string) { require.Fail(t, "the service started") }
	for want, err := range map[string]error{
		"no such file or directory": run(t.Context(), filepath.Join(t.TempDir(), "none", "keys.db"), []netip.Prefix{loopback}, "127.0.0.1:0", "0", never),
		"no peer is trusted":        run(t.Context(), database, nil, "127.0.0.1:0", "0", never),
		"address already in use":    run(t.Context(), database, []netip.Prefix{loopback}, address, "0", never),
		"in use":                    run(t.Context(), database, []netip.Prefix{loopback}, "127.0.0.1:0", port, never),
	} {
		require.ErrorContains(t, err, want)
	}
	keys, err := sqlite.Open(t.Context(), database)
	require.NoError(t, err)
	require.NoError(t, keys.Close())
}

// A request under way when the service is told to end gets its answer and is counted.
func TestRequestUnderWay(t *testing.T) {
	blocked, proceed := make(chan struct{}), make(chan struct{})
	before := slog.Default()
	slog.SetDefault(slog.New(blocking{slog.DiscardHandler, blocked, proceed}))
	defer slog.SetDefault(before)

	database, _, secret := aDatabase(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	started, ended, answered := make(chan string, 1), make(chan error, 1), make(chan string, 1)
	go func() {
		defer close(started)
		ended <- run(ctx, database, []netip.Prefix{loopback}, "127.0.0.1:0", "0", func(api, _ string) { started <- api })
	}()
	api := <-started
	go func() {
		defer close(answered)
		status, body := get(t, api+"/projects/atlas", secret, "203.0.113.7")
		answered <- fmt.Sprint(status, " ", body)
	}()
	select {
	case <-blocked:
	case err := <-ended:
		require.FailNow(t, "the service ended", err)
	}
	stop()
	for listening := true; listening; {
		conn, err := net.Dial("tcp", api)
		if listening = err == nil; listening {
			require.NoError(t, conn.Close())
		}
	}
	close(proceed)
	require.Equal(t, `200 {"id":"atlas","organization":"acme","title":"Atlas"}`, <-answered)
	require.NoError(t, <-ended)

	var out strings.Builder
	require.NoError(t, showUsage(t.Context(), &out, database, "report"))
	require.Equal(t, "\nentry 203.0.113.0/24 admitted 1 call, the last from 203.0.113.7\n", out.String())
}

// blocking holds up the first line of the audit log, and so the request.
type blocking struct {
	slog.Handler
	blocked, proceed chan struct{}
}

func (blocking) Enabled(context.Context, slog.Level) bool { return true }

func (b blocking) Handle(_ context.Context, record slog.Record) error {
	if record.Message == "access decision" {
		close(b.blocked)
		<-b.proceed
	}
	return nil
}

func TestTimeouts(t *testing.T) {
	server := newServer(http.NotFoundHandler())
	for _, timeout := range []time.Duration{server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout} {
		require.Positive(t, timeout)
	}
	require.Greater(t, server.WriteTimeout, server.ReadTimeout+changing, "the secrets of a slowly sent order could not be answered")
}

// A handler outside of the guard serves nothing.
func TestUnguarded(t *testing.T) {
	for _, handler := range []http.HandlerFunc{showProject, listProjects} {
		require.HTTPStatusCode(t, handler, http.MethodGet, "/projects/atlas", nil, http.StatusInternalServerError)
	}
}
