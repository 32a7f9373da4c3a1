package published_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/published"
)

// TestRefused has a document or options for each refusal, the error to tell it by, and its words.
func TestRefused(t *testing.T) {
	aws := fromFile(t, "aws.json")
	for name, c := range map[string]struct {
		text    string
		options published.Options
		err     error
		words   string
	}{
		"a page":              {text: fromFile(t, "page.html"), err: published.ErrNotList, words: `published: not a list of addresses: it is a web page, "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body><p>Your …": want the list itself`},
		"a page, after space": {text: "\ufeff \n<HTML>203.0.113.9", err: published.ErrNotList, words: "a web page"},
		"XML":                 {text: `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, err: published.ErrNotList, words: "XML"},
		"another page":        {text: "<h1>It works</h1>\n", err: published.ErrNotList, words: "read as text it has 0 valid ranges and 1 invalid ones"},
		"gzip":                {text: "\x1f\x8b\x08\x00\x00", err: published.ErrNotList, words: "compressed (gzip)"},
		"zip":                 {text: "PK\x03\x04", err: published.ErrNotList, words: "compressed (zip)"},
		"UTF-16":              {text: "\xff\xfe1\x00", err: published.ErrNotList, words: "UTF-16 or binary"},
		"zero bytes":          {text: "203.0.113.7\n\x00", err: published.ErrNotList, words: "UTF-16 or binary"},
		"a text of an error":  {text: "404: Not Found", err: published.ErrNotList, words: `first "404: Not Found"`},
		"a sentence":          {text: "Too many requests, try again later.\n", err: published.ErrNotList, words: "Too many requests"},
		"nothing":             {text: "", err: published.ErrNoRanges, words: "published: no ranges: of 0 read, none left out: want a list with ranges, other filters, or AllowIPv6"},
		"space":               {text: " \n\r\n\t", err: published.ErrNoRanges},
		"comments only":       {text: "# nothing\n", err: published.ErrNoRanges},
		"empty JSON":          {text: "{}", err: published.ErrNoRanges},
		"an empty array":      {text: "[]", err: published.ErrNoRanges},
		"AWS without ranges":  {text: `{"createDate":"","prefixes":[],"ipv6_prefixes":[]}`, err: published.ErrNoRanges},
		"IPv6 only":           {text: "2001:db8::/32", err: published.ErrNoRanges, words: "of 1 read, left out 1 other_family"},
		"every address":       {text: "0.0.0.0/0\n::/0\n", options: published.Options{AllowIPv6: true}, err: published.ErrNoRanges, words: "left out 2 too_wide"},
		"a length cut off":    {text: "192.0.0.0/2", err: published.ErrNoRanges, words: "left out 1 too_wide"},
		"filters that exclude each other": {text: aws, options: published.Options{Regions: []string{"GLOBAL"}, Services: []string{"S3"}}, err: published.ErrNoRanges,
			words: "of 8 read, left out 1 invalid, 2 other_family, 6 filtered"},

		"truncated":            {text: aws[:len(aws)/2], err: published.ErrTruncated, words: fmt.Sprintf("published: truncated: the JSON ends after %d bytes: fetch it again", len(aws)/2)},
		"truncated in a text":  {text: `["203.0.113.7","203.0.1`, err: published.ErrTruncated},
		"truncated at the end": {text: strings.TrimRight(aws, "}\n "), err: published.ErrTruncated},
		"two values":           {text: `["203.0.113.7"]["203.0.113.8"]`, err: published.ErrNotList, words: `after the JSON comes "[\"203.0.113.8\"]"`},
		"bad JSON":             {text: `["203.0.113.7",]`, err: published.ErrNotList, words: "invalid character ']'"},
		"JSON of other types":  {text: `{"createDate":"","prefixes":"203.0.113.7"}`, err: published.ErrNotList, words: "cannot unmarshal string"},
		"an error in JSON":     {text: `{"message":"API rate limit exceeded for 203.0.113.9.","ips":["203.0.113.9"]}`, err: published.ErrNotList, words: `it has the member "message", "\"API rate limit exceeded for 203.0.113.9.\""`},
		"Cloudflare's error":   {text: `{"result":null,"success":false,"errors":[{"code":1000,"message":"no"}]}`, err: published.ErrNotList, words: `success is false, with the errors "[{\"code\":1000,\"message\":\"no\"}]"`},
		"deep JSON":            {text: strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), err: published.ErrNotList, words: "max depth"},
		"JSON of mixed types":  {text: `{"hooks":["203.0.113.7",5]}`, err: published.ErrNotList, words: "cannot unmarshal number"},
		"another type":         {text: `{"result":["203.0.113.7"],"success":true}`, err: published.ErrNotList, words: "cannot unmarshal array"},
		"mostly not addresses": {text: `[{"ips":["203.0.113.7"],"urls":["a.example","b.example"]}]`, err: published.ErrNotList, words: "read as json it has 1 valid ranges and 2 invalid ones"},

		"another format":             {text: aws, options: published.Options{Format: published.GitHub}, err: published.ErrNotList, words: "it has not the members of GitHub meta: want hooks"},
		"another of the same member": {text: aws, options: published.Options{Format: published.Google}, err: published.ErrNotList, words: "read as google it has 0 valid ranges and 7 invalid ones"},
		"text for JSON":              {text: "203.0.113.7", options: published.Options{Format: published.AWS}, err: published.ErrNotList, words: `"203.0.113.7" is no JSON: want AWS ip-ranges.json`},
		"Atlas for Google":           {text: fromFile(t, "atlas-nested.json"), options: published.Options{Format: published.Google}, err: published.ErrNotList, words: "it has not the members of Google"},
		"a country without a header": {text: "198.51.100.0/24,US\n", err: published.ErrNotList, words: "read as text"},
		"numbers for countries":      {text: "198.51.100.0/24,12,x\n", err: published.ErrNotList, words: "read as text"},
		"countries without blocks":   {text: "example.com,US,,\n", err: published.ErrNotList, words: "read as text"},
		"only the first column":      {text: "start,b\n203.0.113.7,2\n", options: published.Options{Format: published.CSV}, err: published.ErrNotList, words: "no usual column"},
		"only the last column":       {text: "end,b\n203.0.113.7,2\n", options: published.Options{Format: published.CSV}, err: published.ErrNotList, words: "no usual column"},
		"JSON as text":               {text: aws, options: published.Options{Format: published.Text}, err: published.ErrNotList, words: "read as text"},
		"text as geofeed":            {text: "allow 203.0.113.7;\n", options: published.Options{Format: published.Geofeed}, err: published.ErrNotList, words: "read as geofeed"},

		"CSV without its column":   {text: "a,b\n1,2\n", options: published.Options{Format: published.CSV}, err: published.ErrNotList, words: `no usual column for addresses, "a, b": want Columns.Address`},
		"CSV without a column":     {text: "ip,b\n203.0.113.7,2\n", options: published.Options{Columns: published.Columns{Address: "ip", Region: "where"}}, err: published.ErrNotList, words: `no column "where": want one of "ip, b"`},
		"CSV with a quote astray":  {text: "ip,b\n203.0.113.7,\"2\n", err: published.ErrNotList, words: "want CSV (RFC 4180)"},
		"CSV without columns":      {text: "ip,b\n,2\n", err: published.ErrNotList, words: "read as csv"},
		"CSV with a record cut":    {text: "b,ip\n2\n", err: published.ErrNotList, words: "read as csv"},
		"an unknown region":        {text: aws, options: published.Options{Regions: []string{"eu-west-9"}}, err: published.ErrUnknownWord, words: `published: the region "eu-west-9": unknown word: want one of GLOBAL, eu-west-1, us-east-1`},
		"an unknown service":       {text: aws, options: published.Options{Services: []string{"S3", ""}}, err: published.ErrUnknownWord, words: `the service "": unknown word: want one of AMAZON, CLOUDFRONT, EC2, S3`},
		"a filter without words":   {text: "203.0.113.7", options: published.Options{Services: []string{"S3"}}, err: published.ErrUnknownWord, words: "want no filter, since the list has no such words"},
		"twenty words":             {text: manyServices(20), options: published.Options{Services: []string{"x"}}, err: published.ErrUnknownWord, words: "s19"},
		"a word of no range":       {text: `{"regions":[{"region":"x","cidrs":[{"cidr":"no"}]},{"region":"y","cidrs":[{"cidr":"203.0.113.7"}]}]}`, options: published.Options{Regions: []string{"x"}}, err: published.ErrUnknownWord, words: "want one of y"},
		"many words":               {text: manyServices(30), options: published.Options{Services: []string{"x"}}, err: published.ErrUnknownWord, words: "s19 and 10 more"},
		"too many bytes":           {text: aws, options: published.Options{MaxBytes: 100}, err: published.ErrTooLarge, words: "it has more than 100 bytes: want at most MaxBytes"},
		"too many ranges":          {text: aws, options: published.Options{MaxRanges: 7}, err: published.ErrTooLarge, words: "it has more than 7 ranges: want at most MaxRanges"},
		"too many blocks":          {text: "198.51.100.1-198.51.100.254", options: published.Options{MaxRanges: 13}, err: published.ErrTooLarge, words: "its ranges make more than 13 blocks"},
		"too many lines":           {text: strings.Repeat("203.0.113.7\n", 8) + strings.Repeat("x\n", 8) + "\x01", options: published.Options{MaxRanges: 7}, err: published.ErrTooLarge},
		"too many invalid":         {text: "Example:1.2.3.4-1.2.3.5\n" + strings.Repeat("x\n", 1000), options: published.Options{MaxRanges: 7, Format: published.Ranges}, err: published.ErrNotList, words: "1 valid ranges and 8 invalid ones"},
		"too many records":         {text: "ip,b\n" + strings.Repeat("x,\n", 1000), options: published.Options{MaxRanges: 7}, err: published.ErrNotList, words: "0 valid ranges and 8 invalid ones"},
		"too many denied":          {text: "deny 198.51.100.1, 198.51.100.2\n203.0.113.7", options: published.Options{MaxRanges: 1}, err: published.ErrTooLarge, words: "more than 1 ranges"},
		"half of IPv4":             {text: halfOfIPv4(), err: published.ErrTooWide, words: "it covers 2214592512 IPv4 addresses"},
		"half of IPv6":             {text: halfOfIPv6(), options: published.Options{AllowIPv6: true}, err: published.ErrTooWide, words: "1153202979583557632 IPv6 networks of /64"},
		"all of IPv6":              {text: allOfIPv6(), options: published.Options{AllowIPv6: true}, err: published.ErrTooWide, words: "18446744073709551615 IPv6 networks of /64"},
		"an exception":             {text: "deny 198.51.100.7;\nallow 198.51.100.0/24;\ndeny all;\n", err: published.ErrDenies, words: "published: denies addresses it admits: 198.51.100.7: want a list that admits only"},
		"an exception in words":    {text: "Require ip 10.0.0.0/8\nRequire not ip 10.1\n", err: published.ErrDenies, words: `the line "Require not ip 10.1" is not understood`},
		"an exception by its mark": {text: "198.51.100.0/24\n!198.51.100.0/28 # ours\n", err: published.ErrDenies},
		"an exception of ranges":   {text: "198.51.100.0-198.51.100.255\n!198.51.100.4-198.51.100.9\n203.0.113.0-203.0.113.9", err: published.ErrDenies, words: "198.51.100.4-198.51.100.9"},
		"an exception by a word":   {text: "198.51.100.0-198.51.100.255\ndeny 198.51.100.4\n203.0.113.0-203.0.113.9", err: published.ErrDenies, words: "198.51.100.4"},
		"0.0.0.0 left over":        {text: "0.0.0.0/31,US,US-AL,,\n0.0.0.1,CA,CA-QC,,\n", options: published.Options{Regions: []string{"US"}}, words: "published: after the filters the list is not fit for an access list: accesslist: \"0.0.0.0/32\" is the unspecified address"},

		"an unknown format":         {options: published.Options{Format: "x"}, words: `published: the format "x" is unknown: want one of [aws google azure`},
		"a source of two lines":     {options: published.Options{Source: "a\nb"}, words: `published: the source "a\nb" has the control character`},
		"a source with a colon":     {options: published.Options{Source: "a: b"}, words: `published: the source "a: b" has a colon or space around it: want a name without`},
		"a source with space":       {options: published.Options{Source: "a "}, words: `has a colon or space around it`},
		"bounds below zero":         {options: published.Options{MaxRanges: -1}, words: "published: MaxBytes is 0 and MaxRanges -1: want 0 or more"},
		"columns of a fixed format": {options: published.Options{Format: published.AWS, Columns: published.Columns{Address: "ip_prefix"}}, words: "published: the format aws has its own columns: want no Columns"},
		"columns without addresses": {options: published.Options{Columns: published.Columns{Region: "region"}}, words: "published: Columns.Address is empty: want it beside the other columns"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := published.Read(strings.NewReader(c.text), c.options)
			require.ErrorContains(t, err, c.words)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
			assert.Less(t, len(err.Error()), 1200)
			assert.Equal(t, published.List{}, list)
		})
	}
}

