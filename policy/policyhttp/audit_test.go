package policyhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// logging returns a service whose decisions are logged as JSON, one line each.
func logging(t testing.TB, level slog.Level, options policyhttp.LogOptions) (*service, func() []map[string]any) {
	var out bytes.Buffer
	s := newService(t)
	s.observers = []policy.Option{policy.WithObserver(policyhttp.Log(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level})), options))}
	s.start()
	return s, func() (lines []map[string]any) {
		t.Helper()
		requireNoSecret(t, s.secret, out.String())
		for line := range strings.Lines(out.String()) {
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &fields))
			delete(fields, "time")
			lines = append(lines, fields)
		}
		out.Reset()
		return lines
	}
}

func TestLog(t *testing.T) {
	s, lines := logging(t, slog.LevelInfo, policyhttp.LogOptions{})
	s.serve(withBearer(s.secret.Reveal()))
	require.Equal(t, []map[string]any{{
		"level": "INFO", "msg": "access decision", "allowed": true, "reason": "address_listed", "key": string(s.key.ID),
		"secret": s.key.Secrets[0].ID(), "client": "203.0.113.7", "client_from": "peer", "entry": "203.0.113.7",
		"organization": "acme", "endpoint": "things.read", "requirement": "not_required",
	}}, lines())

	_, wrong, err := apikey.Rotate(s.key, 0)
	require.NoError(t, err)
	noPeer := withBearer(s.secret.Reveal())
	noPeer.RemoteAddr = "@"
	for _, test := range []struct {
		r           *http.Request
		reason, err string
	}{
		{request(), "invalid_request", "policyhttp: no credentials: the request has no Authorization header"},
		{request("Bearer"), "invalid_request", "policyhttp: malformed credentials: the Bearer token is not a token: want the text of a secret and nothing else"},
		{request(s.secret.Reveal()), "invalid_request", "policyhttp: no credentials: the Authorization header has an unaccepted scheme: want one of Config.Schemes"},
		{request("Bearer "+s.secret.Reveal(), "x"), "invalid_request", "policyhttp: malformed credentials: 2 Authorization headers: want one"},
		{noPeer, "unavailable", ""},
		{withBearer(s.secret.Reveal()[1:]), "unknown_key", ""},
		{withBasic(string(s.key.ID), s.secret.Reveal()+"x"), "wrong_secret", ""},
		{withBasic(s.secret.Reveal(), "x"), "unknown_key", ""},
		{withBearer(wrong.Reveal()), "wrong_secret", apikey.ErrWrongSecret.Error()},
	} {
		s.serve(test.r)
		got := lines()
		require.Len(t, got, 1, "one line per decision")
		level := "WARN"
		if got[0]["kind"] == "no_credentials" {
			level = "INFO"
		}
		require.Equal(t, level, got[0]["level"])
		require.Equal(t, false, got[0]["allowed"])
		require.Equal(t, test.reason, got[0]["reason"])
		require.NotEmpty(t, got[0]["error"], "the operator is told why")
		if test.err != "" {
			require.Equal(t, test.err, got[0]["error"])
		}
		require.Equal(t, s.route.Check(test.r).Cause.Error(), got[0]["error"], "the same as in the decision")
		lines()
	}

	s.sourceErr = http.ErrServerClosed
	s.serve(withBasic(string(s.key.ID), "x"))
	require.Equal(t, "policy: the source failed: http: Server closed", lines()[0]["error"])
}

// Allowed calls are sampled; denied ones never.
func TestLogSamples(t *testing.T) {
	s, lines := logging(t, slog.LevelInfo, policyhttp.LogOptions{AllowEvery: 10})
	right := withBearer(s.secret.Reveal())
	for range 35 {
		s.serve(right)
		s.serve(withBearer("x"))
	}
	var leftOut []any
	denied := 0
	for _, line := range lines() {
		if line["allowed"] == true {
			leftOut = append(leftOut, line["left_out"])
		} else {
			require.NotContains(t, line, "left_out")
			denied++
		}
	}
	require.Equal(t, []any{0.0, 9.0, 9.0, 9.0}, leftOut, "calls 1, 11, 21, 31; and how many there were in between")
	require.Equal(t, 35, denied)

	for _, every := range []int{-1, 0, 1} {
		s, lines := logging(t, slog.LevelInfo, policyhttp.LogOptions{AllowEvery: every})
		for range 3 {
			s.serve(withBearer(s.secret.Reveal()))
		}
		got := lines()
		require.Len(t, got, 3)
		require.NotContains(t, got[2], "left_out")
	}
}

