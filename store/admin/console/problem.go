package console

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A problem is an error with a page of its own.
type problem struct {
	Status int
	Title  string
	Text   string // sentences that say what to do
	SignIn bool   // offer to sign in
}

// The problems of many pages. An organization of others is notFound, too.
var (
	signInFirst = problem{Status: http.StatusForbidden, Title: "Sign in first", Text: "Your session is missing or has ended.", SignIn: true}
	notFound    = problem{Status: http.StatusNotFound, Title: "Not found", Text: "There is no such page, or you may not see it."}
	noSuchQuery = problem{Status: http.StatusBadRequest, Title: "The address of this page is not valid", Text: "A part of it cannot be read. Begin again from the first page."}
)

// Error implements error.
func (p problem) Error() string { return fmt.Sprintf("store/admin/console: %d: %s", p.Status, p.Title) }

// answer returns the page of the problem.
func (p problem) answer() answer {
	return answer{Status: p.Status, Page: "problem", Title: p.Title, Body: p}
}

// statuses are those of the errors of package admin.
var statuses = map[admin.Class]int{
	admin.Invalid: http.StatusUnprocessableEntity, admin.Forbidden: http.StatusForbidden, admin.NotFound: http.StatusNotFound,
	admin.Conflict: http.StatusConflict, admin.Changed: http.StatusConflict, admin.Refused: http.StatusConflict,
}

// problem returns the page for any error. Whatever is not known to be harmless is a 503 without
// a detail, and reported to the observer.
func (v *visit) problem(err error) problem {
	var p problem
	var failed *admin.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound):
		return notFound
	case errors.Is(err, store.ErrInvalid):
		return noSuchQuery
	case errors.As(err, &failed) && failed.Class == admin.NotFound:
		return notFound
	case errors.As(err, &failed) && statuses[failed.Class] != 0:
		return problem{Status: statuses[failed.Class], Title: "Not done", Text: failed.Message}
	}
	v.Observe(v.r.Context(), fmt.Errorf("store/admin/console: %s: %w", v.r.Method, err))
	return problem{Status: http.StatusServiceUnavailable, Title: "Not available now", Text: "The records could not be read or written. Nothing is known to be changed. Try again in a moment."}
}
