package policyhttp

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// An addressHeader is the known facts about a header for a client's address. headers.md is
// the same table for people.
type addressHeader struct {
	name   string // as its sender writes it
	sender string
	origin headerOrigin
	port   portUse
	note   string
	want   string // of a refused one: the header to declare instead
	source string // the sender's document

	canonical string // the name as of http.CanonicalHeaderKey
}

// A headerOrigin is who chose the value of a header.
type headerOrigin uint8

const (
	overwritten headerOrigin = iota + 1 // the edge, in every request
	configured                          // the edge, if its operator configured it so
	appended                            // a list: each proxy appends to the caller's text
	passedOn                            // the caller
	notClient                           // not the client's address at all
)

// String returns the text in the table and in the doctor's answer.
func (o headerOrigin) String() string {
	return [...]string{"", "overwritten by the edge", "overwritten if configured", "a list, appended to", "the caller's word", "not the client's address"}[o]
}

// A portUse is whether a port follows the address in a header.
type portUse uint8

const (
	portUnknown portUse = iota // possible
	portNever
	portAlways
)

// String returns the text in the table.
func (u portUse) String() string { return [...]string{"possible", "never", "always"}[u] }

const (
	cloudflareHeaders = "Cloudflare HTTP headers"
	pseudoIPv4        = "Cloudflare, Pseudo IPv4"
	frontDoor         = "Protocol support for HTTP headers in Azure Front Door"
	noDocument        = "none found"
	seeByDoctor       = "send one yourself, and see by the doctor whether it arrives"
)

// addressHeaders are the known headers. New, the doctor and the warning about unread
// headers use the table, and a test holds headers.md to it.
var addressHeaders = canonical([]addressHeader{
	{name: "X-Forwarded-For", sender: "most proxies", origin: appended, note: "a port behind the address from Azure Application Gateway, and from an AWS ALB with client port preservation", source: "AWS, HTTP headers and Application Load Balancers; Azure, How an application gateway works"},
	{name: "Forwarded", sender: "proxies with RFC 7239", origin: appended, note: "IPv6 in brackets and quotes", source: "RFC 7239"},
	{name: "X-Real-IP", sender: "nginx, Traefik and others", origin: configured, note: "nginx sends $remote_addr only where proxy_set_header says so", source: "nginx, ngx_http_proxy_module"},
	{name: "CF-Connecting-IP", sender: "Cloudflare", origin: overwritten, port: portNever, note: "in 240.0.0.0/4, and refused, with Pseudo IPv4 set to Overwrite Headers; 2a06:98c0:3600::103 for every Worker of another zone", source: cloudflareHeaders},
	{name: "CF-Connecting-IPv6", sender: "Cloudflare", origin: notClient, port: portNever, note: "sent for IPv6 callers only, and with Pseudo IPv4 set to Overwrite Headers only", want: "CF-Connecting-IP, and Pseudo IPv4 off or set to Add Header", source: pseudoIPv4},
	{name: "Cf-Pseudo-IPv4", sender: "Cloudflare", origin: notClient, port: portNever, note: "a hash of the IPv6 address, in 240.0.0.0/4", want: "CF-Connecting-IP", source: pseudoIPv4},
	{name: "True-Client-IP", sender: "Akamai, Cloudflare", origin: configured, port: portNever, note: "Cloudflare passes the caller's on unless the Managed Transform that adds it is on", source: cloudflareHeaders},
	{name: "X-Azure-ClientIP", sender: "Azure Front Door", origin: passedOn, note: "filled from the X-Forwarded-For that the caller sent", want: "X-Azure-SocketIP", source: frontDoor},
	{name: "X-Azure-SocketIP", sender: "Azure Front Door", origin: overwritten, port: portNever, note: "the address of the TCP connection", source: frontDoor},
	{name: "Fastly-Client-IP", sender: "Fastly", origin: passedOn, note: "the caller's is kept if it sent one", want: "a header of your own that VCL sets to client.ip where fastly.ff.visits_this_service is 0", source: "Fastly, Fastly-Client-IP"},
	{name: "Fly-Client-IP", sender: "Fly.io", origin: overwritten, port: portNever, note: "another proxy in front of Fly.io is taken for the client", source: "Fly.io, Request headers"},
	{name: "CloudFront-Viewer-Address", sender: "Amazon CloudFront", origin: overwritten, port: portAlways, note: "IPv6 without brackets; sent if the origin request policy has it", source: "Amazon CloudFront, Add CloudFront request headers"},
	{name: "X-Envoy-External-Address", sender: "Envoy", origin: configured, port: portNever, note: "neither set nor overwritten for callers from Envoy's internal addresses", source: "Envoy, HTTP header manipulation"},
	{name: "X-Appengine-User-IP", sender: "Google App Engine", origin: overwritten, port: portNever, note: "removed from callers' requests", source: "App Engine, Request headers and responses"},
	{name: "X-Vercel-Forwarded-For", sender: "Vercel", origin: overwritten, note: "another proxy in front of Vercel is taken for the client", source: "Vercel, Request headers"},
	{name: "X-Nf-Client-Connection-IP", sender: "Netlify", origin: configured, note: seeByDoctor, source: noDocument},
	{name: "DO-Connecting-IP", sender: "DigitalOcean App Platform", origin: configured, note: seeByDoctor, source: noDocument},
	{name: "X-Cluster-Client-IP", sender: "Rackspace, Riverbed and Zeus balancers", origin: configured, note: seeByDoctor, source: noDocument},
	{name: "X-Original-Forwarded-For", sender: "ingress-nginx", origin: passedOn, note: "the X-Forwarded-For that the caller sent", want: "X-Forwarded-For by FromTrustedProxies or FromHops", source: "ingress-nginx, nginx.tmpl"},
	{name: "X-Client-IP", sender: "no edge by its documentation", origin: passedOn, note: "proxies pass unknown headers on", want: "the header that your edge documents to overwrite", source: noDocument},
	{name: "Client-IP", sender: "no edge by its documentation", origin: passedOn, note: "proxies pass unknown headers on", want: "the header that your edge documents to overwrite", source: noDocument},
	{name: "X-Forwarded", sender: "no edge by its documentation", origin: passedOn, note: "proxies pass unknown headers on", want: "Forwarded or X-Forwarded-For by FromTrustedProxies or FromHops", source: noDocument},
	{name: "Forwarded-For", sender: "no edge by its documentation", origin: passedOn, note: "proxies pass unknown headers on", want: "Forwarded or X-Forwarded-For by FromTrustedProxies or FromHops", source: noDocument},
	{name: "X-ProxyUser-Ip", sender: "Google's own services", origin: passedOn, note: "a caller that is a proxy names its user", want: "the header that your edge documents to overwrite", source: noDocument},
	{name: "X-Forwarded-Host", sender: "most proxies", origin: notClient, note: "the host that the caller named", want: "X-Forwarded-For by FromTrustedProxies or FromHops", source: "MDN, X-Forwarded-Host"},
})

