package main

import (
	"bytes"
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/examples/middleware/backups"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
)

const goldenTour = `
WHAT                               REQUEST                                    STATUS  CODE
no key                             GET /projects/atlas/backups                401     API_KEY_REQUIRED
a key, as a Bearer token           GET /projects/atlas/backups                200     -
a key, as user and password        POST /projects/atlas/backups               201     -
an unknown key                     GET /projects/atlas/backups                401     INVALID_API_KEY
a wrong secret                     GET /projects/atlas/backups                401     INVALID_API_KEY
an address off the key's list      GET /projects/atlas/backups                403     IP_ADDRESS_NOT_ON_ACCESS_LIST
  whatever a header says           GET /projects/atlas/backups                403     IP_ADDRESS_NOT_ON_ACCESS_LIST
a key without a list               GET /projects/atlas/backups                200     -
  where the endpoint requires one  POST /projects/atlas/backups/b1/restore    403     RESOURCE_REQUIRES_ACCESS_LIST
a key with a list there            POST /projects/atlas/backups/b1/restore    202     -
a missing role                     DELETE /projects/atlas/backups/b1          403     API_KEY_LACKS_ROLE
a project without a grant          GET /projects/borealis                     403     API_KEY_NOT_IN_PROJECT
the key's organization             GET /organizations/acme/projects           200     -
another organization               GET /organizations/globex/projects         403     API_KEY_NOT_IN_ORGANIZATION
another organization's project     GET /projects/atlas                        403     API_KEY_NOT_IN_ORGANIZATION
  with a claim to own it           GET /projects/atlas?organization=globex    403     API_KEY_NOT_IN_ORGANIZATION
an unknown project                 GET /projects/nonesuch                     403     API_KEY_NOT_IN_ORGANIZATION
the switch, not by an operator     PUT /admin/organizations/acme/requirement  403     -
the operator: report only          PUT /admin/organizations/acme/requirement  200     -
  a key without a list             GET /projects/atlas/backups                200     -
the operator: required             PUT /admin/organizations/acme/requirement  200     -
  a key without a list             GET /projects/atlas/backups                403     ORG_REQUIRES_ACCESS_LIST
  a key with a list                GET /projects/atlas/backups                200     -
  a key of another organization    GET /projects/gamma                        200     -
the operator, not locked out       PUT /admin/organizations/acme/requirement  200     -
  a key without a list             GET /projects/atlas/backups                200     -
`

const goldenCounters = `
   1 unknown_key
   1 wrong_secret
   1 address_not_listed
   1 organization_requires_access_list
   1 endpoint_requires_access_list
   4 wrong_organization
   1 project_not_granted
   1 role_missing
   5 address_listed
   4 open_list
   1 no_credentials
   1 possible_proxy
   1 would be denied if their organization required a list
`

// goldenReasons are what the audit log says, line by line.
var goldenReasons = strings.Fields(`
	invalid_request address_listed address_listed unknown_key wrong_secret
	address_not_listed address_not_listed open_list endpoint_requires_access_list address_listed
	role_missing project_not_granted address_listed wrong_organization wrong_organization wrong_organization wrong_organization
	open_list organization_requires_access_list address_listed open_list open_list`)

func TestTour(t *testing.T) {
	var out, errOut strings.Builder
	require.NoError(t, run(t.Context(), &out, &errOut, new(policyhttp.Counters), nil))
	require.Empty(t, errOut.String())

	keys, rest, found := strings.Cut(out.String(), "\nThe callers' answers:\n")
	require.True(t, found)
	told, rest, found := strings.Cut(rest, "\nThe operator's audit log:\n\n")
	require.True(t, found)
	audit, counters, found := strings.Cut(rest, "\nAnd the counters:\n")
	require.True(t, found)
	require.Equal(t, goldenTour, told)
	require.Equal(t, goldenCounters, counters)

	var reasons []string
	for _, match := range regexp.MustCompile(`reason=(\w+)`).FindAllStringSubmatch(audit, -1) {
		reasons = append(reasons, match[1])
	}
	require.Equal(t, goldenReasons, reasons)
	require.Equal(t, 3, strings.Count(audit, `msg="requirement switched"`))
	require.Equal(t, 1, strings.Count(audit, "would_deny=organization_requires_access_list"))

	// Each secret is printed once, in the table of the keys.
	secrets := regexp.MustCompile(apikeyPattern(t)).FindAllString(out.String(), -1)
	require.Len(t, secrets, 5)
	for _, secret := range secrets {
		require.Equal(t, 1, strings.Count(keys, secret))
	}
}

