package policyhttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

func TestForwardingHeadersByName(t *testing.T) {
	require.Equal(t, "X-Forwarded-For", policyhttp.XForwardedFor.String())
	require.Equal(t, "Forwarded", policyhttp.Forwarded.String())
	require.Equal(t, "forwarding header 0", policyhttp.ForwardingHeader(0).String())
	require.Equal(t, "forwarding header 9", policyhttp.ForwardingHeader(9).String())
}

func TestForwarded(t *testing.T) {
	a := policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...)
	for _, test := range []struct{ value, client string }{
		// The examples of RFC 7239, sections 4 and 7.1.
		{`For="[2001:db8:cafe::17]:4711"`, "2001:db8:cafe::17"},
		{`for=192.0.2.60;proto=http;by=203.0.113.43`, "192.0.2.60"},
		{`for=192.0.2.43, for=198.51.100.17`, "198.51.100.17"},
		{`for=192.0.2.43,for="[2001:db8:cafe::17]",for=198.51.100.17`, "198.51.100.17"},
		{`for=_hidden, for=_SEVKISEK, for=192.0.2.43`, "192.0.2.43"},

		{`for=203.0.113.7`, "203.0.113.7"},
		{` for=203.0.113.7 `, "203.0.113.7"},
		{"\tfor=203.0.113.7\t,\t for=10.0.0.2", "203.0.113.7"},
		{`FOR=203.0.113.7`, "203.0.113.7"},
		{`for="203.0.113.7"`, "203.0.113.7"},
		{`for="203.0.113.7:47011"`, "203.0.113.7"},
		{`for="[2001:DB8::7]"`, "2001:db8::7"},
		{`for="[::ffff:203.0.113.7]:80", for="[::ffff:10.0.0.2]"`, "203.0.113.7"},
		{`by=10.0.0.9;for=203.0.113.7;host=api.example;proto=https`, "203.0.113.7"},

		// A hidden port (RFC 7239 section 6.2) hides nothing of the address.
		{`for="192.0.2.43:_port"`, "192.0.2.43"},
		{`for="[2001:db8::7]:_a.b_c-9", for="10.0.0.2:_p"`, "2001:db8::7"},
		{`for=203.0.113.7:_port`, "203.0.113.7"},

		// Not in quotes, as RFC 7239 section 6 wants it, but not to be mistaken either.
		{`for=203.0.113.7:47011`, "203.0.113.7"},
		{`for=[2001:db8::7]:4711;proto=https`, "2001:db8::7"},

		// Escapes, and signs in quotes that mean nothing there.
		{`for="\2\0\3.0.113.7"`, "203.0.113.7"},
		{`for="203.0.113\.7", for="\[2001:db8:a::1\]:80"`, "203.0.113.7"},
		{`for=203.0.113.7;host="a,for=192.0.2.1"`, "203.0.113.7"},
		{`for=203.0.113.7;host="a;for=192.0.2.1;b"`, "203.0.113.7"},
		{`for=203.0.113.7;host="\",for=192.0.2.1"`, "203.0.113.7"},
		{`for=203.0.113.7;host="\\\",for=192.0.2.1"`, "203.0.113.7"},
		{`for=203.0.113.7;host="\\", for=10.0.0.2;host="\\\\\""`, "203.0.113.7"},
		{`x="";for=203.0.113.7;y="` + "\t\u00e4\xff" + `"`, "203.0.113.7"},
		{`!#$%&'*+-.^_` + "`" + `|~09azAZ=1;for=203.0.113.7`, "203.0.113.7"},

		// RFC 7239 section 4 allows a pair to be left out.
		{`;for=203.0.113.7`, "203.0.113.7"},
		{`for=203.0.113.7;`, "203.0.113.7"},
		{`for=203.0.113.7;;proto=https;`, "203.0.113.7"},

		// Other parameters may be there more than once: they are not read.
		{`for=203.0.113.7;proto=http;proto=https;fo=1;forr=2;x-for=3`, "203.0.113.7"},

		// The text to the left of the client is not read, unclosed quotes included.
		{`for=192.0.2.1, for=203.0.113.7, for=10.0.0.2`, "203.0.113.7"},
		{`for=unknown, for=203.0.113.7`, "203.0.113.7"},
		{`for=", for=203.0.113.7`, "203.0.113.7"},
		{`for="192.0.2.1\, for=203.0.113.7`, "203.0.113.7"},
		{`for=192.0.2.1;host=", for=203.0.113.7;by="10.0.0.9"`, "203.0.113.7"},
		{`for=192.0.2.1;host=", for="203.0.113.7"`, "203.0.113.7"},
		{`for=192.0.2.1;host="\", for="[2001:db8::7]";by="10.0.0.9", for="10.0.0.2"`, "2001:db8::7"},
		{`""""", for=203.0.113.7`, "203.0.113.7"},
		{`,for=203.0.113.7`, "203.0.113.7"},
		{`,,,for=203.0.113.7`, "203.0.113.7"},
		{strings.Repeat(`for="\"`, 100_000) + `, for="203.0.113.7"`, "203.0.113.7"},
	} {
		wantClient(t, a, trustedPeer, lines("Forwarded", test.value), test.client, policy.OriginForwarded)
	}
	b := policyhttp.FromHops(policyhttp.Forwarded, 2, proxies...)
	wantClient(t, b, trustedPeer, lines("Forwarded", `for=192.0.2.1, for="203.0.113.7";x="a,b", for=198.51.100.1;y="c,d"`), "203.0.113.7", policy.OriginForwarded)
	wantRefused(t, b, trustedPeer, lines("Forwarded", `for="203.0.113.7,198.51.100.1"`), "want an IP address")
}

