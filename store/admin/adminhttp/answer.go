package adminhttp

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// An apiError is an answer other than a success.
type apiError struct {
	status     int
	code       string
	detail     string // for people
	parameters []string
	fields     []fieldError
	cause      error // for the operator
}

// A fieldError names a field of the body, and what is wrong with it.
type fieldError struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// Error returns the code and the detail.
func (e *apiError) Error() string { return "adminhttp: " + e.code + ": " + e.detail }

// Unwrap returns the cause.
func (e *apiError) Unwrap() error { return e.cause }

// setHeaders sets the header of every answer. The lifetime of HTTPS on a host
// (Strict-Transport-Security) is up to the embedding program.
func setHeaders(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Cache-Control", "no-store") // secrets
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

// writeError writes an error in the form of the API that was called.
func writeError(w http.ResponseWriter, r *http.Request, e *apiError) {
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if isOwn(r.URL.Path) {
		writeProblem(w, r, problemOf(e))
		return
	}
	parameters := append([]string{}, e.parameters...)
	w.Header().Set("X-Error-Code", e.code)
	body := struct {
		Fields     *badRequest `json:"badRequestDetail,omitempty"`
		Detail     string      `json:"detail"`
		Error      int         `json:"error"`
		ErrorCode  string      `json:"errorCode"`
		Parameters []string    `json:"parameters"`
		Reason     string      `json:"reason"`
	}{nil, e.detail, e.status, e.code, parameters, http.StatusText(e.status)}
	if len(e.fields) > 0 {
		body.Fields = &badRequest{e.fields}
	}
	writeJSON(w, r, e.status, "application/json", body)
}

type badRequest struct {
	Fields []fieldError `json:"fields"`
}

// isOwn reports whether a path is of our own API.
func isOwn(path string) bool {
	rest, ok := strings.CutPrefix(path, ownPrefix)
	return ok && (rest == "" || rest[0] == '/')
}

// writeJSON writes an answer, to HEAD without its body.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, v any) {
	body, _ := json.Marshal(v) // of this package's own types: there is no error
	if isTrue(r.URL.Query().Get("pretty")) {
		body, _ = json.MarshalIndent(v, "", "  ")
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller may have gone
	}
}

func isTrue(text string) bool {
	value, err := strconv.ParseBool(text)
	return err == nil && value
}

// deny answers a call denied by the guard, in the documented API. A project or an
// organization of another is answered like an absent one.
func deny(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	answer := d.Answer()
	e := &apiError{status: answer.Status, code: answer.Code, detail: answer.Message, parameters: answer.Parameters}
	group := r.PathValue("group")
	switch {
	case d.Reason == policy.WrongOrganization && group != "":
		e = noGroup(group)
	case d.Reason == policy.WrongOrganization, d.Reason == policy.ProjectNotGranted, d.Reason == policy.RoleMissing:
		e.code, e.detail = "USER_UNAUTHORIZED", "The API key is not authorized to do this."
	}
	writeError(w, r, e)
}

func noGroup(id string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "GROUP_NOT_FOUND", detail: "No group with ID " + cut(id) + " exists.", parameters: []string{cut(id)}}
}

// failed is the answer if something of the service failed. The error is logged.
func (h *handler) failed(r *http.Request, err error) *apiError {
	h.logger().ErrorContext(r.Context(), "adminhttp: a call failed", "method", r.Method, "path", cut(r.URL.Path), "error", err)
	return &apiError{status: http.StatusServiceUnavailable, code: "SERVICE_UNAVAILABLE", detail: "This cannot be done now. Try again later.", cause: err}
}

func (h *handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}

// maxQuoted bounds the text of a caller in an answer, in bytes.
const maxQuoted = 256

// cut returns a text of the caller, bounded.
func cut(text string) string { return plain.Cut(text, maxQuoted) }

// quote returns a text of the caller in quotes, bounded.
func quote(text string) string { return strconv.Quote(cut(text)) }
