package adapter_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// U1, U2.
func TestCountUsage(t *testing.T) {
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	entry := netip.MustParsePrefix("192.0.2.0/24")
	var usage store.KeyUsage
	for _, record := range []store.UsageRecord{
		{Entry: entry, Secret: "s", Usage: accesslist.Usage{Count: 2, Last: at, LastAddress: first}},
		{Entry: entry, Usage: accesslist.Usage{Count: 3, Last: at.Add(time.Second), LastAddress: second}},
		{Entry: entry, Usage: accesslist.Usage{Count: 4, Last: at, LastAddress: first}}, // late
		{Entry: entry, Secret: "s", Usage: accesslist.Usage{Count: 5}},                  // at no known time
		{Secret: "t", Usage: accesslist.Usage{Count: 6}},
		{Usage: accesslist.Usage{Count: 7, Last: at}}, // of neither
	} {
		adapter.CountUsage(&usage, record)
	}
	assert.Equal(t, store.KeyUsage{
		Entries: map[netip.Prefix]accesslist.Usage{entry: {Count: 14, Last: at.Add(time.Second), LastAddress: second}},
		Secrets: map[string]accesslist.Usage{"s": {Count: 7, Last: at, LastAddress: first}, "t": {Count: 6}},
	}, usage)
}
