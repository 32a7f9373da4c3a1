package transfer

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store"
)

// keyUsage has the used entries and secrets of a key, in the key's order.
type keyUsage struct {
	Entries []used `json:"entries,omitempty"`
	Secrets []used `json:"secrets,omitempty"`
}

type used struct {
	Entry       netip.Prefix `json:"entry,omitzero"`
	Secret      string       `json:"secret,omitempty"`
	Count       uint64       `json:"count"`
	Last        time.Time    `json:"last,omitzero"`
	LastAddress netip.Addr   `json:"lastAddress,omitzero"`
}

// newKeyUsage returns the usage of a key, or nil if there is none. It leaves out entries
// and secrets no longer on the key, as a store may (U5).
func newKeyUsage(key apikey.Key, known store.KeyUsage) *keyUsage {
	var u keyUsage
	for entry := range key.AccessList.All() {
		if usage := known.Entries[entry.Prefix()]; wasUsed(usage) {
			u.Entries = append(u.Entries, used{entry.Prefix(), "", usage.Count, usage.Last.UTC(), usage.LastAddress})
		}
	}
	for _, secret := range key.Secrets {
		if usage := known.Secrets[secret.ID()]; wasUsed(usage) {
			u.Secrets = append(u.Secrets, used{netip.Prefix{}, secret.ID(), usage.Count, usage.Last.UTC(), usage.LastAddress})
		}
	}
	if len(u.Entries)+len(u.Secrets) == 0 {
		return nil
	}
	return &u
}

func wasUsed(usage accesslist.Usage) bool {
	return usage.Count > 0 || !usage.Last.IsZero() || usage.LastAddress.IsValid()
}

// records returns the usage for RecordUsage.
func (u *keyUsage) records(key apikey.ID) []store.UsageRecord {
	var records []store.UsageRecord
	for _, used := range slices.Concat(u.Entries, u.Secrets) {
		records = append(records, store.UsageRecord{
			Key: key, Entry: used.Entry, Secret: used.Secret,
			Usage: accesslist.Usage{Count: used.Count, Last: used.Last, LastAddress: used.LastAddress},
		})
	}
	return records
}

func (u *keyUsage) same(o *keyUsage) bool {
	return slices.EqualFunc(u.Entries, o.Entries, used.same) && slices.EqualFunc(u.Secrets, o.Secrets, used.same)
}

func (u used) same(o used) bool {
	return u.Entry == o.Entry && u.Secret == o.Secret && u.Count == o.Count && u.LastAddress == o.LastAddress && sameTime(u.Last, o.Last)
}

// of returns an error unless newKeyUsage can return the usage for the key.
func (u *keyUsage) of(key apikey.Key) error {
	known := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
	for _, record := range u.records(key.ID) {
		known.Entries[record.Entry] = record.Usage
		known.Secrets[record.Secret] = record.Usage
	}
	if would := newKeyUsage(key, known); would == nil || !u.same(would) {
		return errors.New("want used entries and secrets of the key only, in its order, each once")
	}
	return nil
}

func (u *keyUsage) read(v strictjson.Value) error {
	return v.Object(
		strictjson.Field{Name: "entries", Read: strictjson.Slice(&u.Entries, readUsed)},
		strictjson.Field{Name: "secrets", Read: strictjson.Slice(&u.Secrets, readUsed)},
	)
}

func readUsed(v strictjson.Value) (u used, err error) {
	err = v.Object(
		strictjson.Field{Name: "entry", Read: strictjson.Unmarshal(&u.Entry)},
		strictjson.Field{Name: "secret", Read: strictjson.Text(&u.Secret)},
		strictjson.Field{Name: "count", Required: true, Read: strictjson.Uint(&u.Count)},
		strictjson.Field{Name: "last", Read: strictjson.Time(&u.Last)},
		strictjson.Field{Name: "lastAddress", Read: strictjson.Unmarshal(&u.LastAddress)},
	)
	return u, err
}