func TestForwardedRefuses(t *testing.T) {
	a := policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...)
	const (
		address = "want an IP address without a zone"
		pairs   = `is not a list of parameters: want name=value, separated by ";" without white space (RFC 7239 section 4)`
		quotes  = "has a quoted value without an end or with a control character: want a quoted-string (RFC 9110 section 5.6.4)"
		twice   = `has the parameter "for" twice: want it once (RFC 7239 section 4)`
		absent  = `has no parameter "for": want a proxy that adds its peer's address`
	)
	for _, test := range []struct{ element, words string }{
		// Names and hidden names name nobody.
		{`for=unknown`, address}, {`for="unknown"`, address}, {`for=_hidden`, address}, {`for="_gazonk"`, address}, {`for="unknown:80"`, address}, {`for=client.example`, address},

		// IPv6 goes into brackets, IPv4 does not.
		{`for="2001:db8::7"`, address}, {`for=2001:db8::7`, address}, {`for="[203.0.113.7]"`, address}, {`for="[2001:db8::7"`, address}, {`for="2001:db8::7]:80"`, address},
		{`for="[2001:db8::7]80"`, address}, {`for="[2001:db8::7]:"`, address}, {`for="[2001:db8::7]:_"`, address}, {`for="[2001:db8::7]:_a:b"`, address}, {`for="203.0.113.7:port"`, address}, {`for="[fe80::1%eth0]"`, address},
		{`for="203.0.113.7:70000"`, address}, {`for=203.0.113.07`, address}, {`for="0.0.0.0"`, address}, {`for="[::]:80"`, address}, {`for=""`, address},
		{`for=" 203.0.113.7"`, address}, {`for="203.0.113.7,192.0.2.1"`, address}, {`for="\"203.0.113.7\""`, address}, {`for="203.0.113.7\\"`, address},

		// Not the grammar.
		{`203.0.113.7`, pairs}, {`for`, pairs}, {`for=`, pairs}, {`=203.0.113.7`, pairs}, {`for =203.0.113.7`, pairs}, {`for= 203.0.113.7`, pairs},
		{`for=203.0.113.7 ;proto=https`, pairs}, {`for=203.0.113.7; proto=https`, pairs}, {`for=203.0.113.7 proto=https`, pairs}, {`for="203.0.113.7"proto=https`, pairs},
		{`for=203.0.113.7;proto`, pairs}, {`proto=;for=203.0.113.7`, pairs}, {`for=203.0.113.7=1`, pairs}, {`for==203.0.113.7`, pairs}, {`f(r=203.0.113.7`, pairs},
		{`for=203.0.113.7;"x"=1`, pairs}, {`for=203.0.113.7;h\=1`, pairs}, {`for=203.0.113.7;h=\"`, pairs}, {"for=203.0.113.7\x00", pairs}, {`for='203.0.113.7'`, address},
		{`för=203.0.113.7;for=203.0.113.7`, pairs}, {`ġ=1;for=203.0.113.7`, pairs}, {"\xff=1;for=203.0.113.7", pairs}, {"x\x00=1;for=203.0.113.7", pairs},
		{`for=203.0.113.7;host=ä`, pairs}, {`for=203.0.113.7;h=a"b"`, pairs}, {"for=203.0.113.7;h=\xff", pairs},

		// Quoted strings.
		{`for="203.0.113.7`, quotes}, {`for=203.0.113.7;host="`, quotes}, {`for="203.0.113.7\"`, quotes}, {`for="203.0.113.7\`, quotes}, {`for=203.0.113.7;h="\\\"`, quotes},
		{"for=203.0.113.7;h=\"\x00\"", quotes}, {"for=203.0.113.7;h=\"\n\"", quotes}, {"for=203.0.113.7;h=\"\\\n\"", quotes}, {"for=203.0.113.7;h=\"\x7f\"", quotes},
		{`for=203.0.113.7"`, pairs}, {`"for=203.0.113.7"`, pairs},

		// The parameter.
		{`for=203.0.113.7;for=203.0.113.7`, twice}, {`for=203.0.113.7;proto=https;FOR=192.0.2.1`, twice}, {`for="";for=203.0.113.7`, twice},
		{``, absent}, {` `, absent}, {`;`, absent}, {`proto=https`, absent}, {`by=203.0.113.7;host=a`, absent}, {`host="for=203.0.113.7"`, absent},
	} {
		for _, value := range []string{test.element, test.element + ", for=10.0.0.2", test.element + " ,for=10.0.0.2"} {
			wantRefused(t, a, trustedPeer, lines("Forwarded", value), test.words)
		}
		// With a client before it. The element to blame for a quote too many is anyone's
		// guess.
		for _, value := range []string{test.element, test.element + ", for=10.0.0.2", test.element + `,for="10.0.0.2";by="10.0.0.1"`} {
			wantRefused(t, a, trustedPeer, lines("Forwarded", "for=203.0.113.7, "+value), "policyhttp: Forwarded, number ")
		}
	}
	wantRefused(t, a, trustedPeer, lines("Forwarded", "for=203.0.113.7, for=unknown, for=10.0.0.2"),
		`policyhttp: Forwarded, number 2 from the right, is "unknown": want an IP address without a zone, such as "192.0.2.1", "192.0.2.1:4711" or "[2001:db8::1]:4711"`)
	wantRefused(t, a, trustedPeer, lines("Forwarded", `for=10.0.0.3, for="10.0.0.2"`), "policyhttp: all addresses of Forwarded are trusted")
}

// Proxies prove themselves to each other by parameters of their own, and nginx's manual
// suggests one called secret. It is not for the log.
func TestRefusalsOfForwardedKeepItsOtherParameters(t *testing.T) {
	a := policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...)
	const secret = "egah2CGj55fSJFs"
	for _, format := range []string{
		"for=unknown;secret=%s", "secret=%s", "secret=%s;for=203.0.113.7;for=1", "for=203.0.113.7;secret=%s x", "for=203.0.113.7;secret=\"%s",
		"secret=%s, for=10.0.0.2", "for=10.0.0.2;secret=\"%s\"", "secret=%s for=203.0.113.7", "%s", "for=203.0.113.7;%s",
	} {
		_, _, err := a.Resolve(trustedPeer, lines("Forwarded", fmt.Sprintf(format, secret)))
		require.Error(t, err, format)
		require.NotContains(t, err.Error(), secret)
	}
}
