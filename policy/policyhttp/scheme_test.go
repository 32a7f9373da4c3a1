package policyhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// custom is a scheme of the program's own.
type custom struct {
	header, name string
	form         string // "" for a right one
	read         func(context.Context, policyhttp.Presented) (policyhttp.Credentials, error)
	challenges   func(realm string, cause error) []string
}

func (c custom) Header() string { return c.header }

func (c custom) Name() string { return c.name }

func (c custom) Form() string {
	if c.form != "" {
		return c.form
	}
	return "X-Test: KEY"
}

func (c custom) Read(ctx context.Context, presented policyhttp.Presented) (policyhttp.Credentials, error) {
	return c.read(ctx, presented)
}

func (c custom) Challenges(realm string, cause error) []string {
	if c.challenges == nil {
		return []string{"Test"}
	}
	return c.challenges(realm, cause)
}

// A failing scheme denies, in every way to fail.
func TestSchemeGoesWrong(t *testing.T) {
	s := newService(t)
	right := policyhttp.Credentials{Key: s.key.ID, Secret: s.secret}
	vouched := policyhttp.Credentials{Key: s.key.ID, Verifier: policy.AlreadyVerified{}}
	wrap := func(kind error) error { return fmt.Errorf("test: %w: odd", kind) }
	for name, test := range map[string]struct {
		shown  policyhttp.Credentials
		err    error
		reason policy.Reason
		status int
		code   string
		cause  string
	}{
		"nothing":             {policyhttp.Credentials{}, nil, policy.InvalidRequest, 400, "INVALID_REQUEST", "no key ID"},
		"no key":              {policyhttp.Credentials{Secret: s.secret}, nil, policy.InvalidRequest, 400, "INVALID_REQUEST", "no key ID"},
		"no proof":            {policyhttp.Credentials{Key: s.key.ID}, nil, policy.WrongSecret, 401, "INVALID_API_KEY", ""},
		"two proofs":          {policyhttp.Credentials{Key: s.key.ID, Secret: s.secret, Verifier: policy.AlreadyVerified{}}, nil, policy.InvalidRequest, 400, "INVALID_REQUEST", "a Secret and a Verifier"},
		"no ID":               {policyhttp.Credentials{Key: "!", Verifier: policy.AlreadyVerified{}}, nil, policy.UnknownKey, 401, "INVALID_API_KEY", ""},
		"plain error":         {right, errors.New("odd"), policy.Unavailable, 503, "ACCESS_CONTROL_UNAVAILABLE", "the scheme failed: unavailable: odd"},
		"unavailable":         {right, wrap(policy.ErrUnavailable), policy.Unavailable, 503, "ACCESS_CONTROL_UNAVAILABLE", "test: unavailable: odd"},
		"malformed":           {right, wrap(policy.ErrMalformedCredentials), policy.InvalidRequest, 400, "INVALID_REQUEST", "malformed"},
		"none":                {right, wrap(policy.ErrNoCredentials), policy.InvalidRequest, 401, "API_KEY_REQUIRED", "no credentials"},
		"not its business":    {right, wrap(policy.ErrUndeclaredEndpoint), policy.Unavailable, 503, "ACCESS_CONTROL_UNAVAILABLE", "the scheme failed"},
		"invalid":             {right, wrap(policy.ErrInvalidCredentials), policy.WrongSecret, 401, "INVALID_API_KEY", "credentials of no key"},
		"invalid and vouched": {vouched, wrap(policy.ErrInvalidCredentials), policy.WrongSecret, 401, "INVALID_API_KEY", "credentials of no key"},
		"invalid, no key":     {policyhttp.Credentials{}, wrap(policy.ErrInvalidCredentials), policy.UnknownKey, 401, "INVALID_API_KEY", "credentials of no key"},
		"panic":               {right, nil, policy.Unavailable, 503, "ACCESS_CONTROL_UNAVAILABLE", "unavailable: panic while reading the request: read"},
	} {
		t.Run(name, func(t *testing.T) {
			s.config.Schemes = []policyhttp.Scheme{custom{header: "Authorization", name: "Test", read: func(context.Context, policyhttp.Presented) (policyhttp.Credentials, error) {
				if name == "panic" {
					panic("read")
				}
				return test.shown, test.err
			}}}
			s.start()
			requireDenied(t, s.serve(request("Test x")), test.status, test.code)
			d := s.route.Check(request("Test x"))
			require.Equal(t, test.reason.String(), d.Reason.String())
			require.Error(t, d.Err())
			if test.cause != "" {
				require.ErrorContains(t, d.Cause, test.cause)
			}
			if test.err != nil {
				require.ErrorIs(t, d.Cause, test.err)
			}

			s.route = func() *policyhttp.Route { // other parts are missing, too
				guard, err := policyhttp.New(s.config)
				require.NoError(t, err)
				return guard.Route(s.endpoint, nil)
			}()
			d = s.route.Check(request("Test x"))
			if test.reason == policy.Unavailable {
				require.Equal(t, test.reason.String(), d.Reason.String(), "503, also when other parts are missing")
			} else {
				require.Equal(t, policy.InvalidRequest.String(), d.Reason.String())
			}
		})
	}
	for name, shown := range map[string]policyhttp.Credentials{"right": right, "vouched": vouched} {
		s.config.Schemes = []policyhttp.Scheme{custom{header: "Authorization", name: "Test", read: func(context.Context, policyhttp.Presented) (policyhttp.Credentials, error) { return shown, nil }}}
		s.start()
		require.Equal(t, "served", s.serve(request("Test x")).Body.String(), name)
	}
}

