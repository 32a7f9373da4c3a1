package policyhttp

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Basic accepts the ID of a key as the user, and the text of its secret as the password
// (RFC 7617, in UTF-8). The secret contains the ID, too, and the two must be equal. At its
// challenge a browser asks its user for a password; a service for browsers leaves it out of
// Config.Schemes. The Key and the Secret it reads share memory that is wiped after the
// decision: a Scheme that wraps it must not keep them longer.
func Basic() Scheme { return basic{} }

type basic struct{}

func (basic) Header() string { return authorization }

func (basic) Name() string { return "Basic" }

func (basic) Form() string { return "Authorization: Basic BASE64(YOUR_KEY_ID:YOUR_API_KEY)" }

func (basic) Challenges(realm string, _ error) []string {
	return []string{`Basic realm="` + realm + `", charset="UTF-8"`}
}

func (basic) Read(_ context.Context, presented Presented) (Credentials, error) {
	if len(presented.Text) > maxEncoded {
		return Credentials{}, malformed("Basic credentials of %d bytes: want at most %d", len(presented.Text), maxEncoded)
	}
	s := scratches.Get().(*scratch)
	decoded, err := s.decode(presented.Text)
	if err != nil {
		s.release()
		return Credentials{}, err
	}
	user, password, _ := strings.Cut(decoded, ":")
	shown := Credentials{scratch: s}
	if apikey.ID(user).Validate() == nil {
		shown.Key = apikey.ID(user)
	}
	id, secret, err := presented.Issuer.Parse(password)
	switch {
	case err != nil:
		return shown, fmt.Errorf("policyhttp: the password of Basic: %w: %w", policy.ErrInvalidCredentials, err)
	case string(id) != user:
		return shown, fmt.Errorf("policyhttp: %w: the user of Basic is not the key ID in its password: want both of one key", policy.ErrInvalidCredentials)
	}
	shown.Secret = secret
	return shown, nil
}

// A scratch is the memory for the decoded base64 of Basic. It lasts until the decision is
// made and is wiped then: memory of its own for every request would be an allocation, and
// would keep the secret until it is collected.
type scratch struct {
	bytes [maxEncoded / 4 * 3]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// strictBase64 has one encoding for each text: it refuses set bits behind the end.
var strictBase64 = base64.StdEncoding.Strict()

// decode returns the user, a colon and the password, in the memory of s.
func (s *scratch) decode(encoded string) (string, error) {
	n, err := strictBase64.Decode(s.bytes[:], unsafe.Slice(unsafe.StringData(encoded), len(encoded)))
	if err != nil || n == 0 {
		return "", malformed("the text after Basic is not base64: want that of a user, a colon and a password")
	}
	// Nothing writes to it while the string is in use; see Guard.decide.
	decoded := unsafe.String(&s.bytes[0], n)
	switch {
	case !utf8.ValidString(decoded):
		return "", malformed("the base64 of Basic does not encode UTF-8: want UTF-8")
	case hasControl(decoded):
		return "", malformed("a control character in the user or the password of Basic: want none")
	case !strings.Contains(decoded, ":"):
		return "", malformed("no colon in the text that Basic encodes: want a user, a colon and a password")
	}
	return decoded, nil
}

// release wipes the memory and leaves it to other requests. A nil scratch has none.
func (s *scratch) release() {
	if s != nil {
		clear(s.bytes[:])
		scratches.Put(s)
	}
}
