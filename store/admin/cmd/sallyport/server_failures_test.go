package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/freeport"
	"github.com/sallyport-go/sallyport/store"
)

const aSecret = "sp_ops_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"

// through runs a command through the server at an address, and returns all it prints. The
// secret is never in it.
func through(t *testing.T, ctx context.Context, address string, args ...string) (status int, text string) {
	s := newScript(t)
	s.env = map[string]string{"SALLYPORT_SERVER": address, "SALLYPORT_KEY": aSecret}
	var out bytes.Buffer
	status = run(ctx, args, strings.NewReader(""), &out, &out, s.environment())
	require.NotContains(t, out.String(), aSecret)
	return status, out.String()
}

func answering200(contentType, body string) http.HandlerFunc { return answers(200, contentType, body) }

func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func aProblem(status int, more string) http.HandlerFunc {
	return answers(status, "application/problem+json", fmt.Sprintf(`{"type":"about:blank","title":"x","status":%d,"detail":"It is so.","code":"SO","parameters":[]%s}`, status, more))
}

// The exit statuses by what a server answers to a change: only an answer of the API is
// believed.
func TestServerAnswers(t *testing.T) {
	const lost = "It is not known whether the change was made"
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
		text    string
	}{
		"wrong key":         {aProblem(401, ""), no, "The server answers 401 SO: It is so."},
		"not allowed":       {aProblem(403, ""), no, "It is so."},
		"absent":            {aProblem(404, `,"class":"not_found"`), no, "sallyport: It is so."},
		"refused":           {aProblem(409, `,"class":"refused"`), no, "It is so."},
		"conflict":          {aProblem(409, `,"class":"conflict"`), changed, "It is so."},
		"preview changed":   {aProblem(409, `,"class":"changed"`), changed, "It is so."},
		"revision changed":  {aProblem(412, ""), changed, "It is so."},
		"invalid":           {aProblem(400, `,"class":"invalid"`), unknown, "It is so."},
		"unavailable":       {aProblem(503, `,"class":"unavailable"`), unknown, "It is so."},
		"status of another": {answers(403, "application/problem+json", `{"status":401,"detail":"x"}`), unknown, "does not answer as the API (status 403"},
		"secret in it":      {answers(401, "application/problem+json", `{"status":401,"code":"X","detail":"no `+aSecret+`"}`), no, "no [redacted]"},
		"long":              {answers(401, "application/problem+json", `{"status":401,"code":"X","detail":"`+strings.Repeat("é", maxDetail)+`"}`), no, "é…"},
		"web page":          {answering200("text/html", "<h1>Welcome</h1>"), unknown, lost},
		"refusing web page": {answers(403, "text/html", "<h1>No</h1>"), unknown, `does not answer as the API (status 403, "text/html")`},
		"proxy":             {answers(502, "text/html", "<h1>Bad</h1>"), unknown, lost},
		"no JSON":           {answering200("application/json", "{"), unknown, "does not answer as the API"},
		"another JSON":      {answering200("application/json", "{}"), unknown, "answers that 0 of 1 changes were made"},
		"redirection": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, unknown, "sends to another address (status 307)"},
		"cut off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			answering200("application/json", "{")(w, r)
		}, unknown, "(SALLYPORT_SERVER) broke off: unexpected EOF: It is not known whether the change was made"},
		"broken off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unknown, lost},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path)
				test.handler(w, r)
			}))
			status, text := through(t, t.Context(), server.URL, "keys", "disable", "report", "--org", "acme", "--yes")
			server.Close() // it has noted every request then
			require.Equal(t, test.status, status, text)
			require.Contains(t, strings.ReplaceAll(text, "it is not known", "It is not known"), test.text)
			require.NotEmpty(t, asked)
			require.Equal(t, apiPath+"/organizations/acme/changes", asked[0])
			require.NotContains(t, asked[1:], asked[0], "a change is asked for once") // names are, for one that is absent
		})
	}
}

// An answer about something else, or about nothing, is no answer: the status is never 0.
func TestServerAnswersSomethingElse(t *testing.T) {
	for _, body := range []string{"{}", `{"key":"other","id":"other","organization":"other","organizations":null}`, "null"} {
		server := httptest.NewServer(answering200("application/json", body))
		for _, command := range []string{"whoami", "org list", "org show acme", "keys list --org acme", "keys show report --org acme", "list show report --org acme", "usage report --org acme",
			"denials report --org acme", "may report --org acme", "decide report --org acme --from 192.0.2.1", "explain report --org acme --from 192.0.2.1", "events list --org acme",
			"events follow --org acme", "list suggest report --org acme", "list findings report --org acme", "doctor", "keys disable report --org acme --preview", "keys disable report --org acme --yes"} {
			status, text := through(t, t.Context(), server.URL, strings.Fields(command)...)
			require.Equal(t, unknown, status, command+text)
		}
		server.Close()
	}
}

