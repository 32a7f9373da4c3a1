package published

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// Usual names of columns, in the order of preference.
var (
	addressColumns = []string{"cidr", "prefix", "ip_prefix", "ip prefix", "network", "subnet", "ip_range", "ip range", "ip address", "ip_address", "ip", "address"}
	firstColumns   = []string{"first", "start", "start_ip", "ip_start", "range_start", "begin", "from"}
	lastColumns    = []string{"last", "end", "end_ip", "ip_end", "range_end", "end", "to"}
	regionColumns  = []string{"region", "country", "country_code", "location"}
	serviceColumns = []string{"service", "product", "category"}
)

// readCSV reads the columns named in the options, or those with usual names.
func readCSV(c *collector, data []byte) error {
	return eachRecord(c, data, func(header []string) (record func(place int, fields []string), err error) {
		names := c.options.Columns
		if names.Address == "" {
			if names = usual(header); names.Address == "" {
				return nil, fmt.Errorf("published: %w: the header has no usual column for addresses, %s: want Columns.Address", ErrNotList, plain.Quote(strings.Join(header, ", ")))
			}
		}
		at := map[string]int{}
		for _, name := range []string{names.Address, names.Last, names.Region, names.Service} {
			if at[name] = column(header, name); at[name] < 0 && name != "" {
				return nil, fmt.Errorf("published: %w: the header has no column %s: want one of %s", ErrNotList, plain.Quote(name), plain.Quote(strings.Join(header, ", ")))
			}
		}
		named := []int{at[names.Address], at[names.Last], at[names.Region], at[names.Service]}
		var meanings []meaning
		for _, name := range header {
			meanings = append(meanings, meaningOf(name))
		}
		return func(place int, fields []string) {
			field := func(name string) string { return fieldAt(fields, at[name]) }
			text := field(names.Address)
			if names.Last != "" {
				text += "-" + field(names.Last)
			}
			if c.denies(place, meanings, fields, named) {
				c.denyText(place, text)
				return
			}
			l := c.label([]string{field(names.Region)}, []string{field(names.Service)}, "")
			if names.Last == "" {
				c.addText(place, text, l)
				return
			}
			if r, ok := parseRange(field(names.Address), field(names.Last)); ok {
				c.addRange(place, text, r, l)
			} else {
				c.addUnread(place, text)
			}
		}, nil
	})
}

// denies reports whether a record denies its address, by another column than those named. The
// addresses of such a column, as of one named except, are left out.
func (c *collector) denies(place int, meanings []meaning, fields []string, named []int) (denied bool) {
	for i, text := range fields {
		var m meaning
		if i < len(meanings) {
			m = meanings[i]
		}
		if slices.Contains(named, i) || text == "" {
			continue
		}
		denied = denied || m.denies(text)
		words, _ := splitLine(text)
		if _, says := directive(words); (says || m.denied) && hasAddress(text) {
			c.denyText(place, text)
		}
	}
	return denied
}

// readGeofeed reads prefix, country, region, city and postal code (RFC 8805, section 2.1).
func readGeofeed(c *collector, data []byte) error {
	return eachRecord(c, data, func(first []string) (record func(place int, fields []string), err error) {
		record = func(place int, fields []string) {
			c.addText(place, fields[0], c.label([]string{fieldAt(fields, 1), fieldAt(fields, 2)}, nil, ""))
		}
		record(1, first)
		return record, nil
	})
}

// eachRecord calls begin with the first record, and what that returns with the others.
func eachRecord(c *collector, data []byte, begin func([]string) (func(int, []string), error)) error {
	var record func(int, []string)
	r := csv.NewReader(strings.NewReader(string(data)))
	r.Comment, r.FieldsPerRecord, r.TrimLeadingSpace = '#', -1, true
	if c.format == CSV {
		r.Comma = separator(string(data))
	}
	for !c.tooMany {
		fields, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("published: %w: %s: want CSV (RFC 4180)", ErrNotList, plain.Cut(err.Error(), 2*plain.MaxQuoted))
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if record == nil {
			if record, err = begin(fields); err != nil {
				return err
			}
			continue
		}
		line, _ := r.FieldPos(0)
		record(line, fields)
	}
	return nil
}

// separator returns what separates the columns of the first line that is no comment.
func separator(text string) rune {
	for line := range contentLines(text, 1) {
		for _, separator := range ",;\t|" {
			if strings.ContainsRune(line, separator) {
				return separator
			}
		}
	}
	return ','
}

// usual returns the columns with usual names.
func usual(header []string) Columns {
	first := func(names []string) string {
		i := slices.IndexFunc(names, func(name string) bool { return column(header, name) >= 0 })
		if i < 0 {
			return ""
		}
		return names[i]
	}
	columns := Columns{Address: first(addressColumns), Region: first(regionColumns), Service: first(serviceColumns)}
	if from, to := first(firstColumns), first(lastColumns); columns.Address == "" && from != "" && to != "" {
		columns.Address, columns.Last = from, to
	}
	return columns
}

// column returns the index of a column, or -1.
func column(header []string, name string) int {
	return slices.IndexFunc(header, func(has string) bool { return name != "" && strings.EqualFold(has, name) })
}

// fieldAt returns a field, or "" if the record has none at that index.
func fieldAt(fields []string, i int) string {
	if i < 0 || i >= len(fields) {
		return ""
	}
	return fields[i]
}
