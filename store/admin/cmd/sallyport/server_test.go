package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
)

// A served is a script whose store is behind a running service.
type served struct {
	*script
	clock atomic.Pointer[time.Time] // of the service
	http  *httptest.Server
}

// The person's secret is one of the service's own, such as a token of its sign-in.
const personsSecret = "olgas-own-token"

// serve returns a script with a service on its store, in which olga may do everything and keys
// with the role owner manage.
func serve(t *testing.T) *served {
	s := &served{script: newScript(t)}
	s.clock.Store(&began)
	clock := func() time.Time { return *s.clock.Load() }
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: clock})
	require.NoError(t, err)
	a, err := admin.New(s.store, admin.RequireJournal(), admin.WithPeopleManaging(), admin.WithClock(clock), admin.WithIssuer(issuer))
	require.NoError(t, err)
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(s.store, policy.WithClock(clock)), Issuer: issuer})
	require.NoError(t, err)
	roles := []string{"owner", "reader", "writer", "auditor"}
	handler, err := adminhttp.New(adminhttp.Config{
		Admin: a, Store: s.store, Guard: guard, OrganizationRoles: roles, ProjectRoles: roles, Projects: ofAcme{},
		Roles:     adminhttp.Roles{Read: []string{"owner"}, Manage: []string{"owner"}, ProjectRead: []string{"owner"}, ProjectManage: []string{"owner"}},
		Endpoints: []policy.Endpoint{{Name: "things.list", Roles: []string{"reader"}}},
		Person: func(r *http.Request) (admin.Person, error) {
			if r.Header.Get("Authorization") != "Bearer "+personsSecret {
				return admin.Person{}, errors.New("not signed in")
			}
			return admin.Person{ID: "olga", May: func(string, admin.Access) bool { return true }}, nil
		},
	})
	require.NoError(t, err)
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", clock().UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.http.Close)
	return s
}

// remote runs a command through the service.
func (s *served) remote(secret, command, stdin string) string {
	local := s.env
	defer func() { s.env = local }()
	s.env = maps.Clone(local)
	delete(s.env, "SALLYPORT_STORE")
	s.env["SALLYPORT_SERVER"], s.env["SALLYPORT_KEY"] = s.http.URL, secret
	now := s.now
	s.clock.Store(&now)
	return s.run(command, stdin)
}

// ofAcme are the projects of acme, p1 and p2.
type ofAcme struct{}

func (ofAcme) Of(context.Context, string) iter.Seq2[admin.Project, error] {
	return func(func(admin.Project, error) bool) {}
}

func (ofAcme) Project(_ context.Context, id string) (admin.Project, bool, error) {
	return admin.Project{ID: id, Organization: "acme"}, id == "p1" || id == "p2", nil
}

// Who changed it, and by what way, is another through the service, and the place is its address.
func (s *served) asLocal(text string) string {
	text = strings.ReplaceAll(text, "a secret as the server makes them", "a secret sp_…")
	text = regexp.MustCompile(`server(␛\[0m)?  `+regexp.QuoteMeta(s.http.URL)+`(\n2>)? +\(SALLYPORT_SERVER\)`).ReplaceAllString(text, "store$1   memory:test (SALLYPORT_STORE)")
	return strings.NewReplacer(s.http.URL, "memory:test", "person olga", "system olga", `"kind": "person"`, `"kind": "system"`, `"kind":"person"`, `"kind":"system"`,
		`person "olga"`, `system "olga"`, `"via": "api"`, `"via": "cli"`, `"via":"api"`, `"via":"cli"`, "  api  ", "  cli  ").Replace(text)
}

var (
	notServed = regexp.MustCompile(`with --server (this command is|the flag --\S+ is|they are) not available: use --store|with --server events are those of one organization|is IPv6: this list takes IPv4`)

	// The decision of a server lacks these.
	unsaid = regexp.MustCompile(`(?m)^(entry|log line)  .*\n|^ +"entry": .*\n|,\n +"requirement": ".*"|,\n    "parameters": \[\n.*\n    \]|"entry":"[^"]*",|,"requirement":"[^"]*"|,"parameters":\[[^]]*\]`)

	// The doctor looks at a store itself, or at a server itself.
	ofStore  = regexp.MustCompile(`(?m)^store .*\n|\{"check":"store".*\n|  \{\n    "check": "store",\n.*\n.*\n  \},\n|^check   store\n(.+\n)+\n`)
	ofServer = regexp.MustCompile(`(?m)^(server|clock) .*\n|\{"check":"(server|clock)".*\n|  \{\n    "check": "(server|clock)",\n.*\n.*\n  \},\n|^check   (server|clock)\n(.+\n)+\n`)
	cause    = regexp.MustCompile(` \(apikey: [^)]*\)`)

	absentText   = regexp.MustCompile(`(?i)sallyport: (␛\[0m)?there is no (key|organization) "`)
	conflictText = regexp.MustCompile(`is taken\. Choose|has two live secrets already|has no list on trial`)
)

