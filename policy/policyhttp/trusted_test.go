package policyhttp_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// manyBlocks returns n blocks of 256 addresses, no two of them adjacent.
func manyBlocks(n int) (prefixes []netip.Prefix) {
	for i := range n {
		first := 1<<24 + i<<9
		prefixes = append(prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(first >> 24), byte(first >> 16), byte(first >> 8)}), 24))
	}
	return prefixes
}

// newTrusted returns changeable blocks.
func newTrusted(t testing.TB, texts ...string) *policyhttp.TrustedBlocks {
	t.Helper()
	trusted, err := policyhttp.NewTrustedBlocks(blocks(texts...)...)
	require.NoError(t, err)
	return trusted
}

// The blocks change under a guard in use, and with every copy of its topology.
func TestTrustedBlocksChange(t *testing.T) {
	trusted := newTrusted(t, "10.0.0.0/8")
	for _, a := range []policyhttp.ClientAddress{
		policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithTrusted(trusted),
		policyhttp.FromHops(policyhttp.XForwardedFor, 1).WithTrusted(trusted).WithUnixSocket(),
		policyhttp.FromHeader("X-Forwarded-Client").WithTrusted(trusted),
	} {
		header := http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Client": {"203.0.113.7"}}
		client := func(remote string) string {
			client, _, err := a.Resolve(remote, header)
			require.NoError(t, err)
			return client.String()
		}
		require.NoError(t, a.Err())
		require.NoError(t, trusted.Set(blocks("10.0.0.0/8")...))
		require.Equal(t, "203.0.113.7", client("10.0.0.1:1"))
		require.Equal(t, "172.16.0.1", client("172.16.0.1:1"))
		require.Contains(t, a.String(), "; trusted: 10.0.0.0/8")

		require.NoError(t, trusted.Set(blocks("172.16.0.0/12", "172.16.0.0/12", "2001:db8:a::/48")...))
		require.Equal(t, "10.0.0.1", client("10.0.0.1:1"))
		require.Equal(t, "203.0.113.7", client("172.16.0.1:1"))
		require.Equal(t, "203.0.113.7", client("[2001:db8:a::1]:1"))
		require.Contains(t, a.String(), "; trusted: 172.16.0.0/12, 2001:db8:a::/48")
	}
}

// A bad list is refused and changes nothing: no list at all would trust nobody, and every
// proxy would be a client.
func TestABadListOfBlocksChangesNothing(t *testing.T) {
	trusted := newTrusted(t, "10.0.0.0/8")
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithTrusted(trusted)
	for says, prefixes := range map[string][]netip.Prefix{
		"policyhttp: trusted addresses: there are no blocks: want the blocks that the proxies connect from": nil,
		`policyhttp: trusted addresses: accesslist: "10.0.0.1/8" has host bits set`:                         blocks("172.16.0.0/12", "10.0.0.1/8"),
		`policyhttp: trusted addresses: "0.0.0.0/0" trusts every IPv4 address to set the header`:            blocks("172.16.0.0/12", "0.0.0.0/0"),
		`policyhttp: trusted addresses: "::/0" trusts every IPv6 address to set the header`:                 blocks("::/0"),
		`policyhttp: trusted addresses: accesslist: "invalid Prefix" is not a valid prefix`:                 {{}},
	} {
		require.ErrorContains(t, trusted.Set(prefixes...), says)
		wantClient(t, a, "10.0.0.1:1", lines("X-Forwarded-For", "203.0.113.7"), "203.0.113.7", policy.OriginXForwardedFor)
		wantClient(t, a, "172.16.0.1:1", lines("X-Forwarded-For", "203.0.113.7"), "172.16.0.1", policy.OriginPeer)
		made, err := policyhttp.NewTrustedBlocks(prefixes...)
		require.ErrorContains(t, err, says)
		require.Nil(t, made)
	}
	var none *policyhttp.TrustedBlocks
	require.EqualError(t, none.Set(blocks("10.0.0.0/8")...), "policyhttp: the TrustedBlocks is nil: want one that NewTrustedBlocks returned")
}

func TestMistakesWithTrustedBlocks(t *testing.T) {
	trusted := newTrusted(t, "10.0.0.0/8")
	for _, test := range []struct {
		a    policyhttp.ClientAddress
		says string
	}{
		{policyhttp.ClientAddress{}.WithTrusted(trusted), "policyhttp: the peer is the client, so nobody is trusted: want WithTrusted on FromTrustedProxies, FromHops or FromHeader"},
		{policyhttp.FromHeader("X-Real-IP", proxies...).WithTrusted(trusted), "policyhttp: the trusted blocks are given twice: want WithTrusted on a topology without blocks of its own"},
		{policyhttp.FromHeader("X-Real-IP").WithTrusted(trusted).WithTrusted(trusted), "policyhttp: the trusted blocks are given twice: want WithTrusted on a topology without blocks of its own"},
		{policyhttp.FromHeader("X-Real-IP").WithTrusted(nil), "policyhttp: the TrustedBlocks is nil: want one that NewTrustedBlocks returned"},
		{policyhttp.FromHeader("X-Real-IP").WithTrusted(new(policyhttp.TrustedBlocks)), "policyhttp: no peer is trusted to set the header, so it would never be read: want the blocks that the proxies connect from, or WithUnixSocket"},
		{policyhttp.FromHeader("").WithTrusted(trusted), `policyhttp: "" is not a header to take an address from: want a name of letters, digits and hyphens, such as CF-Connecting-IP`},
	} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Address: test.a})
		require.EqualError(t, err, test.says+" (Config.Address)")
		wantRefused(t, test.a, trustedPeer, lines("X-Real-Ip", "203.0.113.7"), test.says)
	}
}

