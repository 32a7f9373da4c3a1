package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func address4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func address6(high, low uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.AddrFrom16(b)
}

func TestTally(t *testing.T) {
	tally := newTally(4)
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "192.0.2.1", "fe80::1%eth0", "fe80::1%eth1"} {
		tally.add(netip.MustParseAddr(client))
	}
	require.Equal(t, []clientCount{
		{netip.MustParsePrefix("192.0.2.1/32"), 3},
		{netip.MustParsePrefix("fe80::1/128"), 2},
		{netip.MustParsePrefix("192.0.2.2/32"), 1},
		{netip.MustParsePrefix("2001:db8::1/128"), 1},
	}, tally.top(10))
	require.Len(t, tally.top(2), 2)
	require.Empty(t, tally.top(0))
	require.False(t, tally.v4.grouped())

	tally.add(netip.MustParseAddr("192.0.2.3")) // one too many
	require.Equal(t, []clientCount{
		{netip.MustParsePrefix("192.0.2.0/24"), 5},
		{netip.MustParsePrefix("fe80::1/128"), 2},
		{netip.MustParsePrefix("2001:db8::1/128"), 1},
	}, tally.top(10))
	require.True(t, tally.v4.grouped())
	require.False(t, tally.v6.grouped(), "the family that has more keys is folded")
	require.Equal(t, 3, tally.distinct())
}

// Whatever is added, no more keys are held than allowed, and what a key counts is
// exactly the requests from its prefix.
func TestTallyFoldsExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for round := range 300 {
		limit := 2 + random.IntN(60)
		tally := newTally(limit)
		spread4, spread6 := uint32(1)<<random.IntN(32), uint64(1)<<random.IntN(64)
		share6 := random.IntN(11)
		exact := make(map[netip.Addr]uint64)
		n := random.IntN(400)
		for range n {
			client := address4(0xc0000000 + random.Uint32N(spread4))
			if random.IntN(10) < share6 {
				client = address6(0x2001_0db8_0000_0000+random.Uint64N(spread6), random.Uint64N(spread6))
			}
			tally.add(client)
			exact[client]++
			require.LessOrEqual(t, tally.distinct(), limit)
		}

		var sum uint64
		for _, f := range []*family{&tally.v4, &tally.v6} {
			for _, c := range f.all() {
				var want uint64
				for client, n := range exact {
					if c.prefix.Contains(client) {
						want += n
					}
				}
				require.Equal(t, want, c.requests, "round %d: %v", round, c.prefix)
				require.Equal(t, c.prefix, c.prefix.Masked())
				sum += c.requests
			}
		}
		require.Equal(t, uint64(n), sum)
		require.Equal(t, sum, tally.v4.requests()+tally.v6.requests())
		if len(exact) <= limit {
			require.Equal(t, len(exact), tally.distinct(), "nothing is grouped without need")
		}
	}
}

// The worst that can come: every address of both families, one after the other.
func TestTallyOfEverything(t *testing.T) {
	tally := newTally(2)
	for i := range uint32(1000) {
		tally.add(address4(i << 22))
		tally.add(address6(uint64(i)<<54, 0))
	}
	require.Equal(t, []clientCount{
		{netip.MustParsePrefix("0.0.0.0/0"), 1000},
		{netip.MustParsePrefix("::/0"), 1000},
	}, tally.top(10))
}
