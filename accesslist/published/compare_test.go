package published_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
)

var open0 accesslist.List // the open list

func read(t testing.TB, text string) published.List {
	t.Helper()
	list, err := published.Read(strings.NewReader(text), published.Options{Source: "feed", AllowIPv6: true})
	require.NoError(t, err)
	return list
}

func parse(t testing.TB, text string) accesslist.List {
	t.Helper()
	list, err := accesslist.Parser{AllowIPv6: true}.ParseText([]byte(text))
	require.NoError(t, err)
	return list
}

func texts(entries []accesslist.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.String())
	}
	return out
}

func marshal(t testing.TB, l accesslist.List) string {
	t.Helper()
	text, err := l.MarshalText()
	require.NoError(t, err)
	return string(text)
}

func TestCompare(t *testing.T) {
	current := parse(t, `
10.1.0.0/16 # the office
192.0.2.0/25 added=2026-01-02T15:04:05Z expires=2027-01-01T00:00:00Z # feed: checked by Ann
192.0.2.128/25 expires=2026-01-01T00:00:00Z # feed
198.51.100.0/24 expires=2027-01-01T00:00:00Z # feed
198.51.102.0/24 # feed
203.0.113.4 # feeder
203.0.113.9 # feed
2001:db8::/48 # feed: v6
`)
	next := read(t, "192.0.2.0/25\n198.51.100.0/23\n198.51.102.0/24\n203.0.113.4\n2001:db8:1::/48 # v6\n2001:db8::/48\n203.0.113.16/30\n192.0.2.200")
	c := next.Compare(current, next.Owns)
	assert.Equal(t, []string{"192.0.2.200", "198.51.100.0/23", "203.0.113.16/30", "2001:db8::/47"}, texts(c.Added))
	assert.Equal(t, []string{"192.0.2.128/25", "198.51.100.0/24", "203.0.113.9", "2001:db8::/48"}, texts(c.Removed))
	assert.Equal(t, []string{"192.0.2.0/25", "198.51.102.0/24"}, texts(c.Unchanged))
	assert.Equal(t, []string{"10.1.0.0/16", "203.0.113.4"}, texts(c.Others))
	assert.Equal(t, []string{"192.0.2.128/25", "198.51.100.0/24"}, texts(c.ExpiriesLost))
	assert.Equal(t, published.Size{IPv4: 256 + 4, IPv6: 1 << 16}, c.AddressesAdded)
	assert.Equal(t, published.Size{IPv4: 127 + 1}, c.AddressesRemoved)
	assert.Equal(t, published.Size{IPv4: 128 + 1 + 256 + 256 + 1, IPv6: 1 << 16}, c.AddressesUnchanged)
	require.NoError(t, c.Err())
	list, err := c.List()
	require.NoError(t, err)
	assert.Equal(t, `10.1.0.0/16 # the office
192.0.2.0/25 added=2026-01-02T15:04:05Z expires=2027-01-01T00:00:00Z # feed: checked by Ann
192.0.2.200 # feed
198.51.100.0/23 # feed
198.51.102.0/24 # feed
203.0.113.4 # feeder
203.0.113.16/30 # feed
2001:db8::/47 # feed: v6
`, marshal(t, list))

	// Again: nothing changes, and the list is equal in every field.
	again := next.Compare(list, next.Owns)
	assert.Empty(t, again.Added)
	assert.Empty(t, again.Removed)
	assert.Equal(t, published.Size{}, again.AddressesAdded)
	unchanged, err := again.List()
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff(list, unchanged))
}

func TestCompareWithoutOwner(t *testing.T) {
	next := read(t, "198.51.100.0/24")
	list, err := next.Compare(parse(t, "198.51.100.0/25 # a\n198.51.100.200 # b\n198.51.100.0/24 # c\n192.0.2.1"), nil).List()
	require.NoError(t, err)
	assert.Equal(t, "198.51.100.0/24 # c\n", marshal(t, list))

	// The first edition, on an open list.
	c := next.Compare(open0, next.Owns)
	assert.Equal(t, published.Size{IPv4: 256}, c.AddressesAdded)
	list, err = c.List()
	require.NoError(t, err)
	assert.Equal(t, "198.51.100.0/24 # feed\n", marshal(t, list))
}

