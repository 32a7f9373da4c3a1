package policyhttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// dump is all that a caller sees of an answer, with the headers in order.
func dump(w *httptest.ResponseRecorder) string {
	return fmt.Sprintf("%d\n%v\n%s", w.Code, w.Header(), w.Body)
}

// Every byte of an answer is a contract.
func TestAnswersToTheByte(t *testing.T) {
	s := newService(t)
	elsewhere := func() *http.Request {
		r := withBearer(s.secret.Reveal())
		r.RemoteAddr = "[::ffff:192.0.2.1]:9"
		return r
	}
	const challenges = `Www-Authenticate:[Bearer realm="api" Basic realm="api", charset="UTF-8"]`
	for _, test := range []struct {
		r              *http.Request
		problem, cloud string
	}{
		{
			elsewhere(),
			"403\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/problem+json] X-Content-Type-Options:[nosniff]]\n" +
				`{"type":"about:blank","title":"Forbidden","status":403,"detail":"IP address 192.0.2.1 is not on the access list of the API key.","code":"IP_ADDRESS_NOT_ON_ACCESS_LIST","parameters":["192.0.2.1"]}`,
			"403\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/json] X-Content-Type-Options:[nosniff] X-Error-Code:[IP_ADDRESS_NOT_ON_ACCESS_LIST]]\n" +
				`{"detail":"IP address 192.0.2.1 is not on the access list of the API key.","error":403,"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST","parameters":["192.0.2.1"],"reason":"Forbidden"}`,
		},
		{
			withBearer("x"),
			"401\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/problem+json] " + challenges + " X-Content-Type-Options:[nosniff]]\n" +
				`{"type":"about:blank","title":"Unauthorized","status":401,"detail":"The API key is not valid.","code":"INVALID_API_KEY","parameters":[]}`,
			"401\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/json] " + challenges + " X-Content-Type-Options:[nosniff] X-Error-Code:[INVALID_API_KEY]]\n" +
				`{"detail":"The API key is not valid.","error":401,"errorCode":"INVALID_API_KEY","parameters":[],"reason":"Unauthorized"}`,
		},
		{
			request(),
			"401\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/problem+json] " + challenges + " X-Content-Type-Options:[nosniff]]\n" +
				`{"type":"about:blank","title":"Unauthorized","status":401,"detail":"An API key is required. Send one header: Authorization: Bearer YOUR_API_KEY, or Authorization: Basic BASE64(YOUR_KEY_ID:YOUR_API_KEY).","code":"API_KEY_REQUIRED","parameters":[]}`,
			"401\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/json] " + challenges + " X-Content-Type-Options:[nosniff] X-Error-Code:[API_KEY_REQUIRED]]\n" +
				`{"detail":"An API key is required. Send one header: Authorization: Bearer YOUR_API_KEY, or Authorization: Basic BASE64(YOUR_KEY_ID:YOUR_API_KEY).","error":401,"errorCode":"API_KEY_REQUIRED","parameters":[],"reason":"Unauthorized"}`,
		},
		{
			request("Bearer"),
			"400\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/problem+json] X-Content-Type-Options:[nosniff]]\n" +
				`{"type":"about:blank","title":"Bad Request","status":400,"detail":"The credentials are malformed, or there are several. Send one header: Authorization: Bearer YOUR_API_KEY.","code":"INVALID_REQUEST","parameters":[]}`,
			"400\nmap[Cache-Control:[no-store] Content-Length:[LENGTH] Content-Type:[application/json] X-Content-Type-Options:[nosniff] X-Error-Code:[INVALID_REQUEST]]\n" +
				`{"detail":"The credentials are malformed, or there are several. Send one header: Authorization: Bearer YOUR_API_KEY.","error":400,"errorCode":"INVALID_REQUEST","parameters":[],"reason":"Bad Request"}`,
		},
	} {
		for want, deny := range map[string]func(http.ResponseWriter, *http.Request, policy.Decision){test.problem: nil, test.cloud: policyhttp.WriteAtlasError} {
			body := strings.SplitN(want, "\n", 3)[2]
			want = strings.Replace(want, "LENGTH", strconv.Itoa(len(body)), 1)
			s.config.Deny = deny
			s.start()
			require.Equal(t, want, dump(s.serve(test.r)))

			head := test.r.Clone(test.r.Context())
			head.Method = http.MethodHead
			w := s.serve(head)
			require.Empty(t, w.Body.String())
			require.Equal(t, want, dump(w)+body, "HEAD is the same without the body")
		}
	}
}

// Headers set by a handler in front do not survive, and 503 has Retry-After.
func TestAnswerReplacesHeaders(t *testing.T) {
	s := newService(t)
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public")
	w.Header().Set("WWW-Authenticate", "Negotiate")
	s.sourceErr = http.ErrServerClosed
	s.route.Protect(served).ServeHTTP(w, withBearer(s.secret.Reveal()))
	require.Equal(t, 503, w.Code)
	require.Equal(t, []string{"no-store"}, w.Header().Values("Cache-Control"))
	require.Empty(t, w.Header().Values("WWW-Authenticate"))
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "Server closed", "why is the operator's affair (rule D1)")
}

// A Deny may be used without a guard: the decision is all that it needs.
func TestAnswerOfADecision(t *testing.T) {
	require.Equal(t, 503, policy.Decision{}.Answer().Status)
	require.Equal(t, 400, policy.Decision{Reason: policy.InvalidRequest}.Answer().Status)
	require.Equal(t, "API_KEY_DISABLED", policy.Decision{Reason: policy.KeyDisabled}.Answer().Code)
	require.Equal(t, 200, policy.Decision{Reason: policy.OpenList}.Answer().Status)
	s := newService(t)
	d := s.route.Check(request())
	require.Equal(t, policy.InvalidRequest, d.Reason)
	require.Equal(t, policy.Answer{Status: 401, Code: "API_KEY_REQUIRED", Message: "An API key is required. Send one header: Authorization: Bearer YOUR_API_KEY, or Authorization: Basic BASE64(YOUR_KEY_ID:YOUR_API_KEY)."}, d.Answer())
	bare := request()
	bare.Header.Set("Authorization", "sp_secret") // the likeliest mistake: no scheme
	require.Equal(t, d.Answer(), s.route.Check(bare).Answer())
}

// Over a real connection: HEAD has the length of what GET would have sent.
func TestHeadOverARealConnection(t *testing.T) {
	s := newService(t)
	s.key.AccessList = accesslist.List{}
	server := httptest.NewServer(s.route.Protect(served))
	defer server.Close()
	get, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, get.Body.Close())
	head, err := server.Client().Head(server.URL)
	require.NoError(t, err)
	require.NoError(t, head.Body.Close())
	get.Header.Del("Date")
	head.Header.Del("Date")
	require.Equal(t, get.Header, head.Header)
	require.Equal(t, get.ContentLength, head.ContentLength)
	require.Equal(t, 401, head.StatusCode)
}
