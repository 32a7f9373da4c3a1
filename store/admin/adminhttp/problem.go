package adminhttp

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A problem is every error of our own API (RFC 9457). Those of the guard have the first six
// members.
type problem struct {
	Type       string   `json:"type"`
	Title      string   `json:"title"`
	Status     int      `json:"status"`
	Detail     string   `json:"detail"` // sentences for people
	Code       string   `json:"code"`
	Parameters []string `json:"parameters"`

	// Class, Findings and Preview are those of an admin.Error.
	Class    string          `json:"class,omitempty"`
	Findings []admin.Finding `json:"findings,omitempty"`
	Preview  *admin.Preview  `json:"preview,omitempty"`

	Fields []fieldError `json:"fields,omitempty"` // of the body

	// Outcome has the changes made before the refused one, and their secrets.
	Outcome *outcome `json:"outcome,omitempty"`
}

// problemOf returns an error of the router or of a request.
func problemOf(e *apiError) *problem {
	return &problem{
		Type: "about:blank", Title: http.StatusText(e.status), Status: e.status, Detail: e.detail,
		Code: e.code, Parameters: append([]string{}, e.parameters...), Fields: e.fields,
	}
}

func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	writeJSON(w, r, p.Status, "application/problem+json", p)
}

// classes are the answers by the class of an admin.Error. Any other error is Unavailable.
var classes = map[admin.Class]struct {
	status int
	code   string
}{
	admin.Invalid:   {http.StatusBadRequest, "INVALID_CHANGE"},
	admin.Forbidden: {http.StatusForbidden, "FORBIDDEN"},
	admin.NotFound:  {http.StatusNotFound, "NOT_FOUND"},
	admin.Conflict:  {http.StatusConflict, "CONFLICT"},
	admin.Changed:   {http.StatusConflict, "PREVIEW_CHANGED"},
	admin.Refused:   {http.StatusConflict, "CHANGE_REFUSED"},
}

// problem returns the answer for any error of a call.
func (h *handler) problem(c *call, err error) *problem {
	if e, ok := errors.AsType[*apiError](err); ok {
		return problemOf(e)
	}
	refusal, ok := asAdmin(err)
	if !ok || refusal.Class == admin.Unavailable {
		p := problemOf(h.failed(c.Request, err))
		p.Class = admin.Unavailable.String()
		if ok {
			p.Detail = refusal.Message
		}
		return p
	}
	class := classes[refusal.Class]
	p := problemOf(&apiError{status: class.status, code: class.code, detail: refusal.Message})
	p.Class, p.Findings, p.Preview = refusal.Class.String(), refusal.Findings, refusal.Preview
	return p
}

// cursorError is the answer to a cursor that the store does not take.
func cursorError(err error) error {
	switch {
	case errors.Is(err, store.ErrInvalid):
		return badQuery("cursor", "The cursor is not known, or not any more. Begin with the first page.")
	case errors.Is(err, store.ErrCompacted):
		return &apiError{
			status: http.StatusGone, code: "EVENTS_FORGOTTEN", parameters: []string{}, cause: err,
			detail: "Events after this cursor are not kept any more, or it is of a history that the store has lost. Begin without a cursor, and skip the events already seen.",
		}
	}
	return err
}

// etag is the ETag of a record at a revision.
func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }
