package policyhttp_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

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
		{"Bearer SECRET ", malformed, "the Bearer token is not a token"},
		{"Bearer SECRET SECRET", malformed, "Bearer token has 125 bytes: want at most 120"},
		{"Bearer SECRET, Basic x", malformed, "the Bearer token is not a token"},
		{"Bearer\tSECRET", malformed, "control character"},
		{"Bearer \tSECRET", malformed, "control character"},
		{"Bearer \x00SECRET", malformed, "control character"},
		{"Bearer SECRET\x7f", malformed, "control character"},
		{"Bearer SECRET\r\nX: y", malformed, "control character"},
		{" Bearer SECRET", malformed, "name of a scheme"},
		{"", malformed, "name of a scheme"},
		{"Bearer", malformed, "the Bearer token is not a token"},
		{"Bearer ", malformed, "the Bearer token is not a token"},
		{"Bearer ====", malformed, "the Bearer token is not a token"},
		{"Bearer token=SECRET", malformed, "the Bearer token is not a token"},
		{`Bearer "SECRET"`, malformed, "the Bearer token is not a token"},
		{"Bearer caf\u00e9", malformed, "the Bearer token is not a token"},
		{"Bearer: SECRET", malformed, "name of a scheme"},
		{"Bear\u0435r SECRET", malformed, "name of a scheme"}, // a Cyrillic e
		{"Ba\u017fic x", malformed, "name of a scheme"},       // folds to s
		{"Bearer " + strings.Repeat("x", 120), invalid, "too long"},
		{"Bearer " + strings.Repeat("x", 121), malformed, "121 bytes: want at most 120"},
		{"Bearer " + strings.Repeat(" ", 4000) + "x", invalid, "does not begin"},
		{"Bearer " + strings.Repeat("x", 8186), malformed, "8193 bytes: want at most 8192"},
		{"Bearer x", invalid, "does not begin"},
		{"Bearer sp_x", invalid, "too short"},
		{"Bearer SECRET=", invalid, "neither a letter nor a digit"},
		{"Bearer xSECRET", invalid, "does not begin"},
		{"SECRET", required, "has an unaccepted scheme: want one of Config.Schemes"}, // a client that forgot the scheme
		{"Token SECRET", required, "has an unaccepted scheme: want one of Config.Schemes"},
		{"Bearer! SECRET", required, "has an unaccepted scheme: want one of Config.Schemes"},
		{"Negotiate x", required, "has an unaccepted scheme: want one of Config.Schemes"},
		{"Digest x", required, "has an unaccepted scheme: want one of Config.Schemes"}, // Config.Schemes has none

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
		{basic(":SECRET"), invalid, "user of Basic is not the key ID in its password: want both of one key"},
		{basic("ID:"), invalid, "does not begin"},
		{basic("SECRET:"), invalid, "does not begin"},
		{basic("SECRET:SECRET"), invalid, "user of Basic is not the key ID in its password: want both of one key"},
		{basic("another:SECRET"), invalid, "user of Basic is not the key ID in its password: want both of one key"},
		{basic("ID:SECRET:"), invalid, "neither a letter nor a digit"},
		{basic("ID:ID:SECRET"), invalid, "does not begin"},
		{basic("ID: SECRET"), invalid, "does not begin"},
		{basic(" ID:SECRET"), invalid, "user of Basic is not the key ID in its password: want both of one key"},
		{basic("\u212a" + "ID:SECRET"), invalid, "user of Basic is not the key ID in its password: want both of one key"},
		{basic("ID:\xff"), malformed, "UTF-8"},
		{basic("ID:\xc0\xae"), malformed, "UTF-8"},
		{basic("ID\x00:SECRET"), malformed, "control character"},
		{basic("ID:SECRET\n"), malformed, "control character"},
		{basic("ID:SECRET\x7f"), malformed, "control character"},
		{basic(strings.Repeat("x", 40) + ":" + strings.Repeat("y", 120)), invalid, "too long"},
		{basic(strings.Repeat("x", 44) + ":" + strings.Repeat("y", 120)), malformed, "220 bytes: want at most 216"},
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
			require.NoError(t, d.Cause)
			continue
		}
		status := map[string]int{required: 401, invalid: 401, malformed: 400}[test.code]
		requireDenied(t, w, status, test.code)
		require.ErrorContains(t, d.Cause, test.err, "%q", test.header)
		require.ErrorContains(t, d.Cause, "policyhttp: ")
		requireNoSecret(t, s.secret, w.Body.String(), fmt.Sprint(w.Header()), d.Cause.Error(), d.String(), d.Explain(), fmt.Sprintf("%+v", d))
	}
}

