package adapter

import (
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store"
)

// AddUsage returns the usage known with more of the same: the counts added up (U1), the
// latest call kept (U2). A call at no known time is never the latest.
func AddUsage(known, more accesslist.Usage) accesslist.Usage {
	known.Count += more.Count
	if more.Last.After(known.Last) {
		known.Last, known.LastAddress = more.Last, more.LastAddress
	}
	return known
}

// CountUsage adds a record to the usage of its key, by entry and by secret. Nil maps are
// made.
func CountUsage(usage *store.KeyUsage, record store.UsageRecord) {
	if usage.Entries == nil {
		usage.Entries = map[netip.Prefix]accesslist.Usage{}
	}
	if usage.Secrets == nil {
		usage.Secrets = map[string]accesslist.Usage{}
	}
	if record.Entry.IsValid() {
		usage.Entries[record.Entry] = AddUsage(usage.Entries[record.Entry], record.Usage)
	}
	if record.Secret != "" {
		usage.Secrets[record.Secret] = AddUsage(usage.Secrets[record.Secret], record.Usage)
	}
}
