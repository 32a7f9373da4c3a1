package policyhttp_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// captureDefaultLog returns what is written to slog's default log during the test.
func captureDefaultLog(t *testing.T) *bytes.Buffer {
	before, logged := slog.Default(), new(bytes.Buffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return logged
}

// Custom answers.
func TestDeny(t *testing.T) {
	s := newService(t)
	s.config.Deny = func(w http.ResponseWriter, r *http.Request, d policy.Decision) {
		require.Equal(t, policy.InvalidRequest, d.Reason)
		require.Equal(t, 401, d.Answer().Status)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.NotEmpty(t, w.Header().Values("WWW-Authenticate"))
		w.Header().Del("WWW-Authenticate")
		http.Error(w, "go away", http.StatusTeapot)
		require.NoError(t, http.NewResponseController(w).Flush())
	}
	s.start()
	w := s.serve(request())
	require.Equal(t, 418, w.Code)
	require.Equal(t, "go away\n", w.Body.String())
	require.True(t, w.Flushed)
	require.Empty(t, w.Header().Values("WWW-Authenticate"))
}

// A Deny that goes wrong must not look like a success.
func TestDenyFails(t *testing.T) {
	s := newService(t)
	for name, test := range map[string]struct {
		deny   func(w http.ResponseWriter, r *http.Request, d policy.Decision)
		panics any
		status int
		body   string
	}{
		"writes nothing":        {func(http.ResponseWriter, *http.Request, policy.Decision) {}, nil, 401, ""},
		"panics":                {func(http.ResponseWriter, *http.Request, policy.Decision) { panic("deny") }, nil, 503, "ACCESS_CONTROL_UNAVAILABLE"},
		"panics after a header": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { w.WriteHeader(403); panic("deny") }, "deny", 403, ""},
		"panics in the body": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) {
			_, _ = w.Write([]byte("a"))
			panic("deny")
		}, "deny", 401, "a"},
		"writes a body without a status": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) {
			_, _ = io.WriteString(w, "denied")
		}, nil, 401, "denied"},
		"writes an empty body": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { _, _ = w.Write(nil) }, nil, 401, ""},
		"flushes before a status": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) {
			_ = http.NewResponseController(w).Flush()
		}, nil, 401, ""},
		"aborts":       {func(http.ResponseWriter, *http.Request, policy.Decision) { panic(http.ErrAbortHandler) }, http.ErrAbortHandler, 200, ""},
		"nil function": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { var f func(); f() }, nil, 503, "ACCESS_CONTROL_UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			s.config.Deny = test.deny
			s.start()
			logged := captureDefaultLog(t)
			w := httptest.NewRecorder()
			handler := s.route.Protect(served)
			run := func() { handler.ServeHTTP(w, request()) }
			if test.panics != nil {
				require.PanicsWithValue(t, test.panics, run)
			} else {
				run()
				require.NotEqual(t, 200, w.Code)
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			}
			require.Equal(t, test.status, w.Code)
			require.Contains(t, w.Body.String(), test.body)
			require.NotContains(t, w.Body.String(), "served")
			require.Equal(t, test.status == 503, strings.Contains(logged.String(), "Config.Deny panicked"), logged)
			if test.status == 503 {
				requireDenied(t, w, 503, "ACCESS_CONTROL_UNAVAILABLE")
			}
		})
	}
}

// An informational answer is none: what follows it is.
func TestDenyWritesOnlyAHint(t *testing.T) {
	s := newService(t)
	s.config.Deny = func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) {
		assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Time{}), "the server's writer is found")
		w.WriteHeader(http.StatusEarlyHints)
	}
	s.start()
	server := httptest.NewServer(s.route.Protect(served))
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 401, answer.StatusCode)
}

// A guard WithDeny judges as before, and answers in another way.
func TestWithDeny(t *testing.T) {
	s := newService(t)
	s.start()
	guard, err := policyhttp.New(s.config)
	require.NoError(t, err)
	serve := func(g *policyhttp.Guard) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		g.Protect(policy.Endpoint{}, policyhttp.PathOrganization("org"), http.NotFoundHandler()).ServeHTTP(w, request())
		return w
	}
	other := guard.WithDeny(func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { w.WriteHeader(http.StatusTeapot) })
	require.Equal(t, 418, serve(other).Code)
	require.Equal(t, 401, serve(guard).Code)
	require.Contains(t, serve(other.WithDeny(nil)).Header().Get("Content-Type"), "problem+json")
	var none *policyhttp.Guard
	require.Equal(t, 503, serve(none.WithDeny(nil)).Code)
}
