package policyhttp_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Nobody compares a secret's text here: package apikey compares hashes, in constant time.
func TestCVE_2022_24912_SecretsAreNotCompared(t *testing.T) {
	// Atlantis compared a webhook's secret with ==, and gost (CVE-2023-32691) a password:
	// the time told how much of it was right.
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.Contains(t, files, "credentials.go")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.False(t, strings.Contains(string(source), ".Reveal()"), file)
	}

	// However much of a secret is right, the answer is the same.
	s := newService(t)
	var first string
	for n := range len(s.secret.Reveal()) {
		text := s.secret.Reveal()
		for text == s.secret.Reveal() { // two secrets may end with the same characters
			_, other, err := apikey.Rotate(s.key, 0)
			require.NoError(t, err)
			text = text[:n] + other.Reveal()[n:]
		}
		answer := dump(s.serve(withBearer(text))) + dump(s.serve(withBasic(string(s.key.ID), text)))
		if first == "" {
			first = answer
		}
		require.Equal(t, first, answer, n)
	}
}

func TestCVE_2023_32691_SameAnswerForUnknownKeyAndWrongSecret(t *testing.T) {
	// gost told by its time whether a user exists: it compared passwords only of those who
	// do. Here both are looked up once, allocate the same and get the same bytes.
	s := newService(t)
	_, wrong, err := apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	_, unknown, err := apikey.New("acme")
	require.NoError(t, err)
	require.Equal(t, dump(s.serve(withBearer(wrong.Reveal()))), dump(s.serve(withBearer(unknown.Reveal()))))
	require.Len(t, s.asked, 2)
	if allocsOfPool == 0 {
		cost := func(r *http.Request) float64 { return testing.AllocsPerRun(100, func() { s.route.Check(r) }) }
		s.asked = make([]apikey.ID, 0, 1000)
		require.Equal(t, cost(withBearer(wrong.Reveal())), cost(withBearer(unknown.Reveal())))
		require.Equal(t, cost(withBasic(string(s.key.ID), "x")), cost(withBasic(string(apikey.NewID()), "x")))
	}
}

func TestCVE_2025_54499_MessagesDoNotDiffer(t *testing.T) {
	// Mattermost compared a secret in a time that told how much of it was right, and the
	// usual next step is a message that does: "no such key", "bad checksum".
	s := newService(t)
	for _, r := range []*http.Request{
		withBearer("x"), withBearer("sp_" + string(s.key.ID) + "_" + strings.Repeat("0", 38)), withBasic(string(s.key.ID), "x"), withBasic("x", "x"),
	} {
		body := s.serve(r).Body.String()
		require.Contains(t, body, `"detail":"The API key is not valid."`)
		for _, word := range []string{"checksum", "prefix", "sp_", "unknown", "exist", "found", string(s.key.ID)} {
			require.NotContains(t, body, word)
		}
	}
}

func TestCVE_2026_55170_KeyIDIsComparedByteByByte(t *testing.T) {
	// OpenFGA found identifiers by a collation that folds case. A source that does is
	// refused by the engine; here the user of Basic is compared too.
	s := newService(t)
	s.key.ID = "abc"
	var err error
	s.key, s.secret, err = apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	require.Equal(t, "served", s.serve(withBasic("abc", s.secret.Reveal())).Body.String())
	for _, user := range []string{"ABC", "Abc", "abc ", "abc\u200b", "\uff41bc"} {
		requireDenied(t, s.serve(withBasic(user, s.secret.Reveal())), 401, "INVALID_API_KEY")
	}
}

func TestCVE_2026_46554_RevokedKeyIsDeniedAtOnce(t *testing.T) {
	// NocoDB let a deleted token in for up to three days, from a cache; Tyk #2293 and casbin
	// #40 are the like. A guard remembers nothing of a key.
	s := newService(t)
	for name, r := range s.both() {
		require.Equal(t, "served", s.serve(r).Body.String(), name)
		s.key.Disabled = true
		requireDenied(t, s.serve(r), 401, "API_KEY_DISABLED")
		s.key.Disabled = false
		require.Equal(t, "served", s.serve(r).Body.String(), name)
		secrets := s.key.Secrets
		s.key.Secrets = []apikey.StoredSecret{{Sum: [32]byte{1}, Created: time.Now()}}
		requireDenied(t, s.serve(r), 401, "INVALID_API_KEY")
		s.key.Secrets = secrets
	}
}

func TestCVE_2024_56323_RequestsDoNotCollide(t *testing.T) {
	// OpenFGA (and again in CVE-2026-34972) answered one request from the cache entry of
	// another, whose parts gave the same key when put together.
	s := newService(t)
	s.key.Grants = []apikey.Grant{{Role: "reader", Project: "b"}}
	s.resource = policyhttp.Headers("Organization", "Project")
	s.start()
	for _, test := range []struct {
		organization, project string
		status                int
	}{
		{"acme", "b", 200}, {"acm", "eb", 403}, {"acmeb", "b", 403}, {"acme", "b ", 403}, {"acme/b", "b", 403}, {"acme", "b", 200},
	} {
		r := withBearer(s.secret.Reveal())
		r.Header["Organization"], r.Header["Project"] = []string{test.organization}, []string{test.project}
		require.Equal(t, test.status, s.serve(r).Code, "%v", test)
	}
}

func TestCVE_2022_31813_DroppedHeadersDoNotWiden(t *testing.T) {
	// httpd (and Go's ReverseProxy in CVE-2021-33197, Traefik in CVE-2024-45410) dropped
	// headers of its own when the caller named them in Connection. Without the header that
	// names the organization, a request must not be judged by its project alone.
	s := newService(t)
	s.key.Grants = []apikey.Grant{{Role: "reader", Project: "alpha"}}
	s.resource = policyhttp.Headers("X-Organization", "X-Project")
	s.start()
	r := withBearer(s.secret.Reveal())
	r.Header.Set("Connection", "X-Organization")
	r.Header.Set("X-Project", "alpha")
	requireDenied(t, s.serve(r), 400, "INVALID_REQUEST")
	r.Header.Set("X-Organization", "acme")
	require.Equal(t, "served", s.serve(r).Body.String())
	r.Header.Del("Authorization") // a proxy was made to drop that
	requireDenied(t, s.serve(r), 401, "API_KEY_REQUIRED")
}

func TestGHSA_5m6w_wvh7_57vm_AliasesAreNoHeaders(t *testing.T) {
	// A proxy deletes X-Forwarded-For and passes X_Forwarded_For on, and a server taking _
	// for - believes it. The same for the headers that name a resource.
	s := newService(t)
	s.resource = policyhttp.Headers("X-Organization", "")
	s.start()
	r := withBearer(s.secret.Reveal())
	r.Header["X_organization"], r.Header["x-organization"] = []string{"acme"}, []string{"acme"}
	requireDenied(t, s.serve(r), 400, "INVALID_REQUEST")
	r.Header["X-Organization"] = []string{"globex"}
	requireDenied(t, s.serve(r), 403, "API_KEY_NOT_IN_ORGANIZATION")
}