func canonical(headers []addressHeader) []addressHeader {
	for i := range headers {
		headers[i].canonical = http.CanonicalHeaderKey(headers[i].name)
	}
	return headers
}

// addressHeaderOf returns the known facts about a header, nil if there are none.
func addressHeaderOf(canonical string) *addressHeader {
	for i := range addressHeaders {
		if addressHeaders[i].canonical == canonical {
			return &addressHeaders[i]
		}
	}
	return nil
}

// refusal returns why FromHeader cannot read the header, or nil.
func (h *addressHeader) refusal() error {
	switch {
	case h == nil:
		return nil
	case h.origin == appended:
		return fmt.Errorf("policyhttp: %s is a list, and FromHeader reads a single address: want FromTrustedProxies or FromHops", h.name)
	case h.want != "":
		return fmt.Errorf("policyhttp: %s is %s (%s); %s: want %s", h.name, h.origin, h.sender, h.note, h.want)
	}
	return nil
}

// String describes the header, for an operator.
func (h *addressHeader) String() string {
	text := fmt.Sprintf("%s: %s (%s); %s", h.name, h.origin, h.sender, h.note)
	if h.want != "" {
		text += ": want " + h.want
	}
	return text
}

// names reports whether the value names the client or a declared proxy: then the header is
// no sign of another client.
func (h *addressHeader) names(value string, isKnown func(netip.Addr) bool) bool {
	if h.port != portUnknown {
		addr, err := parseSingle(value, h.port)
		return err == nil && isKnown(addr)
	}
	header := XForwardedFor // the other forms are those of its elements
	if h.name == Forwarded.String() {
		header = Forwarded
	}
	// The first of a list has nobody before it, whatever proxies are behind it.
	first, _, _ := strings.Cut(value, ",")
	last, _, _ := header.cutLast(value)
	for _, element := range []string{first, last} {
		if _, addr, err := header.address(element, portUnknown); err == nil && isKnown(addr) {
			return true
		}
	}
	return false
}

// unread returns the known address headers in the request, except the declared one.
func unread(header http.Header, declared string) (found []*addressHeader) {
	for i := range addressHeaders {
		h := &addressHeaders[i]
		if h.canonical != declared && h.name != "X-Forwarded-Host" && len(header[h.canonical]) > 0 {
			found = append(found, h)
		}
	}
	return found
}

// namesOf joins the names of headers.
func namesOf(headers []*addressHeader) string {
	var names []string
	for _, h := range headers {
		names = append(names, h.name)
	}
	return strings.Join(names, ", ")
}
