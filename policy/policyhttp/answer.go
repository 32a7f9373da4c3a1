package policyhttp

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/sallyport-go/sallyport/policy"
)

// retryAfter is how many seconds a caller is asked to wait after a 503.
const retryAfter = "5"

// Answer returns what the caller may know of a decision over HTTP (rule D1): that of
// [policy.Decision.Answer], except where the Authorization header is what was wrong.
// Without credentials of an accepted scheme the status is 401 and the code
// API_KEY_REQUIRED, since that is what makes clients send them (RFC 9110 section
// 11.6.1); for malformed ones the message says so.
func Answer(d policy.Decision) policy.Answer {
	answer := d.Answer()
	switch {
	case d.Reason != policy.InvalidRequest:
	case errors.Is(d.Err, errNoCredentials):
		answer = policy.Answer{Status: http.StatusUnauthorized, Code: "API_KEY_REQUIRED", Message: "An API key is required."}
	case errors.Is(d.Err, errMalformed):
		answer.Message = "The Authorization header is malformed, or there are two."
	}
	return answer
}

// WriteProblem writes the answer to a denied call as application/problem+json (RFC
// 9457). It is what a Guard does unless Config.Deny says otherwise:
//
//	{"type":"about:blank","title":"Forbidden","status":403,
//	"detail":"IP address 192.0.2.1 is not on the access list of the API key.",
//	"code":"IP_ADDRESS_NOT_ON_ACCESS_LIST","parameters":["192.0.2.1"]}
//
// code and parameters are the Code and the Parameters of [Answer]; parameters may be
// empty and is never null. To HEAD it writes the same without the body.
func WriteProblem(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	answer := Answer(d)
	writeJSON(w, r, answer.Status, "application/problem+json", struct {
		Type       string   `json:"type"`
		Title      string   `json:"title"`
		Status     int      `json:"status"`
		Detail     string   `json:"detail"`
		Code       string   `json:"code"`
		Parameters []string `json:"parameters"`
	}{"about:blank", http.StatusText(answer.Status), answer.Status, answer.Message, answer.Code, neverNull(answer.Parameters)})
}

// WriteCloudAPI writes the answer to a denied call in the form that the clients of a
// large cloud's API parse, with the code also in the header X-Error-Code. To HEAD it
// writes the same without the body.
//
//	{"detail":"IP address 192.0.2.1 is not on the access list of the API key.",
//	"error":403,"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST",
//	"parameters":["192.0.2.1"],"reason":"Forbidden"}
func WriteCloudAPI(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	answer := Answer(d)
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
		_, _ = w.Write(body) // the caller who has gone needs no answer
	}
}

// answer answers a denied call. Whatever Deny does, it is not what looks like a success.
func (t *Route) answer(w http.ResponseWriter, r *http.Request, d policy.Decision) {
	setHeader(w, t, d)
	if t == nil || t.guard == nil || t.guard.deny == nil {
		WriteProblem(w, r, d)
		return
	}
	noticed := &noticing{ResponseWriter: w}
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
	if !noticed.answered { // the server would answer 200
		w.WriteHeader(Answer(d).Status)
	}
}

// setHeader sets what every denied answer has, whoever writes it.
func setHeader(w http.ResponseWriter, t *Route, d policy.Decision) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Del("WWW-Authenticate")
	switch Answer(d).Status {
	case http.StatusUnauthorized:
		stale := errors.Is(d.Err, errStale)
		for i := range t.guard.schemes {
			for _, challenge := range t.guard.schemes[i].challenge(t.guard, stale) {
				header.Add("WWW-Authenticate", challenge)
			}
		}
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
}

// noticing notices whether there was an answer. It is between Deny and the server's
// writer, and never between that and a handler.
type noticing struct {
	http.ResponseWriter
	answered bool
}

// WriteHeader lets informational answers pass, which may be several and are none.
func (n *noticing) WriteHeader(status int) {
	n.answered = n.answered || status >= http.StatusOK
	n.ResponseWriter.WriteHeader(status)
}

func (n *noticing) Write(body []byte) (int, error) {
	n.answered = true
	return n.ResponseWriter.Write(body)
}

// Unwrap is for http.ResponseController.
func (n *noticing) Unwrap() http.ResponseWriter { return n.ResponseWriter }