// Calls with a WouldDeny are the purpose of report only, so they are never left out.
func TestLogWritesAllThatWouldBeDenied(t *testing.T) {
	s, lines := logging(t, slog.LevelInfo, policyhttp.LogOptions{AllowEvery: 10})
	s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.ReportOnly
	for range 25 {
		s.serve(withBearer(s.secret.Reveal()))
	}
	got := lines()
	require.Len(t, got, 25)
	for _, line := range got {
		require.Equal(t, "organization_requires_access_list", line["would_deny"])
		require.NotContains(t, line, "left_out")
	}
}

// tally is a slog.Handler that counts lines and what they say was left out.
type tally struct {
	slog.Handler
	lines, leftOut *atomic.Uint64
}

func (h tally) Enabled(context.Context, slog.Level) bool { return true }

func (h tally) Handle(_ context.Context, record slog.Record) error {
	h.lines.Add(1)
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "left_out" {
			h.leftOut.Add(a.Value.Uint64())
		}
		return true
	})
	return nil
}

// From several goroutines exactly one call in ten is written, and none is lost.
func TestLogSamplesConcurrently(t *testing.T) {
	s := newService(t)
	d := s.route.Check(withBearer(s.secret.Reveal()))
	written := tally{slog.DiscardHandler, new(atomic.Uint64), new(atomic.Uint64)}
	observe := policyhttp.Log(slog.New(written), policyhttp.LogOptions{AllowEvery: 10})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 125 {
				observe(context.Background(), d)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 100, written.lines.Load())
	require.EqualValues(t, 991, written.lines.Load()+written.leftOut.Load(), "up to the last line, of call 991")
}

func TestLogLevels(t *testing.T) {
	s, lines := logging(t, slog.LevelWarn, policyhttp.LogOptions{})
	s.serve(withBearer(s.secret.Reveal()))
	require.Empty(t, lines())
	s.serve(request())
	require.Empty(t, lines(), "no credentials are no warning")
	s.serve(withBearer("x"))
	require.Len(t, lines(), 1)

	logged := captureDefaultLog(t)
	s.observers = []policy.Option{policy.WithObserver(policyhttp.Log(nil, policyhttp.LogOptions{}))}
	s.start()
	s.serve(withBearer(s.secret.Reveal()))
	require.Contains(t, logged.String(), `level=INFO msg="access decision" allowed=true reason=address_listed`)
}

// Denials of honest callers are no warnings: the absence of credentials, a right response of
// Digest with an old nonce, a caller who hung up. All others are.
func TestLogWarnsOfWhatMayBeHostile(t *testing.T) {
	honest := map[policy.Kind]bool{policy.NoCredentials: true, policy.StaleNonce: true, policy.CallerGone: true}
	errs := map[policy.Kind]error{
		0:                           errors.New("the source failed"),
		policy.NoCredentials:        policy.ErrNoCredentials,
		policy.MalformedCredentials: policy.ErrMalformedCredentials,
		policy.InvalidCredentials:   policy.ErrInvalidCredentials,
		policy.UndeclaredEndpoint:   policy.ErrUndeclaredEndpoint,
		policy.TooEarly:             policy.ErrTooEarly,
		policy.StaleNonce:           policy.ErrStaleNonce,
		policy.Replayed:             policy.ErrReplayed,
		policy.CallerGone:           policy.ErrCallerGone,
		policy.RequestExpired:       policy.ErrRequestExpired,
	}
	for kind, err := range errs {
		var out bytes.Buffer
		observe := policyhttp.Log(slog.New(slog.NewJSONHandler(&out, nil)), policyhttp.LogOptions{AllowEvery: 10})
		for range 2 {
			out.Reset()
			observe(context.Background(), policy.Decision{Reason: policy.Unavailable, Cause: err})
			want := slog.LevelWarn
			if honest[kind] {
				want = slog.LevelInfo
			}
			require.Contains(t, out.String(), `"level":"`+want.String()+`"`, "%v", kind)
			require.Equal(t, kind != 0, strings.Contains(out.String(), `"kind":"`+kind.String()+`"`), "%v", kind)
		}
	}
}

