package storetest

import (
	"context"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
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

// ReturnZero has Lookup find any key and return the zero Subject.
func ReturnZero() Fault {
	return Garble(func(policy.Subject, bool) (policy.Subject, bool) { return policy.Subject{}, true })
}

// ReturnOtherKey has Lookup return the record under another ID, as a database does
// that folds case.
func ReturnOtherKey() Fault {
	return garbleRecords(func(key *apikey.Key, _ *policy.Organization) { key.ID += "x" })
}

// ReturnOtherOrganization has Lookup return an organization that is not the key's,
// and that requires nothing, as a join does that went wrong.
func ReturnOtherOrganization() Fault {
	return garbleRecords(func(_ *apikey.Key, organization *policy.Organization) {
		*organization = policy.Organization{ID: organization.ID + "x", Revision: organization.Revision}
	})
}

// ReturnBadRequirement has Lookup return a requirement that is none of the
// constants. Package policy judges it as policy.Required.
func ReturnBadRequirement() Fault {
	return garbleRecords(func(_ *apikey.Key, organization *policy.Organization) { organization.Requirement = 0xff })
}

// ReturnNoOrganization has Lookup return the key without its organization.
func ReturnNoOrganization() Fault {
	return Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		if !found {
			return subject, found
		}
		key := subject.Key()
		return policy.NewSubject(&key, nil), true
	})
}

// ReturnNoKey has Lookup return the organization without the key.
func ReturnNoKey() Fault {
	return Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		organization := subject.Organization()
		return policy.NewSubject(nil, &organization), true
	})
}

func garbleRecords(change func(*apikey.Key, *policy.Organization)) Fault {
	return Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		if !found {
			return subject, found
		}
		key, organization := subject.Key(), subject.Organization()
		change(&key, &organization)
		return policy.NewSubject(&key, &organization), true
	})
}
