package digest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// nonces makes and takes back the nonces of one Digest scheme.
//
// A nonce names its maker and its time, under an HMAC. So making one needs no memory, and a
// stranger cannot fill any: only nonces answered with a key's secret are remembered.
type nonces struct {
	macs     sync.Pool // of *nonceMAC
	shared   bool      // accept nonces of other instances
	lifetime int64     // nanoseconds
	clock    func() time.Time

	mu       sync.Mutex
	instance uint64 // of this scheme, from crypto/rand
	latest   int64  // the time of its latest nonce
	used     usedNonces
	sweepAt  int64 // when used is swept next
}

// A nonce is identified by its maker and its time: an instance gives no time twice.
type nonce struct {
	instance uint64
	made     int64 // nanoseconds since 1970, by the clock of the instance
}

const (
	nonceSize    = 8 + 8 + nonceTagSize // instance, time, tag
	nonceTagSize = 16
)

// nonceEncoding is strict, so that a nonce has one spelling.
var nonceEncoding = base64.RawURLEncoding.Strict()

func newNonces(key []byte, shared bool, lifetime time.Duration, most int, clock func() time.Time) *nonces {
	n := &nonces{shared: shared, lifetime: int64(lifetime), clock: clock}
	if key = bytes.Clone(key); key == nil {
		key = make([]byte, sha256.Size)
		rand.Read(key) // never returns an error
	}
	n.macs.New = func() any { return &nonceMAC{hash: hmac.New(sha256.New, key)} }
	n.used = newUsedNonces(most)
	n.start(n.now())
	return n
}

// now returns the time. If the clock was set back a little, time stands still until the clock
// has come to the latest nonce again.
func (n *nonces) now() int64 {
	now := n.clock().UnixNano()
	if n.latest-maxSetBack <= now && now < n.latest {
		return n.latest
	}
	return now
}

// start begins a new instance, which has made no nonce. The uses before are unknown: with a
// shared key, an earlier process may have accepted some.
func (n *nonces) start(now int64) {
	var instance [8]byte
	rand.Read(instance[:])
	n.instance, n.latest = binary.BigEndian.Uint64(instance[:]), now
	n.used.forgotten.every = now
}

// maxSetBack is how far a clock may be set back, in nanoseconds, without a new instance.
const maxSetBack = int64(time.Second)

// issue returns a new nonce for a challenge. It is good for this algorithm and realm only,
// so that the response to one challenge does not answer another.
//
// A clock that is set back begins a new instance. The nonces made while it was ahead are
// refused: they would live until the clock has come to their time again. To the clients it is
// as if the service had been restarted.
func (n *nonces) issue(algorithm apikey.DigestAlgorithm, realm string) string {
	n.mu.Lock()
	now := n.now()
	if now < n.latest {
		n.used.forgotten.raise(nonce{n.instance, n.latest})
		n.start(now)
	}
	n.latest = now + 1 // a time not given yet
	made := nonce{n.instance, n.latest}
	n.mu.Unlock()

	var text [nonceSize]byte
	binary.BigEndian.PutUint64(text[:], made.instance)
	binary.BigEndian.PutUint64(text[8:], uint64(made.made))
	tag := n.tag(text[:16], algorithm, realm)
	copy(text[16:], tag[:])
	return nonceEncoding.EncodeToString(text[:])
}

// tag authenticates a nonce: nobody can make it without the key.
func (n *nonces) tag(made []byte, algorithm apikey.DigestAlgorithm, realm string) (tag [nonceTagSize]byte) {
	var room [256]byte // for the longest realm
	// The parts cannot run into each other: the first two are of one length, and neither
	// name of an algorithm begins with the other.
	text := append(room[:0], "sallyport Digest nonce 1 "...)
	text = append(text, made...)
	text = append(text, algorithm...)
	text = append(text, realm...)
	mac := n.macs.Get().(*nonceMAC)
	mac.hash.Reset()
	mac.hash.Write(text) // a hash.Hash never returns an error
	copy(tag[:], mac.hash.Sum(mac.sum[:0]))
	n.macs.Put(mac)
	return tag
}

// nonceMAC is an HMAC to use again, since making one hashes the key twice.
type nonceMAC struct {
	hash hash.Hash
	sum  [sha256.Size]byte
}

// read parses a nonce. It is false if no instance with this key made the text for the
// algorithm and the realm.
func (n *nonces) read(text string, algorithm apikey.DigestAlgorithm, realm string) (nonce, bool) {
	var made [nonceSize]byte
	if len(text) != nonceEncoding.EncodedLen(nonceSize) {
		return nonce{}, false
	}
	if _, err := nonceEncoding.Decode(made[:], []byte(text)); err != nil {
		return nonce{}, false
	}
	tag := n.tag(made[:16], algorithm, realm)
	if !hmac.Equal(tag[:], made[16:]) {
		return nonce{}, false
	}
	return nonce{binary.BigEndian.Uint64(made[:]), int64(binary.BigEndian.Uint64(made[8:]))}, true
}

// use takes a count of a nonce for a key, after its secret was verified. It returns nil
// exactly once for the three, even concurrently; otherwise the error wraps
// policy.ErrStaleNonce or policy.ErrReplayed.
func (n *nonces) use(text string, algorithm apikey.DigestAlgorithm, realm string, key apikey.ID, count uint32) error {
	shown, ok := n.read(text, algorithm, realm)
	if !ok {
		return errUnknownNonce
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	own := shown.instance == n.instance
	if !own && !n.shared {
		return errElsewhere
	}
	// The clocks of instances differ. One ahead by more than a lifetime is wrong. Our own was
	// wrong if it made a nonce ahead of its time.
	now := n.now()
	age := now - shown.made
	if age >= n.lifetime || age <= -n.lifetime || own && age < 0 {
		return errExpiredNonce
	}
	n.used.forgetBefore(now - n.lifetime)
	if now >= n.sweepAt || n.sweepAt > now+n.lifetime {
		n.used.sweep(now - n.lifetime)
		n.sweepAt = now + n.lifetime
	}
	return n.used.add(nonceOfKey{shown, key}, count)
}
