package apikey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// DefaultPrefix begins the text of every secret of the default issuer. A service that hands secrets to others should have
// a prefix of its own, so that a scanner that finds one knows whose it is.
const DefaultPrefix = "sp"

// ErrTwoSecrets is what the error of [Issuer.Rotate] wraps when a key has two live secrets already (rule K4).
var ErrTwoSecrets = errors.New("apikey: the key has two live secrets already")

// IssuerConfig is what [NewIssuer] makes an issuer from. The zero IssuerConfig gives the default issuer.
type IssuerConfig struct {
	// Prefix begins the text of every secret, followed by a _. It has 1 to 32 bytes, lowercase letters, digits and _,
	// begins with a letter and does not end with a _. "" means [DefaultPrefix].
	Prefix string

	// ServerKeys are the keys of the HMAC-SHA-256 that is stored of a secret. The first hashes new secrets, the others
	// still verify old ones, each for one more hash per call. None: secrets are hashed with plain SHA-256.
	ServerKeys []ServerKey

	// AcceptUnkeyed lets an issuer with server keys still verify the secrets that were hashed with plain SHA-256, while
	// a service moves to server keys. It is a mistake without ServerKeys, which [NewIssuer] refuses: perhaps they were
	// not loaded.
	AcceptUnkeyed bool

	// Clock tells the present, for the times that New and Rotate write. nil means time.Now.
	Clock func() time.Time
}

// Issuer makes and reads the secrets of one service: it knows their prefix and the server keys. It is immutable and may
// be used by several goroutines at once. A nil *Issuer and a zero Issuer are the default issuer: [DefaultPrefix], plain
// SHA-256, time.Now.
type Issuer struct {
	prefix string      // with the _ behind it
	hashes []hashUnder // the first is that of new secrets
	clock  func() time.Time
}

// hashUnder is a way to hash a secret. A server key ID of "" stands for plain SHA-256.
type hashUnder struct {
	serverKey string
	sum       func(text []byte) [sha256.Size]byte
}

var defaultIssuer = &Issuer{prefix: DefaultPrefix + "_", hashes: []hashUnder{{sum: sha256.Sum256}}, clock: time.Now}

// orDefault lets the methods of Issuer, and of a zero Secret, do without one.
func (i *Issuer) orDefault() *Issuer {
	if i == nil || i.prefix == "" {
		return defaultIssuer
	}
	return i
}

