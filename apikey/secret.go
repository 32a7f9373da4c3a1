package apikey

import (
	"fmt"
	"io"
	"log/slog"
	"unsafe"
)

// redacted is what stands for a [Secret] and a [ServerKey] wherever something prints one. It is the same for a zero
// value, so that a log does not tell whether there was one.
const redacted = "[redacted]"

// Secret is the text that proves a key, as a caller shows it (rule K1). It comes from [Issuer.New], [Issuer.Rotate] or
// [Issuer.Parse] and from nowhere else: it cannot be decoded from JSON or text. The zero Secret proves nothing.
//
// A Secret redacts itself (rule K2): under every verb of fmt, in log/slog, JSON and text encodings it is "[redacted]",
// also inside another value. [Secret.Reveal] is the only way to the text. Two Secrets cannot be compared with ==, which
// would tell by its time how far they agree; [Secret.Verify] compares.
//
// Secret shares memory with the string it was parsed from and is as immutable as that. It may be used by several
// goroutines at once.
type Secret struct {
	_ [0]func() // so that == does not compile

	// The text is held as address and length and not as a string. fmt, go-spew and their like reach the unexported
	// fields of an enclosing struct by reflection, where they cannot call the methods below: they would print a string,
	// and of a *byte the first character, but an unsafe.Pointer is printed as an address. For the same reason
	// reflect.DeepEqual takes two Secrets for equal only when they are the same piece of memory.
	text unsafe.Pointer
	size int

	issuer *Issuer // nil: the default issuer
}

func newSecret(text string, issuer *Issuer) Secret {
	return Secret{text: unsafe.Pointer(unsafe.StringData(text)), size: len(text), issuer: issuer}
}

// Reveal returns the text of the secret, "" for the zero Secret. It is for the one time when a new secret is shown to
// its owner, and for a client that sends it. What it returns redacts nothing.
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

// writeRedacted has nothing to do with an error: fmt.State collects what is written in memory.
func writeRedacted(w io.Writer) { _, _ = io.WriteString(w, redacted) }

// view is the text as bytes that must not be written to. It spares the copy that a conversion makes.
func (s Secret) view() []byte { return unsafe.Slice((*byte)(s.text), s.size) }
