package policyhttp

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/policy"
)

// LogOptions says what [Log] leaves out. The zero LogOptions leaves out nothing.
type LogOptions struct {
	// AllowEvery is of how many allowed calls one is written: the first, and then every so
	// many-th. 1, 0 and less write all. Denied calls are always written, and so are those
	// with a WouldDeny, which are what a switch to required is decided by (rule Q2).
	AllowEvery int
}

// Log returns an observer for [policy.WithObserver] that writes one line for a
// decision: at Info if the call was allowed, at Warn if not, with the attributes of
// [policy.Decision.LogValue] and, where the request could not be read, why. There is
// never a secret in it, nor anything else of the Authorization header but the ID of a key.
// What a Resource takes from the path or from a header is in it as it was sent.
//
// Where AllowEvery leaves calls out, the lines of calls that it chose have an attribute
// left_out: how many it left out since the one before. A nil logger is slog's default
// one at the time of the call.
func Log(logger *slog.Logger, options LogOptions) func(context.Context, policy.Request, policy.Decision) {
	every := uint64(max(options.AllowEvery, 1))
	var allowed atomic.Uint64
	return func(ctx context.Context, _ policy.Request, d policy.Decision) {
		to, level := logger, slog.LevelWarn
		if to == nil {
			to = slog.Default()
		}
		d = explained(ctx, d)
		if d.Allowed() {
			level = slog.LevelInfo
		}
		if !to.Enabled(ctx, level) {
			return
		}
		var leftOut uint64
		sampled := d.Allowed() && d.WouldDeny == 0 && every > 1
		if sampled {
			number := allowed.Add(1) - 1
			if number%every != 0 {
				return
			}
			leftOut = min(number, every-1)
		}
		attrs := d.LogValue().Group()
		if sampled {
			attrs = append(attrs, slog.Uint64("left_out", leftOut))
		}
		to.LogAttrs(ctx, level, "access decision", attrs...)
	}
}