// requireNoSecret fails when one of the texts has six characters in a row of the random
// part of the secret.
func requireNoSecret(t testing.TB, secret apikey.Secret, texts ...string) {
	t.Helper()
	text := secret.Reveal()
	random := text[len(text)-38:]
	for i := range len(random) - 7 { // shorter ones are now and then in a text by chance
		for _, text := range texts {
			require.NotContains(t, text, random[i:i+8])
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
		require.ErrorContains(t, s.route.Check(request(headers...)).Cause, fmt.Sprintf("%d Authorization headers: want one", len(headers)))
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

// Rules D2 and K3: an unknown key, a wrong secret and a text that is no secret get the same
// bytes. Credentials with a key ID cost one look-up, whether or not the key exists.
// Credentials without one cost none (rule K2), as their sender knows.
func TestD2NothingIsToldBeforeTheSecretIsVerified(t *testing.T) {
	s := withKeyHeader(t)
	unknownKey, unknownSecret, err := apikey.New("acme")
	require.NoError(t, err)
	_, wrongSecret, err := apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	mistyped := s.secret.Reveal()[:len(s.secret.Reveal())-1] + "!"
	known, unknown := s.key.ID, unknownKey.ID
	secret := s.secret.Reveal()

	first := ""
	for name, test := range map[string]struct {
		r      *http.Request
		lookup apikey.ID
		reason policy.Reason
	}{
		"unknown key":                      {withBearer(unknownSecret.Reveal()), unknown, policy.UnknownKey},
		"wrong secret":                     {withBearer(wrongSecret.Reveal()), known, policy.WrongSecret},
		"no secret":                        {withBearer("x"), "", policy.UnknownKey},
		"mistyped":                         {withBearer(strings.ReplaceAll(mistyped, "!", "~")), "", policy.UnknownKey},
		"unknown key, header":              {keyHeaderRequest(unknownSecret.Reveal()), unknown, policy.UnknownKey},
		"wrong secret, header":             {keyHeaderRequest(wrongSecret.Reveal()), known, policy.WrongSecret},
		"no secret, header":                {keyHeaderRequest("x"), "", policy.UnknownKey},
		"unknown key, Basic":               {withBasic(string(unknown), unknownSecret.Reveal()), unknown, policy.UnknownKey},
		"wrong secret, Basic":              {withBasic(string(known), wrongSecret.Reveal()), known, policy.WrongSecret},
		"known user, no secret":            {withBasic(string(known), "x"), known, policy.WrongSecret},
		"unknown user, no secret":          {withBasic("x", "x"), "x", policy.UnknownKey},
		"no user, no secret":               {withBasic("", ""), "", policy.UnknownKey},
		"user that is no ID":               {withBasic("!", "x"), "", policy.UnknownKey},
		"known user, mistyped":             {withBasic(string(known), mistyped), known, policy.WrongSecret},
		"another user, right secret":       {withBasic(string(unknown), secret), unknown, policy.UnknownKey},
		"known user, another key's secret": {withBasic(string(known), unknownSecret.Reveal()), known, policy.WrongSecret},
		"no user, right secret":            {withBasic("", secret), "", policy.UnknownKey},
		"secret in the place of the user":  {withBasic(secret, ""), "", policy.UnknownKey},
	} {
		s.asked = nil
		answer := dump(s.serve(test.r))
		require.Contains(t, answer, "401")
		if first == "" {
			first = answer
		}
		require.Equal(t, first, answer, name)
		if test.lookup == "" {
			require.Empty(t, s.asked, "%s: no key, no look-up", name)
		} else {
			require.Equal(t, []apikey.ID{test.lookup}, s.asked, "%s: one look-up", name)
		}
		d := s.route.Check(test.r)
		require.Equal(t, test.reason.String(), d.Reason.String(), name)

		s.key.Disabled = true
		require.Equal(t, first, dump(s.serve(test.r)), name)
		s.key.Disabled = false
	}
}

// Rule K3: credentials that cannot be the key's are worked on against its record like
// others. They prove nothing, whatever is stored, and the operator learns what they were.
func TestK3InvalidCredentialsAreJudgedLikeOthers(t *testing.T) {
	s := newService(t)
	for _, stored := range [][]apikey.StoredSecret{s.key.Secrets, nil, {{}}, {{ServerKey: "lost", Sum: [32]byte{1}}}} {
		s.key.Secrets = stored
		for _, id := range []apikey.ID{s.key.ID, "another"} {
			var seen policy.Decision
			s.observers = []policy.Option{policy.WithObserver(func(_ context.Context, d policy.Decision) { seen = d })}
			s.start()
			requireDenied(t, s.serve(withBasic(string(id), "x")), 401, "INVALID_API_KEY")
			require.Equal(t, id == s.key.ID, seen.Reason == policy.WrongSecret)
			require.Equal(t, id != s.key.ID, seen.Reason == policy.UnknownKey)
			require.ErrorIs(t, seen.Cause, policy.ErrInvalidCredentials)
			require.Empty(t, seen.SecretID())
		}
	}
}

// The operator learns which it was.
func TestOperatorIsToldWhatWasShown(t *testing.T) {
	s := newService(t)
	d := s.route.Check(withBasic(string(s.key.ID), "x"))
	require.Equal(t, policy.WrongSecret, d.Reason)
	require.ErrorIs(t, d.Cause, policy.ErrInvalidCredentials)
	require.ErrorIs(t, d.Cause, apikey.ErrMalformedSecret)
	require.Equal(t, s.key.ID, d.KeyID())
	require.Contains(t, d.String(), `key="`+string(s.key.ID)+`"`)
	for _, r := range []*http.Request{withBearer("x"), withBasic("not an ID", "x"), withBasic(s.secret.Reveal(), "x")} {
		d = s.route.Check(r)
		require.Equal(t, policy.UnknownKey, d.Reason)
		require.ErrorIs(t, d.Cause, policy.ErrInvalidCredentials)
		require.ErrorIs(t, d.Cause, apikey.ErrMalformedSecret)
		require.Empty(t, d.KeyID())
		require.NotContains(t, d.String(), ` key="`)
	}
	s.sourceErr = os.ErrDeadlineExceeded
	d = s.route.Check(withBasic(string(s.key.ID), "x"))
	require.ErrorIs(t, d.Cause, os.ErrDeadlineExceeded, "that the source is down is what matters then")
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
