package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/store/admin"
)

// The bounds of a call to a server.
const (
	answering  = 90 * time.Second // for a whole answer: a server takes up to a minute for a change
	maxHeaders = 64 << 10
	maxDetail  = 2000 // bytes of an error's text
)

const apiPath = "/api/sallyport/v1"

// A server is the records of a running service, by its API.
type server struct {
	client  *http.Client
	base    string // up to apiPath, included
	key     string // the secret: never in an error
	shown   string
	from    string // the flag, variable or profile that has the address
	keyFrom string // the variable or the file that has the key
	me      *who   // once asked for
	now     func() time.Time
	off     time.Duration // the server's clock less ours, at the last answer
	expires time.Time     // of its certificate, zero without TLS
	window  time.Duration // how far back usage counts; 0: as the server has it
}

// reach returns the server, without a call to it yet.
func (s *session) reach() (*server, error) {
	if s.reached != nil {
		return s.reached, nil
	}
	base, err := serverURL(s.settings.server)
	if err != nil {
		return nil, err
	}
	key, keyFrom := strings.TrimSpace(s.env.getenv("SALLYPORT_KEY")), s.keyFrom()
	if keyFrom != "SALLYPORT_KEY" && keyFrom != "" {
		if key, err = readKey(keyFrom); err != nil {
			return nil, fmt.Errorf("%s: %w", s.settings.from, err)
		}
	}
	if key == "" {
		return nil, usageError{errors.New("with --server the secret of a key is needed: want it in SALLYPORT_KEY, or in the key-file of a profile")}
	}
	if len(key) > 4096 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usageError{fmt.Errorf("%s is no secret of a key: want its one line", keyFrom)}
	}
	trust, err := trusted(s.settings.caFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: opening}).DialContext, TLSHandshakeTimeout: opening,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust}, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxHeaders,
	}
	s.reached = &server{base: base + apiPath, shown: base, from: s.settings.from, key: key, keyFrom: keyFrom, now: s.env.now, client: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for this address
	}}
	s.shown, s.closing = base, func() error { transport.CloseIdleConnections(); return nil }
	return s.reached, nil
}

// serverURL returns the address of a server without its end. The key is sent over TLS, or to
// this machine.
func serverURL(text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", usageError{errors.New("the address of the server is no URL of one: want https://host")}
	}
	if parsed.User != nil {
		return "", usageError{errors.New("the address of the server has a user or a password: want the secret of a key in SALLYPORT_KEY")}
	}
	if parsed.Scheme != "https" && (parsed.Scheme != "http" || !isLoopback(parsed.Hostname())) {
		return "", usageError{errors.New("the address of the server has no TLS, and the key would be sent for all to read: want https://host")}
	}
	parsed.Path, parsed.RawPath = strings.TrimSuffix(strings.TrimSuffix(parsed.Path, "/"), apiPath), ""
	return parsed.String(), nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// trusted returns the certificates in a file; nil: those of the system.
func trusted(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the certificates cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s has no certificate: want PEM", path)
	}
	return pool, nil
}

// A request is a call to the API.
type request struct {
	method string
	path   []string // its segments
	query  url.Values
	header map[string]string
	body   any // nil: none
}

// call makes a call, and decodes its answer.
func (v *server) call(ctx context.Context, r request, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	answer, err := v.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it is only read
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxFile+1))
	switch {
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("the answer of %s (%s) broke off: %w", v.shown, v.from, err)
	case err != nil:
		return v.failed(ctx, err)
	case len(data) > maxFile:
		return fmt.Errorf("the answer of %s has more than %d bytes", v.shown, maxFile)
	case answer.StatusCode >= 300:
		return v.refusal(r.method, answer, data)
	case mediaType(answer) != "application/json" || json.Unmarshal(data, into) != nil:
		return v.foreign(answer)
	}
	return nil
}

