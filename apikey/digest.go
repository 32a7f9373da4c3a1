package apikey

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unsafe"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A DigestAlgorithm is the hash of HTTP Digest credentials, by its name in RFC 7616.
type DigestAlgorithm string

// The algorithms. -sess and SHA-512-256 are not supported; hardly any client knows them.
const (
	DigestMD5    DigestAlgorithm = "MD5"
	DigestSHA256 DigestAlgorithm = "SHA-256"
)

// Validate returns nil for an algorithm that can be used: DigestMD5 and DigestSHA256, in FIPS 140-only mode DigestSHA256
// alone.
func (a DigestAlgorithm) Validate() error { return a.validateIn(fips140.Enforced()) }

// validateIn is Validate with or without the FIPS 140-only mode. There crypto/md5 panics.
func (a DigestAlgorithm) validateIn(fips bool) error {
	switch {
	case a != DigestMD5 && a != DigestSHA256:
		return fmt.Errorf("apikey: the Digest algorithm %s is unknown: want %q or %q", plain.Quote(string(a)), DigestMD5, DigestSHA256)
	case a == DigestMD5 && fips:
		return errors.New("apikey: the Digest algorithm MD5 is not allowed in FIPS 140-only mode: want SHA-256")
	}
	return nil
}

// DigestCredentials verify the HTTP Digest responses (RFC 7616) made with one secret, for one realm. An [Issuer] makes them
// with the secret, if it is configured to; later they cannot be made. They are a part of the key's record, and end with
// their secret. The zero DigestCredentials are none.
//
// Each hash is H(user name:realm:password) of the RFC: the user name is the key's ID, the password the text of the secret.
// Files of htdigest have the same. A client needs no more than such a hash to sign in. So a reader of the stored record can
// sign in with the key, which the hash of a secret alone does not allow (rule K1).
//
// They redact themselves like a [Secret] (rule K2): under every verb of fmt, in log/slog, JSON and text encodings they are
// "[redacted]", also inside another value. Only [Key.MarshalJSON], the stored form, has the hashes, and
// [DigestCredentials.Hash] returns them.
//
// They are immutable, and a copy shares their memory. Compare them with [DigestCredentials.Equal]: == and
// reflect.DeepEqual compare the address.
type DigestCredentials struct {
	stored unsafe.Pointer // a *digestHashes or nil; for the kind of pointer see Secret
}

type digestHashes struct{ realm, md5, sha256 string }

// NewDigestCredentials returns credentials of existing hashes, such as those of a file of htdigest, for a
// [StoredSecret] made of the same text. Each hash is in lower-case hexadecimal, 32 digits for MD5 and 64 for SHA-256; ""
// stands for none, and one of the two is required. An invalid realm or hash is an error, which does not show the hash.
func NewDigestCredentials(realm, md5, sha256 string) (DigestCredentials, error) {
	problem := realmProblem(realm)
	switch {
	case problem != "":
		problem = "the realm " + problem
	case md5 == "" && sha256 == "":
		problem = "no hash: want one of MD5 or SHA-256"
	case md5 != "" && !isHash(md5, 32):
		problem = fmt.Sprintf("the hash of MD5 has %d bytes: want 32 digits of 0-9 and a-f", len(md5))
	case sha256 != "" && !isHash(sha256, 64):
		problem = fmt.Sprintf("the hash of SHA-256 has %d bytes: want 64 digits of 0-9 and a-f", len(sha256))
	}
	if problem != "" {
		return DigestCredentials{}, errors.New("apikey: Digest credentials: " + problem)
	}
	return DigestCredentials{unsafe.Pointer(&digestHashes{realm, md5, sha256})}, nil
}

func isHash(text string, digits int) bool {
	return len(text) == digits && strings.Trim(text, "0123456789abcdef") == ""
}

// makeDigest is for a valid realm and algorithms. Without algorithms there are no credentials.
func makeDigest(id ID, secret Secret, realm string, algorithms []DigestAlgorithm) DigestCredentials {
	if len(algorithms) == 0 {
		return DigestCredentials{}
	}
	text := append([]byte(string(id)+":"+realm+":"), secret.view()...)
	hashes := &digestHashes{realm: realm}
	for _, algorithm := range algorithms {
		if algorithm == DigestMD5 {
			hashes.md5 = fmt.Sprintf("%x", md5.Sum(text))
		} else {
			hashes.sha256 = fmt.Sprintf("%x", sha256.Sum256(text))
		}
	}
	return DigestCredentials{unsafe.Pointer(hashes)}
}

func (c DigestCredentials) hashes() digestHashes {
	if c.stored == nil {
		return digestHashes{}
	}
	return *(*digestHashes)(c.stored)
}

// IsZero reports whether there are no credentials.
func (c DigestCredentials) IsZero() bool { return c.stored == nil }

// Realm returns the realm that the credentials are for, "" if there are none.
func (c DigestCredentials) Realm() string { return c.hashes().realm }

// Hash returns the hash for an algorithm in lower-case hexadecimal, "" if there is none. It is as good as the secret, and
// does not redact itself.
func (c DigestCredentials) Hash(algorithm DigestAlgorithm) string {
	switch algorithm {
	case DigestMD5:
		return c.hashes().md5
	case DigestSHA256:
		return c.hashes().sha256
	}
	return ""
}

// Equal reports whether two are the same. It is for records: the time tells how far they agree.
func (c DigestCredentials) Equal(o DigestCredentials) bool { return c.hashes() == o.hashes() }

// String returns "[redacted]" (rule K2).
func (c DigestCredentials) String() string { return redacted }

// GoString returns "[redacted]" (rule K2).
func (c DigestCredentials) GoString() string { return redacted }

// Format writes "[redacted]" for every verb, whatever its flags (rule K2).
func (c DigestCredentials) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue returns the string "[redacted]" (rule K2).
func (c DigestCredentials) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns the JSON string "[redacted]" and no error (rule K2).
func (c DigestCredentials) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "[redacted]" and no error (rule K2).
func (c DigestCredentials) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MaxRealm is the length of the longest realm of HTTP authentication, in bytes.
const MaxRealm = 128

// ValidateRealm returns nil for a realm of HTTP authentication that every client reads and hashes alike: 1 to [MaxRealm]
// printable characters of ASCII without " and \. Clients do not agree whether an escape is hashed as it is, nor on another
// encoding.
func ValidateRealm(realm string) error {
	if problem := realmProblem(realm); problem != "" {
		return errors.New("apikey: the realm " + problem)
	}
	return nil
}

func realmProblem(realm string) string {
	unfit := func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
	if realm == "" || len(realm) > MaxRealm || strings.ContainsFunc(realm, unfit) {
		return fmt.Sprintf("%s: want 1 to %d characters of ASCII without control characters, \" and \\", plain.Quote(realm), MaxRealm)
	}
	return ""
}