func TestOwns(t *testing.T) {
	l := published.List{Source: "feed"}
	for comment, want := range map[string]bool{"feed": true, "feed: x": true, "feed:": true, "feeder": false, "": false, "my feed": false, "Feed": false} {
		assert.Equal(t, want, l.Owns(accesslist.Entry{Comment: comment}), comment)
	}
	assert.False(t, published.List{}.Owns(accesslist.Entry{}))
}

func TestRefusedEditions(t *testing.T) {
	invalid, _ := accesslist.New()
	for name, c := range map[string]struct {
		current accesslist.List
		next    published.List
		err     error // nil: another
		words   string
	}{
		"half of the entries": {parse(t, "198.51.100.1\n198.51.100.3\n198.51.100.5\n198.51.100.7"), read(t, "198.51.100.1\n198.51.100.3\n203.0.113.0/24"), published.ErrShrunk,
			"published: the new edition lost half: of 4 entries 2 are gone: want it looked at, then AllowShrunk"},
		"half of the addresses": {parse(t, "198.51.100.0/24"), read(t, "198.51.100.0/25"), published.ErrShrunk, "of 256 IPv4 addresses 128 are gone"},
		"every address":         {parse(t, "0.0.0.0/0\n::/0"), read(t, "198.51.100.0/24\n2001:db8::/32"), published.ErrShrunk, "of 4294967296 IPv4 addresses 4294967040 are gone"},
		"half of IPv6":          {parse(t, "2001:db8::/47\n198.51.100.0/24"), read(t, "2001:db8:1::/48\n198.51.100.0/24"), published.ErrShrunk, "of 131072 IPv6 networks of /64 65536 are gone"},
		"another list":          {parse(t, "198.51.100.0/24"), read(t, "203.0.113.0/24"), published.ErrShrunk, "of 1 entries 1 are gone"},
		"nothing":               {parse(t, "198.51.100.0/24"), published.List{}, published.ErrNoRanges, "published: no ranges in the new edition: want the one before kept"},
		"nothing to nothing":    {open0, published.List{}, published.ErrNoRanges, ""},
		"an invalid list":       {invalid, read(t, "198.51.100.0/24"), nil, "published: the access list was returned with an error: want that error handled"},
	} {
		t.Run(name, func(t *testing.T) {
			comparison := c.next.Compare(c.current, nil)
			require.ErrorContains(t, comparison.Err(), c.words)
			list, err := comparison.List()
			require.EqualError(t, err, comparison.Err().Error())
			assert.False(t, list.IsValid())
			list, err = comparison.List(published.AllowShrunk)
			if c.err == published.ErrShrunk {
				require.NoError(t, err)
				assert.Equal(t, len(c.next.Entries), list.Len())
				return
			}
			require.Error(t, err)
			assert.False(t, list.IsValid())
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
		})
	}

	// Just less than half is no refusal, nor are blocks merged into fewer.
	for _, c := range []struct{ current, next string }{
		{"198.51.100.1\n198.51.100.3\n198.51.100.5", "198.51.100.1\n198.51.100.3"},
		{"198.51.100.0\n198.51.100.1\n198.51.100.2", "198.51.100.0/30"},
		{"198.51.100.0/24\n203.0.113.0/32", "198.51.100.0/25\n198.51.100.128/32\n203.0.113.0/24"},
	} {
		require.NoError(t, read(t, c.next).Compare(parse(t, c.current), nil).Err(), c.current)
	}
}

func TestCompareCountsEveryAddress(t *testing.T) {
	c := read(t, "198.51.100.0/24").Compare(parse(t, "::/0"), nil)
	assert.Equal(t, published.Size{IPv6: 1<<64 - 1}, c.AddressesRemoved)
}

// TestCompareKeepsTheClock shows that an entry's expiry still ends it after a refresh.
func TestCompareKeepsTheClock(t *testing.T) {
	next := read(t, "198.51.100.0/24")
	list, err := next.Compare(parse(t, "198.51.100.0/24 expires=2026-01-01T00:00:00Z # feed"), next.Owns).List()
	require.NoError(t, err)
	client := next.Entries[0].Prefix().Addr()
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.True(t, list.Contains(client, end.Add(-1)))
	assert.False(t, list.Contains(client, end))
}