// compare returns how what a command prints through a service is what it prints on the store,
// "" for a difference.
func compare(command, want, got string) string {
	status := func(text string) (rest, status string) { return text[:len(text)-2], text[len(text)-2:] }
	near, nearStatus := status(cause.ReplaceAllString(want, ""))
	far, farStatus := status(got)
	switch {
	case want == got:
		return "same"
	case (near == far || strings.Contains(command, " rotate ") && words(near) == words(far)) && nearStatus == "2\n" && (farStatus == "1\n" && absentText.MatchString(far) || farStatus == "3\n" && conflictText.MatchString(far)):
		return "same but for the documented status"
	case strings.HasPrefix(command, "sallyport decide ") && unsaid.ReplaceAllString(want, "") == got:
		return "same but for what a server does not say"
	case strings.HasPrefix(command, "sallyport decide ") && strings.Contains(want, "wrong_organization") && strings.Contains(got, "unknown_key") && nearStatus == farStatus:
		return "a key of another organization is unknown"
	case strings.Contains(command, " rotate ") && words(want) == words(got): // its question is longer
		return "same"
	case strings.HasPrefix(command, "sallyport doctor") && ofStore.ReplaceAllString(want, "") == ofServer.ReplaceAllString(got, ""):
		return "same but for the store or the server itself"
	case strings.HasPrefix(command, "sallyport may ") && nearStatus == farStatus:
		return "other endpoints"
	}
	return ""
}

// words returns a text without its lines.
func words(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "\n2> ", "\n")), " ")
}

// Every command of the scripts, with the same arguments, clock and terminal, prints through a
// running service what it prints straight on the store.
func TestServedScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.script")
	require.NoError(t, err)
	counts := map[string]int{}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			golden, err := os.ReadFile(path)
			require.NoError(t, err)
			far, near := serve(t), newScript(t)
			far.via = func(command, stdin string) string {
				near.now, near.width, near.env = far.now, far.width, far.env
				if strings.HasPrefix(command, "sallyport decide ") && !strings.Contains(command, " --at ") {
					command += " --at " + far.now.Format(time.RFC3339) // the service's clock is this machine's
				}
				want := near.run(command, stdin)
				if far.env["SALLYPORT_STORE"] != "memory:test" || strings.Contains(command, " --store") || strings.Contains(command, " --managers") {
					far.run(command, stdin)
					counts["another store"]++
					return ""
				}
				got, how := far.remote(personsSecret, command, stdin), ""
				if notServed.MatchString(got) {
					require.True(t, strings.HasSuffix(got, "? 2\n"), got)
					require.Equal(t, want, far.asLocal(far.run(command, stdin))) // so that the records stay the same
					how = "refused"
				} else {
					got = far.asLocal(got)
					how = compare(command, want, got)
				}
				if how == "" {
					require.Equal(t, want, got, command)
				}
				counts[how]++
				return ""
			}
			far.play(string(golden))
		})
	}
	t.Log(counts)
	require.Greater(t, counts["same"], 150)
	require.Less(t, counts["a key of another organization is unknown"]+counts["other endpoints"], 10)
}

// What differs through a service: commands that it has not, with the reason, and what it says of
// itself. Commands print the address of the service as SERVER.
func TestServerScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.served")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		golden, err := os.ReadFile(path)
		require.NoError(t, err)
		s := serve(t)
		s.via = func(command, stdin string) string {
			return strings.ReplaceAll(s.remote(personsSecret, command, stdin), s.http.URL, "SERVER")
		}
		got := s.play(string(golden))
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		require.Equal(t, string(golden), got)
	}
}

