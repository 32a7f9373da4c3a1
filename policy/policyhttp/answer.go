package policyhttp

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/sallyport-go/sallyport/policy"
)

// retryAfter is how many seconds a caller is asked to wait after a 503.
const retryAfter = "5"

// WriteProblem writes the answer to a denied call as application/problem+json (RFC
// 9457). It is what a Guard does unless Config.Deny says otherwise:
//
//	{"type":"about:blank","title":"Forbidden","status":403,
//	"detail":"IP address 192.0.2.1 is not on the access list of the API key.",
//	"code":"IP_ADDRESS_NOT_ON_ACCESS_LIST","parameters":["192.0.2.1"]}
//
// code and parameters are the Code and the Parameters of [policy.Decision.Answer]; parameters may be
// empty and is never null. To HEAD it writes the same without the body.
func WriteProblem(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	answer := d.Answer()
	writeJSON(w, r, answer.Status, "application/problem+json", struct {
		Type       string   `json:"type"`
		Title      string   `json:"title"`
		Status     int      `json:"status"`
		Detail     string   `json:"detail"`
		Code       string   `json:"code"`
		Parameters []string `json:"parameters"`
	}{"about:blank", http.StatusText(answer.Status), answer.Status, answer.Message, answer.Code, neverNull(answer.Parameters)})
}

// WriteAtlasError writes the answer to a denied call in the error format of the MongoDB
// Atlas Administration API, for services with clients of that API. The code is also in the
// header X-Error-Code. To HEAD it writes the same without the body.
//
//	{"detail":"IP address 192.0.2.1 is not on the access list of the API key.",
//	"error":403,"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST",
//	"parameters":["192.0.2.1"],"reason":"Forbidden"}
func WriteAtlasError(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	answer := d.Answer()
	w.Header().Set("X-Error-Code", answer.Code)
	writeJSON(w, r, answer.Status, "application/json", struct {
		Detail     string   `json:"detail"`
		Error      int      `json:"error"`
		ErrorCode  string   `json:"errorCode"`
		Parameters []string `json:"parameters"`
		Reason     string   `json:"reason"`
	}{answer.Message, answer.Status, answer.Code, neverNull(answer.Parameters), http.StatusText(answer.Status)})
}

func neverNull(parameters []string) []string { return append([]string{}, parameters...) }

func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, v any) {
	body, _ := json.Marshal(v) // of strings and a number: there is no error
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller may have gone
	}
}

// answer answers a denied call. Whatever Deny does, the answer does not look like a
// success.
func (t *Route) answer(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	setHeader(w, t, d)
	if t == nil || t.guard == nil || t.guard.deny == nil {
		WriteProblem(w, r, d)
		return
	}
	noticed := &noticing{ResponseWriter: w, status: d.Answer().Status}
	returned := false
	defer func() {
		if returned {
			return
		}
		p := recover()
		if noticed.answered || p == http.ErrAbortHandler {
			panic(p) // the server ends the connection
		}
		slog.ErrorContext(r.Context(), "policyhttp: Config.Deny panicked; the call is denied", "panic", p, "decision", d)
		d = policy.Decision{Reason: policy.Unavailable}
		setHeader(w, t, d)
		WriteProblem(w, r, d)
	}()
	t.guard.deny(noticed, r, d)
	returned = true
	noticed.answer()
}

// setHeader sets the header of every denied answer, before Config.Deny may change it.
func setHeader(w http.ResponseWriter, t *Route, d policy.Decision) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Del("WWW-Authenticate")
	switch d.Answer().Status {
	case http.StatusUnauthorized:
		for _, scheme := range t.guard.schemes {
			for _, challenge := range challengesOf(scheme.Scheme, t.guard.realm, d.Cause) {
				header.Add("WWW-Authenticate", challenge)
			}
		}
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
}

// challengesOf returns the challenges of a scheme, and none if it panics: the call is
// denied with or without them.
func challengesOf(scheme Scheme, realm string, cause error) (challenges []string) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("policyhttp: the Challenges of a scheme panicked; the 401 goes without them", "scheme", scheme.Name(), "panic", p)
		}
	}()
	return scheme.Challenges(realm, cause)
}

// noticing notices whether there was an answer, and gives one without a status that of the
// denial: the server's is 200. It is between Deny and the server's writer; handlers get the
// server's writer itself.
type noticing struct {
	http.ResponseWriter
	status   int
	answered bool
}

// answer sends the status of the denial unless Deny has sent one.
func (n *noticing) answer() {
	if !n.answered {
		n.WriteHeader(n.status)
	}
}

// WriteHeader lets informational answers (1xx) pass: the answer follows them.
func (n *noticing) WriteHeader(status int) {
	n.answered = n.answered || status >= http.StatusOK
	n.ResponseWriter.WriteHeader(status)
}

func (n *noticing) Write(body []byte) (int, error) {
	n.answer()
	return n.ResponseWriter.Write(body)
}

// FlushError is for http.ResponseController, as Unwrap is.
func (n *noticing) FlushError() error {
	n.answer()
	return http.NewResponseController(n.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (n *noticing) Unwrap() http.ResponseWriter { return n.ResponseWriter }
