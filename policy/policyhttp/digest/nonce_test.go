package digest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// manualClock is set by the test.
type manualClock struct{ nanoseconds atomic.Int64 }

func newManualClock() *manualClock {
	c := new(manualClock)
	c.nanoseconds.Store(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *manualClock) now() time.Time           { return time.Unix(0, c.nanoseconds.Load()) }
func (c *manualClock) advance(by time.Duration) { c.nanoseconds.Add(int64(by)) }

func testNonces() *nonces {
	return newNonces(nil, false, DefaultNonceLifetime, DefaultMaxNonces, time.Now)
}

// use is n.use for the challenge that the tests issue.
func use(n *nonces, text string, count uint32) error {
	return n.use(text, apikey.DigestSHA256, "api", "key", count)
}

func TestNonceIsUsedOncePerCount(t *testing.T) {
	n := testNonces()
	text := n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, text, 1))
	assert.ErrorIs(t, use(n, text, 1), policy.ErrReplayed)
	require.NoError(t, use(n, text, 2))
	require.NoError(t, use(n, text, math.MaxUint32))
	assert.ErrorIs(t, use(n, text, math.MaxUint32), policy.ErrReplayed)
	assert.Equal(t, errUncertain, use(n, text, 3), "too far behind to know")

	require.NoError(t, use(n, n.issue(apikey.DigestSHA256, "api"), 2), "npm urllib begins with 2")
}

// Requests on several connections overtake each other. Each count is taken once, in
// whatever order the last 64 come.
func TestNonceCountsMayOvertakeEachOther(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 4))
		n := testNonces()
		text := n.issue(apikey.DigestSHA256, "api")
		require.NoError(t, use(n, text, 1000))
		for _, i := range random.Perm(countWindow - 1) {
			count := uint32(1000 - 1 - i)
			require.NoError(t, use(n, text, count), "%d", count)
			require.ErrorIs(t, use(n, text, count), policy.ErrReplayed, "%d", count)
		}
		require.Equal(t, errUncertain, use(n, text, 1000-countWindow))
	}
}

// A proof is of one algorithm and one realm; so is its nonce, and it is not another's.
func TestNonceIsBound(t *testing.T) {
	n := testNonces()
	text := n.issue(apikey.DigestSHA256, "api")
	assert.Equal(t, errUnknownNonce, n.use(text, apikey.DigestMD5, "api", "key", 1))
	assert.Equal(t, errUnknownNonce, n.use(text, apikey.DigestSHA256, "apis", "key", 1))
	assert.Equal(t, errUnknownNonce, n.use(text, apikey.DigestSHA256, "", "key", 1))
	assert.Equal(t, errUnknownNonce, use(testNonces(), text, 1))
	assert.NoError(t, use(n, text, 1))
}

func TestNonceCannotBeMade(t *testing.T) {
	n := testNonces()
	text := n.issue(apikey.DigestSHA256, "api")
	require.Len(t, text, nonceEncoding.EncodedLen(nonceSize))
	for i := range text {
		for _, c := range []byte("Aa0-_=+/ ") {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				require.Equal(t, errUnknownNonce, use(n, changed, 1), changed)
			}
		}
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") { // which has two bits to spare
		if changed := text[:len(text)-1] + string(c); changed != text {
			require.Equal(t, errUnknownNonce, use(n, changed, 1), changed)
		}
	}
	for _, changed := range []string{"", text[1:], text[:len(text)-1], text + "A", text + "=", text + text} {
		assert.Equal(t, errUnknownNonce, use(n, changed, 1), changed)
	}
	raw, err := nonceEncoding.DecodeString(text)
	require.NoError(t, err)
	for bit := range 8 * len(raw) {
		changed := bytes.Clone(raw)
		changed[bit/8] ^= 1 << (bit % 8)
		require.Equal(t, errUnknownNonce, use(n, nonceEncoding.EncodeToString(changed), 1), "bit %d", bit)
	}
	assert.Equal(t, errUnknownNonce, use(n, base64.StdEncoding.EncodeToString(raw), 1))
	assert.NoError(t, use(n, text, 1))
}

