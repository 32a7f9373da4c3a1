package faulty

import (
	"context"
	"time"

	"github.com/sallyport-go/sallyport/policy"
)

// A Fault is a way in which a call goes wrong. It is made by one of the functions
// below; the zero Fault is none, and the call is served.
type Fault struct {
	before func(ctx context.Context, healed <-chan struct{}) error // instead of the call, if it returns an error
	after  error                                                   // told although the call was made
	garble func(subject policy.Subject, found bool) (policy.Subject, bool)
}

// Fail returns an error, and the call is not made.
func Fail(err error) Fault {
	return Fault{before: func(context.Context, <-chan struct{}) error { return err }}
}

// LoseReply makes the call and returns an error all the same, as when a connection
// breaks after the commit (S3).
func LoseReply(err error) Fault { return Fault{after: err} }

// Hang waits until the context ends and returns its error, or until Heal, and then
// makes the call.
func Hang() Fault {
	return Fault{before: func(ctx context.Context, healed <-chan struct{}) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-healed:
			return nil
		}
	}}
}

// HangDeaf waits until Heal, whatever becomes of the context, and then makes the
// call. A test that uses it calls Heal before it ends, or leaves goroutines behind.
func HangDeaf() Fault {
	return Fault{before: func(_ context.Context, healed <-chan struct{}) error {
		<-healed
		return nil
	}}
}

// Slow waits before it makes the call, or until the context ends.
func Slow(delay time.Duration) Fault {
	return Fault{before: func(ctx context.Context, _ <-chan struct{}) error {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		}
	}}
}

// Panic panics with a value.
func Panic(value any) Fault {
	return Fault{before: func(context.Context, <-chan struct{}) error { panic(value) }}
}

// Garble has Lookup return what the function makes of its answer, as a query or a
// decoder does that is wrong. Calls of other methods are served.
func Garble(garble func(subject policy.Subject, found bool) (policy.Subject, bool)) Fault {
	return Fault{garble: garble}
}
