package policyhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/sallyport-go/sallyport/policy"
)

// doubtClient is [policy.ClientDoubter] for a request. The first doubt of a guard is a
// warning in slog's default log: a list with a proxy's address admits all of its callers.
func (g *Guard) doubtClient(remote string, header http.Header) error {
	err := g.address.doubt(remote, header)
	if err != nil && g.doubted.CompareAndSwap(false, true) {
		slog.Warn("policyhttp: a call was denied by its address, which may be a proxy's; the log has no further warnings, see the decisions of the kind possible_proxy", "error", err)
	}
	return err
}

// doubt returns the signs that the client is a proxy: addresses left of the client, and
// known address headers that name another address and are not read.
func (a *ClientAddress) doubt(remote string, header http.Header) error {
	var seen []judgement
	r := a.reading(&seen)
	client, from, err := r.resolve(remote, header)
	if err != nil {
		return nil // a request without an address is denied before
	}
	declared := a.name
	if from == policy.OriginPeer {
		declared = ""
	}
	isKnown := func(addr netip.Addr) bool {
		return addr == client || from != policy.OriginPeer && r.trusted.covers(addr)
	}
	if other := namesOf(naming(unread(header, declared), header, isKnown)); other != "" {
		return fmt.Errorf("policyhttp: %w: %s came with %s, which Config.Address does not read from it: "+
			"if that is a proxy of yours, want it declared there, and not on an access list", policy.ErrPossibleProxy, client, other)
	}
	if len(seen) > 0 && seen[len(seen)-1].verdict == leftOfClient {
		return fmt.Errorf("policyhttp: %w: %s has addresses left of %s: "+
			"if that is a proxy of yours, want it among the trusted ones (or one more hop), and not on an access list", policy.ErrPossibleProxy, a.name, client)
	}
	return nil
}

// naming returns the headers that name somebody unknown.
func naming(headers []*addressHeader, header http.Header, isKnown func(netip.Addr) bool) (others []*addressHeader) {
	for _, h := range headers {
		values := header[h.canonical]
		if h.origin != notClient && (len(values) > 1 || !h.names(values[0], isKnown)) {
			others = append(others, h)
		}
	}
	return others
}
