package clients

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
	"github.com/sallyport-go/sallyport/store/memory"
)

// An account is what a client is given to sign in with.
type account struct{ user, secret string }

// options are how a service differs from others.
type options struct {
	config      policyhttp.Config
	schemes     []string // in the order of the challenges; none: what a Guard accepts by itself
	algorithms  []apikey.DigestAlgorithm
	listed      string       // the address that the member's key may call from; "": 127.0.0.1
	listener    net.Listener // nil: some port of 127.0.0.1
	staleAnswer bool         // the nonces of the first challenge expire before they are answered
}

// A service is a guard on a socket in front of a handler that repeats what it was sent.
type service struct {
	url       string
	member    account // of a key that may call from the listed address
	mistaken  account // the member's key, with a secret of its form that is not its
	stranger  account // of a key that the service does not know
	elsewhere account // of a key that may call from nowhere near

	later atomic.Int64 // nanoseconds that the clock of the nonces is ahead

	mu   sync.Mutex
	seen []*sighting
}

// A sighting is one request as the guard saw it.
type sighting struct {
	scheme       string // of the credentials; "": none
	nonce, count string // of Digest
	client       netip.Addr
	from         policy.ClientOrigin
	reason       policy.Reason
	kind         policy.Kind
	err          error // why it was denied, for the operator
	status       int
	stale        bool // the challenges said so
}

type sightingKey struct{}

// nowhere is an address that nobody here calls from.
const nowhere = "203.0.113.7"

// newService starts a service that ends with the test.
func newService(t testing.TB, o options) *service {
	t.Helper()
	s := new(service)
	if o.listed == "" {
		o.listed = "127.0.0.1"
	}
	o.config.Engine = policy.New(s.keys(t, o), policy.WithObserver(observe))
	for _, name := range o.schemes {
		o.config.Schemes = append(o.config.Schemes, map[string]func() policyhttp.Scheme{
			"Bearer": policyhttp.Bearer,
			"Basic":  policyhttp.Basic,
			"Digest": func() policyhttp.Scheme {
				scheme, err := digest.New(digest.Config{Algorithms: o.algorithms, Clock: s.now})
				require.NoError(t, err)
				return scheme
			},
		}[name]())
	}
	deny := o.config.Deny
	if deny == nil {
		deny = policyhttp.WriteProblem
	}
	o.config.Deny = func(w http.ResponseWriter, r *http.Request, d policy.Decision) {
		if saw, ok := r.Context().Value(sightingKey{}).(*sighting); ok {
			saw.err = d.Cause
		}
		deny(w, r, d)
	}
	guard, err := policyhttp.New(o.config)
	require.NoError(t, err)
	acme := func(*http.Request) (policy.Resource, error) { return policy.Resource{Organization: "acme"}, nil }
	protected := guard.Protect(policy.Endpoint{Name: "things"}, acme, http.HandlerFunc(s.repeat))

	server := httptest.NewUnstartedServer(s.watch(protected, o.staleAnswer))
	if o.listener != nil {
		_ = server.Listener.Close()
		server.Listener = o.listener
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// keys makes the accounts, and returns the store of their keys.
func (s *service) keys(t testing.TB, o options) *memory.Store {
	t.Helper()
	var issuing apikey.IssuerConfig
	if len(o.algorithms) > 0 {
		issuing = apikey.IssuerConfig{DigestAlgorithms: o.algorithms, DigestRealm: cmp.Or(o.config.Realm, policyhttp.DefaultRealm)}
	}
	issuer, err := apikey.NewIssuer(issuing)
	require.NoError(t, err)
	keys := memory.New()
	_, err = keys.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	put := func(from string) (account, apikey.Key) {
		key, secret, err := issuer.New("acme")
		require.NoError(t, err)
		key.AccessList, err = accesslist.Parse(from)
		require.NoError(t, err)
		_, err = keys.PutKey(t.Context(), key)
		require.NoError(t, err)
		return account{string(key.ID), secret.Reveal()}, key
	}
	var key apikey.Key
	s.elsewhere, _ = put(nowhere)
	s.member, key = put(o.listed)
	_, never, err := apikey.Rotate(key, 0) // not stored
	require.NoError(t, err)
	s.mistaken = account{s.member.user, never.Reveal()}
	unknown, secret, err := apikey.New("acme")
	require.NoError(t, err)
	s.stranger = account{string(unknown.ID), secret.Reveal()}
	return keys
}

// now is the clock of the nonces.
func (s *service) now() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }

// expireNonces makes all nonces too old that there are by now.
func (s *service) expireNonces() { s.later.Add(int64(digest.DefaultNonceLifetime)) }

// repeat answers with the method, the target and the body of a request. After one to
// /last the nonces have expired.
func (s *service) repeat(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/last" {
		s.expireNonces()
	}
	_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
}

// observe tells the watching handler what the guard made of a request.
func observe(ctx context.Context, d policy.Decision) {
	if saw, ok := ctx.Value(sightingKey{}).(*sighting); ok {
		saw.client, saw.from, saw.reason, saw.kind = d.Client(), d.ClientFrom(), d.Reason, d.Kind()
	}
}

// tooMany is far more requests than any client sends in a test, unless it tries forever.
const tooMany = 100

// watch keeps a sighting of every request.
func (s *service) watch(guarded http.Handler, staleAnswer bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saw := new(sighting)
		if authorization := r.Header.Get("Authorization"); authorization != "" {
			saw.scheme, _, _ = strings.Cut(authorization, " ")
			saw.nonce, saw.count = parameter(authorization, nonceOf), parameter(authorization, countOf)
		}
		s.mu.Lock()
		first := len(s.seen) == 0
		count := len(s.seen)
		s.mu.Unlock()
		if count >= tooMany {
			http.Error(w, "too many requests", http.StatusTeapot)
			return
		}
		told := &telling{ResponseWriter: w}
		guarded.ServeHTTP(told, r.WithContext(context.WithValue(r.Context(), sightingKey{}, saw)))
		saw.status = told.status
		saw.stale = strings.Contains(strings.Join(w.Header()["Www-Authenticate"], ","), "stale=true")
		if first && staleAnswer {
			s.expireNonces()
		}
		s.mu.Lock()
		s.seen = append(s.seen, saw)
		s.mu.Unlock()
	})
}

var (
	nonceOf = regexp.MustCompile(`[ ,]nonce="([^"]*)"`)
	countOf = regexp.MustCompile(`[ ,]nc="?([0-9a-fA-F]*)`)
)

func parameter(header string, of *regexp.Regexp) string {
	if found := of.FindStringSubmatch(header); found != nil {
		return found[1]
	}
	return ""
}

// telling tells the status of an answer.
type telling struct {
	http.ResponseWriter
	status int
}

func (w *telling) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *telling) Write(body []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(body)
}

func (w *telling) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sightings returns what was seen since the last call.
func (s *service) sightings() []*sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := slices.Clone(s.seen)
	s.seen = nil
	return seen
}