// One request is judged by one set of blocks, whenever they change: the peer by the old
// ones and the list by the new ones could make the proxy 10.0.0.2 a client.
func TestTrustedBlocksChangeBetweenRequests(t *testing.T) {
	trusted := newTrusted(t, "10.0.0.0/8")
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithTrusted(trusted)
	header := lines("X-Forwarded-For", "203.0.113.7, 10.0.0.2")
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				client, _, err := a.Resolve("10.0.0.1:1", header)
				if err != nil || client.String() != "203.0.113.7" && client.String() != "10.0.0.1" {
					t.Errorf("the client is %v, %v", client, err)
					return
				}
				_ = a.String()
			}
		})
	}
	for i := range 2000 {
		next := blocks("10.0.0.0/8")
		if i%2 == 0 {
			next = blocks("172.16.0.0/12")
		}
		require.NoError(t, trusted.Set(next...))
	}
	close(done)
	readers.Wait()
}

// Lists of edges are long: each block must cost the same.
func TestManyTrustedBlocks(t *testing.T) {
	many := manyBlocks(56_267)
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, append(many, many...)...)
	require.NoError(t, a.Err())
	for _, block := range []netip.Prefix{many[0], many[len(many)/2], many[len(many)-1]} {
		wantClient(t, a, block.Addr().String()+":1", lines("X-Forwarded-For", "203.0.113.7"), "203.0.113.7", policy.OriginXForwardedFor)
		wantClient(t, a, block.Addr().Prev().String()+":1", nil, block.Addr().Prev().String(), policy.OriginPeer)
	}
	// Nobody reads a line of a megabyte, neither a description nor an error.
	require.Less(t, len(a.String()), 1000)
	require.Contains(t, a.String(), "1.0.0.0/24, 1.0.2.0/24, ")
	require.Contains(t, a.String(), ", 1.0.38.0/24, and 56247 more")
	for i := range many {
		many[i] = netip.PrefixFrom(many[i].Addr().Next(), 24)
	}
	err := policyhttp.FromHeader("X-Real-IP", many...).Err()
	require.ErrorContains(t, err, `"1.0.0.1/24" has host bits set`)
	require.ErrorContains(t, err, "\npolicyhttp: and 56247 more")
	require.Less(t, len(err.Error()), 3000)
}

// The lists that operators publish, where a copy is at hand.
func TestPublishedLists(t *testing.T) {
	for _, name := range []string{"cloudflare.txt", "github.txt", "amazon.txt"} {
		t.Run(name, func(t *testing.T) {
			path := "../../../shared/data/" + name
			file, err := os.Open(path)
			if err != nil {
				t.Skip("no published lists in ../../../shared/data")
			}
			defer func() { require.NoError(t, file.Close()) }()
			var published []netip.Prefix
			for scanner := bufio.NewScanner(file); scanner.Scan(); {
				prefix, err := netip.ParsePrefix(scanner.Text())
				if err != nil {
					addr := netip.MustParseAddr(scanner.Text())
					prefix = netip.PrefixFrom(addr, addr.BitLen())
				}
				published = append(published, prefix)
			}
			trusted := newTrusted(t, "10.0.0.0/8")
			a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithTrusted(trusted)
			require.NoError(t, trusted.Set(published...))
			for _, prefix := range published {
				client, _, err := a.Resolve(netip.AddrPortFrom(prefix.Addr(), 443).String(), lines("X-Forwarded-For", "203.0.113.7"))
				require.NoError(t, err)
				require.Equal(t, "203.0.113.7", client.String())
			}
			outside := netip.MustParseAddr("203.0.113.9")
			require.False(t, slices.ContainsFunc(published, func(p netip.Prefix) bool { return p.Contains(outside) }))
			wantClient(t, a, "203.0.113.9:443", lines("X-Forwarded-For", "203.0.113.7"), "203.0.113.9", policy.OriginPeer)
		})
	}
}

// BenchmarkTrustedBlocks has accesslist's own compiling beside it: the difference is
// checking and taking out doubles.
func BenchmarkTrustedBlocks(b *testing.B) {
	for _, n := range []int{15, 1_000, 56_267} {
		many := manyBlocks(n)
		b.Run(fmt.Sprintf("%d/accesslist", n), func(b *testing.B) {
			var entries []accesslist.Entry
			for _, block := range many {
				entry, err := accesslist.NewEntry(block)
				require.NoError(b, err)
				entries = append(entries, entry)
			}
			for b.Loop() {
				if _, err := accesslist.New(entries...); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			trusted, err := policyhttp.NewTrustedBlocks(many...)
			require.NoError(b, err)
			for b.Loop() {
				if err := trusted.Set(many...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