func TestCounters(t *testing.T) {
	var counters policyhttp.Counters
	var _ expvar.Var = &counters
	s := newService(t)
	s.observers = []policy.Option{policy.WithObserver(counters.Observe)}
	s.start()
	requireCounts(t, &counters, map[string]int64{})
	s.serve(withBearer(s.secret.Reveal()))
	s.serve(withBearer(s.secret.Reveal()))
	s.serve(withBearer("x"))
	s.serve(request())
	s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.ReportOnly
	s.serve(withBearer(s.secret.Reveal()))
	s.endpoint.RequiresAccessList = true
	s.start()
	s.serve(withBearer(s.secret.Reveal()))
	requireCounts(t, &counters, map[string]int64{
		"address_listed": 2, "invalid_credentials": 1, "no_credentials": 1, "open_list": 1, "endpoint_requires_access_list": 1, "would_deny": 2,
	})
	require.EqualValues(t, 2, counters.Count(policy.AddressListed))
	require.EqualValues(t, 2, counters.WouldDeny())
	require.EqualValues(t, 1, counters.CountKind(policy.NoCredentials))
	require.EqualValues(t, 1, counters.CountKind(policy.InvalidCredentials))
	require.Zero(t, counters.CountKind(policy.StaleNonce))
	require.Zero(t, counters.CountKind(0))
	require.Zero(t, counters.CountKind(policy.EndOfKinds))
	counters.Observe(context.Background(), policy.Decision{Reason: 99})
	counters.Observe(context.Background(), policy.Decision{})
	require.EqualValues(t, 2, counters.Count(0))
	require.EqualValues(t, 2, counters.Count(99))
	require.EqualValues(t, 2, counters.Count(policy.AddressListed))
	require.Zero(t, new(policyhttp.Counters).WouldDeny())
}

// An honest client of Digest whose nonces expire is not counted as wrong_secret.
func TestCountersOfAKind(t *testing.T) {
	var counters policyhttp.Counters
	for range 99 {
		counters.Observe(context.Background(), policy.Decision{Reason: policy.WrongSecret, Cause: policy.ErrStaleNonce})
	}
	counters.Observe(context.Background(), policy.Decision{Reason: policy.WrongSecret, Cause: apikey.ErrWrongSecret})
	requireCounts(t, &counters, map[string]int64{"stale_nonce": 99, "wrong_secret": 1})
	require.EqualValues(t, 1, counters.Count(policy.WrongSecret))
	require.EqualValues(t, 99, counters.CountKind(policy.StaleNonce))
}

// requireCounts reads the JSON: every reason of the order, every kind and would_deny, zero
// unless something else is wanted.
func requireCounts(t *testing.T, counters *policyhttp.Counters, want map[string]int64) {
	t.Helper()
	var got map[string]int64
	require.NoError(t, json.Unmarshal([]byte(counters.String()), &got))
	require.Len(t, got, 17+int(policy.EndOfKinds))
	for reason := policy.InvalidRequest; reason <= policy.OpenList; reason++ {
		require.Contains(t, got, reason.String())
	}
	for kind := policy.Kind(1); kind < policy.EndOfKinds; kind++ {
		require.Contains(t, got, kind.String())
	}
	for name, count := range got {
		require.Equal(t, want[name], count, name)
	}
}

// A program that imports the guard links the standard library, netipx and this module.
// It does not link expvar, which serves /debug/vars for everybody to see.
func TestImports(t *testing.T) {
	const module = "github.com/sallyport-go/sallyport"
	out, err := exec.Command("go", "list", "-deps", module+"/policy/policyhttp").Output()
	require.NoError(t, err)
	linked := strings.Fields(string(out))
	for _, sure := range []string{module + "/policy/policyhttp", module + "/policy", "net/http"} {
		require.Contains(t, linked, sure)
	}
	for _, path := range linked {
		first, _, _ := strings.Cut(path, "/")
		vendored := strings.HasPrefix(path, "vendor/") // the standard library's own
		require.True(t, vendored || !strings.Contains(first, ".") || path == "go4.org/netipx" || strings.HasPrefix(path, module+"/"), path)
		require.NotContains(t, []string{"expvar", "testing", "net/http/pprof", "net/http/httptest"}, path)
	}
}