// A scheme reads what was presented to it, and its challenges know why it was not enough.
func TestSchemeOfTheProgram(t *testing.T) {
	s := newService(t)
	odd := fmt.Errorf("test: %w: odd", policy.ErrInvalidCredentials)
	var got policyhttp.Presented
	var ctx context.Context
	s.config.Realm = "things"
	s.config.Issuer = new(apikey.Issuer)
	s.config.Schemes = []policyhttp.Scheme{
		custom{header: "Authorization", name: "Test", read: func(c context.Context, presented policyhttp.Presented) (policyhttp.Credentials, error) {
			ctx, got = c, presented
			if presented.Text == "odd" {
				return policyhttp.Credentials{}, odd
			}
			return policyhttp.Credentials{Key: s.key.ID, Secret: s.secret}, nil
		}, challenges: func(realm string, cause error) []string {
			return []string{fmt.Sprintf("Test realm=%q, odd=%t", realm, errors.Is(cause, odd)), "Test2"}
		}},
		custom{header: "X-Test", read: func(_ context.Context, presented policyhttp.Presented) (policyhttp.Credentials, error) {
			got = presented
			return policyhttp.Credentials{Key: s.key.ID, Secret: s.secret}, nil
		}, challenges: func(string, error) []string { return nil }},
		policyhttp.Bearer(),
	}
	s.start()
	r := request("tEST   what follows, all of it ")
	require.Equal(t, "served", s.serve(r).Body.String())
	require.Equal(t, policyhttp.Presented{Text: "what follows, all of it ", Realm: "things", Issuer: s.config.Issuer, Request: r}, got)
	require.Equal(t, r.Context(), ctx)
	r = request()
	r.Header["X-Test"] = []string{"Bearer the whole value"}
	require.Equal(t, "served", s.serve(r).Body.String())
	require.Equal(t, "Bearer the whole value", got.Text)
	require.Equal(t, "served", s.serve(withBearer(s.secret.Reveal())).Body.String())

	require.Equal(t, []string{`Test realm="things", odd=true`, "Test2", `Bearer realm="things"`}, s.serve(request("Test odd")).Header().Values("WWW-Authenticate"))
	require.Equal(t, []string{`Test realm="things", odd=false`, "Test2", `Bearer realm="things"`}, s.serve(request()).Header().Values("WWW-Authenticate"))
}

