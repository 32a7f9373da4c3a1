package policyhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// Doctor returns a handler that shows an operator what the guard sees of the request
// that asks: the peer, the declared topology, what became of each address in the header,
// the client, which scheme of credentials there is and, if route is not nil, that route's
// decision, explained. Mount it where the route finds its resource, such as under a
// pattern with the same path values. The decision is a real one: observers see it.
//
// It is served to those for whom isOperator is true, and is not found for anybody else:
// a stranger would learn from it which addresses are trusted and which keys exist. A nil
// isOperator is true for nobody. Have it ask for a session or a token, or mount the
// handler where only operators come; the address is what is still to be found out.
//
// The answer is text, is not to be cached, and has neither credentials nor cookies in it.
// It is for reading: its wording may change.
func (g *Guard) Doctor(isOperator func(*http.Request) bool, route *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if g == nil || !permitted(isOperator, r) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte(g.examine(r, route))) // the client may have gone
	})
}

// permitted asks isOperator. If that panics, the answer is no.
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
	address, remote := &g.address, remoteOf(r)
	var seen []judgement
	client, from, err := address.resolve(remote, r.Header, &seen)

	line("topology", "%v", address)
	line("peer", "%s", address.describePeer(remote))
	read := ""
	if len(seen) > 0 {
		read = address.name
		fmt.Fprintf(&b, "%s:\n", read)
	}
	for _, j := range seen {
		line("", "%s: %s", cut(j.text), j.verdict)
	}
	if names := headersNotRead(r.Header, read); names != "" {
		line("not read", "%s", names)
	}
	if err != nil {
		line("client", "none: %v", err)
	} else {
		line("client", "%s, from %s", client, from)
	}
	line("credentials", "%s", describeCredentials(r.Header["Authorization"]))
	if route != nil {
		d := route.Check(r)
		if d.Err != nil {
			line("error", "%v", d.Err)
		}
		if !d.Allowed() {
			answer := Answer(d)
			line("answer", "%d %s", answer.Status, answer.Code)
		}
		b.WriteString("\n" + d.Explain())
	}
	return b.String()
}

func (a *ClientAddress) describePeer(remote string) string {
	peer, unix, err := parsePeer(remote)
	switch {
	case err != nil:
		return cut(remote) + ", which is not an address and a port"
	case unix && a.unixSocket:
		return "a connection on a Unix socket, which is trusted"
	case unix:
		return "a connection on a Unix socket, which is not declared"
	case a.topology == fromPeer:
		return peer.String()
	case a.covers(peer):
		return peer.String() + ", which is trusted"
	}
	return peer.String() + ", which is not trusted and so is itself the client; if it is a proxy of yours, declare its address"
}

// addressHeaders are the headers that are mostly used for a client's address.
var addressHeaders = []string{
	"Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip",
	"Cf-Connecting-Ip", "Fastly-Client-Ip", "Fly-Client-Ip", "X-Azure-Clientip", "X-Original-Forwarded-For",
}

// headersNotRead names the headers of the request that may have an address in them and
// that were not read, except one.
func headersNotRead(header http.Header, except string) string {
	var names []string
	for _, name := range addressHeaders {
		if len(header[name]) > 0 && name != except {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// describeCredentials names the scheme only where it is a known one: of a header without
// a scheme, the first word is the secret.
func describeCredentials(authorization []string) string {
	switch len(authorization) {
	case 0:
		return "no Authorization header"
	case 1:
	default:
		return fmt.Sprintf("%d Authorization headers", len(authorization))
	}
	scheme, _, _ := strings.Cut(authorization[0], " ")
	for _, known := range []string{"Bearer", "Basic", "Digest"} {
		if strings.EqualFold(scheme, known) {
			return "Authorization with the scheme " + known
		}
	}
	return "Authorization with a scheme that is none of Bearer, Basic and Digest"
}