func apikeyPattern(t *testing.T) string {
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{})
	require.NoError(t, err)
	return issuer.Pattern()
}

// What cannot be written is told: a full disk must not look like a success.
func TestTourFails(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), fullDisk{}, io.Discard, new(policyhttp.Counters), nil), "no space")
	require.ErrorContains(t, run(t.Context(), fullDisk{}, io.Discard, new(policyhttp.Counters), []string{"-listen", "127.0.0.1:0"}), "no space")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(done, io.Discard, io.Discard, new(policyhttp.Counters), nil), context.Canceled)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, fmt.Errorf("no space left on device") }

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"127.0.0.1:8080"}, `unknown argument "127.0.0.1:8080"`},
		{[]string{"-port", "80"}, "not defined: -port"},
		{[]string{"-listen", "nowhere"}, "missing port"},
	} {
		require.ErrorContains(t, run(t.Context(), io.Discard, io.Discard, new(policyhttp.Counters), test.args), test.want)
	}
	var help strings.Builder
	require.NoError(t, run(t.Context(), io.Discard, &help, new(policyhttp.Counters), []string{"-help"}))
	require.Contains(t, help.String(), "-listen")
}

// With -listen the server stays until it is told to end, and the lines it prints work.
func TestListen(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, writer, io.Discard, new(policyhttp.Counters), []string{"-listen", "127.0.0.1:0"})
		_ = writer.Close()
	}()
	var printed strings.Builder
	for !strings.Contains(printed.String(), "/admin/vars\n\n") {
		part := make([]byte, 4096)
		n, err := reader.Read(part)
		require.NoError(t, err)
		printed.Write(part[:n])
	}
	line := regexp.MustCompile(`curl -H 'Authorization: (Bearer \S+)' (\S+)`).FindStringSubmatch(printed.String())
	require.Len(t, line, 3)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, line[2], nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", line[1])
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)

	interrupt()
	require.NoError(t, <-ended)
}

// started is a service, its address, and what is needed to call it.
type started struct {
	*service
	url    string
	client *http.Client
}

func start(t *testing.T) started {
	s, err := newService(t.Context(), slog.New(slog.DiscardHandler), new(policyhttp.Counters))
	require.NoError(t, err)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	return started{s, server.URL, server.Client()}
}

// send may be called by several goroutines.
func (s started) send(t *testing.T, method, path, body string, sign func(*http.Request)) (status int, answer string) {
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if !assert.NoError(t, err) {
		return 0, ""
	}
	sign(request)
	response, err := s.client.Do(request)
	if !assert.NoError(t, err) {
		return 0, ""
	}
	text, err := io.ReadAll(response.Body)
	assert.NoError(t, err)
	assert.NoError(t, response.Body.Close())
	return response.StatusCode, string(text)
}

func (s started) operator(r *http.Request) { r.Header.Set(operatorHeader, s.token) }

func TestAPI(t *testing.T) {
	s := start(t)
	key := s.credential("admin")
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/organizations/acme/projects", 200, `[{"id":"atlas","organization":"acme"},{"id":"borealis","organization":"acme"}]`},
		{"GET", "/projects/borealis", 200, `{"id":"borealis","organization":"acme"}`},
		{"POST", "/projects/borealis/backups", 201, `{"id":"b4","project":"borealis","createdBy":"admin","restored":0}`},
		{"GET", "/projects/borealis/backups", 200, `[{"id":"b2","project":"borealis","restored":0},{"id":"b4","project":"borealis","createdBy":"admin","restored":0}]`},
		{"POST", "/projects/borealis/backups/b2/restore", 202, `{"id":"b2","project":"borealis","restored":1}`},
		{"DELETE", "/projects/borealis/backups/b4", 204, ``},
		{"DELETE", "/projects/borealis/backups/b4", 404, `404 page not found`},
		{"POST", "/projects/borealis/backups/b4/restore", 404, `404 page not found`},
		// A backup of another project, even of one that the key may change.
		{"DELETE", "/projects/atlas/backups/b2", 404, `404 page not found`},
		{"PATCH", "/projects/atlas", 405, `Method Not Allowed`},
	} {
		status, body := s.send(t, test.method, test.path, "", bearer(key.secret))
		require.Equal(t, test.status, status, "%s %s", test.method, test.path)
		require.Equal(t, test.body, strings.TrimSpace(body), "%s %s", test.method, test.path)
	}
}