// A 401 goes without the challenges of a scheme that panics, and with the others'.
func TestChallengesPanic(t *testing.T) {
	s := newService(t)
	s.config.Schemes = []policyhttp.Scheme{
		custom{header: "Authorization", name: "Test", challenges: func(string, error) []string { panic("odd") }}, policyhttp.Bearer(),
	}
	s.start()
	logged := captureDefaultLog(t)
	w := s.serve(request())
	requireDenied(t, w, 401, "API_KEY_REQUIRED")
	require.Equal(t, []string{`Bearer realm="api"`}, w.Header().Values("WWW-Authenticate"))
	require.Contains(t, logged.String(), "scheme=Test panic=odd")
}

// A call of another transport is judged like a request of HTTP.
func TestCheckOfACall(t *testing.T) {
	s := newService(t)
	guard, err := policyhttp.New(s.config)
	require.NoError(t, err)
	call := policyhttp.Call{
		Remote: clientAddress + ":4711", Header: http.Header{"Authorization": {"Bearer " + s.secret.Reveal()}}, Endpoint: &policy.Endpoint{Name: "named"},
		Resolver: policy.ResolverFunc(func(context.Context) (policy.Resource, error) {
			return policy.Resource{Organization: "acme", Value: 7}, nil
		}),
	}
	d := guard.Check(context.Background(), call)
	require.True(t, d.Allowed(), d)
	require.Equal(t, policy.Resource{Organization: "acme", Value: 7}, d.Resource())
	require.Equal(t, policy.OriginPeer, d.ClientFrom())
	require.Equal(t, "named", d.Endpoint().Name)

	undeclared := call
	undeclared.Err = fmt.Errorf("test: %w", policy.ErrUndeclaredEndpoint)
	d = guard.Check(context.Background(), undeclared)
	require.Equal(t, "API_KEY_CANNOT_USE_ENDPOINT", d.Answer().Code)
	require.Equal(t, s.key.ID, d.KeyID(), "the credentials are read for the log")
	require.Equal(t, clientAddress, d.Client().String())

	call.Header = nil
	require.Equal(t, "API_KEY_REQUIRED", guard.Check(context.Background(), call).Answer().Code)
	call.Resolver = nil
	require.Equal(t, policy.InvalidRequest, guard.Check(context.Background(), call).Reason)
	for _, none := range []*policyhttp.Guard{nil, {}} {
		d := none.Check(context.Background(), call)
		require.Equal(t, policy.Unavailable, d.Reason)
		require.ErrorContains(t, d.Cause, "want one that New returned")
	}
}

