package published_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
)

// realList returns a list in ../shared/data, beside the project and not part of it.
func realList(t testing.TB, name string) []byte {
	data, err := os.ReadFile("../../../shared/data/" + name)
	if err != nil {
		t.Skip("no published lists in ../../../shared/data")
	}
	return data
}

// TestRealLists reads real lists and compares with the union by another package.
func TestRealLists(t *testing.T) {
	for name, c := range map[string]struct{ lines, entries int }{
		"cloudflare.txt": {15, 15}, "statuscake.txt": {183, 183}, "github.txt": {5953, 4063}, "amazon.txt": {7904, 1752},
	} {
		t.Run(name, func(t *testing.T) {
			data := realList(t, name)
			list, err := published.Read(bytes.NewReader(data), published.Options{Source: name})
			require.NoError(t, err)
			assert.Equal(t, published.Text, list.Format)
			assert.Equal(t, c.lines, list.IPv4.Read)
			assert.Len(t, list.Entries, c.entries)
			wantConsistent(t, list)

			var want, got netipx.IPSetBuilder
			for _, line := range strings.Fields(string(data)) {
				prefix, err := netip.ParsePrefix(line)
				if err != nil {
					addr := netip.MustParseAddr(line)
					prefix = netip.PrefixFrom(addr, 32)
				}
				want.AddPrefix(prefix)
			}
			for _, e := range list.Entries {
				got.AddPrefix(e.Prefix())
			}
			assert.True(t, set(t, &want).Equal(set(t, &got)))

			// A refresh by the same list changes nothing; by its first third it is refused.
			current, err := list.Compare(accesslist.List{}, nil).List()
			require.NoError(t, err)
			c := list.Compare(current, list.Owns)
			assert.Len(t, c.Unchanged, len(list.Entries))
			assert.Equal(t, published.Size{IPv4: list.IPv4.Addresses}, c.AddressesUnchanged)
			part, err := published.Read(bytes.NewReader(data[:len(data)/3]), published.Options{Source: name})
			require.NoError(t, err)
			require.ErrorIs(t, part.Compare(current, part.Owns).Err(), published.ErrShrunk)
		})
	}
}

func set(t *testing.T, b *netipx.IPSetBuilder) *netipx.IPSet {
	s, err := b.IPSet()
	require.NoError(t, err)
	return s
}

// BenchmarkRead reads the largest real list in several formats, each range once for each of
// two services or with a country.
func BenchmarkRead(b *testing.B) {
	lines := strings.Fields(string(realList(b, "amazon.txt")))
	aws, geofeed := strings.Builder{}, strings.Builder{}
	aws.WriteString(`{"createDate":"2026-09-06-00-58-25","prefixes":[`)
	for i, line := range lines {
		region := []string{"eu-west-1", "us-east-1", "ap-south-1"}[i%3]
		for j, service := range []string{"AMAZON", "EC2"} {
			if i+j > 0 {
				aws.WriteByte(',')
			}
			fmt.Fprintf(&aws, `{"ip_prefix":%q,"region":%q,"service":%q,"network_border_group":%q}`, line, region, service, region)
		}
		fmt.Fprintf(&geofeed, "%s,%s,,,\n", line, []string{"IE", "US", "IN"}[i%3])
	}
	aws.WriteString("]}")
	for _, c := range []struct {
		name, text string
		options    published.Options
	}{
		{"text", strings.Join(lines, "\n"), published.Options{}},
		{"aws", aws.String(), published.Options{}},
		{"aws/filtered", aws.String(), published.Options{Services: []string{"EC2"}, Regions: []string{"eu-west-1"}}},
		{"geofeed", geofeed.String(), published.Options{}},
		{"geofeed/filtered", geofeed.String(), published.Options{Regions: []string{"IE"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				list, err := published.Read(strings.NewReader(c.text), c.options)
				if err != nil || list.IPv4.Read < len(lines) {
					b.Fatal(list.IPv4, err)
				}
			}
		})
	}
}
