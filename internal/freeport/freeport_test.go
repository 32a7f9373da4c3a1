package freeport

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReserve(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		port, release, err := Reserve()
		require.NoError(t, err)
		t.Cleanup(release)
		require.False(t, seen[port], "a port is given once")
		seen[port] = true
		require.GreaterOrEqual(t, port, first)
		require.Less(t, port, last)
		l, err := net.Listen("tcp", address("127.0.0.1", port))
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

// A port is given to one at a time, and never while somebody listens at it or the next.
func TestReserveAmongTwo(t *testing.T) {
	from := last + 1 + os.Getpid()%300*2 // beyond those of Reserve, and others than those of another run
	none := fmt.Sprintf("freeport: none of the ports %d to %d is free on 127.0.0.1 with the next one", from, from+1)
	for range 2 {
		port, release, err := reserve(from, from+1)
		require.NoError(t, err)
		require.Equal(t, from, port)
		_, _, err = reserve(from, from+1)
		require.EqualError(t, err, none, "it is reserved")
		release()
	}
	for _, listening := range []string{address("127.0.0.1", from), address("127.0.0.1", from+1), address("::1", from)} {
		l, err := net.Listen("tcp", listening)
		if err != nil && listening == address("::1", from) {
			t.Log("no IPv6 here: ", err)
			continue
		}
		require.NoError(t, err)
		_, _, err = reserve(from, from+1)
		require.EqualError(t, err, none, "somebody listens at %s", listening)
		require.NoError(t, l.Close())
	}
	// As ::1 is on a machine without IPv6.
	require.True(t, isFree("192.0.2.1", from))
}
