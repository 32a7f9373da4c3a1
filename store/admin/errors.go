package admin

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Class is the kind of an [Error], and says what the caller can do about it.
type Class uint8

// The classes. Their texts do not change.
const (
	Unavailable Class = iota // it could not be judged or written, or it is not known whether it was made (rule M25)
	Invalid                  // the change is wrong in itself: send another one
	Forbidden                // the actor may not do this
	NotFound                 // there is no such record in the organization
	Conflict                 // the record was changed meanwhile, or is in the way: look at it again
	Changed                  // the preview of the token no longer holds: see the new one (rule M18)
	Refused                  // the guard refused it: see the findings (rule M22)
)

var classes = [...]string{"unavailable", "invalid", "forbidden", "not_found", "conflict", "changed", "refused"}

// String returns "unavailable", "invalid", "forbidden", "not_found", "conflict", "changed" or
// "refused", and "class(9)" for an unknown value.
func (c Class) String() string {
	if int(c) < len(classes) {
		return classes[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// MarshalText returns the text of String.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads exactly the text of String. On an error the receiver is unchanged.
func (c *Class) UnmarshalText(text []byte) error {
	for i, name := range classes {
		if string(text) == name {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("store/admin: class %s: want one of %q", plain.Quote(text), classes)
}

// An Error is returned by every method of [Admin]. Find it with errors.As. The names in its
// JSON do not change.
type Error struct {
	Class Class `json:"class"`

	// Message is for the person behind the change: sentences without identifiers of the
	// program but the kinds to accept, without a secret, and without anything of another
	// organization.
	Message string `json:"message"`

	// Findings stood in the way. Only Refused has them. An empty list is [] in JSON.
	Findings []Finding `json:"findings"`

	// Preview is the one that holds now, if the changes could be judged, otherwise nil.
	// Changed and Refused have it. After a part of the changes was made, it is that of the
	// next step alone.
	Preview *Preview `json:"preview,omitempty"`

	// Cause is the error behind it, for the operator, or nil. It is not in the JSON, which a
	// caller may see.
	Cause error `json:"-"`
}

// MarshalJSON returns an object with class, message, findings and, where known, preview.
func (e Error) MarshalJSON() ([]byte, error) {
	type object Error
	e.Findings = listed(e.Findings)
	return json.Marshal(object(e))
}

// Error returns the message and the cause, for the operator.
func (e *Error) Error() string {
	text := "store/admin: " + e.Class.String() + ": " + e.Message
	if e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ClassOf returns the class of an error of this package. Any other error is Unavailable, and
// so is nil: check for an error first.
func ClassOf(err error) Class {
	if e, ok := asError(err); ok {
		return e.Class
	}
	return Unavailable
}

func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }

func wrap(class Class, cause error, format string, args ...any) *Error {
	return &Error{Class: class, Message: fmt.Sprintf(format, args...), Cause: cause}
}

func invalid(format string, args ...any) *Error   { return wrap(Invalid, nil, format, args...) }
func forbidden(format string, args ...any) *Error { return wrap(Forbidden, nil, format, args...) }
func notFound(format string, args ...any) *Error  { return wrap(NotFound, nil, format, args...) }
func conflict(format string, args ...any) *Error  { return wrap(Conflict, nil, format, args...) }

// noOrganization and noKey are the same for an absent record and for one of another
// organization.
func noOrganization(id string) *Error {
	return notFound("There is no organization %s.", plain.Quote(id))
}

func noKey(id apikey.ID) *Error {
	return notFound("There is no key %q in this organization.", id)
}

// unread is the error of a failed read: nothing was changed.
func unread(err error) *Error {
	return wrap(Unavailable, err, "The records could not be read. Nothing was changed. Try again later.")
}