// Addresses to which no key is sent, and keys that are none.
func TestServerAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"http://gate.example.com":               "has no TLS",
		"http://192.0.2.1":                      "has no TLS",
		"http://127.0.0.1.example.com":          "has no TLS",
		"ftp://localhost":                       "has no TLS",
		"gate.example.com":                      "is no URL",
		"https://":                              "is no URL",
		"https://gate.example.com?a=b":          "is no URL",
		"https://user:" + aSecret + "@gate.com": "has a user or a password",
		"https://user:" + aSecret + "@[gate":    "is no URL",
	} {
		status, text := through(t, t.Context(), address, "whoami")
		require.Equal(t, unknown, status, address)
		require.Contains(t, text, want, address)
	}
	for _, good := range []string{"https://gate.example.com", "https://gate.example.com:8443/base/", "http://localhost:80", "http://[::1]:80", "http://127.0.0.2", "https://gate.example.com" + apiPath} {
		_, err := serverURL(good)
		require.NoError(t, err)
	}
	base, err := serverURL("https://gate.example.com/base" + apiPath + "/")
	require.NoError(t, err)
	require.Equal(t, "https://gate.example.com/base", base)

	for key, want := range map[string]string{"": "is needed", " \n": "is needed", "a b": "is no secret", "a\nb": "is no secret", "ä": "is no secret", strings.Repeat("a", 5000): "is no secret"} {
		s := newScript(t)
		s.env = map[string]string{"SALLYPORT_SERVER": "https://gate.example.com", "SALLYPORT_KEY": key}
		require.Contains(t, s.run("sallyport whoami", ""), want)
	}
	s := newScript(t)
	s.env["SALLYPORT_SERVER"] = "https://gate.example.com"
	require.Contains(t, s.run("sallyport whoami", ""), "SALLYPORT_STORE and SALLYPORT_SERVER are both given")
	require.Contains(t, s.run("sallyport whoami --store memory:test --server https://gate.example.com", ""), "--store and --server are both given")
	require.Contains(t, s.run("sallyport whoami --store memory:test -o name", ""), "olga\n? 0")
	require.Contains(t, s.run("sallyport whoami --store memory:test --ca-file x", ""), "--ca-file is for --server")
	require.Contains(t, s.run("sallyport whoami --server https://gate.example.com --managers owner", ""), "--managers is for --store")
}

// What the API does not have is refused before anything is asked.
func TestNotServed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Error("asked for " + r.URL.Path) }))
	defer server.Close()
	for _, command := range []string{"export -f /dev/null", "import -f /dev/null --yes", "verify -f /dev/null", "migrate --yes", "migrate --preview", "org create new --yes",
		"decide report --from 192.0.2.1 --org acme --role reader", "explain report --from 192.0.2.1 --org acme --requires-list",
		"may report --endpoint a=b", "decide report --from 192.0.2.1 --org acme --secret-file /dev/null", "keys create --org acme --prefix a --yes", "keys rotate report --overlap 1h --server-key a=b --yes"} {
		status, text := through(t, t.Context(), server.URL, strings.Fields(command)...)
		require.Equal(t, unknown, status, command)
		require.Regexp(t, `not available: use --store\. [A-Z]`, text, command)
	}
	for _, name := range []string{"", ".", ".."} {
		status, text := through(t, t.Context(), server.URL, "keys", "show", name, "--org", "acme")
		require.Equal(t, no, status)
		require.Contains(t, text, "there is nothing with the name")
	}
}

// A server that is down, or hangs.
func TestServerWithoutAnswer(t *testing.T) {
	port, release, err := freeport.Reserve() // nobody listens
	require.NoError(t, err)
	defer release()
	status, text := through(t, t.Context(), fmt.Sprint("http://127.0.0.1:", port), "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "cannot be reached")

	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel() // as by Ctrl-C
		<-r.Context().Done()
	}))
	defer server.Close()
	status, text = through(t, ctx, server.URL, "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "cannot be reached: context canceled")
	begun, stop := context.WithCancel(t.Context())

	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	status, text = through(t, late, server.URL, "whoami")
	require.Equal(t, unknown, status)
	require.Equal(t, "sallyport: "+server.URL+" (SALLYPORT_SERVER) does not answer within 1m30s\n", text)

	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answering200("application/json", "{")(w, r)
		_ = http.NewResponseController(w).Flush() // so that the body has begun
		stop()
		<-r.Context().Done()
	}))
	defer server.Close()
	status, text = through(t, begun, server.URL, "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "context canceled")
}

// A redirection is not followed with the key.
func TestServerRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusPermanentRedirect))
	defer server.Close()
	status, text := through(t, t.Context(), server.URL, "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "is not followed with the key")
}