// A key is the actor of what it asks for: it sees and changes its own organization, and cannot
// lock itself out.
func TestServedByKey(t *testing.T) {
	s := serve(t)
	s.run("sallyport keys create --org acme --id ops --role owner --from 127.0.0.1 --yes", "")
	ops := s.secret
	do := func(command string) string {
		return strings.ReplaceAll(s.remote(ops, command, ""), s.http.URL, "SERVER")
	}

	require.Equal(t, `as            key ops
from          127.0.0.1
organization  acme
status        active
grants        owner
may           key "ops" of organization "acme", from 127.0.0.1, at 2031-05-06T07:08:09Z: address_listed
              organization
                things.list  no  role_missing
              
              all projects
                things.list  no  project_not_granted
? 0
`, do("sallyport whoami"))
	require.Equal(t, "ops\n? 0\n", do("sallyport whoami -o name"))
	require.Equal(t, "acme\n? 0\n", do("sallyport org list -o name"))
	require.Equal(t, "old\nops\nowner\nreport\n? 0\n", do("sallyport keys list -o name"))
	require.Equal(t, "2> sallyport: There is no key \"globe\" in this organization.\n? 1\n", do("sallyport keys show globe"))
	require.Regexp(t, `^2> sallyport: The server answers 403 API_KEY_NOT_IN_ORGANIZATION: .*\n\? 1\n$`, do("sallyport keys show globe --org globex"))

	require.Contains(t, do("sallyport keys disable report --yes --reason leaked"), "2> Done: key.disabled of key report at revision 9.\n? 0\n")
	require.Contains(t, do("sallyport events list --newest --limit 1"), "key ops  api  leaked\n? 0\n")
	require.Contains(t, do("sallyport events list -o name --limit 2"), "? 0\n") // those of its organization
	for _, command := range []string{"list replace ops -f testdata/list.txt", "keys grant ops --remove --role owner", "keys delete ops"} {
		refused := do("sallyport " + command + " --yes")
		require.Contains(t, refused, "? 1\n", command)
		require.Contains(t, refused, "The change is refused. The key that makes this change", command)
	}
	require.Contains(t, do("sallyport keys disable report --yes --token 00000000000000000000000000000000"), "? 3\n")

	created := do("sallyport keys create --org acme --id fresh --role reader --from 192.0.2.9 --label team=core --expires 2032-01-01 --yes")
	require.Equal(t, "SECRET\n2> Done: key.created of key fresh at revision 10.\n2> Done: key.entry_added of key fresh 192.0.2.9 at revision 10.\n? 0\n", created)
	fresh := s.secret
	require.Contains(t, do("sallyport keys show fresh"), "labels        team=core\n")
	require.Regexp(t, `^2> sallyport: The server answers 403 [A-Z_]+: .*127\.0\.0\.1.*\n\? 1\n$`, s.remote(fresh, "sallyport whoami", ""))

	last := "x"
	if strings.HasSuffix(ops, last) {
		last = "y"
	}
	wrong := s.remote(ops[:len(ops)-1]+last, "sallyport whoami", "")
	require.Regexp(t, `^2> sallyport: The server answers 401 [A-Z_]+: .*\n\? 1\n$`, wrong)
}

// Following prints events as they happen, and goes on behind the last one.
func TestServedFollow(t *testing.T) {
	s := serve(t)
	s.env = map[string]string{"SALLYPORT_SERVER": s.http.URL, "SALLYPORT_KEY": personsSecret}
	for _, format := range []string{"table", "json", "name"} {
		ctx, cancel := context.WithCancel(t.Context())
		want := map[string]string{"table": "key.disabled of key report", "json": `"type":"key.disabled"`, "name": "000000000000000800000000"}[format]
		printed := &watched{on: want, then: cancel}
		var stderr bytes.Buffer
		done := make(chan int)
		go func() {
			done <- run(ctx, []string{"events", "follow", "--org", "acme", "--after", "6", "-o", format}, strings.NewReader(""), printed, &stderr, s.environment())
		}()
		near := newScript(t)
		near.store = s.store
		require.Equal(t, yes, near.do(strings.NewReader(""), io.Discard, io.Discard, "keys", "disable", "report", "--yes"))
		require.Equal(t, yes, <-done, stderr.String())
		require.Contains(t, printed.String(), want)
		require.Regexp(t, `^Go on with: --after [678]@[A-Z2-7]{26}\n$`, stderr.String())
	}
}
