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
	instance uint64    // of this scheme, from crypto/rand
	shared   bool      // accept nonces of other instances
	lifetime int64     // nanoseconds
	clock    func() time.Time

	mu     sync.Mutex
	latest int64 // the latest time read, or given to a nonce
	used   usedNonces
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
	var instance [8]byte
	rand.Read(instance[:])
	n.instance = binary.BigEndian.Uint64(instance[:])
	// The uses before the start are unknown: with a shared key, an earlier process may have
	// accepted some.
	n.used = usedNonces{most: most, forgotten: n.now()}
	return n
}

// now returns the time. It does not run backwards: a clock set back would revive expired
// nonces with forgotten uses. The caller holds mu, or nobody else has n yet.
func (n *nonces) now() int64 {
	n.latest = max(n.latest, n.clock().UnixNano())
	return n.latest
}

// issue returns a new nonce for a challenge. It is good for this algorithm and realm only,
// so that the response to one challenge does not answer another.
func (n *nonces) issue(algorithm Algorithm, realm string) string {
	n.mu.Lock()
	n.latest = max(n.now(), n.used.forgotten) + 1 // a time neither given yet nor forgotten
	made := n.latest
	n.mu.Unlock()

	var text [nonceSize]byte
	binary.BigEndian.PutUint64(text[:], n.instance)
	binary.BigEndian.PutUint64(text[8:], uint64(made))
	tag := n.tag(text[:16], algorithm, realm)
	copy(text[16:], tag[:])
	return nonceEncoding.EncodeToString(text[:])
}

// tag authenticates a nonce: nobody can make it without the key.
func (n *nonces) tag(made []byte, algorithm Algorithm, realm string) (tag [nonceTagSize]byte) {
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
func (n *nonces) read(text string, algorithm Algorithm, realm string) (nonce, bool) {
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
func (n *nonces) use(text string, algorithm Algorithm, realm string, key apikey.ID, count uint32) error {
	shown, ok := n.read(text, algorithm, realm)
	switch {
	case !ok:
		return errUnknownNonce
	case shown.instance != n.instance && !n.shared:
		return errElsewhere
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	age := n.now() - shown.made
	// The clocks of instances differ. A clock ahead by more than a lifetime is wrong.
	if age >= n.lifetime || age <= -n.lifetime {
		return errExpiredNonce
	}
	n.used.forgetBefore(n.latest - n.lifetime)
	return n.used.add(nonceOfKey{shown, key}, count)
}

// usedNonces remembers the used counts of nonces. Each key has its own counts, so that one
// customer cannot use up those of another.
type usedNonces struct {
	most      int
	counts    map[nonceOfKey]counts
	order     []nonceOfKey // keys of counts, in the order of first use
	forgotten int64        // nonces made up to then and absent from counts are unknown
}

type nonceOfKey struct {
	nonce nonce
	key   apikey.ID
}

// add remembers a use. It returns nil if this is certainly the first use of the count.
func (u *usedNonces) add(n nonceOfKey, count uint32) error {
	seen, known := u.counts[n]
	if !known {
		if n.nonce.made <= u.forgotten {
			return errUncertain
		}
		if len(u.order) >= u.most {
			u.forgetFirst()
		}
		if u.counts == nil {
			u.counts = make(map[nonceOfKey]counts)
		}
		u.order = append(u.order, n)
	}
	err := seen.add(count)
	u.counts[n] = seen
	return err
}

// forgetBefore forgets the nonces at the head of the queue made at a time or earlier.
// Others stay until those before them are as old.
func (u *usedNonces) forgetBefore(made int64) {
	for len(u.order) > 0 && u.order[0].nonce.made <= made {
		u.forgetFirst()
	}
}

// forgetFirst forgets a nonce. It is never accepted again, nor is any other forgotten or
// unused nonce made as early.
func (u *usedNonces) forgetFirst() {
	first := u.order[0]
	u.order = u.order[1:] // append moves the rest to new memory when it reaches the end
	delete(u.counts, first)
	u.forgotten = max(u.forgotten, first.nonce.made)
}

// countWindow is the number of counts told apart, from the highest down. Concurrent requests
// use several connections and overtake each other: without a window every overtaken one
// would have to be sent again. IPsec has the same window for the same reason (RFC 4303
// section 3.4.3).
const countWindow = 64

// counts are the used counts of a nonce: the highest, and one bit for each of the 64 up to
// it, the lowest bit for the highest.
type counts struct {
	highest uint32
	bits    uint64
}

// add returns nil if the count was certainly not used before.
func (c *counts) add(count uint32) error {
	if count > c.highest {
		c.bits = c.bits<<(count-c.highest) | 1 // shifted by 64 or more it is zero
		c.highest = count
		return nil
	}
	behind := c.highest - count
	switch {
	case behind >= countWindow:
		return errUncertain
	case c.bits>>behind&1 == 1:
		return errReplayed
	}
	c.bits |= 1 << behind
	return nil
}
