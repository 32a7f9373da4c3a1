package clients_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Who calls from where. The proxies connect to the service from addresses that are
// theirs alone and that it trusts; everything else on the machine it does not.
const (
	listed      = "127.0.0.7"  // whom the key was made for
	attacker    = "127.0.0.66" // has stolen the key
	attacker6   = "::1"        // the same one, where he calls by IPv6
	fromNginx   = "127.0.0.2"
	fromHAProxy = "127.0.0.3"
)

// A topology is a way from a caller to the service.
type topology struct {
	name    string
	address policyhttp.ClientAddress
	origin  policy.ClientOrigin
	setting string // what makes the proxy tell the address
	socket  string // of the service; "": it listens on TCP
	mapped  bool   // the proxy sees IPv4 callers as IPv6 ones, since it listens for both

	more []forgery // besides forgeries

	// others is what comes of the attacker's forgeries where he is not seen for who he is,
	// by their names.
	others map[string]string

	// listener is put before that of the service.
	listener func(net.Listener) net.Listener

	service *service
	front   string // the proxy's address
	front6  string // the same of IPv6; "": none
}

// What may come of a request of the attacker's.
const (
	refused400 = "refused"     // the guard answered 400: nobody was seen
	fault503   = "a fault"     // the guard answered 503: the proxy is set up wrongly
	early425   = "early data"  // the guard answered 425: nobody was seen
	notReached = "not reached" // the proxy, or net/http, answered 400

	// withoutKey follows the address where the guard answered 401: the proxy took the key off.
	withoutKey = ", without a key"
)

// A forgery is what the attacker sends to be taken for the listed caller.
type forgery struct {
	name  string
	lines []string // of the header
	first string   // before the request
	start string   // the request line; "": GET /things HTTP/1.1
	body  string
}

var forgeries = []forgery{
	{name: "nothing"},
	{name: "X-Forwarded-For", lines: []string{"X-Forwarded-For: " + listed}},
	{name: "x-forwarded-for twice", lines: []string{"x-forwarded-for: " + listed, "X-Forwarded-For: " + listed}},
	{name: "X-Forwarded-For with the proxies", lines: []string{"X-Forwarded-For: " + listed + ", " + fromNginx + ", " + fromHAProxy}},
	{name: "X-Forwarded-For, empty", lines: []string{"X-Forwarded-For:"}},
	{name: "X-Forwarded-For, only commas", lines: []string{"X-Forwarded-For: ,,,"}},
	{name: "X-Forwarded-For, garbage", lines: []string{"X-Forwarded-For: unknown, \", " + listed + ","}},
	{name: "X-Forwarded-For, long", lines: []string{"X-Forwarded-For: " + strings.Repeat(listed+", ", 300) + listed}},
	{name: "X_Forwarded_For", lines: []string{"X_Forwarded_For: " + listed}},
	{name: "Connection: X-Forwarded-For", lines: []string{"Connection: close, X-Forwarded-For, X-Real-IP, Forwarded"}},
	{name: "the same, and X-Forwarded-For", lines: []string{"Connection: close, X-Forwarded-For, X-Real-IP, Forwarded", "X-Forwarded-For: " + listed}},
	{name: "X-Real-IP", lines: []string{"X-Real-IP: " + listed}},
	{name: "X-Real-IP twice", lines: []string{"X-Real-IP: " + listed, "X-Real-Ip: " + listed}},
	{name: "X_Real_IP", lines: []string{"X_Real_IP: " + listed}},
	{name: "Forwarded", lines: []string{"Forwarded: for=" + listed}},
	{name: "Forwarded with an open quote", lines: []string{`Forwarded: for=` + listed + `;by="`}},
	{name: "all of them", lines: []string{
		"Forwarded: for=" + listed, "X-Forwarded-For: " + listed, "X-Real-IP: " + listed, "True-Client-IP: " + listed, "CF-Connecting-IP: " + listed, "X-Client-IP: " + listed,
	}},
	{name: "a blank before the colon", lines: []string{"X-Forwarded-For : " + listed}},
	{name: "a folded line", lines: []string{"X-Anything: 1", " X-Forwarded-For: " + listed}},
	{name: "two Authorization headers", lines: []string{"Authorization: Basic QTpC"}},
	{name: "a PROXY line", first: "PROXY TCP4 " + listed + " 127.0.0.1 4711 80\r\n"},
}

// withForwardedFor are the forgeries that have the header X-Forwarded-For.
var withForwardedFor = func() (names []string) {
	for _, f := range forgeries {
		if strings.Contains(strings.ToLower(strings.Join(f.lines, "\n")), "x-forwarded-for:") && f.name != "a folded line" {
			names = append(names, f.name)
		}
	}
	return names
}()

// serve starts the service of each topology. Its key may call from the listed address.
func serve(t *testing.T, topologies []*topology) {
	t.Helper()
	for _, top := range topologies {
		o := options{config: policyhttp.Config{Address: top.address}, listed: listed}
		if top.socket != "" {
			var err error
			o.listener, err = net.Listen("unix", top.socket)
			require.NoError(t, err)
		}
		if top.listener != nil {
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			o.listener = top.listener(plain)
		}
		top.service = newService(t, o)
	}
}

