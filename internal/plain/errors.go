package plain

import (
	"errors"
	"fmt"
)

// MaxErrors is the number of errors kept when much is wrong with one input.
const MaxErrors = 20

// Errors collects what is wrong with an input. It keeps the first MaxErrors and counts the
// rest. The zero Errors is empty.
type Errors struct {
	kept []error
	more int
}

// Add adds an error; nil adds nothing. It reports whether the error was kept.
func (e *Errors) Add(err error) (kept bool) {
	switch {
	case err == nil:
		return false
	case e.Full():
		e.more++
		return false
	}
	e.kept = append(e.kept, err)
	return true
}

// Full reports whether further errors are only counted: their words are not needed.
func (e *Errors) Full() bool { return len(e.kept) == MaxErrors }

// Err joins the errors, a line each, and ends with the number of those not kept:
// "accesslist: and 3 more". It is nil if none was added.
func (e *Errors) Err(from string) error {
	if e.more > 0 {
		return errors.Join(append(e.kept[:len(e.kept):len(e.kept)], fmt.Errorf("%s: and %d more", from, e.more))...)
	}
	return errors.Join(e.kept...)
}
