package published

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A Format is the name of a way to publish addresses. The empty Format stands for the one
// recognized.
type Format string

// The formats. The package documentation has a table of what is read of each.
const (
	AWS        Format = "aws"
	Google     Format = "google"
	Azure      Format = "azure"
	GitHub     Format = "github"
	Cloudflare Format = "cloudflare"
	Fastly     Format = "fastly"
	Oracle     Format = "oracle"
	Atlas      Format = "atlas"
	JSON       Format = "json"
	Geofeed    Format = "geofeed"
	CSV        Format = "csv"
	Ranges     Format = "ranges"
	Text       Format = "text"
)

// formats are the formats in the order in which JSON is recognized: the first with all its
// members at the top.
var formats = []reader{
	{AWS, "AWS ip-ranges.json", []string{"createDate", "prefixes"}, readAWS},
	{Google, "Google cloud.json or goog.json", []string{"prefixes"}, readGoogle},
	{Azure, "Azure service tags", []string{"cloud", "values"}, readAzure},
	{GitHub, "GitHub meta", []string{"hooks"}, readGitHub},
	{Cloudflare, "Cloudflare API", []string{"result", "success"}, readCloudflare},
	{Fastly, "Fastly public-ip-list", []string{"addresses", "ipv6_addresses"}, readFastly},
	{Oracle, "Oracle public_ip_ranges.json", []string{"regions"}, readOracle},
	{Atlas, "MongoDB Atlas control plane", []string{"inbound", "outbound"}, readAtlas},
	{JSON, "JSON", []string{}, readJSON},
	{Geofeed, "geofeed (RFC 8805)", nil, readGeofeed},
	{CSV, "CSV with a header", nil, readCSV},
	{Ranges, "ranges from first to last", nil, readRanges},
	{Text, "text", nil, readText},
}

type reader struct {
	format      Format
	description string
	members     []string // for JSON; nil for text
	read        func(*collector, []byte) error
}

// Formats returns all formats, in the order of the table in the package documentation.
func Formats() []Format {
	var all []Format
	for _, f := range formats {
		all = append(all, f.format)
	}
	return all
}

// Description returns the format's name for people, such as "AWS ip-ranges.json", and "" for
// an unknown format.
func (f Format) Description() string {
	if i := f.index(); i >= 0 {
		return formats[i].description
	}
	return ""
}

// index returns the format's place in formats, or -1.
func (f Format) index() int {
	return slices.IndexFunc(formats, func(r reader) bool { return r.format == f })
}

// recognize returns the format of a document. It refuses another than the one required.
func recognize(data []byte, o Options) (Format, error) {
	if err := refuseForeign(data); err != nil {
		return "", err
	}
	isJSON := len(data) > 0 && (data[0] == '{' || data[0] == '[')
	if i := o.Format.index(); i >= 0 && formats[i].members == nil {
		return o.Format, nil
	}
	if !isJSON {
		if o.Format != "" {
			return "", fmt.Errorf("published: %w: %s is no JSON: want %s", ErrNotList, plain.Quote(data), o.Format.Description())
		}
		return recognizeText(string(data), o), nil
	}
	members, err := topMembers(data)
	if err != nil {
		return "", err
	}
	if o.Format == "" && slices.ContainsFunc(slices.Collect(maps.Keys(members)), func(name string) bool { return meaningOf(name).denied }) {
		return JSON, nil // no provider's
	}
	for _, f := range formats {
		fits := f.members != nil && !slices.ContainsFunc(f.members, func(name string) bool { return members[name] == nil })
		switch {
		case o.Format == JSON || o.Format == "" && o.Columns.Address != "":
			return JSON, nil
		case f.format == Atlas && members["controlPlane"] != nil && (o.Format == "" || o.Format == Atlas):
			return Atlas, nil
		case !fits:
		case o.Format == "" || o.Format == f.format:
			return f.format, nil
		}
	}
	i := o.Format.index()
	return "", fmt.Errorf("published: %w: it has not the members of %s: want %s", ErrNotList, formats[i].description, strings.Join(formats[i].members, ", "))
}

// refuseForeign refuses what is never a list: pages and binary files.
func refuseForeign(data []byte) error {
	begins := string(data[:min(len(data), 16)])
	for _, mark := range []struct{ bytes, name string }{
		{"\x1f\x8b", "compressed (gzip)"}, {"PK\x03\x04", "compressed (zip)"}, {"BZh", "compressed (bzip2)"},
		{"\xfd7zXZ\x00", "compressed (xz)"}, {"\x28\xb5\x2f\xfd", "compressed (zstd)"}, {"%PDF", "PDF"},
		{"<!doctype", "a web page"}, {"<html", "a web page"}, {"<head", "a web page"}, {"<body", "a web page"},
		{"<!--", "a web page"}, {"<?xml", "XML"}, {"<error", "XML"},
	} {
		if strings.HasPrefix(begins, mark.bytes) || strings.HasPrefix(strings.ToLower(begins), mark.bytes) {
			return fmt.Errorf("published: %w: it is %s, %s: want the list itself", ErrNotList, mark.name, plain.Quote(data))
		}
	}
	if strings.HasPrefix(begins, "\xff\xfe") || strings.HasPrefix(begins, "\xfe\xff") || bytes.IndexByte(data, 0) >= 0 {
		return fmt.Errorf("published: %w: it is UTF-16 or binary: want UTF-8", ErrNotList)
	}
	return nil
}

// topMembers returns the members of a JSON object by name; none for an array.
func topMembers(data []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	var value any = &members
	if data[0] == '[' {
		value = new(json.RawMessage)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(value); errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("published: %w: the JSON ends after %d bytes: fetch it again", ErrTruncated, len(data))
	} else if err != nil {
		return nil, notJSON(err)
	}
	if rest := bytes.TrimSpace(data[decoder.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("published: %w: after the JSON comes %s: want one JSON value", ErrNotList, plain.Quote(rest))
	}
	return members, nil
}

// notJSON wraps an error of encoding/json, which may quote the document; nil is nil.
func notJSON(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("published: %w: %s", ErrNotList, plain.Cut(err.Error(), 2*plain.MaxQuoted))
}