func TestNonceExpires(t *testing.T) {
	clock := newManualClock()
	n := newNonces(nil, false, time.Minute, 10, clock.now)
	used, unused := n.issue(apikey.DigestSHA256, "api"), n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, used, 1))
	clock.advance(time.Minute) // less the two nanoseconds by which the nonces are younger
	require.NoError(t, use(n, used, 2))
	clock.advance(2)
	assert.Equal(t, errExpiredNonce, use(n, used, 3))
	assert.Equal(t, errExpiredNonce, use(n, unused, 1))
	assert.NoError(t, use(n, n.issue(apikey.DigestSHA256, "api"), 1))
}

// Expired nonces take no room.
func TestNonceMemoryForgetsWhatHasExpired(t *testing.T) {
	clock := newManualClock()
	n := newNonces(nil, false, time.Minute, 10, clock.now)
	for range 5 {
		require.NoError(t, use(n, n.issue(apikey.DigestSHA256, "api"), 1))
	}
	fifth := n.latest
	clock.advance(time.Duration(fifth-clock.now().UnixNano()) + time.Minute) // in which the fifth expires
	require.NoError(t, use(n, n.issue(apikey.DigestSHA256, "api"), 1))
	assert.Equal(t, 1, n.used.check(t))
}

// A clock that is set back brings nothing back: neither expired nonces, nor those forgotten
// then. Nor does it keep new ones from being accepted.
func TestNonceClockRunsBackwards(t *testing.T) {
	clock := newManualClock()
	n := newNonces(nil, false, time.Minute, 2, clock.now)
	before := n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, before, 1))
	clock.advance(time.Hour)
	require.NoError(t, use(n, n.issue(apikey.DigestSHA256, "api"), 1), "the expired one is forgotten")
	clock.advance(-time.Hour)
	assert.ErrorIs(t, use(n, before, 1), policy.ErrStaleNonce)
	for range 10 {
		text := n.issue(apikey.DigestSHA256, "api")
		require.NoError(t, use(n, text, 1))
		require.ErrorIs(t, use(n, text, 1), policy.ErrReplayed)
	}
}

// The memory is bounded. A dropped nonce is refused for good.
func TestNonceMemoryIsBounded(t *testing.T) {
	const most = 4
	n := newNonces(nil, false, time.Hour, most, time.Now)
	useAs := func(i int, text string, count uint32) error {
		return n.use(text, apikey.DigestSHA256, "api", apikey.ID(fmt.Sprint("key-", i)), count)
	}
	old := n.issue(apikey.DigestSHA256, "api") // answered too late
	var texts []string
	for i := range 10 * most {
		text := n.issue(apikey.DigestSHA256, "api")
		texts = append(texts, text)
		require.NoError(t, useAs(i, text, 1))
		require.LessOrEqual(t, n.used.check(t), most)
		for j, earlier := range texts {
			if err := useAs(j, earlier, 1); j <= i-most {
				require.Equal(t, errUncertain, err)
			} else {
				require.Equal(t, errReplayed, err)
			}
			if j <= i-most {
				require.Equal(t, errUncertain, useAs(j, earlier, 2), "nor with a higher count")
			}
		}
	}
	assert.Equal(t, errUncertain, use(n, old, 1), "it cannot be told from one that was forgotten")
	assert.NoError(t, useAs(len(texts)-1, texts[len(texts)-1], 2))
}

// check returns how many nonces are remembered, after a look at all the queues.
func (u *usedNonces) check(t *testing.T) int {
	t.Helper()
	inOrder, ofKeys := 0, 0
	var before *usedNonce
	for used := u.first; used != nil; used = used.after {
		require.Same(t, before, used.before)
		require.Same(t, used, u.uses[used.nonceOfKey])
		before = used
		inOrder++
	}
	require.Same(t, before, u.last)
	for id, key := range u.keys {
		n := 0
		for used := key.first; used != nil; used = used.next {
			require.Equal(t, id, used.key)
			n++
		}
		require.Equal(t, key.n, n)
		require.LessOrEqual(t, n, u.share)
		require.True(t, n > 0 || key.forgotten.of != nil)
		ofKeys += n
	}
	require.Len(t, u.uses, inOrder)
	require.Equal(t, inOrder, ofKeys)
	require.LessOrEqual(t, inOrder, u.most)
	return inOrder
}

