package digest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// reachable returns the number of nonces that the garbage collector keeps.
func (u *usedNonces) reachable() int {
	kept := map[*usedNonce]bool{}
	found := []*usedNonce{u.first, u.last}
	for _, key := range u.keys {
		found = append(found, key.first, key.last)
	}
	for _, used := range u.uses {
		found = append(found, used)
	}
	for len(found) > 0 {
		used := found[len(found)-1]
		found = found[:len(found)-1]
		if used != nil && !kept[used] {
			kept[used] = true
			found = append(found, used.before, used.after, used.next)
		}
	}
	return len(kept)
}

// A key that has used up its share and has no nonce left is still remembered. It keeps no
// forgotten nonce in memory, nor any that came after it.
func TestForgottenNoncesAreNotKept(t *testing.T) {
	const most = 32
	clock := newManualClock()
	n := newNonces(nil, false, time.Minute, most, clock.now)
	use := func(key apikey.ID) {
		clock.advance(time.Microsecond)
		require.NoError(t, n.use(n.issue(apikey.DigestSHA256, "api"), apikey.DigestSHA256, "api", key, 1))
	}
	for range most/sharesOfKeys + 1 {
		use("first")
	}
	for i := range 20 * most { // of other keys, all of which have their share
		use(apikey.ID(fmt.Sprintf("key-%d", i/2%most)))
	}
	require.Contains(t, n.used.keys, apikey.ID("first"))
	require.Len(t, n.used.uses, most)
	require.Equal(t, most, n.used.reachable())
}
