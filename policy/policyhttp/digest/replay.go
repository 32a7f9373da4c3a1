package digest

import "github.com/sallyport-go/sallyport/apikey"

// usedNonces remembers the used counts of nonces. Each key has counts of its own, so one
// customer cannot use up those of another. Each has a share of the room, so one cannot push out
// the others.
type usedNonces struct {
	most, share int // the number of nonces, of all keys and of one
	uses        map[nonceOfKey]*usedNonce
	first, last *usedNonce // in the order of first use
	keys        map[apikey.ID]*usesOfKey
	forgotten   watermark // of all keys
}

type nonceOfKey struct {
	nonce nonce
	key   apikey.ID
}

// A usedNonce is a remembered nonce of a key, in the queue of all and in that of its key.
type usedNonce struct {
	nonceOfKey
	counts        counts
	before, after *usedNonce
	next          *usedNonce // of the same key
}

// usesOfKey is the queue of a key. An empty one stays until forgotten has expired.
type usesOfKey struct {
	first, last *usedNonce
	n           int
	forgotten   watermark // of this key
}

// sharesOfKeys is the number of keys that fill the memory. With more of them, a key with many
// clients has too little room; with fewer, some customers together push out the others.
const sharesOfKeys = 16

func newUsedNonces(most int) usedNonces {
	return usedNonces{
		most: most, share: max(1, most/sharesOfKeys),
		uses: make(map[nonceOfKey]*usedNonce), keys: make(map[apikey.ID]*usesOfKey),
		forgotten: watermark{of: make(map[uint64]int64)},
	}
}

// add remembers a use. It returns nil if this is certainly the first use of the count.
func (u *usedNonces) add(n nonceOfKey, count uint32) error {
	used, known := u.uses[n]
	if !known {
		key := u.keys[n.key]
		if u.forgotten.covers(n.nonce) || key != nil && key.forgotten.covers(n.nonce) {
			return errUncertain
		}
		used = u.remember(n)
	}
	return used.counts.add(count)
}

// remember makes room for a nonce: at the cost of the key's own if it has its share, and
// otherwise of the one used first.
func (u *usedNonces) remember(n nonceOfKey) *usedNonce {
	key := u.keys[n.key]
	if key != nil && key.n >= u.share {
		key.forgotten.raise(key.first.nonce)
		u.remove(key.first)
	}
	if len(u.uses) >= u.most {
		u.forgetFirst()
	}
	if key = u.keys[n.key]; key == nil { // also if that was its last one
		key = new(usesOfKey)
		u.keys[n.key] = key
	}
	used := &usedNonce{nonceOfKey: n, before: u.last}
	if u.last == nil {
		u.first = used
	} else {
		u.last.after = used
	}
	if key.n == 0 {
		key.first = used
	} else {
		key.last.next = used
	}
	u.last, key.last = used, used
	key.n++
	u.uses[n] = used
	return used
}

// remove removes the first use of a key.
func (u *usedNonces) remove(used *usedNonce) {
	if used.before == nil {
		u.first = used.after
	} else {
		used.before.after = used.after
	}
	if used.after == nil {
		u.last = used.before
	} else {
		used.after.before = used.before
	}
	key := u.keys[used.key]
	if key.first = used.next; key.first == nil {
		key.last = nil // it would keep all nonces after it in memory
	}
	if key.n--; key.n == 0 && key.forgotten.of == nil {
		delete(u.keys, used.key)
	}
	delete(u.uses, used.nonceOfKey)
}

// forgetFirst forgets a nonce. It is never accepted again, nor is any other forgotten or
// unused nonce that its instance made as early.
func (u *usedNonces) forgetFirst() {
	u.forgotten.raise(u.first.nonce)
	u.remove(u.first) // of all, and so of its key
}

// forgetBefore forgets the nonces at the head of the queue made at a time or earlier.
// Others stay until those before them are as old.
func (u *usedNonces) forgetBefore(made int64) {
	for u.first != nil && u.first.nonce.made <= made {
		u.forgetFirst()
	}
}

// sweep forgets the keys without a nonce whose forgotten ones were made at a time or earlier.
func (u *usedNonces) sweep(made int64) {
	for id, key := range u.keys {
		if key.n == 0 && key.forgotten.endsBefore(made) {
			for instance, latest := range key.forgotten.of {
				u.forgotten.raise(nonce{instance, latest})
			}
			delete(u.keys, id)
		}
	}
}

// A watermark covers the nonces with unknown uses. Each instance has its own, since clocks
// differ: forgetting a nonce of an instance ahead must not cover those of the others. It keeps
// some bytes for each instance there ever was.
type watermark struct {
	of    map[uint64]int64 // by instance: those made up to then
	every int64            // of every instance: those made up to then
}

func (w *watermark) covers(n nonce) bool {
	return n.made <= max(w.of[n.instance], w.every)
}

func (w *watermark) raise(n nonce) {
	if w.of == nil {
		w.of = make(map[uint64]int64)
	}
	w.of[n.instance] = max(w.of[n.instance], n.made)
}

// endsBefore reports whether all covered nonces were made at a time or earlier.
func (w *watermark) endsBefore(made int64) bool {
	for _, latest := range w.of {
		if latest > made {
			return false
		}
	}
	return true
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