// One key with many nonces forgets its own, and neither the used ones of the others nor the
// challenges that they have not answered yet.
func TestNonceMemoryHasAShareForEachKey(t *testing.T) {
	clock := newManualClock()
	n := newNonces(nil, false, time.Minute, 8*sharesOfKeys, clock.now)
	unanswered, honest, mallory := n.issue(apikey.DigestSHA256, "api"), n.issue(apikey.DigestSHA256, "api"), n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, n.use(honest, apikey.DigestSHA256, "api", "honest", 1))
	require.NoError(t, n.use(mallory, apikey.DigestSHA256, "api", "mallory", 1))
	for range 100 * sharesOfKeys {
		require.NoError(t, n.use(n.issue(apikey.DigestSHA256, "api"), apikey.DigestSHA256, "api", "mallory", 1))
		require.LessOrEqual(t, n.used.check(t), 1+8)
	}
	require.ErrorIs(t, n.use(honest, apikey.DigestSHA256, "api", "honest", 1), policy.ErrReplayed)
	require.NoError(t, n.use(honest, apikey.DigestSHA256, "api", "honest", 2))
	require.NoError(t, n.use(unanswered, apikey.DigestSHA256, "api", "honest", 1))
	require.Equal(t, errUncertain, n.use(mallory, apikey.DigestSHA256, "api", "mallory", 2))

	// The key's own mark lasts until what it covers has expired: no longer, since there are many
	// keys, and no less.
	require.NotNil(t, n.used.keys["mallory"].forgotten.of)
	clock.advance(time.Minute)
	late := n.issue(apikey.DigestSHA256, "api")
	clock.advance(time.Minute - 1)
	require.NoError(t, n.use(late, apikey.DigestSHA256, "api", "honest", 1))
	assert.Equal(t, 1, n.used.check(t))
	assert.NotContains(t, n.used.keys, apikey.ID("mallory"))
	require.ErrorIs(t, n.use(mallory, apikey.DigestSHA256, "api", "mallory", 3), policy.ErrStaleNonce)

	// It lasts, too, while none of the key's nonces is remembered.
	n = newNonces(nil, false, time.Minute, sharesOfKeys, clock.now)
	first := n.issue(apikey.DigestSHA256, "api")
	clock.advance(30 * time.Second)
	second, third := n.issue(apikey.DigestSHA256, "api"), n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, n.use(second, apikey.DigestSHA256, "api", "mallory", 1))
	require.NoError(t, n.use(first, apikey.DigestSHA256, "api", "mallory", 1))
	clock.advance(30*time.Second + 1)
	require.NoError(t, n.use(third, apikey.DigestSHA256, "api", "honest", 1), "the first has expired")
	require.Zero(t, n.used.keys["mallory"].n)
	require.Equal(t, errUncertain, n.use(second, apikey.DigestSHA256, "api", "mallory", 1))
}

// A clock that was ahead once: what was made meanwhile is refused when the clock is right
// again, and what is made then lives as long as any.
func TestNonceClockWasAhead(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"an hour": time.Hour, "less than a lifetime": 30 * time.Second, "ten years": 87600 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			clock := newManualClock()
			n := newNonces(nil, false, time.Minute, 10, clock.now)
			clock.advance(ahead)
			used, unused := n.issue(apikey.DigestSHA256, "api"), n.issue(apikey.DigestSHA256, "api")
			require.NoError(t, use(n, used, 1))
			clock.advance(-ahead)
			assert.ErrorIs(t, use(n, unused, 1), policy.ErrStaleNonce, "before another is made")
			fresh := n.issue(apikey.DigestSHA256, "api")
			assert.ErrorIs(t, use(n, used, 2), policy.ErrStaleNonce)
			assert.ErrorIs(t, use(n, unused, 1), policy.ErrStaleNonce)
			require.NoError(t, use(n, fresh, 1))
			clock.advance(time.Minute)
			require.NoError(t, use(n, fresh, 2), "it was made a nanosecond later")
			clock.advance(1)
			assert.Equal(t, errExpiredNonce, use(n, fresh, 3))
			clock.advance(ahead - 2*time.Minute)
			assert.ErrorIs(t, use(n, unused, 1), policy.ErrStaleNonce, "when the clock comes to it again")
			assert.ErrorIs(t, use(n, used, 2), policy.ErrStaleNonce)
		})
	}
}

// An instance that was started while its clock was ahead takes the nonces of others once it is
// right, and others take its own.
func TestNonceStartedAhead(t *testing.T) {
	key, clock := bytes.Repeat([]byte{7}, 32), newManualClock()
	other := newNonces(key, true, time.Minute, 10, clock.now)
	clock.advance(time.Hour)
	n := newNonces(key, true, time.Minute, 10, clock.now)
	ahead := n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, ahead, 1))
	clock.advance(-time.Hour)
	own := n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, own, 1))
	require.NoError(t, use(other, own, 1))
	clock.advance(1)
	require.NoError(t, use(n, other.issue(apikey.DigestSHA256, "api"), 1))
	assert.ErrorIs(t, use(other, ahead, 2), policy.ErrStaleNonce)
}

