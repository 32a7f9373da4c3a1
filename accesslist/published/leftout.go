package published

import (
	"fmt"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Reason says why a range was left out. The zero Reason is unknown.
type Reason uint8

const (
	// Invalid: no address, block or range; on a line of text, a word not understood.
	Invalid Reason = iota + 1

	// Denied: the line, record or member denies, and does not admit.
	Denied

	// OtherFamily: IPv6, without Options.AllowIPv6.
	OtherFamily

	// TooWide: more addresses than an IPv4 /6 or an IPv6 /16.
	TooWide

	// Filtered: another region or service.
	Filtered

	// Duplicate: the same range was taken already. A provider lists a range once for each
	// service.
	Duplicate

	// Covered: inside of one range taken. Its addresses are among the entries'.
	Covered

	reasons
)

// String returns the reason as a word: invalid, denied, other_family, too_wide, filtered,
// duplicate, covered.
func (r Reason) String() string {
	names := [reasons]string{"", "invalid", "denied", "other_family", "too_wide", "filtered", "duplicate", "covered"}
	if r == 0 || r >= reasons {
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
	return names[r]
}

// MaxExamples is the number of ranges kept as examples of one reason.
const MaxExamples = 20

// A LeftOut is what was left out for one reason: ranges, or lines of text that hold none.
type LeftOut struct {
	Reason   Reason
	Count    int
	Examples []Example // the first of them, at most MaxExamples
}

// An Example is a range left out.
type Example struct {
	Place int    // the line of text; of JSON, which of its addresses; from 1
	Text  string // as in the document, cut after 80 bytes
	Why   string // Invalid: the problem and the repair; Covered: the range around it
}

// wants reports whether one more is kept as an example.
func (l *LeftOut) wants() bool { return len(l.Examples) < MaxExamples }

func (l *LeftOut) add(e Example) {
	l.Count++
	if l.wants() {
		e.Text = plain.Cut(e.Text, plain.MaxQuoted)
		l.Examples = append(l.Examples, e)
	}
}
