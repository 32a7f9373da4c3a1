package policyhttp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// DigestCredentials has the credentials of the keys that may use Digest. It is the
// embedding program's table, or [MemoryDigestCredentials].
type DigestCredentials interface {
	// DigestCredentials returns the credentials of a key for an algorithm: one for each of
	// its live secrets, so one or two, and none for a key that may not use Digest or does
	// not exist. Credentials of secrets that are live no more may be among them and are
	// ignored. IDs of keys are compared byte by byte.
	//
	// It is asked for every request with Digest credentials, whether or not there is such a
	// key, and should take as long for both (rule K3); the ID is valid. What it returns is
	// only read. An error, a panic and a credential that is none deny the request as
	// unavailable. ctx ends with the request, and after [policy.DefaultTimeout]; who does
	// not heed it holds the request up. It must be safe for concurrent use.
	DigestCredentials(ctx context.Context, key apikey.ID, algorithm DigestAlgorithm) ([]DigestCredential, error)
}

// A DigestCredential is what the responses of one secret of one key are checked with,
// for one algorithm and one realm. Whoever has it can sign in with the key: store it as
// what it is, a password. The program stores its two fields with the key's ID and the
// algorithm, from the moment the secret is shown, as there is no other later.
//
// It goes with its secret: when that is rotated away or has expired, its credentials
// prove nothing any more. To rotate a key is to make credentials of the new secret; for
// the overlap (rule K4) the key has those of both. When the realm changes, all
// credentials are worthless.
//
// It redacts itself (rule K2) under every verb of fmt, in log/slog and in JSON, which
// is therefore not a way to store it.
type DigestCredential struct {
	// SecretID is the apikey.StoredSecret.ID of the secret it was made of.
	SecretID string

	// Hash is H(user name:realm:password), as RFC 7616 calls it, in lower-case hexadecimal: 32
	// digits for MD5, 64 for SHA-256. Files of htdigest have the same.
	Hash string
}

// NewDigestCredential returns the credential of a secret of the key, which is stored
// where [DigestConfig].Credentials finds it: when a key or its rotation is made, and the
// secret is at hand for the one time. The realm is that of [Config], "" its default. It
// is an error if the secret is none of key.Secrets, and if the realm or the algorithm
// cannot be used; the error does not show the secret.
func NewDigestCredential(key apikey.Key, secret apikey.Secret, realm string, algorithm DigestAlgorithm) (DigestCredential, error) {
	if err := algorithm.check(); err != nil {
		return DigestCredential{}, fmt.Errorf("policyhttp: a digest credential: %w", err)
	}
	if realm == "" {
		realm = defaultRealm
	}
	if err := checkRealm(realm); err != nil {
		return DigestCredential{}, fmt.Errorf("policyhttp: a digest credential: %w", err)
	}
	if err := key.ID.Validate(); err != nil {
		return DigestCredential{}, fmt.Errorf("policyhttp: a digest credential: %w", err)
	}
	// At the zero time every secret is live. Whether this one still is, is asked when the
	// credential is used.
	index, err := secret.Prove(key.Secrets, time.Time{})
	if err != nil {
		return DigestCredential{}, fmt.Errorf("policyhttp: a digest credential: %w", err)
	}
	return DigestCredential{key.Secrets[index].ID(), algorithm.hashOf(string(key.ID), realm, secret.Reveal())}, nil
}

// check returns what is wrong with a credential that was stored, without its hash.
func (c DigestCredential) check(algorithm DigestAlgorithm) error {
	if !algorithm.isHash(c.Hash) {
		return fmt.Errorf("the credential of secret %q has a hash of %d bytes; right would be %d digits of 0-9 and a-f for %s",
			c.SecretID, len(c.Hash), algorithm.digits(), algorithm)
	}
	return nil
}

// String returns the secret's ID and nothing of the hash.
func (c DigestCredential) String() string { return c.SecretID + ":[redacted]" }

// GoString returns the same as String.
func (c DigestCredential) GoString() string { return c.String() }

// Format writes the same as String for every verb.
func (c DigestCredential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns the same as String.
func (c DigestCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText returns the same as String, for JSON and other encodings.
func (c DigestCredential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MemoryDigestCredentials has credentials in memory, for tests and for programs that
// read them from a file when they start. The zero value is empty. It is safe for
// concurrent use.
type MemoryDigestCredentials struct {
	mu          sync.RWMutex
	credentials map[apikey.ID]map[DigestAlgorithm][]DigestCredential
}

// Add adds a credential of a key. With a third one for the same algorithm the oldest is
// dropped, since a key has at most two live secrets; one of the same secret is replaced.
// A credential that cannot be one for the algorithm is an error.
func (m *MemoryDigestCredentials) Add(key apikey.ID, algorithm DigestAlgorithm, credential DigestCredential) error {
	err := algorithm.check()
	if err == nil {
		err = credential.check(algorithm)
	}
	if err != nil {
		return fmt.Errorf("policyhttp: a digest credential of key %s: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.credentials == nil {
		m.credentials = make(map[apikey.ID]map[DigestAlgorithm][]DigestCredential)
	}
	if m.credentials[key] == nil {
		m.credentials[key] = make(map[DigestAlgorithm][]DigestCredential)
	}
	// In new memory, since DigestCredentials hands out the old.
	var kept []DigestCredential
	for _, c := range m.credentials[key][algorithm] {
		if c.SecretID != credential.SecretID {
			kept = append(kept, c)
		}
	}
	kept = append(kept, credential)
	m.credentials[key][algorithm] = kept[max(0, len(kept)-maxSecrets):]
	return nil
}

// Remove removes all credentials of a key: it cannot use Digest any more.
func (m *MemoryDigestCredentials) Remove(key apikey.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.credentials, key)
}

// DigestCredentials returns a copy of what was added. There is never an error.
func (m *MemoryDigestCredentials) DigestCredentials(_ context.Context, key apikey.ID, algorithm DigestAlgorithm) ([]DigestCredential, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	// As much memory for no credential as for two (rule K3).
	return append(make([]DigestCredential, 0, maxSecrets), m.credentials[key][algorithm]...), nil
}
