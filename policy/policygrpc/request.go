package policygrpc

import (
	"context"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// request returns what policyhttp reads of an HTTP request, made of a call: the header, the
// peer and the context. There is no method and no target.
func request(ctx context.Context) *http.Request {
	r := &http.Request{Header: headerOf(ctx), RemoteAddr: remoteOf(ctx)}
	if values := r.Header["Authorization"]; len(values) == 1 {
		if scheme, _, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Digest") {
			r.Header["Authorization"] = []string{notRead}
		}
	}
	return r.WithContext(ctx)
}

// notRead stands for credentials of a scheme that gRPC has no use for. It is the name of a
// scheme that nobody accepts, so that the call is answered like any other without
// credentials of an accepted one.
const notRead = "Digest-Over-gRPC"

// headerOf returns the metadata with the names that a header has in net/http. All of them,
// since another spelling of the header with the address is refused.
func headerOf(ctx context.Context) http.Header {
	md, _ := metadata.FromIncomingContext(ctx)
	header := make(http.Header, len(md))
	for name, values := range md {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header
}

// remoteOf returns the peer as net/http has it in Request.RemoteAddr.
func remoteOf(ctx context.Context) string {
	const none = "none" // which is refused. "" would be a Unix socket.
	p, ok := peer.FromContext(ctx)
	switch {
	case !ok || p.Addr == nil:
		return none
	case isUnix(p.Addr) || isUnix(p.LocalAddr):
		return "@" // the name is the caller's, who may have called its end "203.0.113.7:80"
	case p.Addr.String() == "":
		return none
	}
	return p.Addr.String()
}

func isUnix(addr net.Addr) bool { return addr != nil && strings.HasPrefix(addr.Network(), "unix") }
