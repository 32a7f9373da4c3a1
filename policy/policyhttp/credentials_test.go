package policyhttp_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

func basic(userPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userPassword))
}

// What the parser makes of a header: allowed, 401 because there are no credentials that
// it accepts, 401 because they prove nothing, or 400 because nobody sends such by an
// honest mistake. ID and SECRET stand for the service's.
func TestAuthorization(t *testing.T) {
	const (
		allowed   = ""
		required  = "API_KEY_REQUIRED"
		invalid   = "INVALID_API_KEY"
		malformed = "INVALID_REQUEST"
	)
	s := newService(t)
	id, secret := string(s.key.ID), s.secret.Reveal()
	fill := strings.NewReplacer("ID", id, "SECRET", secret).Replace
	for _, test := range []struct {
		header string
		code   string
		err    string // in the decision's Err
	}{
		{"Bearer SECRET", allowed, ""},
		{"bearer SECRET", allowed, ""},
		{"BEARER SECRET", allowed, ""},
		{"Bearer    SECRET", allowed, ""}, // credentials = auth-scheme 1*SP token68
		{"Bearer SECRET ", malformed, "not one token"},
		{"Bearer SECRET SECRET", malformed, "Bearer token of"},
		{"Bearer SECRET, Basic x", malformed, "not one token"},
		{"Bearer\tSECRET", malformed, "control character"},
		{"Bearer \tSECRET", malformed, "control character"},
		{"Bearer \x00SECRET", malformed, "control character"},
		{"Bearer SECRET\x7f", malformed, "control character"},
		{"Bearer SECRET\r\nX: y", malformed, "control character"},
		{" Bearer SECRET", malformed, "name of a scheme"},
		{"", malformed, "name of a scheme"},
		{"Bearer", malformed, "not one token"},
		{"Bearer ", malformed, "not one token"},
		{"Bearer ====", malformed, "not one token"},
		{"Bearer token=SECRET", malformed, "not one token"},
		{`Bearer "SECRET"`, malformed, "not one token"},
		{"Bearer caf\u00e9", malformed, "not one token"},
		{"Bearer: SECRET", malformed, "name of a scheme"},
		{"Bear\u0435r SECRET", malformed, "name of a scheme"}, // a Cyrillic e
		{"Ba\u017fic x", malformed, "name of a scheme"},       // folds to s
		{"Bearer " + strings.Repeat("x", 120), invalid, "too long"},
		{"Bearer " + strings.Repeat("x", 121), malformed, "121 bytes; right would be at most 120"},
		{"Bearer " + strings.Repeat(" ", 4000) + "x", invalid, "does not begin"},
		{"Bearer " + strings.Repeat("x", 8186), malformed, "8193 bytes; right would be at most 8192"},
		{"Bearer x", invalid, "does not begin"},
		{"Bearer sp_x", invalid, "too short"},
		{"Bearer SECRET=", invalid, "no letter and no digit"},
		{"Bearer xSECRET", invalid, "does not begin"},
		{"SECRET", required, "scheme that is not among"}, // a client that forgot the scheme
		{"Token SECRET", required, "scheme that is not among"},
		{"Bearer! SECRET", required, "scheme that is not among"},
		{"Negotiate x", required, "scheme that is not among"},
		{"Digest x", required, "scheme that is not among"}, // Config.Schemes has none

		{basic("ID:SECRET"), allowed, ""},
		{"basic " + basic("ID:SECRET")[6:], allowed, ""},
		{"Basic", malformed, "not base64"},
		{"Basic ID:SECRET", malformed, "not base64"},
		{basic("ID:SECRET") + "=", malformed, "not base64"},
		{basic("ID:SECRET") + " x", malformed, "not base64"},
		{"Basic eDp5eg==", invalid, "does not begin"},
		{"Basic eDp5eg", malformed, "not base64"},   // without its padding
		{"Basic eDp5eh==", malformed, "not base64"}, // bits behind the end
		{"Basic eDp5e-==", malformed, "not base64"}, // the alphabet of URLs
		{basic(""), malformed, "not base64"},
		{basic("ID"), malformed, "no colon"},
		{basic("SECRET"), malformed, "no colon"},
		{basic(":"), invalid, "does not begin"},
		{basic(":SECRET"), invalid, "user is not the ID"},
		{basic("ID:"), invalid, "does not begin"},
		{basic("SECRET:"), invalid, "does not begin"},
		{basic("SECRET:SECRET"), invalid, "user is not the ID"},
		{basic("another:SECRET"), invalid, "user is not the ID"},
		{basic("ID:SECRET:"), invalid, "no letter and no digit"},
		{basic("ID:ID:SECRET"), invalid, "too long"},
		{basic("ID: SECRET"), invalid, "does not begin"},
		{basic(" ID:SECRET"), invalid, "user is not the ID"},
		{basic("\u212a" + "ID:SECRET"), invalid, "user is not the ID"},
		{basic("ID:\xff"), malformed, "UTF-8"},
		{basic("ID:\xc0\xae"), malformed, "UTF-8"},
		{basic("ID\x00:SECRET"), malformed, "control character"},
		{basic("ID:SECRET\n"), malformed, "control character"},
		{basic("ID:SECRET\x7f"), malformed, "control character"},
		{basic(strings.Repeat("x", 40) + ":" + strings.Repeat("y", 120)), invalid, "too long"},
		{basic(strings.Repeat("x", 44) + ":" + strings.Repeat("y", 120)), malformed, "220 bytes; right would be at most 216"},
	} {
		header := test.header
		if scheme, rest, _ := strings.Cut(header, " "); strings.EqualFold(scheme, "basic") {
			if decoded, err := base64.StdEncoding.DecodeString(rest); err == nil && fill(string(decoded)) != string(decoded) {
				header = scheme + basic(fill(string(decoded)))[5:]
			}
		} else {
			header = fill(header)
		}
		w, d := s.serve(request(header)), s.route.Check(request(header))
		if test.code == allowed {
			require.Equal(t, "served", w.Body.String(), test.header)
			require.NoError(t, d.Err)
			continue
		}
		status := map[string]int{required: 401, invalid: 401, malformed: 400}[test.code]
		requireDenied(t, w, status, test.code)
		require.ErrorContains(t, d.Err, test.err, "%q", test.header)
		require.ErrorContains(t, d.Err, "policyhttp: ")
		requireNoSecret(t, s.secret, w.Body.String(), fmt.Sprint(w.Header()), d.Err.Error(), d.String(), d.Explain(), fmt.Sprintf("%+v", d))
	}
}