func TestNewRefusesSchemes(t *testing.T) {
	bearer, basic := policyhttp.Bearer(), policyhttp.Basic()
	for want, test := range map[string]struct {
		schemes []policyhttp.Scheme
		address policyhttp.ClientAddress
	}{
		"Schemes[0] is nil: want":                                       {schemes: []policyhttp.Scheme{nil}},
		"Schemes[1] reads Authorization Bearer like an earlier one":     {schemes: []policyhttp.Scheme{bearer, bearer}},
		"Schemes[2] reads Authorization BEARER like an earlier one":     {schemes: []policyhttp.Scheme{bearer, basic, custom{header: "Authorization", name: "BEARER"}}},
		"Schemes[1] reads X-Api-Key like an earlier one":                {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("X-API-Key"), policyhttp.KeyHeader("x-api-key")}},
		`Schemes[0] has the name "": want a token, such as Bearer`:      {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("Authorization")}},
		`Schemes[0] has the name "a b": want a token`:                   {schemes: []policyhttp.Scheme{custom{header: "Authorization", name: "a b"}}},
		`Schemes[0] has the header "X-Test" and the name "Test": want`:  {schemes: []policyhttp.Scheme{custom{header: "X-Test", name: "Test"}}},
		`Schemes[0] has the header "": want a header's name`:            {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("")}},
		`Schemes[0] has the header "X Key": want a header's name`:       {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("X Key")}},
		`Schemes[0] has the header "X-Key:": want a header's name`:      {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("X-Key:")}},
		`Schemes[0] has the header "x-key": want a header's name in ca`: {schemes: []policyhttp.Scheme{custom{header: "x-key"}}},
		`Schemes[0] has the form "\a": want what a right header looks`:  {schemes: []policyhttp.Scheme{custom{header: "X-Test", form: "\a"}}},
		`Schemes[0] has the form "xxx`:                                  {schemes: []policyhttp.Scheme{custom{header: "X-Test", form: strings.Repeat("x", 201)}}},
		`Schemes[0] has the form "é": want what a right header looks`:   {schemes: []policyhttp.Scheme{custom{header: "X-Test", form: "é"}}},
		"Schemes[0] has the header X-Real-Ip: want one that has no oth": {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("X-Real-IP")}},
		"Schemes[0] has the header Cookie: want one that has no other":  {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("cookie")}},
		"Schemes[0] has the header Proxy-Authorization: want one that":  {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("Proxy-Authorization")}},
		"Schemes[0] has the header X-Forwarded-For: want one that has":  {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("X-Forwarded-For")}},
		"Schemes[0] has the header Connection: want one that has no ot": {schemes: []policyhttp.Scheme{policyhttp.KeyHeader("Connection")}},
		"Schemes[1] has the header X-Edge, from which Config.Address":   {schemes: []policyhttp.Scheme{bearer, policyhttp.KeyHeader("X-Edge")}, address: policyhttp.FromHeader("X-Edge", proxies...)},
	} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: test.schemes, Address: test.address})
		require.ErrorContains(t, err, "policyhttp: Config."+want)
		require.NotContains(t, err.Error(), "\n", "one mistake, told once: %v", err)
	}
	_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{nil, policyhttp.KeyHeader("Cookie"), (*custom)(nil), bearer}, Realm: `"`})
	for _, part := range []string{"Schemes[0] is nil", "Schemes[1] has the header Cookie", "Schemes[2] is nil", "Realm"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "Schemes[3]")
}

// withKeyHeader is a service that takes X-API-Key beside the default schemes.
func withKeyHeader(t testing.TB) *service {
	s := newService(t)
	s.config.Schemes = []policyhttp.Scheme{policyhttp.Bearer(), policyhttp.Basic(), policyhttp.KeyHeader("X-API-Key")}
	s.start()
	return s
}

func keyHeaderRequest(values ...string) *http.Request {
	r := request()
	r.Header["X-Api-Key"] = values
	return r
}

// withoutForm is an answer without the form of right credentials.
func withoutForm(w *httptest.ResponseRecorder) string {
	w.Header().Del("Content-Length")
	return strings.NewReplacer("Authorization: Bearer YOUR_API_KEY", "FORM", "X-Api-Key: YOUR_API_KEY", "FORM").Replace(dump(w))
}

// The header has the limits of Bearer, and gets its answers.
func TestKeyHeader(t *testing.T) {
	s := withKeyHeader(t)
	secret := s.secret.Reveal()
	require.Equal(t, "served", s.serve(keyHeaderRequest(secret)).Body.String())
	for _, text := range []string{
		"x", "sp_x", secret + "x", secret + "=", secret[1:], strings.Repeat("x", 120), strings.Repeat("x", 121), strings.Repeat("x", 8193),
		" " + secret, secret + " ", "Bearer " + secret, secret + "," + secret, `"` + secret + `"`, secret + "\x00", "\t" + secret, "caf\u00e9", "====",
	} {
		header, bearer := s.serve(keyHeaderRequest(text)), s.serve(withBearer(text))
		if text[0] == ' ' { // the blanks after the name of a scheme are its own
			requireDenied(t, header, 400, "INVALID_REQUEST")
			continue
		}
		require.NotEqual(t, 200, header.Code, "%q", text)
		require.Equal(t, withoutForm(bearer), withoutForm(header), "%q", text)
		d := s.route.Check(keyHeaderRequest(text))
		requireNoSecret(t, s.secret, header.Body.String(), fmt.Sprint(header.Header()), d.Cause.Error(), d.String(), d.Explain())
	}
	for text, code := range map[string]string{"": "INVALID_REQUEST", "x": "INVALID_API_KEY"} {
		w := s.serve(keyHeaderRequest(text))
		requireDenied(t, w, map[string]int{"INVALID_REQUEST": 400, "INVALID_API_KEY": 401}[code], code)
	}
	require.Equal(t, "served", s.serve(withBearer(secret)).Body.String(), "the other schemes are as they were")
}

