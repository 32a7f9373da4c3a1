package faulty

import (
	"context"
	"time"

	"github.com/sallyport-go/sallyport/policy"
)

// A Fault is a way for a call to fail. The functions below make one. With the zero Fault
// the call succeeds.
type Fault struct {
	before func(ctx context.Context, healed <-chan struct{}) error // its error is returned instead of making the call
	after  error                                                   // returned after the call was made
	garble func(subject policy.Subject, found bool) (policy.Subject, bool)
}

// Fail returns err without making the call.
func Fail(err error) Fault {
	return Fault{before: func(context.Context, <-chan struct{}) error { return err }}
}

// LoseReply makes the call and returns err anyway, like a connection that breaks after
// the commit (S3).
func LoseReply(err error) Fault { return Fault{after: err} }

// Hang waits until the context ends and returns its error. After Heal it makes the call.
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

// HangDeaf ignores the context, waits until Heal, and then makes the call. A test that
// uses it must call Heal before it ends, or it leaves goroutines behind.
func HangDeaf() Fault {
	return Fault{before: func(_ context.Context, healed <-chan struct{}) error {
		<-healed
		return nil
	}}
}

// Slow waits for delay before it makes the call. If the context ends first, it returns
// the context's error.
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

// Garble changes the result of Lookup, like a wrong query or decoder. Other methods
// succeed.
func Garble(garble func(subject policy.Subject, found bool) (policy.Subject, bool)) Fault {
	return Fault{garble: garble}
}