// requireNoSecret fails when one of the texts has six characters in a row of the random
// part of the secret.
func requireNoSecret(t testing.TB, secret apikey.Secret, texts ...string) {
	t.Helper()
	text := secret.Reveal()
	random := text[len(text)-38:]
	for i := range len(random) - 5 {
		for _, text := range texts {
			require.NotContains(t, text, random[i:i+6])
		}
	}
}

func TestNumberOfAuthorizationHeaders(t *testing.T) {
	s := newService(t)
	right := "Bearer " + s.secret.Reveal()
	requireDenied(t, s.serve(request()), 401, "API_KEY_REQUIRED")
	requireDenied(t, s.serve(request([]string{}...)), 401, "API_KEY_REQUIRED")
	for _, headers := range [][]string{{right, right}, {right, ""}, {"", right}, {"Basic x", right}, {right, right, right}} {
		requireDenied(t, s.serve(request(headers...)), 400, "INVALID_REQUEST")
		require.ErrorContains(t, s.route.Check(request(headers...)).Err, fmt.Sprintf("%d Authorization headers; right would be one", len(headers)))
	}
	for _, name := range []string{"Proxy-Authorization", "X-Authorization", "Authorization_", "authorization"} {
		r := request()
		r.Header[name] = []string{right}
		requireDenied(t, s.serve(r), 401, "API_KEY_REQUIRED")
	}
	r := request()
	r.URL.RawQuery = "access_token=" + s.secret.Reveal()
	requireDenied(t, s.serve(r), 401, "API_KEY_REQUIRED")
}