func fromFile(t testing.TB, file string) string {
	data, err := io.ReadAll(open(t, file))
	require.NoError(t, err)
	return string(data)
}

func manyServices(n int) string {
	var members []string
	for i := range n {
		members = append(members, fmt.Sprintf(`"s%02d":["203.0.113.%d"]`, i, i))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func halfOfIPv4() string {
	var b strings.Builder
	for i := range 132 {
		fmt.Fprintf(&b, "%d.0.0.0/8\n", i)
	}
	return b.String()
}

func halfOfIPv6() string {
	var b strings.Builder
	for i := range 0x1001 {
		fmt.Fprintf(&b, "%x::/16\n", 0x2000+i)
	}
	return b.String()
}

// allOfIPv6 has the first /16 in halves around the IPv4-mapped addresses, which no entry may name.
func allOfIPv6() string {
	var b strings.Builder
	for i := 1; i < 1<<16; i++ {
		fmt.Fprintf(&b, "%x::/16\n", i)
	}
	b.WriteString("::-::fffe:ffff:ffff\n::1:0:0:0-0:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n")
	return b.String()
}

func TestReadErrorsOfTheReader(t *testing.T) {
	broken := errors.New("connection reset")
	_, err := published.Read(iotest.ErrReader(broken), published.Options{})
	require.ErrorIs(t, err, broken)

	// A body that ends before its Content-Length.
	_, err = published.Read(io.MultiReader(strings.NewReader("198.51.100.0/24\n203.0.113.7"), iotest.ErrReader(io.ErrUnexpectedEOF)), published.Options{})
	require.EqualError(t, err, "published: the list was not read to its end: unexpected EOF")
}

// TestReadIsBounded reads a document without an end.
func TestReadIsBounded(t *testing.T) {
	endless := &counting{Reader: endlessReader("203.0.113.7\n")}
	_, err := published.Read(endless, published.Options{MaxBytes: 1 << 20})
	require.ErrorIs(t, err, published.ErrTooLarge)
	assert.Equal(t, 1<<20+1, endless.n)

	// Many bad lines: as many examples as of few, and their words are bounded.
	text := "203.0.113.7 \n" + strings.Repeat("203.0.113.8\n", 30_001) + strings.Repeat(strings.Repeat("x", 3000)+"\n", 3) + strings.Repeat("x.y/z\n", 30_000)
	list, err := published.Read(iotest.OneByteReader(strings.NewReader(text)), published.Options{})
	require.ErrorIs(t, err, published.ErrNotList)
	list, err = published.Read(strings.NewReader(text+"203.0.113.9\n203.0.113.10\n"), published.Options{})
	require.NoError(t, err)
	require.Len(t, list.LeftOut, 2)
	assert.Equal(t, 30_003, list.LeftOut[0].Count)
	for _, left := range list.LeftOut {
		assert.Len(t, left.Examples, published.MaxExamples)
		for _, e := range left.Examples {
			assert.LessOrEqual(t, len(e.Text), 83)
			assert.LessOrEqual(t, len(e.Why), 323)
		}
	}
}

type endlessReader string

func (r endlessReader) Read(p []byte) (int, error) { return copy(p, r), nil }

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestFormats(t *testing.T) {
	data, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, format := range published.Formats() {
		assert.NotEmpty(t, format.Description())
		assert.Contains(t, string(data), "//\t"+format+" ", "the table in the package documentation has no row for %s", format)
	}
	assert.Empty(t, published.Format("x").Description())
	assert.Empty(t, published.Format("").Description())
}

// TestRequiredFormat reads each document under the name of its format, which gives the same.
func TestRequiredFormat(t *testing.T) {
	for _, d := range documents {
		recognized, err := published.Read(open(t, d.file), d.options)
		require.NoError(t, err)
		d.options.Format = d.format
		required, err := published.Read(open(t, d.file), d.options)
		require.NoError(t, err)
		assert.Equal(t, report(recognized), report(required), d.file)
	}
}

func TestReasons(t *testing.T) {
	var all []string
	for r := published.Invalid; r <= published.Covered; r++ {
		all = append(all, r.String())
	}
	assert.Equal(t, []string{"invalid", "denied", "other_family", "too_wide", "filtered", "duplicate", "covered"}, all)
	assert.Equal(t, "Reason(0)", published.Reason(0).String())
	assert.Equal(t, "Reason(8)", (published.Covered + 1).String())
}

// TestPlaces has documents whose words or ranges stand in unusual places.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		text    string
		options published.Options
		want    string
	}{
		{`{"a":{"where":"x","cidr":"203.0.113.7","in":[{"what":"y","cidr":["203.0.113.9"],"n":1}],"WHAT":"z"},"where":"w"}`,
			published.Options{Columns: published.Columns{Address: "CIDR", Region: "where", Service: "what"}}, "203.0.113.7 json: z x, 203.0.113.9 json: y"},
		{`{"version":7,"agents":{"prefixes_ipv4":["203.0.113.7"],"x":{"y":{"z":{"w":["203.0.113.9"]}}}}}`, published.Options{Services: []string{"agents"}},
			"203.0.113.7 json: agents prefixes_ipv4, 203.0.113.9 json: agents x y z"},
		{"Example Ltd:\n203.0.113.4-203.0.113.6\n203.0.113.4 - 203.0.113.6\n", published.Options{}, "203.0.113.4/31 ranges, 203.0.113.6 ranges, 1 invalid 1, 1 duplicate 3"},
		{"203.0.113.7,203.0.113.9,DE\n203.0.113.16/30\n203.0.113.20,DE\n", published.Options{Format: published.Ranges}, "203.0.113.7 ranges, 203.0.113.8/31 ranges, 203.0.113.16/30 ranges, 1 invalid 3"},
		{"\ufeff\n\n203.0.113.7\nx\n", published.Options{}, "203.0.113.7 text, 1 invalid 4"},
		{"\"ip\"\n203.0.113.7\n\nx\n", published.Options{}, "203.0.113.7 csv, 1 invalid 4"},
		{"ip,,note\n203.0.113.7,,a\n", published.Options{}, "203.0.113.7 csv"},
		{"ip|note\n203.0.113.7|a\n", published.Options{}, "203.0.113.7 csv"},
		{"203.0.113.4-203.0.113.5\n203.0.113.7-203.0.113.8\n203.0.113.10,203.0.113.20\nBlock Ltd:203.0.113.30-203.0.113.31\ndeny x\n", published.Options{},
			"203.0.113.4/31 ranges, 203.0.113.7 ranges, 203.0.113.8 ranges, 2 invalid 3, 1 denied 4"},
		{"allow from 203.0.113.7 to 203.0.113.9\npermit ip host 203.0.113.11 host 203.0.113.13\npermit ip 203.0.113.0 0.0.0.3 203.0.113.8 0.0.0.3\n" +
			"allow from 203.0.113.7 203.0.113.9\npermit ip 203.0.113.4 0.0.0.1\n203.0.113.12 to 203.0.113.13", published.Options{},
			"203.0.113.4/31 text, 203.0.113.7 text, 203.0.113.9 text, 203.0.113.12/31 text, 3 invalid 1"},
		{"203.0.113.7 -\n203.0.113.7 to\n203.0.113.7 mask\nadd x\n203.0.113.9 # -\nfe80::1%a-fe80::2%a\n\"\" 203.0.113.11 \"\"\n[] 203.0.113.13 \ndeny all\n203.0.113.15\n;\n203.0.113.17 ;", published.Options{},
			"203.0.113.9 text: -, 203.0.113.11 text, 203.0.113.13 text, 203.0.113.15 text, 203.0.113.17 text, 5 invalid 1, 1 denied 9"},
		{"203.0.113.4-203.0.113.5 # see: x\n203.0.113.9 -\n203.0.113.12 - x\n203.0.113.17\n", published.Options{Format: published.Ranges}, "203.0.113.4/31 ranges: see: x, 203.0.113.17 ranges, 2 invalid 2"},
		{"203.0.113.4-203.0.113.5\n203.0.113.9\n", published.Options{}, "203.0.113.4/31 text, 203.0.113.9 text"},
		{"203.0.113.4 - 203.0.113.5\n", published.Options{}, "203.0.113.4/31 ranges"},
		{"203.0.113.4 -\n203.0.113.5\n203.0.113.7\n", published.Options{}, "203.0.113.5 text, 203.0.113.7 text, 1 invalid 1"},
		{"203.0.113.4/31,US,US-AL\n203.0.113.7,us,\n", published.Options{}, "203.0.113.4/31 geofeed: US US-AL, 203.0.113.7 geofeed: us"},
		{"203.0.113.4/31,,\n", published.Options{}, "203.0.113.4/31 geofeed"},
		{"# a,b\nip;note\n203.0.113.7; \"a; b\"\n", published.Options{}, "203.0.113.7 csv"},
		{"cidr\n203.0.113.4/31\n", published.Options{}, "203.0.113.4/31 csv"},
		{"start,end,ip\n203.0.113.4,203.0.113.5,203.0.113.9\n", published.Options{}, "203.0.113.9 csv"},
		{fromFile(t, "aws.json"), published.Options{Columns: published.Columns{Address: "ip_prefix", Service: "service"}, Services: []string{"CLOUDFRONT"}}, "192.0.2.0/24 json: CLOUDFRONT, 1 invalid 7, 5 filtered 1"},
		{`{"hooks":["203.0.113.7"],"web":null,"packages":{"a":["203.0.113.9"]}}`, published.Options{}, "203.0.113.7 github: hooks"},
		{`{"ips":["203.0.113.7"],"name":"203.0.113.9","error":null}`, published.Options{}, "203.0.113.7 json: ips"},
		{"203.0.113.7,ip\n203.0.113.9", published.Options{}, "203.0.113.7 text, 203.0.113.9 text"},
		{"203.0.113.7,203.0.113.9\n203.0.113.11,,\n", published.Options{}, "203.0.113.7 text, 203.0.113.9 text, 203.0.113.11 text"},
	} {
		list, err := published.Read(strings.NewReader(c.text), c.options)
		require.NoError(t, err, c.text)
		var got []string
		for _, e := range list.Entries {
			got = append(got, e.String()+" "+e.Comment)
		}
		for _, left := range list.LeftOut {
			got = append(got, fmt.Sprint(left.Count, " ", left.Reason, " ", left.Examples[0].Place))
		}
		assert.Equal(t, c.want, strings.Join(got, ", "), c.text)
	}
}

