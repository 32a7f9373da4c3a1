package transfer

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// keyUsage has the used entries and secrets of a key, in the key's order, its addresses in
// ascending order, and its denials in the order of the reasons.
type keyUsage struct {
	Entries   []used `json:"entries,omitempty"`
	Secrets   []used `json:"secrets,omitempty"`
	Addresses []used `json:"addresses,omitempty"`
	Dropped   *used  `json:"dropped,omitempty"`
	Denials   []used `json:"denials,omitempty"`
	WouldDeny []used `json:"wouldDeny,omitempty"`
}

// A used is the usage of the first four that is set, or of the dropped addresses.
type used struct {
	Entry       netip.Prefix  `json:"entry,omitzero"`
	Secret      string        `json:"secret,omitempty"`
	Address     netip.Addr    `json:"address,omitzero"`
	Reason      policy.Reason `json:"reason,omitzero"`
	Count       uint64        `json:"count"`
	First       time.Time     `json:"first,omitzero"` // of an address
	Last        time.Time     `json:"last,omitzero"`
	LastAddress netip.Addr    `json:"lastAddress,omitzero"` // of all but an address
}

func (u used) calls() accesslist.Usage {
	return accesslist.Usage{Count: u.Count, Last: u.Last, LastAddress: u.LastAddress}
}

// with returns a used of the same with these calls.
func (u used) with(calls accesslist.Usage) used {
	u.Count, u.Last, u.LastAddress = calls.Count, calls.Last.UTC(), calls.LastAddress
	return u
}

// newKeyUsage returns the usage of a key, or nil if there is none. It leaves out entries
// and secrets no longer on the key, as a store may (U5).
func newKeyUsage(key apikey.Key, known store.KeyUsage) *keyUsage {
	var u keyUsage
	for entry := range key.AccessList.All() {
		if calls := known.Entries[entry.Prefix()]; wasUsed(calls) {
			u.Entries = append(u.Entries, used{Entry: entry.Prefix()}.with(calls))
		}
	}
	for _, secret := range key.Secrets {
		if calls := known.Secrets[secret.ID()]; wasUsed(calls) {
			u.Secrets = append(u.Secrets, used{Secret: secret.ID()}.with(calls))
		}
	}
	for _, address := range slices.SortedFunc(maps.Keys(known.Addresses), netip.Addr.Compare) {
		calls := known.Addresses[address]
		u.Addresses = append(u.Addresses, used{Address: address, Count: calls.Count, First: calls.First.UTC(), Last: calls.Last.UTC()})
	}
	if wasUsed(known.Dropped) {
		dropped := used{}.with(known.Dropped)
		u.Dropped = &dropped
	}
	u.Denials, u.WouldDeny = byReason(known.Denials), byReason(known.WouldDeny)
	if u.same(&keyUsage{}) {
		return nil
	}
	return &u
}

func wasUsed(calls accesslist.Usage) bool {
	return calls.Count > 0 || !calls.Last.IsZero() || calls.LastAddress.IsValid()
}

func byReason(counts map[policy.Reason]accesslist.Usage) (all []used) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, used{Reason: reason}.with(counts[reason]))
	}
	return all
}

// known returns the usage as a store has it.
func (u *keyUsage) known() store.KeyUsage {
	known := store.KeyUsage{
		Entries:   callsBy(u.Entries, func(u used) netip.Prefix { return u.Entry }),
		Secrets:   callsBy(u.Secrets, func(u used) string { return u.Secret }),
		Addresses: map[netip.Addr]store.AddressUsage{},
		Denials:   callsBy(u.Denials, reasonOf),
		WouldDeny: callsBy(u.WouldDeny, reasonOf),
	}
	for _, used := range u.Addresses {
		known.Addresses[used.Address] = store.AddressUsage{Count: used.Count, First: used.First, Last: used.Last}
	}
	if u.Dropped != nil {
		known.Dropped = u.Dropped.calls()
	}
	return known
}

func reasonOf(u used) policy.Reason { return u.Reason }

func callsBy[K comparable](all []used, by func(used) K) map[K]accesslist.Usage {
	calls := map[K]accesslist.Usage{}
	for _, used := range all {
		calls[by(used)] = used.calls()
	}
	return calls
}

func (u *keyUsage) same(o *keyUsage) bool {
	return slices.EqualFunc(u.Entries, o.Entries, used.same) && slices.EqualFunc(u.Secrets, o.Secrets, used.same) &&
		slices.EqualFunc(u.Addresses, o.Addresses, used.same) && (u.Dropped == nil) == (o.Dropped == nil) &&
		cmp.Or(u.Dropped, &used{}).same(*cmp.Or(o.Dropped, &used{})) &&
		slices.EqualFunc(u.Denials, o.Denials, used.same) && slices.EqualFunc(u.WouldDeny, o.WouldDeny, used.same)
}

func (u used) same(o used) bool {
	return u.Entry == o.Entry && u.Secret == o.Secret && u.Address == o.Address && u.Reason == o.Reason && u.Count == o.Count &&
		u.LastAddress == o.LastAddress && sameTime(u.First, o.First) && sameTime(u.Last, o.Last)
}

// of returns an error unless newKeyUsage can return the usage for the key.
func (u *keyUsage) of(key apikey.Key) error {
	known := u.known()
	if would := newKeyUsage(key, known); would == nil || !u.same(would) {
		return errors.New("want used entries and secrets of the key only, in its order, each once, and addresses and reasons in ascending order")
	}
	return adapter.CheckUsageBatch(map[apikey.ID]store.KeyUsage{key.ID: known})
}

func (u *keyUsage) read(v strictjson.Value) error {
	return v.Object(
		strictjson.Field{Name: "entries", Read: strictjson.Slice(&u.Entries, readUsed)},
		strictjson.Field{Name: "secrets", Read: strictjson.Slice(&u.Secrets, readUsed)},
		strictjson.Field{Name: "addresses", Read: strictjson.Slice(&u.Addresses, readUsed)},
		strictjson.Field{Name: "dropped", Read: func(v strictjson.Value) error {
			dropped, err := readUsed(v)
			u.Dropped = &dropped
			return err
		}},
		strictjson.Field{Name: "denials", Read: strictjson.Slice(&u.Denials, readUsed)},
		strictjson.Field{Name: "wouldDeny", Read: strictjson.Slice(&u.WouldDeny, readUsed)},
	)
}

func readUsed(v strictjson.Value) (u used, err error) {
	err = v.Object(
		strictjson.Field{Name: "entry", Read: strictjson.Unmarshal(&u.Entry)},
		strictjson.Field{Name: "secret", Read: strictjson.Text(&u.Secret)},
		strictjson.Field{Name: "address", Read: strictjson.Unmarshal(&u.Address)},
		strictjson.Field{Name: "reason", Read: strictjson.Unmarshal(&u.Reason)},
		strictjson.Field{Name: "count", Required: true, Read: strictjson.Uint(&u.Count)},
		strictjson.Field{Name: "first", Read: strictjson.Time(&u.First)},
		strictjson.Field{Name: "last", Read: strictjson.Time(&u.Last)},
		strictjson.Field{Name: "lastAddress", Read: strictjson.Unmarshal(&u.LastAddress)},
	)
	return u, err
}
