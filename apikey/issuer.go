package apikey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// DefaultPrefix begins the text of every secret of the default issuer. A service with customers should have a prefix of
// its own: by it a scanner knows whose secret it found.
const DefaultPrefix = "sp"

// IssuerConfig configures [NewIssuer]. The zero IssuerConfig gives the default issuer.
type IssuerConfig struct {
	// Prefix begins the text of every new secret, followed by a _. It has 1 to 32 lowercase letters, digits and _,
	// begins with a letter and does not end with a _. "" means [DefaultPrefix].
	Prefix string

	// AcceptPrefixes are further prefixes accepted by [Issuer.Parse], for secrets issued under another name of the
	// service. They follow the rules of Prefix, and none may begin with another one and a _.
	AcceptPrefixes []string

	// ServerKeys are the keys of the stored HMAC-SHA-256 of a secret. The first hashes new secrets, the others only
	// verify, each for one more hash per call; see Secret.Rehash. While a service moves to server keys, [Unkeyed] is one
	// of them. None: secrets are hashed with plain SHA-256.
	ServerKeys []ServerKey

	// DigestAlgorithms makes Issue, New and Rotate add HTTP Digest credentials to every new secret, for these algorithms and
	// DigestRealm; see [DigestCredentials]. A key can use Digest only if its secret was made by such an issuer. List every
	// algorithm that the service offers: the client chooses. None: new secrets have no credentials.
	DigestAlgorithms []DigestAlgorithm

	// DigestRealm is the realm of the service's challenges; see [ValidateRealm]. Required with DigestAlgorithms, empty
	// without. Credentials of another realm are worthless: after a change of the realm keys are rotated.
	DigestRealm string

	// Clock is the clock of Issue, New and Rotate. nil means time.Now.
	Clock func() time.Time
}

// An Issuer makes and parses the secrets of one service: it has their prefixes and the server keys. It is immutable and
// safe for concurrent use. A nil *Issuer and a zero Issuer are the default issuer: [DefaultPrefix], plain SHA-256,
// time.Now.
type Issuer struct {
	prefixes []string    // each with the _ behind it; the first begins new secrets
	hashes   []hashUnder // the first hashes new secrets
	clock    func() time.Time

	digestAlgorithms []DigestAlgorithm
	digestRealm      string
}

// hashUnder is one way to hash a secret. A server key ID of "" stands for plain SHA-256.
type hashUnder struct {
	serverKey string
	sum       func(text []byte) [sha256.Size]byte
}

var defaultIssuer = &Issuer{prefixes: []string{DefaultPrefix + "_"}, hashes: []hashUnder{{sum: sha256.Sum256}}, clock: time.Now}

// orDefault makes a nil or zero Issuer usable, and the zero Secret.
func (i *Issuer) orDefault() *Issuer {
	if i == nil || len(i.prefixes) == 0 {
		return defaultIssuer
	}
	return i
}

// NewIssuer returns an issuer. The error joins everything wrong with the configuration:
//   - an invalid prefix, or one that begins with another one and a _;
//   - a zero ServerKey, or two with the same ID;
//   - [Unkeyed] without another server key: perhaps they were not loaded;
//   - an invalid Digest algorithm, or one given twice;
//   - an invalid DigestRealm;
//   - DigestAlgorithms without DigestRealm, or the other way around.
func NewIssuer(config IssuerConfig) (*Issuer, error) {
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf("apikey: "+format, args...)) }
	i := &Issuer{clock: config.Clock, digestAlgorithms: slices.Clone(config.DigestAlgorithms), digestRealm: config.DigestRealm}
	if i.clock == nil {
		i.clock = time.Now
	}
	i.addPrefixes(config, report)

	seen := map[string]bool{}
	for n, key := range config.ServerKeys {
		switch {
		case key.sum == nil:
			report("ServerKeys[%d] is a zero ServerKey: want one from NewServerKey, or Unkeyed", n)
		case seen[key.id]:
			report("ServerKeys[%d] has the ID %q of an earlier one: want an ID never used for another key", n, key.id)
		}
		seen[key.id] = true
		i.hashes = append(i.hashes, hashUnder{serverKey: key.id, sum: key.sum})
	}
	if len(config.ServerKeys) == 0 {
		i.hashes = defaultIssuer.hashes
	} else if len(seen) == 1 && seen[""] {
		report("ServerKeys has Unkeyed and no server key: want one beside it, or an empty list")
	}
	checkDigest(config, report)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return i, nil
}