// TestBounds has for each bound what is just inside of it.
func TestBounds(t *testing.T) {
	quarters := "0.0.0.0/8\n" + halfOfIPv4()[:strings.Index(halfOfIPv4(), "128.")]
	for _, c := range []struct {
		text    string
		options published.Options
		want    published.Count
		left    string
	}{
		{text: "16.0.0.0/6\n20.0.0.0-23.255.255.255\n24.0.0.0-28.0.0.0\n", want: published.Count{Read: 3, Taken: 2, Entries: 1, Addresses: 1 << 27}, left: "1 too_wide"},
		{text: "10.0.0.0 255.0.0.0\n11.0.0.0 254.0.0.0\n12.0.0.0 0.255.255.255\n13.0.0.0 1.255.255.255\n14.0.0.0 255.0.255.0\n15.0.0.0 0.255.0.255", want: published.Count{Read: 10, Taken: 10, Entries: 10, Addresses: 1<<25 + 8}},
		{text: "203.0.113.1\n203.0.113.3\n203.0.113.5\n", options: published.Options{MaxRanges: 3}, want: published.Count{Read: 3, Taken: 3, Entries: 3, Addresses: 3}},
		{text: "198.51.100.1-198.51.100.254", options: published.Options{MaxRanges: 14}, want: published.Count{Read: 1, Taken: 1, Entries: 14, Addresses: 254}},
		{text: "203.0.113.7", options: published.Options{MaxBytes: 11}, want: published.Count{Read: 1, Taken: 1, Entries: 1, Addresses: 1}},
		{text: quarters, want: published.Count{Read: 129, Taken: 128, Entries: 1, Addresses: 1 << 31}, left: "1 duplicate"},
		{text: "203.0.113.7 2001:db8::1\n", want: published.Count{Read: 1, Taken: 1, Entries: 1, Addresses: 1}, left: "1 other_family"},
	} {
		list, err := published.Read(strings.NewReader(c.text), c.options)
		require.NoError(t, err)
		assert.Equal(t, c.want, list.IPv4, c.text)
		assert.Equal(t, c.left, leftOut(list), c.text)
	}
	for text, want := range map[string]published.Count{
		"2400::/16": {Read: 1, Taken: 1, Entries: 1, Addresses: 1 << 48},
		"2401:0:0:1::-2402::\n2400::-2401::\n2001:db8::1":   {Read: 3, Taken: 2, Entries: 50, Addresses: 1<<48 + 1},
		strings.Repeat("2001:db8::/64\n", 2):                {Read: 2, Taken: 1, Entries: 1, Addresses: 1},
		"2001:db8::1\n2001:db8::3\n2001:db8:0:1::1":         {Read: 3, Taken: 3, Entries: 3, Addresses: 2},
		halfOfIPv6()[:strings.Index(halfOfIPv6(), "3000:")]: {Read: 4096, Taken: 4096, Entries: 1, Addresses: 1 << 60},
	} {
		list, err := published.Read(strings.NewReader(text), published.Options{AllowIPv6: true})
		require.NoError(t, err)
		assert.Equal(t, want, list.IPv6)
	}
}

