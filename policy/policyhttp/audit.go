package policyhttp

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/policy"
)

// LogOptions configures [Log]. The zero LogOptions logs everything.
type LogOptions struct {
	// AllowEvery logs one of every n allowed calls, starting with the first. Values below 2
	// log all of them. Denied calls are always logged, and so are calls with a WouldDeny:
	// they show whether to switch to required (rule Q2).
	AllowEvery int
}

// Log returns an observer for [policy.WithObserver] that writes one line per decision, with
// the attributes of [policy.Decision.LogValue]: at Info if the call was allowed, at Warn if
// not. These denials happen to honest callers all day and are at Info, too, told apart by the
// attribute kind:
//
//   - no_credentials: a client's first request, before it was asked for credentials,
//   - stale_nonce: a right response of Digest, whose nonce has expired,
//   - caller_gone: the caller hung up before the answer.
//
// A line never has a secret in it, nor anything else of the credentials but the ID of a key.
// The names of a resource are logged as they were sent.
//
// Where AllowEvery skips calls, the lines of allowed calls have an attribute left_out: the
// number of calls skipped since the line before. A nil logger is slog's default one at the
// time of the call.
func Log(logger *slog.Logger, options LogOptions) func(context.Context, policy.Decision) {
	every := uint64(max(options.AllowEvery, 1))
	var allowed atomic.Uint64
	return func(ctx context.Context, d policy.Decision) {
		to, level := logger, levelOf(d)
		if to == nil {
			to = slog.Default()
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
		// A handler inlines a group without a name: see slog.Handler.
		decision := slog.Attr{Value: d.LogValue()}
		if !sampled {
			to.LogAttrs(ctx, level, "access decision", decision)
			return
		}
		to.LogAttrs(ctx, level, "access decision", decision, slog.Uint64("left_out", leftOut))
	}
}

// levelOf returns the level of a decision's line.
func levelOf(d policy.Decision) slog.Level {
	if d.Allowed() {
		return slog.LevelInfo
	}
	switch d.Kind() {
	case policy.NoCredentials, policy.StaleNonce, policy.CallerGone:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}
