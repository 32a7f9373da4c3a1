package adapter

import (
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// NotFound returns the store.ErrNotFound of an absent record (S4).
func NotFound(name Name) error { return fmt.Errorf("store: %v: %w", name, store.ErrNotFound) }

// Exists returns the store.ErrExists of a record to create (S10, L2).
func Exists(name Name) error { return fmt.Errorf("store: %v: %w", name, store.ErrExists) }

// NoOrganization returns the store.ErrNotFound of a key with an absent organization (S16).
func NoOrganization(key apikey.Key) error {
	return fmt.Errorf("store: %v: its %v: %w", KeyName(key.ID), OrganizationName(key.Organization), store.ErrNotFound)
}

// NotEmpty returns the store.ErrNotEmpty of an organization with keys (S19).
func NotEmpty(organization string) error {
	return fmt.Errorf("store: %v: %w", OrganizationName(organization), store.ErrNotEmpty)
}

// UnreadableUsage returns the error of stored but unreadable usage of a key (U8). It wraps
// err, the reason.
func UnreadableUsage(key apikey.ID, err error) error {
	return fmt.Errorf("store: the usage of %v cannot be read: %w", KeyName(key), err)
}

// Unreadable returns the error of a stored but unreadable record (S6). It wraps err, the
// reason.
func Unreadable(name Name, err error) error {
	return fmt.Errorf("store: %v cannot be read: %w", name, err)
}

// UnreadableObservation returns the error of a stored but unreadable observation (U15). It
// wraps err, the reason.
func UnreadableObservation(err error) error {
	return fmt.Errorf("store: the observation of usage cannot be read: %w", err)
}

// NotWritten returns the error of a write that failed and certainly changed nothing, so that
// it matches [store.ErrNotWritten] too (S3). Its text stays. It returns nil for nil.
func NotWritten(err error) error {
	if err == nil {
		return nil
	}
	return notWritten{err}
}

type notWritten struct{ error }

func (e notWritten) Unwrap() []error { return []error{e.error, store.ErrNotWritten} }