// ask sends a request with the key from an address, as bytes, since clients would put
// right what is wrong with it. It returns the status of the answer, 0 if there is none.
func ask(t *testing.T, from, to, secret string, f forgery) int {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	connection, err := dialer.Dial("tcp", to)
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	lines := f.lines
	if !strings.Contains(strings.Join(lines, "\n"), "Connection:") {
		lines = append([]string{"Connection: close"}, lines...)
	}
	start := cmp.Or(f.start, "GET /things HTTP/1.1")
	lines = append([]string{start, "Host: api.example", "Authorization: Bearer " + secret}, lines...)
	if _, err = io.WriteString(connection, f.first+strings.Join(lines, "\r\n")+"\r\n\r\n"+f.body); err != nil {
		return 0 // the other end has closed it already
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// saw says what the guard saw of the one request since the last call, if it came so far.
func saw(t *testing.T, s *service, status int) string {
	t.Helper()
	seen := s.sightings()
	if len(seen) == 0 {
		require.Contains(t, []int{0, http.StatusBadRequest}, status)
		return notReached
	}
	require.Len(t, seen, 1)
	require.Equal(t, status, seen[0].status)
	if seen[0].kind == policy.UnknownClient {
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, policy.Unavailable, seen[0].reason)
		require.False(t, seen[0].client.IsValid())
		require.ErrorContains(t, seen[0].err, "(peer ")
		return fault503
	}
	if seen[0].kind == policy.TooEarly {
		require.Equal(t, http.StatusTooEarly, status)
		return early425
	}
	if seen[0].kind == policy.NoCredentials {
		require.Equal(t, http.StatusUnauthorized, status)
		return seen[0].client.String() + withoutKey
	}
	if !seen[0].client.IsValid() || status == http.StatusBadRequest {
		require.Equal(t, http.StatusBadRequest, status)
		require.Equal(t, policy.InvalidRequest, seen[0].reason)
		require.Error(t, seen[0].err)
		return refused400
	}
	require.NotEqual(t, http.StatusOK, status, "he was let in: %+v", *seen[0])
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, policy.AddressNotListed, seen[0].reason)
	return seen[0].client.String()
}

// back is the address of the service.
func (top *topology) back() string { return strings.TrimPrefix(top.service.url, "http://") }

// wantTruth has both callers call through the proxies and around them.
func wantTruth(t *testing.T, top *topology) {
	s := top.service
	through, around := map[string][]string{}, map[string][]string{}
	for _, f := range slices.Concat(forgeries, top.more) {
		t.Run(f.name, func(t *testing.T) {
			got := saw(t, s, ask(t, attacker, top.front, s.member.secret, f))
			through[got] = append(through[got], f.name)
			want, known := top.others[f.name]
			if !known {
				want = attacker
			}
			require.Equal(t, want, got)

			if top.front6 != "" {
				got = saw(t, s, ask(t, attacker6, top.front6, s.member.secret, f))
				require.Equal(t, strings.Replace(want, attacker, attacker6, 1), got)
			}
			if top.socket != "" {
				return // only the proxy may connect to it
			}
			got = saw(t, s, ask(t, attacker, top.back(), s.member.secret, f))
			around[got] = append(around[got], f.name)
			switch {
			case top.listener != nil, f.name == "a blank before the colon", f.name == "a PROXY line":
				require.Equal(t, notReached, got)
			case f.name == "two Authorization headers":
				require.Equal(t, refused400, got)
			case f.name == "Early-Data":
				require.Equal(t, early425, got)
			default:
				require.Equal(t, attacker, got)
			}
		})
	}
	report(top.name, through)
	if top.listener != nil {
		report("around the proxy, to a listener of the PROXY protocol", around)
	} else if top.socket == "" {
		report("around the proxy, to the service", around)
	}
	t.Run("the listed caller", func(t *testing.T) {
		require.Equal(t, http.StatusOK, ask(t, listed, top.front, s.member.secret, forgery{}))
		seen := s.sightings()
		require.Len(t, seen, 1)
		require.Equal(t, policy.AddressListed, seen[0].reason)
		require.Equal(t, listed, seen[0].client.String())
		require.Equal(t, top.origin, seen[0].from)
	})
}

// report adds what came of all forgeries to the table.
func report(way string, came map[string][]string) {
	for _, outcome := range []string{attacker, attacker + withoutKey, refused400, early425, fault503, notReached} {
		names := strings.Join(came[outcome], "; ")
		if n := len(came[outcome]); n > len(forgeries)/2 {
			names = fmt.Sprintf("%d, all others", n)
		}
		proxied.set(way, map[string]string{attacker: "seen as he is", attacker + withoutKey: "seen as he is, without a key: 401", refused400: "refused by the guard: 400", early425: "early data to the guard: 425", fault503: "a fault of the proxy to the guard: 503", notReached: "not passed on by the proxy or net/http"}[outcome], names)
	}
}

func only(addresses ...string) (blocks []netip.Prefix) {
	for _, address := range addresses {
		blocks = append(blocks, netip.PrefixFrom(netip.MustParseAddr(address), 32))
	}
	return blocks
}

// needsLoopbackBlock skips the test where the machine has 127.0.0.1 and no more of its
// block.
func needsLoopbackBlock(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", attacker+":0")
	if err != nil {
		missing(t, fmt.Sprintf("this machine does not have all of 127.0.0.0/8: %v", err))
	}
	_ = l.Close()
}

// mapped is an IPv4 address and a port as IPv6.
func mapped(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort("::ffff:"+host, port)
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Logf("without a listener for IPv6 and IPv4, since there is no IPv6: %v", err)
		return false
	}
	_ = l.Close()
	return true
}