// NewIssuer returns an issuer, or an error that joins all that is wrong with the configuration.
func NewIssuer(config IssuerConfig) (*Issuer, error) {
	var errs []error
	i := &Issuer{prefix: DefaultPrefix + "_", clock: time.Now}
	if config.Prefix != "" {
		if !validPrefix(config.Prefix) {
			errs = append(errs, fmt.Errorf("apikey: the prefix %.*q; right would be 1 to %d lowercase letters, digits and _, "+
				"a letter first and no _ last, for example %q", maxQuoted, config.Prefix, maxPrefixLength, DefaultPrefix))
		}
		i.prefix = config.Prefix + "_"
	}
	if config.Clock != nil {
		i.clock = config.Clock
	}

	seen := map[string]bool{}
	for n, key := range config.ServerKeys {
		switch {
		case key.sum == nil:
			errs = append(errs, fmt.Errorf("apikey: ServerKeys[%d] is a zero ServerKey; right would be one from NewServerKey", n))
		case seen[key.id]:
			errs = append(errs, fmt.Errorf("apikey: ServerKeys[%d] has the ID %q of an earlier one; "+
				"right would be an ID that was never used for another key", n, key.id))
		}
		seen[key.id] = true
		i.hashes = append(i.hashes, hashUnder{serverKey: key.id, sum: key.sum})
	}
	if config.AcceptUnkeyed && len(config.ServerKeys) == 0 {
		errs = append(errs, errors.New("apikey: AcceptUnkeyed without ServerKeys; "+
			"right would be at least one server key, or AcceptUnkeyed false"))
	}
	if config.AcceptUnkeyed || len(config.ServerKeys) == 0 {
		i.hashes = append(i.hashes, hashUnder{sum: sha256.Sum256})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return i, nil
}

func validPrefix(prefix string) bool {
	for k := range len(prefix) {
		c := prefix[k]
		if !('a' <= c && c <= 'z' || k > 0 && '0' <= c && c <= '9' || k > 0 && c == '_') {
			return false
		}
	}
	return len(prefix) <= maxPrefixLength && prefix[len(prefix)-1] != '_'
}

// New returns a new key of the organization with these grants, and its secret. The secret is to be shown to its owner now:
// it is not kept, and the key has only its hash (rule K1). The key is active, has an empty access list and never expires;
// change it before it is stored. A bad organization or grant is an error.
func (i *Issuer) New(organization string, grants ...Grant) (Key, Secret, error) {
	i = i.orDefault()
	now := i.now()
	key := Key{ID: NewID(), Organization: organization, Grants: slices.Clone(grants), Created: now}
	stored, secret := i.newSecret(key.ID, now)
	key.Secrets = []StoredSecret{stored}
	if err := key.Validate(); err != nil {
		return Key{}, Secret{}, err
	}
	return key, secret, nil
}

// New returns a new key of the default issuer; see [Issuer.New].
func New(organization string, grants ...Grant) (Key, Secret, error) {
	return (*Issuer)(nil).New(organization, grants...)
}

// Rotate returns a copy of key with a new secret, and that secret, to be shown once (rule K4). The key that was given is
// not changed, and nothing is stored.
//
// The secret that the key had stays valid for the overlap from now, or until its own Expires if that is earlier. With an
// overlap of 0 every earlier secret ends at once, which is always possible: it is what to do when one leaked.
//
// Secrets that have expired are dropped. A key has at most two live ones: when it has two and the overlap is not 0, the
// error wraps [ErrTwoSecrets] and tells until when the older one lives. A negative overlap and an invalid key ID are
// errors too.
func (i *Issuer) Rotate(key Key, overlap time.Duration) (Key, Secret, error) {
	i = i.orDefault()
	if err := key.ID.Validate(); err != nil {
		return Key{}, Secret{}, err
	}
	if overlap < 0 {
		return Key{}, Secret{}, fmt.Errorf("apikey: an overlap of %v is negative; right would be 0, "+
			"to end the earlier secrets at once, or more", overlap)
	}

	now := i.now()
	rotated := key.Clone()
	rotated.Secrets = slices.DeleteFunc(rotated.Secrets, func(s StoredSecret) bool { return overlap == 0 || s.live(now) == 0 })
	if len(rotated.Secrets) >= maxSecrets {
		return Key{}, Secret{}, twoSecretsError(key.ID, rotated.Secrets)
	}
	for n := range rotated.Secrets {
		rotated.Secrets[n].Expires = earlier(rotated.Secrets[n].Expires, now.Add(overlap))
	}
	stored, secret := i.newSecret(key.ID, now)
	rotated.Secrets = append(rotated.Secrets, stored)
	return rotated, secret, nil
}

// Rotate gives a key a new secret of the default issuer; see [Issuer.Rotate].
func Rotate(key Key, overlap time.Duration) (Key, Secret, error) {
	return (*Issuer)(nil).Rotate(key, overlap)
}

// now has no monotonic reading and no zone, so that what is stored compares equal to what is read back.
func (i *Issuer) now() time.Time { return i.clock().UTC().Round(0) }

func (i *Issuer) newSecret(id ID, now time.Time) (StoredSecret, Secret) {
	secret := newSecret(newText(i.prefix, id), i)
	hash := i.hashes[0]
	return StoredSecret{ServerKey: hash.serverKey, Sum: hash.sum(secret.view()), Created: now}, secret
}

// twoSecretsError tells when the first of the live secrets ends by itself, if one does.
func twoSecretsError(id ID, live []StoredSecret) error {
	var end time.Time
	for _, s := range live {
		end = earlier(end, s.Expires)
	}
	if end.IsZero() {
		return fmt.Errorf("%w: key %q, and none of them expires; right would be an overlap of 0, which ends them at once",
			ErrTwoSecrets, id)
	}
	return fmt.Errorf("%w: key %q, the older until %s; right would be to wait until then, "+
		"or an overlap of 0, which ends both at once", ErrTwoSecrets, id, end.UTC().Format(time.RFC3339Nano))
}

// earlier takes a zero time for no bound.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
