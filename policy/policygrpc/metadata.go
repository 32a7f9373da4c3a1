package policygrpc

import (
	"context"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// headerOf returns the metadata under the canonical names of policyhttp.Call. It returns all
// of them, since another spelling of the address's header is refused.
func headerOf(ctx context.Context) http.Header {
	md, _ := metadata.FromIncomingContext(ctx)
	header := make(http.Header, len(md))
	for name, values := range md {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header
}

// remoteOf returns the peer for policyhttp.Call.
func remoteOf(ctx context.Context) string {
	const none = "none" // refused as an address; "" would be a Unix socket
	p, ok := peer.FromContext(ctx)
	switch {
	case !ok || p.Addr == nil:
		return none
	case isUnix(p.Addr) || isUnix(p.LocalAddr):
		return "@" // the caller chooses the name of its end, and may choose "203.0.113.7:80"
	case p.Addr.String() == "":
		return none
	}
	return p.Addr.String()
}

// earlyData reports whether the call came before the TLS handshake was complete.
func earlyData(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return ok && !info.State.HandshakeComplete
}

func isUnix(addr net.Addr) bool { return addr != nil && strings.HasPrefix(addr.Network(), "unix") }
