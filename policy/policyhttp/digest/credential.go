package digest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Credentials has the stored credentials of the keys with Digest: the embedding program's
// table, or [MemoryCredentials].
type Credentials interface {
	// Credentials returns the credentials of a key for an algorithm: one for each of its
	// live secrets, so one or two. It returns none for an unknown key, and for a key
	// without Digest. Credentials of expired secrets are ignored. IDs are compared byte by
	// byte.
	//
	// It is called for every request with Digest credentials, with a valid ID, whether or
	// not the key exists, and should take as long for both (rule K3). The result is only
	// read. An error, a panic and an invalid credential deny the request as unavailable.
	// It must be safe for concurrent use.
	//
	// As with a [policy.Source], at most [policy.DefaultMaxLookups] calls are under way at
	// once, and the others wait. ctx ends after [policy.DefaultTimeout], and not with the
	// request: a caller who hangs up is not waited for, and [policy.CallerContext] ends then.
	Credentials(ctx context.Context, key apikey.ID, algorithm Algorithm) ([]Credential, error)
}

// A Credential verifies the responses of one secret of one key, for one algorithm and one
// realm. A reader of it can sign in with the key: store it as carefully as a password. The
// program stores its two fields with the key's ID and the algorithm when the secret is
// shown; later it cannot be made.
//
// It ends with its secret, by rotation or expiry. Rotating a key means to make credentials
// of the new secret; for the overlap (rule K4) the key has those of both. A change of the
// realm makes all credentials worthless.
//
// It redacts itself (rule K2) under every verb of fmt, in log/slog and in JSON. So JSON is
// not a way to store it. fmt cannot redact it in an unexported field of another type, which
// therefore needs a Format method of its own.
type Credential struct {
	// SecretID is the apikey.StoredSecret.ID of the secret it was made of.
	SecretID string

	// Hash is H(user name:realm:password), as RFC 7616 calls it, in lower-case hexadecimal: 32
	// digits for MD5, 64 for SHA-256. Files of htdigest have the same.
	Hash string
}

// NewCredential returns the credential of a secret of the key, to be stored in
// [Config].Credentials. Call it when a key is made or rotated: the secret is at hand only
// then. realm is policyhttp.Config.Realm, "" the default. A secret missing from
// key.Secrets, an invalid realm, algorithm or ID are errors. The error does not show the
// secret.
func NewCredential(key apikey.Key, secret apikey.Secret, realm string, algorithm Algorithm) (Credential, error) {
	if err := algorithm.check(); err != nil {
		return Credential{}, fmt.Errorf("digest: the credential: %w", err)
	}
	if realm == "" {
		realm = policyhttp.DefaultRealm
	}
	if err := policyhttp.CheckRealm(realm); err != nil {
		return Credential{}, fmt.Errorf("digest: the credential: %w", err)
	}
	if err := key.ID.Validate(); err != nil {
		return Credential{}, fmt.Errorf("digest: the credential: %w", err)
	}
	// At the zero time every secret is live. Its expiry is checked at each use of the
	// credential.
	index, err := secret.Verify(key.Secrets, time.Time{})
	if err != nil {
		return Credential{}, fmt.Errorf("digest: the credential: %w", err)
	}
	return Credential{key.Secrets[index].ID(), algorithm.hashOf(string(key.ID), realm, secret.Reveal())}, nil
}

// check returns why a stored credential is invalid, without its hash.
func (c Credential) check(algorithm Algorithm) error {
	if !algorithm.isHash(c.Hash) {
		return fmt.Errorf("the credential of secret %q has a hash of %d bytes: want %d digits of 0-9 and a-f for %s",
			c.SecretID, len(c.Hash), algorithm.digits(), algorithm)
	}
	return nil
}

// String returns the secret's ID and nothing of the hash.
func (c Credential) String() string { return c.SecretID + ":[redacted]" }

// GoString returns the same as String.
func (c Credential) GoString() string { return c.String() }

// Format writes the same as String for every verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns the same as String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText returns the same as String, for JSON and other encodings.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MemoryCredentials holds credentials in memory, for tests and for programs with a file of
// them, read at the start. The zero value is empty. It is safe for concurrent use.
type MemoryCredentials struct {
	mu          sync.RWMutex
	credentials map[apikey.ID]map[Algorithm][]Credential
}

// Add adds a credential of a key, or replaces the one of the same secret. A third one for
// the same algorithm drops the oldest, since a key has at most two live secrets. An invalid
// credential for the algorithm is an error.
func (m *MemoryCredentials) Add(key apikey.ID, algorithm Algorithm, credential Credential) error {
	err := algorithm.check()
	if err == nil {
		err = credential.check(algorithm)
	}
	if err != nil {
		return fmt.Errorf("digest: the credential of key %s: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.credentials == nil {
		m.credentials = make(map[apikey.ID]map[Algorithm][]Credential)
	}
	if m.credentials[key] == nil {
		m.credentials[key] = make(map[Algorithm][]Credential)
	}
	// In new memory: slices of the old may be in use.
	var kept []Credential
	for _, c := range m.credentials[key][algorithm] {
		if c.SecretID != credential.SecretID {
			kept = append(kept, c)
		}
	}
	kept = append(kept, credential)
	m.credentials[key][algorithm] = kept[max(0, len(kept)-maxSecrets):]
	return nil
}

// Remove removes all credentials of a key. It cannot use Digest any more.
func (m *MemoryCredentials) Remove(key apikey.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.credentials, key)
}

// Credentials implements [Credentials]. It returns a copy, and never an error.
func (m *MemoryCredentials) Credentials(_ context.Context, key apikey.ID, algorithm Algorithm) ([]Credential, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	// As much memory for no credential as for two (rule K3).
	return append(make([]Credential, 0, maxSecrets), m.credentials[key][algorithm]...), nil
}