// Rule K7: it is the record that says whose a project is. What the caller says of it
// changes nothing, and neither does the guard tell which projects there are: those of
// others and those that do not exist are refused in the same words.
func TestOwnerIsTheRecords(t *testing.T) {
	s := start(t)
	key := s.credential("stranger")
	signed := func(more func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) { bearer(key.secret)(r); more(r) }
	}
	status, want := s.send(t, "GET", "/projects/nonesuch/backups", "", bearer(key.secret))
	require.Equal(t, 403, status)
	for _, claim := range []struct {
		path string
		sign func(*http.Request)
	}{
		{"/projects/atlas/backups", signed(unsigned)},
		{"/projects/atlas/backups?organization=globex&project=gamma", signed(unsigned)},
		{"/projects/%61tlas/backups", signed(unsigned)},
		{"/projects/globex%2Fatlas/backups", signed(unsigned)},
		{"/projects/atlas/backups", signed(func(r *http.Request) { r.Header.Set("X-Organization", globex) })},
		{"/projects/atlas/backups", signed(func(r *http.Request) { r.Header.Set("Organization", globex) })},
		{"/projects/atlas/backups", signed(func(r *http.Request) { r.Host = globex })},
	} {
		status, answer := s.send(t, "GET", claim.path, "", claim.sign)
		require.Equal(t, 403, status, claim.path)
		require.Equal(t, want, answer, claim.path)
	}
	status, _ = s.send(t, "GET", "/projects/gamma/backups", "", bearer(key.secret))
	require.Equal(t, 200, status, "the key's own project")

}

func TestSwitch(t *testing.T) {
	s := start(t)
	const path = "/admin/organizations/acme/requirement"
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", path, ``, 200, `{"organization":"acme","requirement":"not_required","keysWithoutList":["ci"]}`},
		{"PUT", path, `{"requirement": "required"}`, 200, `{"organization":"acme","requirement":"required","keysWithoutList":["ci"]}`},
		// What is not there, or is not known, must not open anything.
		{"PUT", path, ``, 400, `the body cannot be read: EOF`},
		{"PUT", path, `{}`, 400, `the body has no requirement: want {"requirement": "report_only"}, for example`},
		{"PUT", path, `{"requirement": null}`, 400, `the body has no requirement: want {"requirement": "report_only"}, for example`},
		{"PUT", path, `{"requirement": "required"}}`, 400, `the body has something after its JSON object: want one`},
		{"PUT", path, `{"requirment": "required"}`, 400, `the body cannot be read: json: unknown field "requirment"`},
		{"PUT", path, `{"requirement": ` + strings.Repeat(" ", 1024) + `"not_required"}`, 400, `the body cannot be read: http: request body too large`},
		{"GET", path, ``, 200, `{"organization":"acme","requirement":"required","keysWithoutList":["ci"]}`},
		{"PUT", "/admin/organizations/nonesuch/requirement", `{"requirement": "required"}`, 404, ``},
	} {
		status, answer := s.send(t, test.method, test.path, test.body, s.operator)
		require.Equal(t, test.status, status, "%s %s %s", test.method, test.path, test.body)
		if test.answer != "" {
			require.Equal(t, test.answer, strings.TrimSpace(answer))
		}
	}
	status, _ := s.send(t, "PUT", path, `{"requirement": "off"}`, s.operator)
	require.Equal(t, 400, status)

	// The store fails.
	require.NoError(t, s.keys.Close())
	status, answer := s.send(t, "GET", path, "", s.operator)
	require.Equal(t, 503, status)
	require.Equal(t, "the store failed\n", answer)
	status, _ = s.send(t, "GET", "/projects/atlas", "", bearer(s.credential("admin").secret))
	require.Equal(t, 503, status)
}

// Of two who switch at the same time one is told so.
func TestSwitchConflict(t *testing.T) {
	s := start(t)
	handler := newAdmin(overtaken{s.keys}, s.token, nil, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPut, "/admin/organizations/acme/requirement", strings.NewReader(`{"requirement": "required"}`))
	s.operator(r)
	handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusConflict, w.Code, w.Body)
	organization, err := s.keys.Organization(t.Context(), acme)
	require.NoError(t, err)
	require.Equal(t, policy.ReportOnly, organization.Requirement)
}

