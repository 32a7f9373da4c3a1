package policyhttp

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var block = netip.MustParsePrefix("10.0.0.0/8")

// table is the Markdown of the known headers.
func table() string {
	var b strings.Builder
	b.WriteString("| header | sent by | value | port | note | want instead | source |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, h := range addressHeaders {
		want := h.want
		if want == "" {
			want = "-"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n", h.name, h.sender, h.origin, h.port, h.note, want, h.source)
	}
	return b.String()
}

func TestTheDocumentedHeadersAreTheKnownOnes(t *testing.T) {
	page, err := os.ReadFile("headers.md")
	require.NoError(t, err)
	require.True(t, strings.Contains(string(page), "\n"+table()), "headers.md does not have the table of the known headers: want\n%s", table())
	for _, origin := range []headerOrigin{overwritten, configured, appended, passedOn, notClient} {
		require.Contains(t, string(page), "- **"+origin.String()+"**:", "the page explains every word of the table")
	}
}

func TestKnownHeaders(t *testing.T) {
	names := map[string]bool{}
	for _, h := range addressHeaders {
		require.False(t, names[h.canonical], "%s is known twice", h.name)
		names[h.canonical] = true
		require.NotEmpty(t, h.sender)
		require.NotEmpty(t, h.origin.String())
		require.NotEmpty(t, h.note)
		require.NotEmpty(t, h.source)
		require.Equal(t, h.origin == passedOn || h.origin == notClient, h.want != "", "%s: what is refused has a repair, and nothing else has", h.name)

		// New refuses what is not the edge's, whatever the spelling.
		for _, name := range []string{h.name, h.canonical, strings.ToLower(h.name), strings.ToUpper(h.name)} {
			a := FromHeader(name, block)
			switch {
			case h.want != "":
				require.EqualError(t, a.Err(), fmt.Sprintf("policyhttp: %s is %s (%s); %s: want %s", h.name, h.origin, h.sender, h.note, h.want))
				require.Error(t, a.WithPort().Err())
				require.Error(t, a.WithoutPort().Err())
			case h.origin == appended:
				require.EqualError(t, a.Err(), fmt.Sprintf("policyhttp: %s is a list, and FromHeader reads a single address: want FromTrustedProxies or FromHops", h.name))
			case h.port == portAlways:
				require.ErrorContains(t, a.Err(), h.name+" has a port behind the address")
				require.NoError(t, a.WithPort().Err())
			default:
				require.NoError(t, a.Err())
				require.NoError(t, a.WithoutPort().Err())
				require.Equal(t, h.port == portNever, a.WithPort().Err() != nil)
			}
			// It is no header for credentials either.
			require.ErrorContains(t, checkScheme(KeyHeader(name)), "has the header "+h.canonical+": want one that has no other meaning")
		}
	}
}

// The names that the issue of every new edge begins with.
func TestHeadersThatAreTheCallers(t *testing.T) {
	for _, name := range []string{"X-Azure-ClientIP", "Fastly-Client-IP", "X-Client-IP", "Client-IP", "X-Original-Forwarded-For", "X-Forwarded", "Forwarded-For", "X-ProxyUser-Ip"} {
		require.ErrorContains(t, FromHeader(name, block).Err(), "the caller's word", name)
	}
	for _, name := range []string{"Cf-Pseudo-IPv4", "CF-Connecting-IPv6", "X-Forwarded-Host"} {
		require.ErrorContains(t, FromHeader(name, block).Err(), "not the client's address", name)
	}
	require.ErrorContains(t, FromHeader("X-Azure-ClientIP", block).Err(), "want X-Azure-SocketIP")
	for _, name := range []string{"X-Azure-SocketIP", "CF-Connecting-IP", "Fly-Client-IP", "True-Client-IP", "X-Real-IP", "X-Envoy-External-Address", "X-Appengine-User-IP", "X-My-Edge"} {
		require.NoError(t, FromHeader(name, block).Err(), name)
	}
	require.Nil(t, addressHeaderOf(http.CanonicalHeaderKey("X-My-Edge")))
}
