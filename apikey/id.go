package apikey

import (
	"crypto/rand"
	"fmt"
	"strings"
)

const newIDLength = 20 // of 32 letters and digits each: 100 bits

// An ID is the public identifier of a key: it may stand in logs and addresses, and proves nothing. IDs are compared byte
// by byte and never case folded; a storage adapter must not use a case-folding collation.
type ID string

// String returns the ID, and "[invalid key ID]" for an invalid one with any bytes. A text in the place of an ID by mistake
// is most often the secret, which must not be in logs and errors (rule K2). Every secret is longer than an ID may be, and
// so an invalid ID.
func (id ID) String() string {
	if id != "" && wordProblem(string(id), MaxID) != "" {
		return "[invalid key ID]"
	}
	return string(id)
}

// NewID returns a new random ID of 20 lowercase letters and digits. It has 100 bits from crypto/rand, so IDs made by
// independent programs do not collide.
func NewID() ID {
	return ID(strings.ToLower(rand.Text()[:newIDLength]))
}

// Validate returns nil when id has 1 to [MaxID] bytes, all of them A-Z, a-z, 0-9, - or _. The error does not quote the ID,
// because a text in its place by mistake is most often the secret.
func (id ID) Validate() error {
	if problem := wordProblem(string(id), MaxID); problem != "" {
		return fmt.Errorf("apikey: the key ID %s", problem)
	}
	return nil
}

// wordProblem returns why text is not an identifier of at most maxLength bytes, or "".
func wordProblem(text string, maxLength int) string {
	if len(text) == 0 || len(text) > maxLength {
		return fmt.Sprintf("has %d bytes: want 1 to %d of A-Z, a-z, 0-9, - and _", len(text), maxLength)
	}
	for i := range len(text) {
		if !isBase62(text[i]) && text[i] != '-' && text[i] != '_' {
			return fmt.Sprintf("has the byte %q at position %d: want 1 to %d of A-Z, a-z, 0-9, - and _",
				text[i], i+1, maxLength)
		}
	}
	return ""
}
