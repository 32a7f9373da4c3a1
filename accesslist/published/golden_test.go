package published_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/published"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// documents are small lists made by the formats' documentation.
var documents = []struct {
	file, golden string // golden: file, unless options differ
	options      published.Options
	format       published.Format
}{
	{file: "aws.json", format: published.AWS, options: published.Options{AllowIPv6: true}},
	{file: "aws.json", golden: "aws-s3", format: published.AWS, options: published.Options{Services: []string{"s3", "CloudFront"}, Regions: []string{"GLOBAL", "eu-west-1"}, Source: "AWS"}},
	{file: "google.json", format: published.Google, options: published.Options{AllowIPv6: true}},
	{file: "goog.json", format: published.Google},
	{file: "azure.json", format: published.Azure, options: published.Options{AllowIPv6: true}},
	{file: "azure.json", golden: "azure-storage", format: published.Azure, options: published.Options{Services: []string{"AzureStorage"}}},
	{file: "github.json", format: published.GitHub, options: published.Options{AllowIPv6: true}},
	{file: "cloudflare.json", format: published.Cloudflare, options: published.Options{AllowIPv6: true}},
	{file: "cloudflare.txt", format: published.Text, options: published.Options{AllowIPv6: true, Source: "Cloudflare"}},
	{file: "fastly.json", format: published.Fastly, options: published.Options{AllowIPv6: true}},
	{file: "oracle.json", format: published.Oracle},
	{file: "atlas.json", format: published.Atlas, options: published.Options{Services: []string{"outbound"}}},
	{file: "atlas-nested.json", format: published.Atlas},
	{file: "webhooks.json", format: published.JSON, options: published.Options{Services: []string{"WEBHOOKS"}, Source: "Example webhooks"}},
	{file: "endpoints.json", format: published.JSON, options: published.Options{Columns: published.Columns{Address: "ips", Region: "id", Service: "serviceArea"}, AllowIPv6: true}},
	{file: "geofeed.csv", format: published.Geofeed, options: published.Options{AllowIPv6: true}},
	{file: "geofeed.csv", golden: "geofeed-us", format: published.Geofeed, options: published.Options{Regions: []string{"US"}}},
	{file: "droplets.csv", format: published.CSV},
	{file: "droplets.csv", golden: "droplets-named", format: published.CSV, options: published.Options{Format: published.CSV, Columns: published.Columns{Address: "network", Service: "country"}}},
	{file: "blocks.csv", format: published.CSV, options: published.Options{Regions: []string{"SE", "NO"}}},
	{file: "ranges.txt", format: published.Ranges, options: published.Options{AllowIPv6: true}},
	{file: "decorated.txt", format: published.Text, options: published.Options{AllowIPv6: true}},
}

func TestGolden(t *testing.T) {
	for _, d := range documents {
		golden := d.golden
		if golden == "" {
			golden = strings.ReplaceAll(d.file, ".", "-")
		}
		t.Run(golden, func(t *testing.T) {
			list, err := published.Read(open(t, d.file), d.options)
			require.NoError(t, err)
			require.Equal(t, d.format, list.Format)
			path := filepath.Join("testdata", golden+".golden")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(report(list)), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			if diff := cmp.Diff(string(want), report(list)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func open(t testing.TB, file string) *os.File {
	f, err := os.Open(filepath.Join("testdata", file))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// report writes all of a list.
func report(l published.List) string {
	var b strings.Builder
	fmt.Fprintf(&b, "reads as %s, %s\n", l.Format.Description(), l.Source)
	fmt.Fprintf(&b, "IPv4 %+v\nIPv6 %+v\n", l.IPv4, l.IPv6)
	fmt.Fprintf(&b, "regions %v\nservices %v\n", l.Regions, l.Services)
	for _, e := range l.Entries {
		fmt.Fprintf(&b, "%s # %s\n", e, e.Comment)
	}
	for _, left := range l.LeftOut {
		fmt.Fprintf(&b, "%d %s\n", left.Count, left.Reason)
		for _, e := range left.Examples {
			fmt.Fprintf(&b, "\t%d %q %s\n", e.Place, e.Text, e.Why)
		}
	}
	return b.String()
}
