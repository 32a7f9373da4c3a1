package apikey

import (
	"fmt"
	"io"
	"log/slog"
	"unsafe"
)

// redacted is printed for a [Secret] and a [ServerKey]. It is the same for a zero value, so that a log does not show
// whether there was one.
const redacted = "[redacted]"

// A Secret is the text that proves a key (rule K1). It comes from [Issuer.New], [Issuer.Issue], [Issuer.Rotate] or
// [Issuer.Parse] only: it cannot be decoded from JSON or text. The zero Secret proves nothing.
//
// A Secret redacts itself (rule K2): under every verb of fmt, in log/slog, JSON and text encodings it is "[redacted]",
// also inside another value. [Secret.Reveal] is the only way to the text. Two Secrets cannot be compared with ==, whose
// time would show how far they agree; [Secret.Verify] compares.
//
// A Secret shares memory with the parsed string and is as immutable. It is safe for concurrent use.
type Secret struct {
	_ [0]func() // so that == does not compile

	// The text is held as address and length and not as a string. fmt, go-spew and their like reach the unexported
	// fields of an enclosing struct by reflection, where they cannot call the methods below. They print a string, and
	// the first character of a *byte, but an unsafe.Pointer as an address. For the same reason reflect.DeepEqual takes
	// two Secrets for equal only when they are the same piece of memory.
	text unsafe.Pointer
	size int

	issuer *Issuer // nil: the default issuer
}

func newSecret(text string, issuer *Issuer) Secret {
	return Secret{text: unsafe.Pointer(unsafe.StringData(text)), size: len(text), issuer: issuer}
}

// Reveal returns the text of the secret, "" for the zero Secret. It is for showing a new secret to its owner, once, and
// for clients. The returned string does not redact itself.
func (s Secret) Reveal() string {
	return unsafe.String((*byte)(s.text), s.size)
}

// IsZero reports whether s is the zero Secret, which proves nothing.
func (s Secret) IsZero() bool { return s.size == 0 }

// String returns "[redacted]" (rule K2).
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]" (rule K2).
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb, whatever its flags (rule K2).
func (s Secret) Format(f fmt.State, _ rune) { writeRedacted(f) }

// LogValue returns the string "[redacted]" (rule K2).
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns the JSON string "[redacted]" and no error (rule K2).
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "[redacted]" and no error (rule K2).
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// writeRedacted ignores the error: fmt.State writes to memory.
func writeRedacted(w io.Writer) { _, _ = io.WriteString(w, redacted) }

// view returns the text as bytes, without the copy of a conversion. They must not be written to.
func (s Secret) view() []byte { return unsafe.Slice((*byte)(s.text), s.size) }