// The longest credentials that there can be are accepted.
func TestLongestCredentials(t *testing.T) {
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Prefix: strings.Repeat("p", 32)})
	require.NoError(t, err)
	s := newService(t)
	s.key.ID = apikey.ID(strings.Repeat("k", 40))
	s.key, s.secret, err = issuer.Rotate(s.key, 0)
	require.NoError(t, err)
	require.Len(t, s.secret.Reveal(), 112)
	s.config.Issuer = issuer
	s.start()
	for name, r := range s.both() {
		require.Equal(t, "served", s.serve(r).Body.String(), name)
	}
	requireDenied(t, newService(t).serve(withBearer(s.secret.Reveal())), 401, "INVALID_API_KEY")
}

func TestChallenges(t *testing.T) {
	for _, test := range []struct {
		schemes []policyhttp.Scheme
		want    []string
	}{
		{nil, []string{`Bearer realm="the api"`, `Basic realm="the api", charset="UTF-8"`}},
		{[]policyhttp.Scheme{policyhttp.Basic(), policyhttp.Bearer()}, []string{`Basic realm="the api", charset="UTF-8"`, `Bearer realm="the api"`}},
		{[]policyhttp.Scheme{policyhttp.Basic()}, []string{`Basic realm="the api", charset="UTF-8"`}},
	} {
		s := newService(t)
		s.config.Schemes, s.config.Realm = test.schemes, "the api"
		s.start()
		for _, authorization := range [][]string{nil, {"Bearer x"}, {"Basic eDp5eg=="}, {"Unknown x"}} {
			w := s.serve(request(authorization...))
			require.Equal(t, 401, w.Code)
			require.Equal(t, test.want, w.Header().Values("WWW-Authenticate"))
		}
	}
}

// Rules D2 and K3: an unknown key, a wrong secret and a text that is no secret get the
// same bytes, and cost one look-up each. The proof is the engine's and the same for all.
func TestD2NothingIsToldBeforeTheSecretIsProven(t *testing.T) {
	s := newService(t)
	unknown, err := apikey.NewIssuer(apikey.IssuerConfig{})
	require.NoError(t, err)
	unknownKey, unknownSecret, err := unknown.New("acme")
	require.NoError(t, err)
	_, wrongSecret, err := apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	mistyped := s.secret.Reveal()[:len(s.secret.Reveal())-1] + "!"

	first := ""
	for name, r := range map[string]*http.Request{
		"unknown key":                       withBearer(unknownSecret.Reveal()),
		"wrong secret":                      withBearer(wrongSecret.Reveal()),
		"no secret":                         withBearer("x"),
		"mistyped":                          withBearer(strings.ReplaceAll(mistyped, "!", "~")),
		"unknown key, Basic":                withBasic(string(unknownKey.ID), unknownSecret.Reveal()),
		"wrong secret, Basic":               withBasic(string(s.key.ID), wrongSecret.Reveal()),
		"known user, no secret":             withBasic(string(s.key.ID), "x"),
		"unknown user, no secret":           withBasic("x", "x"),
		"no user, no secret":                withBasic("", ""),
		"user that is no ID":                withBasic("!", "x"),
		"known user, mistyped":              withBasic(string(s.key.ID), mistyped),
		"another user, right secret":        withBasic(string(unknownKey.ID), s.secret.Reveal()),
		"known user, another key's secret":  withBasic(string(s.key.ID), unknownSecret.Reveal()),
		"no user, right secret":             withBasic("", s.secret.Reveal()),
		"secret in the place of the user":   withBasic(s.secret.Reveal(), ""),
		"the placeholder that is looked up": withBasic("not-a-secret", "x"),
	} {
		s.asked = nil
		answer := dump(s.serve(r))
		require.Contains(t, answer, "401")
		if first == "" {
			first = answer
		}
		require.Equal(t, first, answer, name)
		require.Len(t, s.asked, 1, "%s: one look-up", name)
		require.NoError(t, s.asked[0].Validate(), "%s: an engine does not ask every source for others", name)

		s.key.Disabled = true
		require.Equal(t, first, dump(s.serve(r)), name)
		s.key.Disabled = false
	}
}

