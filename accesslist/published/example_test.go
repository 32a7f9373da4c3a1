package published_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
)

// A cloud's list is filtered: all of it is every machine that anybody rents there.
func Example() {
	const document = `{"createDate": "2026-09-06-00-58-25", "prefixes": [
		{"ip_prefix": "198.51.100.0/25", "region": "eu-west-1", "service": "S3"},
		{"ip_prefix": "198.51.100.128/25", "region": "eu-west-1", "service": "CLOUDFRONT"},
		{"ip_prefix": "203.0.113.0/24", "region": "us-east-1", "service": "EC2"}]}`
	list, err := published.Read(strings.NewReader(document), published.Options{
		Source:   "AWS",
		Regions:  []string{"eu-west-1"},
		Services: []string{"S3", "CLOUDFRONT"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("reads as:", list.Format.Description())
	for _, e := range list.Entries {
		fmt.Println(e, "#", e.Comment)
	}
	for _, left := range list.LeftOut {
		fmt.Println(left.Count, left.Reason)
	}
	// Output:
	// reads as: AWS ip-ranges.json
	// 198.51.100.0/24 # AWS: S3 eu-west-1; CLOUDFRONT eu-west-1
	// 1 filtered
}

// The embedding program fetches: with its own client and timeout, and it looks at the status.
func ExampleRead_fetch() {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"addresses":["198.51.100.0/24","203.0.113.0/25"],"ipv6_addresses":["2001:db8::/32"]}`)
	}))
	defer provider.Close()

	fetch := func(ctx context.Context, client *http.Client, url string) (published.List, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return published.List{}, err
		}
		response, err := client.Do(request)
		if err != nil {
			return published.List{}, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return published.List{}, fmt.Errorf("%s: %s", url, response.Status)
		}
		return published.Read(response.Body, published.Options{Format: published.Fastly, AllowIPv6: true})
	}

	list, err := fetch(context.Background(), &http.Client{Timeout: 30 * time.Second}, provider.URL)
	fmt.Println(list.IPv4.Entries, "IPv4 and", list.IPv6.Entries, "IPv6 entries,", err)
	// Output: 2 IPv4 and 1 IPv6 entries, <nil>
}

// A refresh is looked at, then made. Entries of other origin stay.
func ExampleList_Compare() {
	current, err := accesslist.Parser{}.ParseText([]byte(`
192.0.2.7 # the office
198.51.100.0/25 expires=2027-01-01T00:00:00Z # Example CDN: until the contract ends
203.0.113.0/25 # Example CDN
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	edition, err := published.Read(strings.NewReader("198.51.100.0/25\n203.0.113.0/24\n"), published.Options{Source: "Example CDN"})
	if err != nil {
		fmt.Println(err) // and keep the list as it is
		return
	}
	c := edition.Compare(current, edition.Owns)
	fmt.Println(len(c.Added), "added,", len(c.Removed), "removed,", len(c.Unchanged), "unchanged,", len(c.Others), "from elsewhere")
	fmt.Println(c.AddressesAdded.IPv4, "addresses added,", c.AddressesRemoved.IPv4, "removed")
	next, err := c.List()
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := next.MarshalText()
	fmt.Print(string(text))
	// Output:
	// 1 added, 1 removed, 1 unchanged, 1 from elsewhere
	// 128 addresses added, 0 removed
	// 192.0.2.7 # the office
	// 198.51.100.0/25 expires=2027-01-01T00:00:00Z # Example CDN: until the contract ends
	// 203.0.113.0/24 # Example CDN
}

// A provider's error page, or half of a list, changes nothing.
func ExampleComparison_List() {
	current, _ := accesslist.Parse("198.51.100.0/24", "203.0.113.0/24")
	_, err := published.Read(strings.NewReader("<html>Just a moment…</html>"), published.Options{})
	fmt.Println(errors.Is(err, published.ErrNotList))

	edition, _ := published.Read(strings.NewReader("198.51.100.0/24"), published.Options{})
	list, err := edition.Compare(current, nil).List()
	fmt.Println(list.IsValid(), err)
	// Output:
	// true
	// false published: the new edition lost half: of 2 entries 1 are gone: want it looked at, then AllowShrunk
}