// A small step back is no reason to begin anew.
func TestNonceClockIsSetBackALittle(t *testing.T) {
	clock := newManualClock()
	n := newNonces(nil, false, time.Minute, 100, clock.now)
	text := n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, text, 1))
	clock.advance(-time.Second / 2)
	require.NoError(t, use(n, n.issue(apikey.DigestSHA256, "api"), 1))
	require.NoError(t, use(n, text, 2))
}

// Behind a balancer, with clocks slightly apart and a full memory: what is forgotten of the
// instance that is ahead does not cover the nonces of the others.
func TestNonceOfInstancesWithClocksApart(t *testing.T) {
	key, clock, ahead := bytes.Repeat([]byte{7}, 32), newManualClock(), newManualClock()
	ahead.advance(50 * time.Second)
	one, other := newNonces(key, true, time.Minute, 2, clock.now), newNonces(key, true, time.Minute, 2, clock.now)
	fast := newNonces(key, true, time.Minute, 2, ahead.now)
	clock.advance(1)
	for range 5 {
		require.NoError(t, use(one, fast.issue(apikey.DigestSHA256, "api"), 1))
		for _, slow := range []*nonces{one, other} {
			text := slow.issue(apikey.DigestSHA256, "api")
			require.NoError(t, use(one, text, 1))
			require.ErrorIs(t, use(one, text, 1), policy.ErrReplayed)
			clock.advance(40 * time.Second)
			ahead.advance(40 * time.Second)
			require.NoError(t, use(one, text, 2), "it lives as long as any")
			clock.advance(-40 * time.Second)
			ahead.advance(-40 * time.Second)
		}
	}
}

// With room for one, two clients take it from each other at every request. It costs them
// a round trip each time, and is no replay.
func TestNonceMemoryOfOne(t *testing.T) {
	n := newNonces(nil, false, time.Hour, 1, time.Now)
	first, second := n.issue(apikey.DigestSHA256, "api"), n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(n, second, 1))
	assert.Equal(t, nil, use(n, n.issue(apikey.DigestSHA256, "api"), 1))
	assert.Equal(t, errUncertain, use(n, second, 2))
	assert.Equal(t, errUncertain, use(n, first, 1), "made before one that was forgotten")
}

// A customer who has seen the nonce of another cannot use up its counts.
func TestNonceCountsAreOfAKey(t *testing.T) {
	n := testNonces()
	text := n.issue(apikey.DigestSHA256, "api")
	require.NoError(t, n.use(text, apikey.DigestSHA256, "api", "mallory", math.MaxUint32))
	require.NoError(t, n.use(text, apikey.DigestSHA256, "api", "alice", 1))
	assert.ErrorIs(t, n.use(text, apikey.DigestSHA256, "api", "alice", 1), policy.ErrReplayed)
}

// Instances that do not share their nonces answer to those of each other with new ones,
// whether or not they have the same key: no request can be sent to two.
func TestNonceOfAnotherInstance(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	for name, test := range map[string]struct {
		one, other *nonces
		want       error
	}{
		"own keys": {testNonces(), testNonces(), errUnknownNonce},
		"same key": {
			newNonces(key, false, time.Minute, 10, time.Now), newNonces(key, false, time.Minute, 10, time.Now), errElsewhere,
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := test.one.issue(apikey.DigestSHA256, "api")
			assert.Equal(t, test.want, use(test.other, text, 1))
			assert.ErrorIs(t, test.want, policy.ErrStaleNonce)
			require.NoError(t, use(test.one, text, 1))
			assert.Equal(t, test.want, use(test.other, text, 1))
		})
	}
}

