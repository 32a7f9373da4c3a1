package apikey

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unsafe"
)

// The text of a secret is prefix _ id _ body checksum. The length of body and checksum is fixed, so the prefix and the ID
// may have a _ themselves.
const (
	bodyLength      = 32 // of 62 characters each: 190 bits
	checksumLength  = 6  // 62^6 > 2^32
	tailLength      = bodyLength + checksumLength
	maxPrefixLength = 32
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// ErrMalformedSecret is what every error of [Issuer.Parse] wraps.
var ErrMalformedSecret = errors.New("apikey: malformed secret")

// MalformedSecretError is the error of [Issuer.Parse]. It says what is wrong with a text and what would be right, and has
// nothing of the text in it (rule K2). It wraps [ErrMalformedSecret].
type MalformedSecretError struct {
	Part    string // what is wrong: "length", "prefix", "id", "body" or "checksum"
	Problem string // how, and what would be right
}

// Error returns one line without any part of the text that was refused.
func (e *MalformedSecretError) Error() string { return ErrMalformedSecret.Error() + ": " + e.Problem }

// Unwrap returns [ErrMalformedSecret].
func (e *MalformedSecretError) Unwrap() error { return ErrMalformedSecret }

// Parse reads the text of a secret that an issuer with the same prefix made, and returns the ID of its key and the secret.
// It tells that the text is well formed and no more: [Secret.Prove] tells whether it is the key's. It does not allocate
// memory, and the ID and the Secret share that of text.
//
// Every error is a [*MalformedSecretError]. None contains any of the text (rule K2), however long that is.
func (i *Issuer) Parse(text string) (ID, Secret, error) {
	i = i.orDefault()
	minLength, maxLength := len(i.prefix)+1+1+tailLength, len(i.prefix)+maxIDLength+1+tailLength
	if len(text) > maxLength {
		return malformed("length", "it is too long; right would be at most %d characters", maxLength)
	}
	if !strings.HasPrefix(text, i.prefix) {
		return malformed("prefix", "it does not begin as a secret of this service does; right would be %q", i.prefix)
	}
	if len(text) < minLength {
		return malformed("length", "it is too short, perhaps cut off; right would be at least %d characters", minLength)
	}

	id, tail := ID(text[len(i.prefix):len(text)-tailLength-1]), text[len(text)-tailLength:]
	for k := range len(tail) {
		if !isBase62(tail[k]) {
			return malformed("body", "one of its last %d characters is no letter and no digit, "+
				"perhaps white space was copied with it", tailLength)
		}
	}
	if text[len(text)-tailLength-1] != '_' {
		return malformed("length", "the last %d characters do not follow a _, as they should; "+
			"perhaps some are missing or too many", tailLength)
	}
	if wordProblem(string(id), maxIDLength) != "" {
		return malformed("id", "the key ID in it has a character other than A-Z, a-z, 0-9, - and _")
	}
	body, sum := text[:len(text)-checksumLength], text[len(text)-checksumLength:]
	if want := checksum(body); string(want[:]) != sum {
		return malformed("checksum", "the checksum at its end does not fit; probably a typing error")
	}
	return id, newSecret(text, i), nil
}

// Parse reads the text of a secret of the default issuer; see [Issuer.Parse].
func Parse(text string) (ID, Secret, error) { return (*Issuer)(nil).Parse(text) }

// Pattern returns a regular expression that finds the secrets of this issuer in a text: for the secret scanner of a code
// host or of a continuous integration (rule K2). It is valid in RE2 and PCRE, has no anchors and no groups. What it finds
// may still be a lookalike; [Issuer.Parse] also looks at the checksum.
func (i *Issuer) Pattern() string {
	return fmt.Sprintf("%s[0-9A-Za-z_-]{1,%d}_[0-9A-Za-z]{%d}", i.orDefault().prefix, maxIDLength, tailLength)
}

// malformed must never be given any of the text.
func malformed(part, problem string, args ...any) (ID, Secret, error) {
	return "", Secret{}, &MalformedSecretError{Part: part, Problem: fmt.Sprintf(problem, args...)}
}

// newText returns the text of a new secret. prefix has its _.
func newText(prefix string, id ID) string {
	text := append(make([]byte, 0, len(prefix)+len(id)+1+tailLength), prefix...)
	text = append(text, id...)
	text = append(text, '_')
	text = appendRandom(text, bodyLength)
	sum := checksum(string(text))
	return string(append(text, sum[:]...))
}

// appendRandom appends n characters, each of the 62 with the same probability: the bytes above the largest multiple of
// 62 would favour the first characters and are drawn again.
func appendRandom(text []byte, n int) []byte {
	const limit = 256 - 256%len(base62)
	var random [2 * bodyLength]byte
	for {
		rand.Read(random[:]) // never fails: it ends the program instead
		for _, b := range random {
			if n == 0 {
				return text
			}
			if int(b) < limit {
				text = append(text, base62[int(b)%len(base62)])
				n--
			}
		}
	}
}

// checksum is the CRC-32 (IEEE) of text in base 62, most significant digit first.
func checksum(text string) (digits [checksumLength]byte) {
	crc := crc32.ChecksumIEEE(unsafe.Slice(unsafe.StringData(text), len(text)))
	for k := checksumLength - 1; k >= 0; k-- {
		digits[k] = base62[crc%uint32(len(base62))]
		crc /= uint32(len(base62))
	}
	return digits
}

func isBase62(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
