package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server whose clock is off, and whose certificate ends soon, is told; without keys there is
// no usage to ask for.
func TestDoctorOfServer(t *testing.T) {
	off := time.Minute
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", began.Add(off).Format(http.TimeFormat))
		body := map[string]string{"/me": `{"actor":{"kind":"person","id":"olga"}}`, "/organizations": `{"organizations":[{"id":"acme"},{"id":"b"}]}`,
			"/organizations/acme/keys": `{"keys":[]}`, "/organizations/b/keys": `{"keys":[]}`,
			"/organizations/acme/events": `{"events":[],"next":"7-AAAA","more":false}`, "/organizations/b/events": `{"events":[],"next":"7-AAAA","more":false}`}[strings.TrimPrefix(r.URL.Path, apiPath)]
		answering200("application/json", body)(w, r)
	}))
	defer server.Close()
	certificates := certificatesOf(t, server)
	ends := server.Certificate().NotAfter // 2084 in net/http/httptest
	ask := func(now time.Time) string {
		s := newScript(t)
		s.now = now
		s.env = map[string]string{"SALLYPORT_SERVER": server.URL, "SALLYPORT_KEY": aSecret}
		return strings.ReplaceAll(s.run("sallyport doctor --ca-file "+certificates, ""), server.URL, "SERVER")
	}
	require.Equal(t, `CHECK        RESULT  FOUND
server       ok      SERVER answers, as person olga
clock        LOOK    the server's is off this machine's by 1m0s: the ends given by --for are off, too
certificate  ok      it ends `+when(ends)+`
events       ok      there are none
records      ok      2 organizations, 0 keys
? 1
`, ask(began))
	off = 4 * time.Second
	require.Contains(t, ask(began), "clock        ok ")
	off = -6 * time.Second
	require.Contains(t, ask(began), "is off this machine's by -6s")
	require.Contains(t, ask(ends.Add(-13*24*time.Hour)), "certificate  LOOK    it ends "+when(ends))
}

// certificatesOf returns a file with the certificate of a server.
func certificatesOf(t *testing.T, server *httptest.Server) string {
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return path
}

// Events that a server refuses, or usage that it has not, are findings of the doctor, and a
// server that does not say as whom it answers is none.
func TestDoctorOfFailingServer(t *testing.T) {
	for failing, want := range map[string]string{"/events": "events  LOOK    they cannot be read: It is so.", "/usage": "usage   LOOK    its observation cannot be read: It is so.",
		"/me": "sallyport: It is so.", "/keys": "those of organization acme cannot be read: It is so.", "/organizations": "they cannot be read: It is so."} {
		s := serve(t)
		wrapped := s.http.Config.Handler
		s.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, failing) {
				aProblem(503, `,"class":"unavailable"`)(w, r)
				return
			}
			wrapped.ServeHTTP(w, r)
		})
		got := s.remote(personsSecret, "sallyport doctor", "")
		require.Contains(t, strings.Join(strings.Fields(got), " "), strings.Join(strings.Fields(want), " "), failing)
		require.NotContains(t, got, "? 0")
	}
}

// A file of many calls is judged in batches, each of one organization and of a bounded size, and
// in its order.
func TestManyServedCalls(t *testing.T) {
	s := serve(t)
	batches := 0
	wrapped := s.http.Config.Handler
	s.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		batches++
		require.Less(t, r.ContentLength, int64(1<<20))
		wrapped.ServeHTTP(w, r)
	})
	var file, want strings.Builder
	line := func(key, organization, reason string) {
		fmt.Fprintf(&file, `{"key":%q,"from":"203.0.113.9","organization":%q}`+"\n", key, organization)
		want.WriteString(reason + "\n")
	}
	for range 1500 {
		line("report", "acme", "address_listed")
	}
	line("globe", "globex", "open_list")
	line("", "globex", "invalid_request")
	line("globe", "", "invalid_request")
	for range 30 {
		line(strings.Repeat("k", 20_000), "globex", "unknown_key")
	}
	line("globe", "globex", "open_list")
	want.WriteString("2> sallyport: 2 calls could not be judged\n? 2\n")
	require.Equal(t, want.String(), s.remote(personsSecret, "sallyport decide -f - -o name", file.String()))
	require.Equal(t, 6, batches)
}

// Decisions that are fewer than the calls, or about nothing, are none.
func TestServedCallsSomethingElse(t *testing.T) {
	for _, body := range []string{`{}`, `{"decisions":[]}`, `{"decisions":[{}]}`, `{"decisions":[{"allowed":true,"reason":"address_listed"},{"allowed":true,"reason":"address_listed"}]}`} {
		server := httptest.NewServer(answering200("application/json", body))
		s := newScript(t)
		s.env = map[string]string{"SALLYPORT_SERVER": server.URL, "SALLYPORT_KEY": aSecret}
		got := s.run("sallyport decide -f -", `{"key":"report","from":"203.0.113.9","organization":"acme"}`+"\n")
		require.Contains(t, got, "answers a question for decisions with something else\n? 2", body)
		server.Close()
	}
	server := httptest.NewServer(answering200("application/json", `{"decisions":[{"allowed":true,"reason":"address_not_listed","status":200}]}`))
	defer server.Close()
	s := newScript(t)
	s.env = map[string]string{"SALLYPORT_SERVER": server.URL, "SALLYPORT_KEY": aSecret}
	require.Contains(t, s.run("sallyport decide -f -", `{"key":"report","from":"203.0.113.9","organization":"acme"}`+"\n"), "1 call could not be judged\n? 2")
}