// TLS is verified, by the given certificates, and not older than 1.2.
func TestServerTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(answering200("application/json", `{"actor":{"kind":"key","id":"ops"}}`))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	certificates := certificatesOf(t, server)

	status, text := through(t, t.Context(), server.URL, "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "certificate signed by unknown authority. For a certificate of your own authority give that one's with --ca-file\n")
	status, text = through(t, t.Context(), server.URL, "whoami", "--ca-file", certificates, "-o", "name")
	require.Equal(t, yes, status, text)
	require.Equal(t, "ops\n", text)

	status, text = through(t, t.Context(), server.URL, "whoami", "--ca-file", "testdata/page.html")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "has no certificate: want PEM")
	status, _ = through(t, t.Context(), server.URL, "whoami", "--ca-file", certificates+"x")
	require.Equal(t, unknown, status)

	status, text = through(t, t.Context(), strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "whoami", "--ca-file", certificates)
	require.Equal(t, unknown, status)
	require.Contains(t, text, "not localhost. Use a name that the certificate has\n")
	withoutTLS := httptest.NewServer(http.NotFoundHandler())
	defer withoutTLS.Close()
	status, text = through(t, t.Context(), strings.Replace(withoutTLS.URL, "http:", "https:", 1), "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "HTTP response to HTTPS client. It speaks no TLS there: is the port right?\n")
	status, text = through(t, t.Context(), strings.Replace(server.URL, "https:", "http:", 1), "whoami")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "does not answer as the API (status 400")

	old := httptest.NewUnstartedServer(answering200("application/json", `{"actor":{"kind":"key","id":"ops"}}`))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	status, text = through(t, t.Context(), old.URL, "whoami", "--ca-file", certificates)
	require.Equal(t, unknown, status)
	require.Contains(t, text, "protocol version")
}

// A part of the changes that was made is told, with its secret.
func TestServerMadeAPart(t *testing.T) {
	server := httptest.NewServer(aProblem(409, `,"class":"conflict","outcome":{"made":1,"inForce":false,"secrets":[{"key":"new","id":"01234567","secret":"sp_new_secret"}]}`))
	defer server.Close()
	status, text := through(t, t.Context(), server.URL, "keys", "rotate", "new", "--org", "acme", "--overlap", "500ms", "--yes")
	require.Equal(t, changed, status)
	require.Equal(t, "sp_new_secret\nOnly the first 1 of 1 changes were made.\nsallyport: It is so.\n", text)
}

// A change that is stored, and not yet in force everywhere, is told. The terms are in headers.
func TestServerIsLate(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, []string{"Bearer " + aSecret, "opens,breaks_key", "moved%20%E2%86%92%20out", strings.Repeat("a", 32)},
			[]string{r.Header.Get("Authorization"), r.Header.Get("Sallyport-Accept"), r.Header.Get("Sallyport-Reason"), r.Header.Get("Sallyport-Token")})
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.JSONEq(t, `{"changes":[{"kind":"rotate","key":"new","overlapSeconds":1}]}`, string(body))
		answering200("application/json", `{"made":1,"inForce":false,"events":[]}`)(w, r)
	}))
	defer server.Close()
	status, text := through(t, t.Context(), server.URL, "keys", "rotate", "new", "--org", "acme", "--overlap", "500ms", "--yes", "--accept", "opens", "--accept", "breaks_key", "--reason", "moved → out", "--token", strings.Repeat("a", 32))
	require.Equal(t, yes, status)
	require.Contains(t, text, "not yet in force everywhere")
	status, text = through(t, t.Context(), server.URL, "keys", "rotate", "new", "--org", "acme", "--overlap", "1s", "--yes", "--token", "a\nb")
	require.Equal(t, unknown, status)
	require.Contains(t, text, "--token is no token")
}

// An event of a stream has a bounded length, and what cannot be read ends it.
func TestServerStreams(t *testing.T) {
	event, err := json.Marshal(store.Event{Revision: 8, Time: began, Type: store.EventKeyDisabled, Organization: "acme", Key: "report", Actor: store.Actor{Kind: store.ActorSystem, ID: "olga"}, Via: store.ViaCLI})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		stream, text string
	}{
		"forgotten":     {"event: forgotten\ndata: {}\n\n", "are not kept any more"},
		"no cursor":     {"id: 8\n\n", "is no cursor of events"},
		"no event":      {"event: change\ndata: {\n\n", "an event that cannot be read"},
		"a long event":  {"event: change\ndata: " + strings.Repeat("a", maxEvent) + "\n\n", "an event of more than 1048576 bytes"},
		"after a whole": {"id: 8-AAAA\nevent: change\ndata: " + string(event) + "\n\nid: x\n\n", "key.disabled of key report at revision 8 by system olga"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/events") {
				answering200("application/json", `{"events":[],"next":"7-AAAA","more":false}`)(w, r)
				return
			}
			require.Equal(t, "7-AAAA", r.URL.Query().Get("cursor"))
			answering200("text/event-stream", ": events\n\n"+test.stream)(w, r)
		}))
		status, text := through(t, t.Context(), server.URL, "events", "follow", "--org", "acme", "--after", "7@AAAA")
		require.Equal(t, unknown, status, name)
		require.Contains(t, text, test.text, name)
		server.Close()
	}
}
