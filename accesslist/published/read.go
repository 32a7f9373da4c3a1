package published

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// Bounds of a document, unless [Options] say otherwise. The largest lists at present have 5 MB
// and 100,000 ranges. A document at both bounds takes some 200 MB to read.
const (
	MaxBytes  = 32 << 20
	MaxRanges = 1 << 18
)

// MaxSource is the longest Options.Source, and the longest region or service, in bytes. A
// longer region or service, or one unfit for a comment, counts as absent.
const MaxSource = 100

// Options say how to read a list. The zero Options read every range of every recognized
// format, IPv4 only.
type Options struct {
	// Format is the format required. Another document is ErrNotList. Empty: recognized.
	Format Format

	// Source is the list's name in comments, without a colon: "AWS", "Stripe webhooks".
	// Empty: the format's name.
	Source string

	// Columns are the columns of CSV or the members of JSON with addresses, where the format
	// does not fix them.
	Columns Columns

	// Regions and Services are filters, in the provider's own words, in any case. A range is
	// taken if it has one of the regions and one of the services. Empty: all.
	Regions, Services []string

	// AllowIPv6 takes IPv6 ranges too; without it they are left out as [OtherFamily]. See
	// accesslist.Parser.
	AllowIPv6 bool

	// MaxBytes and MaxRanges bound the document. 0: the constants of the same names.
	MaxBytes, MaxRanges int
}

// Columns are names of columns of CSV, or of members of JSON objects, in any case.
type Columns struct {
	Address string // the address or block, or the first address if Last is set
	Last    string // the last address of a range; CSV only
	Region  string
	Service string
}

// A List is a published list as it was read. The zero List has no entries.
type List struct {
	Format Format // as recognized, or as required
	Source string // as in the comments of Entries

	// Entries cover exactly the ranges taken, in the fewest blocks, in the order of
	// addresses. The comment of each has the source, and the services and regions its
	// addresses come from: "aws: S3 eu-west-1; EC2 eu-west-1". They have no expiry. A key
	// takes at most apikey.MaxEntries; accesslist.Suggest makes fewer and covers more.
	Entries []accesslist.Entry

	IPv4, IPv6 Count

	// Regions and Services are the words to filter by, sorted.
	Regions, Services []Word

	// LeftOut are the ranges left out, by reason; a reason without any is absent.
	LeftOut []LeftOut
}

// A Count counts one family.
type Count struct {
	Read      int    // valid ranges in the document
	Taken     int    // ranges not left out
	Entries   int    // blocks after merging
	Addresses uint64 // addresses covered; for IPv6 networks of /64, whole or in part
}

// A Word is a region or service, and the number of ranges that have it.
type Word struct {
	Word   string
	Ranges int
}

// Read reads a published list. With an error it returns the zero List.
func Read(r io.Reader, o Options) (List, error) {
	if err := o.check(); err != nil {
		return List{}, err
	}
	most := orElse(o.MaxBytes, MaxBytes)
	data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case err != nil:
		return List{}, fmt.Errorf("published: the list was not read to its end: %w", err)
	case len(data) > most:
		return List{}, fmt.Errorf("published: %w: it has more than %d bytes: want at most MaxBytes", ErrTooLarge, most)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	format, err := recognize(bytes.TrimSpace(data), o)
	if err != nil {
		return List{}, err
	}
	c := newCollector(o, format)
	if err := formats[format.index()].read(c, data); err != nil {
		return List{}, err
	}
	return c.list()
}

func (o Options) check() error {
	if o.Format != "" && o.Format.index() < 0 {
		return fmt.Errorf("published: the format %s is unknown: want one of %v", plain.Quote(string(o.Format)), Formats())
	}
	if problem := plain.Problem(o.Source, MaxSource); problem != "" {
		return fmt.Errorf("published: the source %s %s", plain.Quote(o.Source), problem)
	}
	if strings.Contains(o.Source, ":") || strings.TrimSpace(o.Source) != o.Source {
		return fmt.Errorf("published: the source %s has a colon or space around it: want a name without", plain.Quote(o.Source))
	}
	if o.MaxBytes < 0 || o.MaxRanges < 0 {
		return fmt.Errorf("published: MaxBytes is %d and MaxRanges %d: want 0 or more", o.MaxBytes, o.MaxRanges)
	}
	if o.Columns != (Columns{}) && !slices.Contains([]Format{"", JSON, CSV}, o.Format) {
		return fmt.Errorf("published: the format %s has its own columns: want no Columns", o.Format)
	}
	if o.Columns.Address == "" && o.Columns != (Columns{}) {
		return fmt.Errorf("published: Columns.Address is empty: want it beside the other columns")
	}
	return nil
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
