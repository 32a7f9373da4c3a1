package apikey

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"strconv"
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

// Parse reads the text of a secret with one of the issuer's prefixes, and returns the ID of its key and the secret. It
// checks the form only: [Secret.Verify] compares the secret with the key's. It does not allocate memory; the ID and the
// Secret share the memory of text.
//
// Every error wraps [ErrMalformedSecret]. None contains any of the text (rule K2), however long that is.
func (i *Issuer) Parse(text string) (ID, Secret, error) {
	i = i.orDefault()
	prefix := ""
	for _, p := range i.prefixes {
		if strings.HasPrefix(text, p) {
			prefix = p
		}
	}
	maxLength := maxPrefixLength + 1 + MaxID + 1 + tailLength
	switch {
	case len(text) > maxLength:
		return malformed("it is too long: want at most %d characters", maxLength)
	case prefix == "":
		return malformed("it does not begin as a secret of this service does: want %s", quoted(i.prefixes))
	case len(text) < len(prefix)+1+1+tailLength:
		return malformed("it is too short, perhaps cut off: want at least %d characters", len(prefix)+1+1+tailLength)
	}

	id, tail := ID(text[len(prefix):len(text)-tailLength-1]), text[len(text)-tailLength:]
	for k := range len(tail) {
		if !isBase62(tail[k]) {
			return malformed("one of its last %d characters is neither a letter nor a digit: want it without white space around it", tailLength)
		}
	}
	if text[len(text)-tailLength-1] != '_' {
		return malformed("there is no _ before the last %d characters: want all of the text and nothing more", tailLength)
	}
	if wordProblem(string(id), MaxID) != "" {
		return malformed("the key ID in it has a bad length or character: want 1 to %d of A-Z, a-z, 0-9, - and _", MaxID)
	}
	body, sum := text[:len(text)-checksumLength], text[len(text)-checksumLength:]
	if want := checksum(body); string(want[:]) != sum {
		return malformed("the checksum at its end does not fit, probably a typing error: want the text as it was shown")
	}
	return id, newSecret(text, i), nil
}

// quoted lists the prefixes. They are public.
func quoted(prefixes []string) string {
	texts := make([]string, len(prefixes))
	for n, prefix := range prefixes {
		texts[n] = strconv.Quote(prefix)
	}
	return strings.Join(texts, " or ")
}

// Parse reads the text of a secret of the default issuer; see [Issuer.Parse].
func Parse(text string) (ID, Secret, error) { return (*Issuer)(nil).Parse(text) }

// Pattern returns a regular expression for the secrets of this issuer, for the secret scanner of a code host or a CI (rule
// K2). It is valid in RE2 and PCRE and has neither anchors nor capturing groups. A match may still be
// a lookalike; [Issuer.Parse] also checks the checksum.
func (i *Issuer) Pattern() string {
	prefixes := i.orDefault().prefixes
	prefix := prefixes[0]
	if len(prefixes) > 1 {
		prefix = "(?:" + strings.Join(prefixes, "|") + ")"
	}
	return fmt.Sprintf("%s[0-9A-Za-z_-]{1,%d}_[0-9A-Za-z]{%d}", prefix, MaxID, tailLength)
}

// malformed must never be given any of the text.
func malformed(problem string, args ...any) (ID, Secret, error) {
	return "", Secret{}, fmt.Errorf("%w: "+problem, append([]any{ErrMalformedSecret}, args...)...)
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
		rand.Read(random[:]) // never returns an error: it ends the program instead
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

func isBase62(c byte) bool { return isDigit[c] }

// isDigit has the digits of base 62. Every request has its secret parsed: reading the table
// takes half as long as comparing.
var isDigit = func() (is [256]bool) {
	for _, c := range []byte(base62) {
		is[c] = true
	}
	return is
}()