// overtaken is a store in which somebody else is always a little faster.
type overtaken struct{ store.Store }

func (o overtaken) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	faster := put
	faster.Requirement = policy.ReportOnly
	if _, err := o.Store.PutOrganization(ctx, faster); err != nil {
		return policy.Organization{}, err
	}
	return o.Store.PutOrganization(ctx, put)
}

// A key opens nothing under /admin, and no key is needed there.
func TestOperatorsOnly(t *testing.T) {
	s := start(t)
	for path, refused := range map[string]int{
		"/admin/organizations/acme/requirement": 403,
		"/admin/vars":                           403,
		"/admin/doctor":                         404, // it is not found for anybody else
	} {
		for name, sign := range map[string]func(*http.Request){
			"nobody":              unsigned,
			"a key":               bearer(s.credential("admin").secret),
			"another token":       func(r *http.Request) { r.Header.Set(operatorHeader, s.token[1:]) },
			"an empty token":      func(r *http.Request) { r.Header.Set(operatorHeader, "") },
			"the token elsewhere": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.token) },
		} {
			status, _ := s.send(t, "GET", path, "", sign)
			require.Equal(t, refused, status, "%s by %s", path, name)
		}
		status, _ := s.send(t, "GET", path, "", s.operator)
		require.Equal(t, 200, status, path)
	}
	_, seen := s.send(t, "GET", "/admin/doctor", "", s.operator)
	require.Regexp(t, `client +127\.0\.0\.1, from peer`, seen)
}

func TestMain(m *testing.M) {
	expvar.Publish("access", published)
	os.Exit(m.Run())
}

// published are the counters that a process can have only once under a name.
var published = new(policyhttp.Counters)

func TestVars(t *testing.T) {
	s := start(t)
	_, answer := s.send(t, "GET", "/admin/vars", "", s.operator)
	var vars struct{ Access map[string]int64 }
	require.NoError(t, json.Unmarshal([]byte(answer), &vars))
	require.Contains(t, vars.Access, "open_list")
	require.Contains(t, vars.Access, "would_deny")
}

// While callers call and create and delete, operators switch. A switch that was
// acknowledged holds for the next call.
func TestConcurrentUse(t *testing.T) {
	s := start(t)
	const callers, calls = 8, 50
	ci, list := s.credential("ci"), "/projects/atlas/backups"
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range calls {
				switch status, answer := s.send(t, "POST", list, "", bearer(ci.secret)); status {
				case 201:
					var made backups.Backup
					assert.NoError(t, json.Unmarshal([]byte(answer), &made))
					status, answer = s.send(t, "DELETE", list+"/"+made.ID, "", basic(ci))
					assert.Contains(t, []int{204, 403}, status, answer)
				case 403:
					assert.Contains(t, answer, "ORG_REQUIRES_ACCESS_LIST")
				default:
					assert.Fail(t, "unexpected", "%d %s", status, answer)
				}
			}
		})
	}
	for i := range calls {
		requirement, want := policy.Required, 403
		if i%2 > 0 {
			requirement, want = policy.ReportOnly, 200
		}
		body := fmt.Sprintf(`{"requirement": %q}`, requirement)
		status, answer := s.send(t, "PUT", "/admin/organizations/acme/requirement", body, s.operator)
		require.Equal(t, 200, status, answer)
		status, answer = s.send(t, "GET", list, "", bearer(ci.secret))
		require.Equal(t, want, status, answer)
	}
	wait.Wait()
}

// What the audit log and the answers have of a secret is nothing.
func TestSecretsStaySecret(t *testing.T) {
	var audit bytes.Buffer
	s, err := newService(t.Context(), slog.New(slog.NewJSONHandler(&audit, nil)), new(policyhttp.Counters))
	require.NoError(t, err)
	url, stop, err := serve(s.handler, "127.0.0.1:0")
	require.NoError(t, err)
	_, err = tour(t.Context(), s, url)
	require.NoError(t, err)
	require.NoError(t, stop())
	require.NotEmpty(t, audit.String())
	require.NotContains(t, audit.String(), s.token)
	for _, c := range s.credentials {
		text := c.secret.Reveal()
		require.NotContains(t, audit.String(), text[len(text)-20:])
	}
}