// One value in one header: a proxy may have looked at another one.
func TestKeyHeaderIsTheOnlyCredentials(t *testing.T) {
	s := withKeyHeader(t)
	secret := s.secret.Reveal()
	for _, values := range [][]string{{secret, secret}, {secret, ""}, {"", secret}} {
		requireDenied(t, s.serve(keyHeaderRequest(values...)), 400, "INVALID_REQUEST")
		require.ErrorContains(t, s.route.Check(keyHeaderRequest(values...)).Cause, "2 X-Api-Key headers: want one")
	}
	for authorization, status := range map[string]int{"Negotiate x": 200, "Digest x": 200, "@": 400, "": 400} {
		r := keyHeaderRequest(secret)
		r.Header["Authorization"] = []string{authorization}
		require.Equal(t, status, s.serve(r).Code, "beside the key: %q", authorization)
	}
	for _, authorization := range []string{"Bearer " + secret, "Bearer x", basic(string(s.key.ID) + ":" + secret)} {
		r := keyHeaderRequest(secret)
		r.Header["Authorization"] = []string{authorization}
		w := s.serve(r)
		requireDenied(t, w, 400, "INVALID_REQUEST")
		require.Contains(t, w.Body.String(), "The credentials are malformed, or there are several.")
		require.ErrorContains(t, s.route.Check(r).Cause, "credentials in the headers Authorization and X-Api-Key: want one of the two")
	}
	two := newService(t)
	two.config.Schemes = []policyhttp.Scheme{policyhttp.KeyHeader("X-API-Key"), policyhttp.KeyHeader("X-Token")}
	two.start()
	r := withHeader("X-Token", two.secret.Reveal())
	require.Equal(t, "served", two.serve(r).Body.String())
	r.Header["X-Api-Key"] = []string{two.secret.Reveal()}
	requireDenied(t, two.serve(r), 400, "INVALID_REQUEST")

	// A malformed Authorization header, or one of several values, is not passed over. One
	// of an unknown scheme is for somebody else.
	for authorization, status := range map[string]int{"": 400, "Bearer: x": 400, "Negotiate x": 200} {
		r := keyHeaderRequest(secret)
		r.Header["Authorization"] = []string{authorization}
		require.Equal(t, status, s.serve(r).Code, authorization)
	}
	// Where no scheme reads Authorization, nor does the guard.
	r = withHeader("X-Token", two.secret.Reveal())
	r.Header["Authorization"] = []string{"", ""}
	require.Equal(t, "served", two.serve(r).Body.String())
}

func withHeader(name, value string) *http.Request {
	r := request()
	r.Header[name] = []string{value}
	return r
}

// Unless it is configured, the header is nobody's; and other spellings are other headers.
func TestKeyHeaderIsOff(t *testing.T) {
	s := newService(t)
	requireDenied(t, s.serve(keyHeaderRequest(s.secret.Reveal())), 401, "API_KEY_REQUIRED")
	r := withBearer(s.secret.Reveal())
	r.Header["X-Api-Key"] = []string{"x"}
	require.Equal(t, "served", s.serve(r).Body.String())
	s = withKeyHeader(t)
	for _, name := range []string{"X_api_key", "x-api-key", "X-Api_key", "X-Apikey"} {
		requireDenied(t, s.serve(withHeader(name, s.secret.Reveal())), 401, "API_KEY_REQUIRED")
	}
	w := s.serve(request())
	requireDenied(t, w, 401, "API_KEY_REQUIRED")
	require.Equal(t, []string{`Bearer realm="api"`, `Basic realm="api", charset="UTF-8"`, `ApiKey realm="api", header="X-Api-Key"`}, w.Header().Values("WWW-Authenticate"))
}