// send makes a call, and returns its answer with any status.
func (v *server) send(ctx context.Context, r request) (*http.Response, error) {
	target := v.base
	for _, segment := range r.path {
		if segment == "" || segment == "." || segment == ".." {
			return nil, noError{fmt.Errorf("there is nothing with the name %q in %s", segment, v.shown)}
		}
		target += "/" + url.PathEscape(segment)
	}
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	made, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	made.Header.Set("Authorization", "Bearer "+v.key)
	made.Header.Set("User-Agent", "sallyport")
	if body != nil {
		made.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		made.Header.Set(name, value)
	}
	answer, err := v.client.Do(made)
	if err != nil {
		return nil, v.failed(ctx, err)
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		v.off = date.Sub(v.now())
	}
	if answer.TLS != nil {
		v.expires = answer.TLS.PeerCertificates[0].NotAfter // verified
	}
	return answer, nil
}

// failed is the error of a call without a whole answer.
func (v *server) failed(ctx context.Context, err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // its text has the whole URL
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s (%s) does not answer within %s", v.shown, v.from, answering)
	}
	return fmt.Errorf("%s (%s) cannot be reached: %w%s", v.shown, v.from, err, repair(err))
}

// repair says what helps against an error of TLS.
func repair(err error) string {
	var unknown x509.UnknownAuthorityError
	var otherHost x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return ". For a certificate of your own authority give that one's with --ca-file"
	case errors.As(err, &otherHost):
		return ". Use a name that the certificate has"
	case errors.Is(err, http.ErrSchemeMismatch):
		return ". It speaks no TLS there: is the port right?"
	}
	return ""
}

// foreign is the error of an answer that is not the API's.
func (v *server) foreign(answer *http.Response) error {
	return fmt.Errorf("%s (%s) does not answer as the API (status %d, %.60q): is the address right, and does its service serve %s?",
		v.shown, v.from, answer.StatusCode, answer.Header.Get("Content-Type"), apiPath)
}

func mediaType(answer *http.Response) string {
	name, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return name
}

// An answered is an error that a server answered, with its exit status.
type answered struct {
	error
	exit int
}

// Unwrap returns the error.
func (a answered) Unwrap() error { return a.error }

// A problem is an error as the API has it (RFC 9457).
type problem struct {
	Status   int             `json:"status"`
	Detail   string          `json:"detail"`
	Code     string          `json:"code"`
	Class    string          `json:"class"`
	Findings []admin.Finding `json:"findings"`
	Preview  *admin.Preview  `json:"preview"`
	Outcome  *outcomeBody    `json:"outcome"`
}

// A partly is the error of a change of which a part was made.
type partly struct {
	error
	made *outcomeBody
}

// Unwrap returns the error.
func (p partly) Unwrap() error { return p.error }

// refusal is the error of an answer without success.
func (v *server) refusal(method string, answer *http.Response, data []byte) error {
	if answer.StatusCode < 400 {
		return fmt.Errorf("%s (%s) sends to another address (status %d), which is not followed with the key: want that address itself", v.shown, v.from, answer.StatusCode)
	}
	var p problem
	if mediaType(answer) != "application/problem+json" || json.Unmarshal(data, &p) != nil || p.Status != answer.StatusCode || p.Detail == "" {
		return v.foreign(answer)
	}
	detail := strings.ReplaceAll(p.Detail, v.key, "[redacted]")
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	refused := &admin.Error{Message: detail, Findings: p.Findings, Preview: p.Preview}
	if refused.Class.UnmarshalText([]byte(p.Class)) != nil { // of the guard, or of the request
		refused.Class = admin.Invalid
		refused.Message = fmt.Sprintf("The server answers %d %.60s: %s", p.Status, p.Code, detail)
		if p.Status == http.StatusUnauthorized {
			refused.Message += fmt.Sprintf(" The key is that of %s.", v.keyFrom)
		}
	}
	var err error = answered{refused, exitOf(method, p)}
	if p.Outcome != nil && p.Outcome.Made > 0 {
		err = partly{err, p.Outcome}
	}
	return err
}

// exitOf returns the exit status for a problem. A conflict of a call that only reads is no
// change meanwhile.
func exitOf(method string, p problem) int {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return no
	case http.StatusConflict:
		if p.Class == admin.Refused.String() {
			return no
		}
		if method == http.MethodGet {
			return unknown
		}
		return changed
	case http.StatusPreconditionFailed:
		return changed
	}
	return unknown
}
