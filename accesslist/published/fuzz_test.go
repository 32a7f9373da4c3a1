package published_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
)

// FuzzRead reads a document in each format. Every address covered must be in a second reading
// of the document, which knows no format: each text that is an address or block, each two
// addresses near each other as a range, and each address with the mask after it.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data, uint8(0))
		f.Add(data, uint8(len(data)))
	}
	f.Add([]byte("deny 203.0.113.7/32x\n10.0.0.0 255.0.0.0-10.0.0.1 to - netmask mask add"), uint8(13))
	f.Add([]byte(`{"createDate":"","prefixes":[{"ip_prefix":"10.0.0.0/1","ipv6_prefix":"6"}]}`), uint8(0))
	f.Add([]byte(`{"":{"":["192.0.2.1"]},"":[]}`), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, format uint8) {
		if len(data) > 1<<12 {
			return
		}
		o := published.Options{AllowIPv6: true}
		if formats := published.Formats(); int(format)%(len(formats)+1) > 0 {
			o.Format = formats[int(format)%(len(formats)+1)-1]
		}
		list, err := published.Read(strings.NewReader(string(data)), o)
		if err != nil {
			require.Empty(t, list.Entries)
			require.Less(t, len(err.Error()), 2000)
			return
		}
		admitted := secondReading(data, list.Format)
		for _, e := range list.Entries {
			if !admitted.ContainsPrefix(e.Prefix()) {
				t.Fatalf("%q as %s: %s is not in it", data, list.Format, e)
			}
		}
		wantConsistent(t, list)
	})
}

var likeAddress = regexp.MustCompile(`[0-9a-fA-F:.]+(/[0-9.]+)?`)

func secondReading(data []byte, format published.Format) *netipx.IPSet {
	text := string(data)
	if json.Valid(data) && format != published.Text {
		var all []string // also of a member given twice
		for decoder := json.NewDecoder(strings.NewReader(text)); ; {
			token, err := decoder.Token()
			if err != nil {
				break
			}
			all = append(all, fmt.Sprint(token))
		}
		text = strings.Join(all, "\n")
	}
	var b netipx.IPSetBuilder
	var near []netip.Addr // of the last tokens
	for _, token := range likeAddress.FindAllString(text, -1) {
		token = strings.TrimRight(token, ".")
		candidates := []string{token}
		for i, r := range token {
			if r == ':' { // after a name
				candidates = append(candidates, token[i+1:])
			}
		}
		for _, candidate := range candidates {
			address, length, isBlock := strings.Cut(candidate, "/")
			addr, err := netip.ParseAddr(address)
			if err != nil {
				continue
			}
			if prefix, err := netip.ParsePrefix(candidate); err == nil {
				b.AddPrefix(prefix)
			}
			if mask, err := netip.ParseAddr(length); err == nil {
				addMasked(&b, addr, mask)
			}
			if isBlock {
				continue
			}
			b.Add(addr)
			for _, before := range near {
				addMasked(&b, before, addr)
				if strings.ContainsAny(text, "-–—") || strings.Contains(strings.ToLower(text), "to") || format == published.Ranges || format == published.CSV {
					b.AddRange(netipx.IPRangeFrom(before, addr)) // none if it is not in order
					b.AddRange(netipx.IPRangeFrom(addr, before))
				}
			}
			near = append(near[max(0, len(near)-8):], addr)
		}
	}
	set, _ := b.IPSet()
	return set
}

func addMasked(b *netipx.IPSetBuilder, addr, mask netip.Addr) {
	if !addr.Is4() || !mask.Is4() {
		return
	}
	m := mask.As4()
	for range 2 {
		if ones, size := net.IPMask(m[:]).Size(); size == 32 {
			b.AddPrefix(netip.PrefixFrom(addr, ones).Masked())
		}
		for i := range m {
			m[i] = ^m[i]
		}
	}
}

// wantConsistent fails unless a list's entries are disjoint and the fewest, fit an access
// list, and its counts agree.
func wantConsistent(t *testing.T, l published.List) {
	t.Helper()
	for i, e := range l.Entries {
		if i == 0 {
			continue
		}
		before := l.Entries[i-1].Prefix()
		if before.Overlaps(e.Prefix()) || before.Bits() > 0 && before.Bits() == e.Prefix().Bits() && netip.PrefixFrom(before.Addr(), before.Bits()-1).Masked() == netip.PrefixFrom(e.Prefix().Addr(), before.Bits()-1).Masked() {
			t.Fatalf("%s and %s should be one entry", before, e)
		}
	}
	list, err := l.Compare(accesslist.List{}, l.Owns).List()
	require.NoError(t, err)
	require.Equal(t, l.IPv4.Entries+l.IPv6.Entries, list.Len())
	left := 0
	for _, l := range l.LeftOut {
		require.Positive(t, l.Count)
		require.LessOrEqual(t, len(l.Examples), min(l.Count, published.MaxExamples))
		if l.Reason != published.Invalid && l.Reason != published.Denied {
			left += l.Count
		}
	}
	require.Equal(t, l.IPv4.Read+l.IPv6.Read, l.IPv4.Taken+l.IPv6.Taken+left)
}