// Rule K3: the proof of a text that is no secret is worked out with a secret too, which
// takes as long as a shown one does, under the issuer's own hashes.
func TestK3NoSecretIsProvenLikeOne(t *testing.T) {
	s := newService(t)
	s.key.Secrets = []apikey.StoredSecret{{ServerKey: "lost", Sum: [32]byte{1}}}
	for _, r := range []*http.Request{withBasic(string(s.key.ID), "x"), withBasic(string(s.key.ID), s.secret.Reveal())} {
		var engineSays error
		s.observers = []policy.Option{policy.WithObserver(func(_ context.Context, _ policy.Request, d policy.Decision) { engineSays = d.Err })}
		s.start()
		requireDenied(t, s.serve(r), 401, "INVALID_API_KEY")
		require.ErrorIs(t, engineSays, apikey.ErrUnknownServerKey, "what is said of a secret, and not of none")
	}
}

// The operator learns which it was.
func TestOperatorIsToldWhatWasShown(t *testing.T) {
	s := newService(t)
	d := s.route.Check(withBasic(string(s.key.ID), "x"))
	require.Equal(t, policy.WrongSecret, d.Reason)
	require.ErrorIs(t, d.Err, apikey.ErrMalformedSecret)
	require.Contains(t, d.String(), `key="`+string(s.key.ID)+`"`)
	d = s.route.Check(withBearer("x"))
	require.Equal(t, policy.UnknownKey, d.Reason)
	require.ErrorIs(t, d.Err, apikey.ErrMalformedSecret)
	require.Contains(t, d.String(), `key="not-a-secret"`)
	d = s.route.Check(withBasic("not an ID", "x"))
	require.Contains(t, d.String(), `key="not-a-secret"`)
	s.sourceErr = os.ErrDeadlineExceeded
	d = s.route.Check(withBearer("x"))
	require.ErrorIs(t, d.Err, os.ErrDeadlineExceeded, "that the source is down is what matters then")
}

// The memory that a secret was decoded into is another request's afterwards; what was
// decided stays.
func TestDecisionsDoNotShareMemory(t *testing.T) {
	s := newService(t)
	var decisions []policy.Decision
	for range 100 {
		decisions = append(decisions, s.route.Check(withBasic(string(s.key.ID), s.secret.Reveal())))
		s.route.Check(withBasic(strings.Repeat("x", 40), strings.Repeat("y", 112)))
		s.route.Check(request(basic("no colon")))
	}
	for _, d := range decisions {
		require.Contains(t, d.String(), `key="`+string(s.key.ID)+`"`)
	}
	r := withBearer(strings.Clone(s.secret.Reveal()))
	d := s.route.Check(r)
	require.Contains(t, d.String(), `key="`+string(s.key.ID)+`"`)
}

// Nobody compares a secret's text here: package apikey compares hashes, in constant time.
func TestCVE_2022_24912_SecretsAreNotCompared(t *testing.T) {
	// Atlantis compared a webhook's secret with ==, and gost (CVE-2023-32691) a password:
	// the time told how much of it was right.
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.Contains(t, files, "credentials.go")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "digest_credential.go" {
			continue // the latter hashes a secret when it is new
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.False(t, strings.Contains(string(source), ".Reveal()"), file)
	}

	// However much of a secret is right, the answer is the same.
	s := newService(t)
	var first string
	for n := range len(s.secret.Reveal()) {
		_, other, err := apikey.Rotate(s.key, 0)
		require.NoError(t, err)
		text := s.secret.Reveal()[:n] + other.Reveal()[n:]
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
	_, unknown, err := apikey.Rotate(apikey.Key{ID: apikey.NewID()}, 0)
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
	// A proxy that deletes X-Forwarded-For passes X_Forwarded_For on, and a server that
	// takes _ for - believes it. The same for the headers that name a resource.
	s := newService(t)
	s.resource = policyhttp.Headers("X-Organization", "")
	s.start()
	r := withBearer(s.secret.Reveal())
	r.Header["X_organization"], r.Header["x-organization"] = []string{"acme"}, []string{"acme"}
	requireDenied(t, s.serve(r), 400, "INVALID_REQUEST")
	r.Header["X-Organization"] = []string{"globex"}
	requireDenied(t, s.serve(r), 403, "API_KEY_NOT_IN_ORGANIZATION")
}
