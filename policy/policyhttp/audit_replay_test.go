package policyhttp_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// The lines of Log are those that package replay reads: a list can be tried on the audit log
// of one key.
func TestLogCanBeReplayed(t *testing.T) {
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := newService(t)
			logger := slog.New(handler(&out))
			s.observers = []policy.Option{policy.WithObserver(policyhttp.Log(logger, policyhttp.LogOptions{}))}
			s.start()
			logger.Info("service started")
			s.serve(withBearer(s.secret.Reveal()))
			s.serve(request())
			elsewhere := withBearer(s.secret.Reveal())
			elsewhere.RemoteAddr = "198.51.100.9:1234"
			s.serve(elsewhere)

			list, err := accesslist.Parse("192.0.2.1")
			require.NoError(t, err)
			report, err := replay.Read(strings.NewReader(out.String()), list, replay.Options{
				Counts: func(r *replay.Record) bool { return string(r.Key) == string(s.key.ID) },
			})
			require.NoError(t, err)
			require.Equal(t, "the guard's own log", report.Logs[0].ReadsAs)
			require.Zero(t, report.BadLines)
			require.Equal(t, uint64(1), report.Other, "the service's own message")
			require.Equal(t, uint64(1), report.LeftOut, "a call without credentials is of no key")
			require.Equal(t, uint64(1), report.AlreadyRefused)
			require.Equal(t, uint64(1), report.Refused)
			require.Equal(t, "203.0.113.7/32", report.RefusedClients[0].Prefix.String())
		})
	}
}
