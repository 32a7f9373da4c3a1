package apikey

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"log/slog"
	"sync"
)

const (
	maxServerKeyIDLength = 32
	minServerKeyLength   = 32 // as long as the hash; RFC 2104, section 3, discourages less
)

// A ServerKey is a secret of the service, for the HMAC of its callers' secrets. Keep it outside the database with the
// keys, or it protects nothing. It redacts itself like [Secret], and has no way back to its bytes.
//
// The zero ServerKey is invalid: [NewIssuer] refuses it. A ServerKey is safe for concurrent use.
type ServerKey struct {
	id string

	// sum has the key in its closure, where printing by reflection does not reach.
	sum func(text []byte) [sha256.Size]byte
}

// NewServerKey returns a server key with a copy of these bytes. The ID is stored with every secret hashed under the key
// ([StoredSecret.ServerKey]) and is no secret: 1 to 32 bytes of A-Z, a-z, 0-9, - and _. The key has at least 32 bytes,
// from crypto/rand or a key management service. Anything else is an error, which does not show the key.
func NewServerKey(id string, key []byte) (ServerKey, error) {
	if problem := wordProblem(id, maxServerKeyIDLength); problem != "" {
		return ServerKey{}, fmt.Errorf("apikey: the ID of a server key %s", problem)
	}
	if len(key) < minServerKeyLength {
		return ServerKey{}, fmt.Errorf("apikey: the server key %q has %d bytes: want at least %d random ones",
			id, len(key), minServerKeyLength)
	}
	return ServerKey{id: id, sum: keyedSum(bytes.Clone(key))}, nil
}

// Unkeyed returns what stands for no server key among [IssuerConfig].ServerKeys: plain SHA-256, under the ID "". Behind the
// service's first server key it goes on verifying the secrets from before; ahead of it, the server key verifies and
// hashes none yet.
func Unkeyed() ServerKey { return ServerKey{sum: sha256.Sum256} }

// String returns "[redacted]".
func (k ServerKey) String() string { return redacted }

// GoString returns "[redacted]".
func (k ServerKey) GoString() string { return redacted }

// Format writes "[redacted]" for every verb, whatever its flags.
func (k ServerKey) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue returns the string "[redacted]".
func (k ServerKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns the JSON string "[redacted]" and no error.
func (k ServerKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "[redacted]" and no error.
func (k ServerKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// keyedSum returns HMAC-SHA-256 under key. The states are pooled because making one hashes the key twice and allocates.
// They carry the buffer for the sum because an argument of an interface method would be allocated, too.
func keyedSum(key []byte) func(text []byte) [sha256.Size]byte {
	type state struct {
		mac hash.Hash
		sum [sha256.Size]byte
	}
	pool := sync.Pool{New: func() any { return &state{mac: hmac.New(sha256.New, key)} }}
	return func(text []byte) [sha256.Size]byte {
		s := pool.Get().(*state)
		s.mac.Reset()
		s.mac.Write(text) // a hash.Hash never returns an error
		s.mac.Sum(s.sum[:0])
		sum := s.sum
		pool.Put(s)
		return sum
	}
}