func checkDigest(config IssuerConfig, report func(format string, args ...any)) {
	if len(config.DigestAlgorithms) == 0 {
		if config.DigestRealm != "" {
			report("DigestRealm without DigestAlgorithms: want both, or neither")
		}
		return
	}
	if problem := realmProblem(config.DigestRealm); problem != "" {
		report("DigestRealm %s", problem)
	}
	for n, algorithm := range config.DigestAlgorithms {
		if err := algorithm.Validate(); err != nil {
			report("DigestAlgorithms[%d]: %w", n, err)
		} else if slices.Contains(config.DigestAlgorithms[:n], algorithm) {
			report("DigestAlgorithms[%d] is %s for the second time: want once", n, algorithm)
		}
	}
}

func (i *Issuer) addPrefixes(config IssuerConfig, report func(format string, args ...any)) {
	first := config.Prefix
	if first == "" {
		first = DefaultPrefix
	}
	for n, prefix := range append([]string{first}, config.AcceptPrefixes...) {
		if !validPrefix(prefix) {
			report("the prefix %s: want 1 to %d lowercase letters, digits and _, a letter first and no _ last, for example %q",
				plain.Quote(prefix), maxPrefixLength, DefaultPrefix)
			continue
		}
		prefix += "_"
		for _, earlier := range i.prefixes {
			if strings.HasPrefix(prefix, earlier) || strings.HasPrefix(earlier, prefix) {
				// An ID may contain a _, so the text would not say where it begins.
				report("AcceptPrefixes[%d] %q and the prefix %q begin alike: want no prefix to begin with another one and a _",
					n-1, strings.TrimSuffix(prefix, "_"), strings.TrimSuffix(earlier, "_"))
			}
		}
		i.prefixes = append(i.prefixes, prefix)
	}
}

func validPrefix(prefix string) bool {
	for k := range len(prefix) {
		c := prefix[k]
		if !('a' <= c && c <= 'z' || k > 0 && '0' <= c && c <= '9' || k > 0 && c == '_') {
			return false
		}
	}
	return prefix != "" && len(prefix) <= maxPrefixLength && prefix[len(prefix)-1] != '_'
}

// New returns a new key of the organization with these grants, and its secret. Show the secret to its owner now: the key
// keeps only its hash (rule K1). The key is active, has an empty access list and never expires; change it before it is
// stored. A bad organization or grant is an error.
func (i *Issuer) New(organization string, grants ...Grant) (Key, Secret, error) {
	return i.Issue(Key{Organization: organization, Grants: grants})
}

// New returns a new key of the default issuer; see [Issuer.New].
func New(organization string, grants ...Grant) (Key, Secret, error) {
	return (*Issuer)(nil).New(organization, grants...)
}

// Issue adds a new secret to a copy of key, after the live ones, and returns both. Show the secret once. An empty ID is
// replaced by [NewID], a zero Created by the present. Live secrets stay as they are and expired ones are dropped. The
// given key is not changed, and nothing is stored.
//
// Issue makes a key from existing parts, such as an ID. [Issuer.New] is the short form for a new key; [Issuer.Rotate] also
// ends the earlier secret. A key with two live secrets is refused with [ErrTwoSecrets], and an invalid result with the
// error of [Key.Validate].
func (i *Issuer) Issue(key Key) (Key, Secret, error) {
	i = i.orDefault()
	return i.issue(key.Clone(), i.now())
}

// DigestRealm returns the realm of the HTTP Digest credentials that the issuer makes, "" if it makes none.
func (i *Issuer) DigestRealm() string { return i.orDefault().digestRealm }

