package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// A StoredSecret is the stored part of a secret: a hash and never the text (rule K1).
type StoredSecret struct {
	// ServerKey is the ID of the server key if Sum is an HMAC-SHA-256, and "" if Sum is a plain SHA-256.
	ServerKey string

	// Sum is the hash of the secret's whole text, prefix and checksum included.
	Sum [sha256.Size]byte

	// FormerID is the ID from before the secret was hashed again under another server key; see
	// [Secret.Rehash]. "" if it never was.
	FormerID string

	// Created is when the secret was made.
	Created time.Time

	// Expires is the end of the overlap with a newer secret (rule K4). From that instant on this one is not accepted.
	// Zero: accepted until the key is rotated.
	Expires time.Time

	// Digest has the HTTP Digest credentials of the secret. Zero: none, and the secret cannot be used with Digest.
	Digest DigestCredentials
}

// ID returns the first 8 hexadecimal digits of the hash, for example "9f86d081", or FormerID: hashed again, a secret keeps
// its ID. It names the secret in usage records and logs, beside the ID of its key. It proves nothing, and the secret
// cannot be computed from it.
func (s StoredSecret) ID() string {
	if s.FormerID != "" {
		return s.FormerID
	}
	id := s.newID()
	return string(id[:]) // ID is inlined: no allocation where the text is not kept
}

func (s *StoredSecret) newID() (id [2 * idBytes]byte) {
	hex.Encode(id[:], s.Sum[:idBytes])
	return id
}

// idBytes of a hash are the ID of a stored secret.
const idBytes = 4

// live has no branches on its result: [Secret.Verify] takes the same time for every record.
func (s *StoredSecret) live(now time.Time) int {
	return toInt(s.Expires.IsZero()) | toInt(now.Before(s.Expires))
}

// Verify compares s with the stored secrets and returns the index of the equal one, if that is live at now: its Expires is
// zero or after now. Otherwise the index is -1 and the error is [ErrWrongSecret] or [ErrUnknownServerKey].
//
// The work does not depend on the record (rule K3). The text is hashed under every hash of its issuer and compared in
// constant time with two stored secrets, or with all of them if a broken record has more; a dummy takes the place of a
// missing one. For an unknown key call Verify(nil, now): neither time nor answer differs from a wrong secret's. Verify
// does not allocate memory.
func (s Secret) Verify(stored []StoredSecret, now time.Time) (index int, err error) {
	issuer := s.issuer.orDefault()
	dummy := StoredSecret{ServerKey: issuer.hashes[0].serverKey}
	slots := max(len(stored), maxSecrets)
	shown := toInt(!s.IsZero())

	index = -1
	live, checkable := 0, 0 // sums over all hashes: live secrets, and those under the hash
	for h := range issuer.hashes {
		hash := &issuer.hashes[h]
		sum := hash.sum(s.view())
		for i := range slots {
			slot, present := slotAt(stored, i, &dummy)
			usable := slot.live(now) & present
			under := usable & toInt(slot.ServerKey == hash.serverKey)
			index = subtle.ConstantTimeSelect(equal(&sum, &slot.Sum)&under&shown, i, index)
			live += usable
			checkable += under
		}
	}
	// Each live secret was met once for each hash, and is under one of them at most.
	uncheckable := toInt(live > checkable*len(issuer.hashes))

	switch {
	case index >= 0:
		return index, nil
	case uncheckable&shown == 1:
		return -1, ErrUnknownServerKey
	}
	return -1, ErrWrongSecret
}

// Rehash returns a stored secret hashed again, under the first server key of the issuer of s. ok is false if stored is
// hashed under that one already, and if s does not match stored. ID, Created, Expires and Digest stay as they are.
//
// Call it after [Secret.Verify], so that a server key can be dropped: only the text can be hashed again, and the caller
// alone has it. policy.Decision.Rehashed does so for a decision. Expired secrets match, too.
func (s Secret) Rehash(stored StoredSecret) (rehashed StoredSecret, ok bool) {
	hashes := s.issuer.orDefault().hashes
	if stored.ServerKey == hashes[0].serverKey || s.IsZero() {
		return StoredSecret{}, false
	}
	for _, hash := range hashes[1:] {
		if hash.serverKey != stored.ServerKey {
			continue
		}
		if sum := hash.sum(s.view()); subtle.ConstantTimeCompare(sum[:], stored.Sum[:]) == 1 {
			stored.FormerID = stored.ID()
			stored.ServerKey, stored.Sum = hashes[0].serverKey, hashes[0].sum(s.view())
			return stored, true
		}
	}
	return StoredSecret{}, false
}

// equal is 1 for equal sums. It is subtle.ConstantTimeCompare for eight bytes at a time: there
// are no branches on the sums.
func equal(a, b *[sha256.Size]byte) int {
	var differ uint64
	for i := 0; i < sha256.Size; i += 8 {
		differ |= binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:])
	}
	return int((differ|-differ)>>63) ^ 1
}

// slotAt returns the stored secret at i, or the dummy and 0 beyond the last.
func slotAt(stored []StoredSecret, i int, dummy *StoredSecret) (slot *StoredSecret, present int) {
	if i < len(stored) {
		return &stored[i], 1
	}
	return dummy, 0
}

// toInt is 1 for true. The compiler makes it an instruction and not a branch.
func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
