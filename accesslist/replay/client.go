package replay

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A Client says which address of a line is the client's. At most one field may be set. The
// zero Client chooses by format, as [formats.md] lists it.
//
// The wrong choice is the gravest mistake of a replay: behind a proxy, the peer of every
// connection is the proxy. A [Report] says if the clients look like one.
//
// [formats.md]: https://github.com/sallyport-go/sallyport/blob/main/accesslist/replay/formats.md
type Client struct {
	// Peer is the peer of the connection.
	Peer bool

	// Forwarded is a place in X-Forwarded-For, counted from the right: 1 is the address
	// that the nearest proxy saw, 2 the one before it. Addresses to the left of it are the
	// caller's word. Lines without so many addresses have no client.
	Forwarded int

	// Field is a field by name: a path such as request.headers.Cf-Connecting-Ip in JSON, a
	// name of #Fields in W3C and CloudFront, or the number of a column, 1 or 2, in the
	// Common and the Combined Log Format. Other formats have no such names.
	Field string
}

// String returns the text form.
func (c Client) String() string {
	switch {
	case c.Peer:
		return "peer"
	case c.Forwarded != 0:
		return "forwarded:" + strconv.Itoa(c.Forwarded)
	case c.Field != "":
		return "field:" + c.Field
	}
	return "auto"
}

// MarshalText implements [encoding.TextMarshaler].
func (c Client) MarshalText() ([]byte, error) { return []byte(c.String()), c.check() }

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads auto, peer, forwarded (the
// same as forwarded:1), forwarded:N and field:NAME.
func (c *Client) UnmarshalText(text []byte) error {
	kind, value, hasValue := strings.Cut(string(text), ":")
	var read Client
	switch {
	case kind == "auto" && !hasValue:
	case kind == "peer" && !hasValue:
		read.Peer = true
	case kind == "forwarded" && !hasValue:
		read.Forwarded = 1
	case kind == "forwarded":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("replay: client %s: want forwarded:N with N from 1 on, counted from the right", quoted(text))
		}
		read.Forwarded = n
	case kind == "field" && value != "":
		read.Field = value
	default:
		return fmt.Errorf("replay: client %s: want auto, peer, forwarded:N or field:NAME", quoted(text))
	}
	*c = read
	return nil
}

func (c Client) check() error {
	set := 0
	for _, is := range []bool{c.Peer, c.Forwarded != 0, c.Field != ""} {
		if is {
			set++
		}
	}
	switch {
	case set > 1:
		return fmt.Errorf("replay: several clients in %+v: want at most one of Peer, Forwarded and Field", c)
	case c.Forwarded < 0:
		return fmt.Errorf("replay: client %v: want a place from 1 on, counted from the right", c)
	}
	return nil
}

// errNoClient is for a line without a client. The request did not come through the proxy, or
// the guard denied the call before it looked for the client.
var errNoClient = errors.New("no client")

// choose sets the client of a record from the addresses that its line has.
func (s *scanner) choose(r *Record) error {
	var ok bool
	switch {
	case s.client.Forwarded > 0:
		if len(r.forwarded) == 0 || string(r.forwarded) == "-" {
			return errNoClient
		}
		text, enough := nthFromRight(r.forwarded, s.client.Forwarded)
		if !enough {
			return errNoClient
		}
		r.from, ok = s.clients.parse(text)
		if !ok {
			return fmt.Errorf("the forwarded address %s: want IPv4 or IPv6", quoted(text))
		}
		r.Client, r.clientIsIn = r.from.Addr, true
		return nil
	case s.client.Field != "" && r.named == nil:
		return fmt.Errorf("no field %s: want a line with it, or another client", quoted([]byte(s.client.Field)))
	case s.client.Field != "":
		r.from, ok = s.clients.parse(unlisted(r.named))
		if !ok {
			return fmt.Errorf("the client %s is not an address: want IPv4 or IPv6 in the field %s", quoted(r.named), quoted([]byte(s.client.Field)))
		}
		r.Client = r.from.Addr
		return nil
	}
	text := r.peer
	if r.resolved != nil && !s.client.Peer {
		text = r.resolved
	} else if r.first.IsValid() {
		r.from, r.Client = r.first, r.first.Addr
		s.hop(r)
		return nil
	}
	switch {
	case text == nil && s.client.Peer:
		return errors.New("no peer in the line: want another client than peer")
	case text == nil: // the default format of Envoy
		if len(r.forwarded) == 0 || string(r.forwarded) == "-" {
			return errNoClient
		}
		text, _ = nthFromRight(r.forwarded, 1)
		r.clientIsIn = true
	}
	if r.withPort && r.resolved == nil && r.peer != nil {
		if r.from.Addr, ok = s.clients.parseWithPort(text); !ok {
			return fmt.Errorf("the client %s: want an address and a port", quoted(text))
		}
	} else if r.from, ok = s.clients.parse(text); !ok {
		return fmt.Errorf("the client %s is not an address: want IPv4 or IPv6", quoted(text))
	}
	r.Client = r.from.Addr
	s.hop(r)
	return nil
}

// hop notes whether the forwarded list of a line has its client, for the doubt that the
// client is a proxy.
func (s *scanner) hop(r *Record) {
	if len(r.forwarded) < 2 {
		return // none, or "-"
	}
	client := r.Client.Unmap()
	for n := 1; n <= maxHops; n++ {
		text, ok := nthFromRight(r.forwarded, n)
		if !ok {
			return
		}
		addr, ok := s.hops.parse(text)
		if ok && n == 1 {
			r.lastHop = addr.Addr
		}
		if ok && addr.Unmap() == client {
			r.clientIsIn = true
			return
		}
	}
}

// maxHops bounds the work on a list that a caller made long.
const maxHops = 16

// nthFromRight returns an element of a comma-separated list. The elements may have spaces
// around them, written as %20 by CloudFront and as + by IIS, and the quotes of a JSON array of
// strings.
func nthFromRight(list []byte, n int) (element []byte, ok bool) {
	for {
		comma := bytes.LastIndexByte(list, ',')
		if n--; n == 0 {
			element = bytes.Trim(list[comma+1:], ` "+`)
			element = bytes.TrimPrefix(element, []byte("%20"))
			return element, len(element) > 0
		}
		if comma < 0 {
			return nil, false
		}
		list = list[:comma]
	}
}

// A clientAddress is the address in a field.
type clientAddress struct {
	netip.Addr
	port bool // a port stood behind it

	// end is set for IPv6 without brackets whose last group may be a port: 2001:db8::1:443.
	end bool
}