// now returns the time without a zone and a monotonic reading, so that it equals the one read back from a database.
func (i *Issuer) now() time.Time { return i.clock().UTC().Round(0) }

// issue is Issue at a given time, for a key that it may change.
func (i *Issuer) issue(issued Key, now time.Time) (Key, Secret, error) {
	if issued.ID == "" {
		issued.ID = NewID()
	}
	if issued.Created.IsZero() {
		issued.Created = now
	}
	issued.Secrets = liveSecrets(issued.Secrets, now)
	if len(issued.Secrets) >= maxSecrets {
		return Key{}, Secret{}, twoSecretsError(issued.ID, issued.Secrets)
	}
	secret := newSecret(newText(i.prefixes[0], issued.ID), i)
	hash := i.hashes[0]
	issued.Secrets = append(issued.Secrets, StoredSecret{
		ServerKey: hash.serverKey, Sum: hash.sum(secret.view()), Created: now,
		Digest: makeDigest(issued.ID, secret, i.digestRealm, i.digestAlgorithms),
	})
	if err := issued.Validate(); err != nil {
		return Key{}, Secret{}, err
	}
	return issued, secret, nil
}

// Issue adds a secret of the default issuer to a key; see [Issuer.Issue].
func Issue(key Key) (Key, Secret, error) { return (*Issuer)(nil).Issue(key) }

// Rotate adds a new secret to a copy of key and ends the earlier ones (rule K4). It returns both. Show the secret once.
// The given key is not changed, and nothing is stored.
//
// Each earlier secret stays valid for the overlap from now, or until its own Expires if that is earlier. With an overlap
// of 0 every earlier secret ends at once: that is always possible, and right after a leak.
//
// The new secret has Digest credentials if this issuer makes them, whatever the earlier secrets have: rotated by another
// issuer, a key cannot use HTTP Digest any more after the overlap.
//
// Expired secrets are dropped. A key with two live secrets is refused with [ErrTwoSecrets] unless the overlap is 0; the
// error has the end of the older one. A negative overlap and an invalid key are errors, too.
func (i *Issuer) Rotate(key Key, overlap time.Duration) (Key, Secret, error) {
	if overlap < 0 {
		return Key{}, Secret{}, fmt.Errorf("apikey: the overlap %v is negative: want 0, to end the earlier secrets at once, or more", overlap)
	}
	i = i.orDefault()
	now := i.now()
	rotated := key.Clone()
	rotated.Secrets = liveSecrets(rotated.Secrets, now)
	switch {
	case overlap == 0:
		rotated.Secrets = nil
	case len(rotated.Secrets) < maxSecrets: // otherwise issue refuses, with the times at which the secrets end today
		for n := range rotated.Secrets {
			rotated.Secrets[n].Expires = earlier(rotated.Secrets[n].Expires, now.Add(overlap))
		}
	}
	return i.issue(rotated, now)
}

// liveSecrets removes the expired ones.
func liveSecrets(secrets []StoredSecret, now time.Time) []StoredSecret {
	return slices.DeleteFunc(secrets, func(s StoredSecret) bool { return s.live(now) == 0 })
}

// Rotate gives a key a new secret of the default issuer; see [Issuer.Rotate].
func Rotate(key Key, overlap time.Duration) (Key, Secret, error) {
	return (*Issuer)(nil).Rotate(key, overlap)
}

// twoSecretsError has the end of the older of the live secrets, if one expires.
func twoSecretsError(id ID, live []StoredSecret) error {
	var end time.Time
	for _, s := range live {
		end = earlier(end, s.Expires)
	}
	if end.IsZero() {
		return fmt.Errorf("%w: key %q, and none of them expires: want Rotate with an overlap of 0, to end both at once",
			ErrTwoSecrets, id)
	}
	return fmt.Errorf("%w: key %q, the older until %s: want to wait until then, or Rotate with an overlap of 0, to end both at once",
		ErrTwoSecrets, id, end.UTC().Format(time.RFC3339Nano))
}

// earlier returns the earlier of two bounds. A zero time is no bound.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