func leftOut(l published.List) string {
	var texts []string
	for _, left := range l.LeftOut {
		texts = append(texts, fmt.Sprint(left.Count, " ", left.Reason))
	}
	return strings.Join(texts, ", ")
}

// TestComments covers words unfit for a comment, and more origins than it names.
func TestComments(t *testing.T) {
	long := strings.Repeat("w", published.MaxSource+1)
	for _, c := range []struct{ text, comment string }{
		{`{"a":["203.0.113.0"],"b":["203.0.113.1"],"c":["203.0.113.2"],"d":["203.0.113.3"]}`, "json: a; b; c; d"},
		{`{"a":["203.0.113.0"],"b":["203.0.113.1"],"c":["203.0.113.2"],"d":["203.0.113.3"],"e":["203.0.113.3"],"f":["203.0.113.3"]}`, "json: a; b; c; d; and more"},
		{`{"a\nb":["203.0.113.0"]}`, "json"},
		{`{"` + long + `":["203.0.113.0"]}`, "json"},
		{"203.0.113.0 # " + long, "text"},
		{"203.0.113.0 #\u202e evil", "text"},
		{"203.0.113.0 # Köln", "text: Köln"},
		{`{"cloud":"","values":[{"name":"` + long[1:] + `","properties":{"region":"` + long[1:] + `","systemService":"` + long[2:] + `","addressPrefixes":["203.0.113.0"]}}]}`,
			"azure: " + long[1:] + " " + long[2:] + "…"},
	} {
		list, err := published.Read(strings.NewReader(c.text), published.Options{})
		require.NoError(t, err, c.text)
		require.Len(t, list.Entries, 1)
		assert.Equal(t, c.comment, list.Entries[0].Comment)
	}

	// The longest comment fits an access list.
	source := strings.Repeat("s", published.MaxSource)
	var b bytes.Buffer
	b.WriteString(`{"cloud":"","values":[`)
	for i := range 6 {
		fmt.Fprintf(&b, `{"name":"%d%s","properties":{"region":"%s","systemService":"%s","addressPrefixes":["203.0.113.0"]}},`, i, long[2:], long[1:], long[2:])
	}
	b.WriteString(`{}]}`)
	list, err := published.Read(&b, published.Options{Source: source})
	require.NoError(t, err)
	_, err = list.Compare(open0, nil).List()
	require.NoError(t, err)
}