// Sharing is what Config.ShareNonces says it is, with its price.
func TestNonceShared(t *testing.T) {
	key, clock := bytes.Repeat([]byte{7}, 32), newManualClock()
	one, other := newNonces(key, true, time.Minute, 2, clock.now), newNonces(key, true, time.Minute, 2, clock.now)
	text := one.issue(apikey.DigestSHA256, "api")
	require.NoError(t, use(one, text, 1))
	require.NoError(t, use(other, text, 1), "the price")
	assert.ErrorIs(t, use(one, text, 1), policy.ErrReplayed)
	assert.ErrorIs(t, use(other, text, 1), policy.ErrReplayed)
	require.NoError(t, use(other, text, 2))

	// One that starts later does not know what was used before.
	clock.advance(time.Second)
	restarted := newNonces(key, true, time.Minute, 2, clock.now)
	assert.Equal(t, errUncertain, use(restarted, text, 1))
	assert.NoError(t, use(one, restarted.issue(apikey.DigestSHA256, "api"), 1))

	// The clock of one that is ahead: within a lifetime its nonces are accepted, and when
	// they are forgotten, they do not take the others with them.
	ahead := newManualClock()
	ahead.advance(50 * time.Second)
	fast := newNonces(key, true, time.Minute, 2, ahead.now)
	for range 5 {
		require.NoError(t, use(one, fast.issue(apikey.DigestSHA256, "api"), 1))
	}
	for range 5 {
		require.NoError(t, use(one, one.issue(apikey.DigestSHA256, "api"), 1))
	}
	ahead.advance(2 * time.Minute)
	assert.Equal(t, errExpiredNonce, use(one, fast.issue(apikey.DigestSHA256, "api"), 1))
}

// No two nonces are the same, not even of one instant.
func TestNoncesAreDistinct(t *testing.T) {
	n := newNonces(nil, false, time.Minute, 10, newManualClock().now)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				text := n.issue(apikey.DigestSHA256, "api")
				mu.Lock()
				seen[text] = true
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	assert.Len(t, seen, 8*200)
}

// Of copies of a request that come at the same time, one is let in.
func TestNonceConcurrently(t *testing.T) {
	const copies, requests = 8, 50
	n := testNonces()
	text := n.issue(apikey.DigestSHA256, "api")
	var accepted [requests + 1]atomic.Int32
	var wait sync.WaitGroup
	for range copies {
		wait.Go(func() {
			for count := uint32(1); count <= requests; count++ {
				if err := use(n, text, count); err == nil {
					accepted[count].Add(1)
				}
			}
		})
	}
	wait.Wait()
	for count := 1; count <= requests; count++ {
		assert.EqualValues(t, 1, accepted[count].Load(), "count %d", count)
	}
}

// oracle is a nonces that remembers everything.
type oracle map[string]bool

func (o oracle) first(text string, key apikey.ID, count uint32) bool {
	use := fmt.Sprint(text, " ", key, " ", count)
	first := !o[use]
	o[use] = true
	return first
}

// Whatever happens, no use is accepted twice; and a new nonce is always accepted.
func checkNonces(t *testing.T, most int, steps []byte) {
	clock := newManualClock()
	shared := bytes.Repeat([]byte{7}, 32)
	other := newNonces(shared, true, time.Minute, 1, clock.now)
	n := newNonces(shared, true, time.Minute, most, clock.now)
	accepted := make(oracle)
	texts := []string{n.issue(apikey.DigestSHA256, "api")}
	for len(steps) >= 2 {
		step, argument := steps[0], steps[1]
		steps = steps[2:]
		switch {
		case step < 16:
			clock.advance(time.Duration(argument) * time.Second / 4)
		case step < 20:
			clock.advance(-time.Duration(argument) * time.Second)
		case step < 30:
			texts = append(texts, other.issue(apikey.DigestSHA256, "api"))
		case step < 60:
			texts = append(texts, n.issue(apikey.DigestSHA256, "api"))
		case step < 80:
			text := n.issue(apikey.DigestSHA256, "api")
			if err := use(n, text, uint32(argument)+1); err != nil {
				t.Fatalf("a new nonce: %v", err)
			}
			accepted.first(text, "key", uint32(argument)+1)
		default:
			text := texts[int(step)*len(texts)/256]
			key := apikey.ID([]string{"key", "another"}[argument%2])
			count := uint32(argument/2) + 1
			if err := n.use(text, apikey.DigestSHA256, "api", key, count); err == nil && !accepted.first(text, key, count) {
				t.Fatalf("count %d of %s was accepted twice", count, text)
			}
		}
		n.used.check(t)
	}
}

func TestNoncesAgainstOracle(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 7))
		steps := make([]byte, 2000)
		for i := range steps {
			steps[i] = byte(random.Uint32())
		}
		checkNonces(t, 1+int(seed%7), steps)
	}
}
