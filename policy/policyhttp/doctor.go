package policyhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// Doctor returns a handler for operators. It shows a request as the guard sees it:
//
//   - the peer and the declared topology,
//   - the verdict on each address in the header, and the client,
//   - the scheme of the credentials,
//   - the route's decision, explained, if route is not nil.
//
// Mount it where the route finds its resource, such as under a pattern with the same path
// values, and ask it through the same proxies as the callers: on a listener of its own it
// describes the operator's connection. The decision is a real one: observers see it.
//
// If isOperator is nil, panics or returns false, the answer is 404: the page would show
// strangers the trusted addresses and the existing keys. Have isOperator ask for a session
// or a token, or mount the handler where only operators come. Do not go by the address:
// finding it is the doctor's task.
//
// The answer is text, is not cached, and contains neither credentials nor cookies. It is
// for reading: its wording may change.
func (g *Guard) Doctor(isOperator func(*http.Request) bool, route *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g == nil || !permitted(isOperator, r) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store") // the 404 is like any other
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte(g.examine(r, route))) // the client may have gone
	})
}

// permitted asks isOperator. A panic there is a no.
func permitted(isOperator func(*http.Request) bool, r *http.Request) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(r.Context(), "policyhttp: isOperator of the doctor panicked, and nothing was shown", "panic", p)
			ok = false
		}
	}()
	return isOperator != nil && isOperator(r)
}

func (g *Guard) examine(r *http.Request, route *Route) string {
	var b strings.Builder
	line := func(name, format string, a ...any) {
		fmt.Fprintf(&b, "%-12s "+format+"\n", append([]any{name}, a...)...)
	}
	remote := remoteOf(r)
	var seen []judgement
	address := g.address.reading(&seen)
	client, from, err := address.resolve(remote, r.Header)

	line("topology", "%v", address.ClientAddress)
	line("peer", "%s", address.describePeer(remote))
	read := ""
	if len(seen) > 0 {
		read = address.name
		fmt.Fprintf(&b, "%s:\n", read)
	}
	for _, j := range seen {
		line("", "%s: %s", plain.Quote(j.text), j.verdict)
	}
	label := "not read"
	for _, h := range unread(r.Header, read) {
		line(label, "%v", h)
		label = ""
	}
	if err != nil {
		line("client", "none: %v", err)
	} else {
		line("client", "%s, from %s", client, from)
	}
	line("credentials", "%s", g.describeCredentials(r.Header))
	if route != nil {
		d := route.Check(r)
		if d.Cause != nil {
			line("error", "%v", d.Cause)
		}
		if !d.Allowed() {
			answer := d.Answer()
			line("answer", "%d %s", answer.Status, answer.Code)
		}
		b.WriteString("\n" + d.Explain())
	}
	return b.String()
}

func (r *reading) describePeer(remote string) string {
	peer, unix, err := parsePeer(remote)
	switch {
	case err != nil:
		return plain.Quote(remote) + ", which is not an address and a port"
	case unix && r.unixSocket:
		return "a connection on a Unix socket, which is trusted"
	case unix:
		return "a connection on a Unix socket, which is not declared"
	case r.topology == fromPeer:
		return peer.String()
	case r.trusted.covers(peer):
		return peer.String() + ", which is trusted"
	}
	return peer.String() + ", which is not trusted and so is itself the client; if it is a proxy of yours, declare its address"
}

// describeCredentials names a known scheme only: the first word of a header without a
// scheme is the secret.
func (g *Guard) describeCredentials(header http.Header) string {
	scheme, _, err := g.presented(header)
	switch {
	case err != nil:
		return err.Error()
	case scheme.Name() != "":
		return scheme.Header() + " with the scheme " + scheme.Name()
	}
	return scheme.Header()
}
