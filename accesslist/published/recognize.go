package published

import (
	"iter"
	"net/netip"
	"strings"
)

// looked is the number of lines by which text is recognized.
const looked = 20

// recognizeText returns the format of a document that is not JSON.
func recognizeText(text string, o Options) Format {
	if o.Columns.Address != "" || hasHeader(text) {
		return CSV
	}
	lines, geofeeds, ranges := 0, 0, 0
	for line := range contentLines(text, looked) {
		lines++
		if isGeofeed(line) {
			geofeeds++
		}
		if isRangeLine(line) {
			ranges++
		}
	}
	switch {
	case 2*geofeeds > lines:
		return Geofeed
	case 2*ranges > lines:
		return Ranges
	}
	return Text
}

// contentLines yields the first lines of a text that are neither empty nor a comment.
func contentLines(text string, most int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			if most--; most < 0 || !yield(line) {
				return
			}
		}
	}
}

// hasHeader reports whether the first line has the usual name of a column of addresses, and
// no address.
func hasHeader(text string) bool {
	for line := range contentLines(text, 1) {
		fields := strings.Split(line, string(separator(line)))
		for i, field := range fields {
			if fields[i] = strings.Trim(field, "\" "); readable(fields[i : i+1]) {
				return false
			}
		}
		return usual(fields).Address != ""
	}
	return false
}

// isGeofeed reports whether a line is a block, a country of two letters or none, and at least
// one field more.
func isGeofeed(line string) bool {
	fields := strings.Split(line, ",")
	if len(fields) < 3 {
		return false
	}
	country := strings.TrimSpace(fields[1])
	address, _, _ := strings.Cut(strings.TrimSpace(fields[0]), "/")
	_, err := netip.ParseAddr(address)
	return err == nil && (country == "" || len(country) == 2 && strings.Trim(strings.ToUpper(country), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "")
}

// isRangeLine reports whether a line is one range with a dash, perhaps after a name.
func isRangeLine(line string) bool {
	_, line = splitName(line)
	words, _ := splitLine(line)
	if len(words) > 2 && isDash(words[1]) {
		words = []string{words[0] + words[1] + words[2]}
	}
	if len(words) != 1 {
		return false
	}
	_, ok := parseDashed(words[0])
	return ok
}