// FuzzUnion writes ranges in a format and checks each address of their network: it is covered
// if and only if a slow reading says so.
func FuzzUnion(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	for kind := range uint8(6) {
		f.Add([]byte{0, 0, 24, 1, 0, 64, 26, 0, 0, 96, 28, 1, 1, 0, 24, 1}, kind)
		f.Add([]byte{0, 0, 32, 1, 0, 1, 32, 1, 0, 2, 31, 1, 0, 4, 30, 0, 0, 0, 24, 1, 0, 0, 24, 0}, kind)
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		var ranges []fuzzRange
		for ; len(data) >= 4 && len(ranges) < 40; data = data[4:] {
			r := fuzzRange{first: int(data[0]&3)<<8 | int(data[1]), length: 22 + int(data[2])%11, us: data[3]&1 == 1}
			r.first &^= 1<<(32-r.length) - 1
			ranges = append(ranges, r)
		}
		document, o := write(ranges, kind)
		list, err := published.Read(strings.NewReader(document), o)
		want := union(ranges, kind)
		if err != nil {
			for address, covered := range want {
				require.False(t, covered, "%s: %v, though it has %d", document, err, address)
			}
			return
		}
		var got [1024]bool
		for _, e := range list.Entries {
			b := e.Prefix().Addr().As4()
			first := int(b[2])<<8 | int(b[3])
			for i := range 1 << (32 - e.Prefix().Bits()) {
				require.False(t, got[first+i])
				got[first+i] = true
			}
		}
		require.Equal(t, want, got, document)
		wantConsistent(t, list)
	})
}

// A fuzzRange is a block in 198.51.0.0/22, in the United States or elsewhere.
type fuzzRange struct {
	first, length int
	us            bool
}

func (r fuzzRange) last() int { return r.first + 1<<(32-r.length) - 1 }

func address(i int) string { return fmt.Sprintf("198.51.%d.%d", i>>8, i&255) }

// write writes the ranges as text of three kinds, or labelled in JSON, CSV and a geofeed. The
// options then ask for those of the United States.
func write(ranges []fuzzRange, kind uint8) (string, published.Options) {
	var b strings.Builder
	o := published.Options{Regions: []string{"US"}}
	switch kind % 6 {
	case 0, 1, 2:
		o.Regions = nil
	case 3:
		b.WriteString(`{"regions":[{"region":"US"}`)
	case 4:
		b.WriteString("start,end,country\n")
	}
	for _, r := range ranges {
		country := "CA"
		if r.us {
			country = "US"
		}
		switch kind % 6 {
		case 0:
			fmt.Fprintf(&b, "%s/%d\n", address(r.first), r.length)
		case 1:
			fmt.Fprintf(&b, "%s - %s\n", address(r.first), address(r.last()))
		case 2:
			fmt.Fprintf(&b, "%s %s\n", address(r.first), net.IP(net.CIDRMask(r.length, 32)))
		case 3:
			fmt.Fprintf(&b, `,{"region":%q,"cidrs":[{"cidr":"%s/%d"}]}`, country, address(r.first), r.length)
		case 4:
			fmt.Fprintf(&b, "%s,%s,%s\n", address(r.first), address(r.last()), country)
		case 5:
			fmt.Fprintf(&b, "%s/%d,%s,,,\n", address(r.first), r.length, country)
		}
	}
	if kind%6 == 3 {
		b.WriteString("]}")
	}
	return b.String(), o
}

// union asks each address for the ranges around it.
func union(ranges []fuzzRange, kind uint8) (covered [1024]bool) {
	for address := range covered {
		longest := 0
		for _, r := range ranges {
			if address < r.first || address > r.last() {
				continue
			}
			switch {
			case kind%6 < 3:
				covered[address] = true
			case kind%6 < 5:
				covered[address] = covered[address] || r.us
			case r.length > longest: // a geofeed's most specific range
				longest, covered[address] = r.length, r.us
			case r.length == longest: // given twice: both must be of the United States
				covered[address] = covered[address] && r.us
			}
		}
	}
	return covered
}
