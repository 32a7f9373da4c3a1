package store

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A UsageRecord counts like calls with a key: served ones by entry (rule A11), secret (rule
// K4) and address, denied ones by reason.
type UsageRecord struct {
	Key       apikey.ID
	Entry     netip.Prefix  // entry that covered the client; zero for an open list and a denial
	Secret    string        // ID of the proven secret; empty for other proof and a denial
	Denied    policy.Reason // reason of a denial after the proof; zero for a served call
	WouldDeny policy.Reason // see policy.Decision; zero for a denial
	First     time.Time     // time of the first call; zero: that of the last
	accesslist.Usage
}

// UsageOf returns the record of one decision, for an observer to gather. It is false for a
// call denied before its proof was verified (lines 1 to 5): strangers can make those. Last
// is the decision's Time. An engine with an observer always reads the clock; without one
// Last may be zero, and the call counts at an unknown time.
func UsageOf(decision policy.Decision) (UsageRecord, bool) {
	if !decision.Allowed() && !decision.Reason.AfterProof() {
		return UsageRecord{}, false
	}
	record := UsageRecord{
		Key:   decision.KeyID(),
		Usage: accesslist.Usage{Count: 1, Last: decision.Time(), LastAddress: decision.Client()},
	}
	if !decision.Allowed() {
		record.Denied = decision.Reason
		return record, true
	}
	entry, _ := decision.Entry()
	record.Entry, record.Secret = entry.Prefix(), decision.SecretID()
	record.WouldDeny = decision.WouldDeny
	return record, true
}

// KeyUsage is the usage of a key. An entry, secret, address or reason without calls is
// absent. accesslist.List.Findings takes Entries.
type KeyUsage struct {
	// Served calls, by the entry that covered the client (rule A11), by the ID of the proven
	// secret (rule K4), and by the client's address.
	Entries   map[netip.Prefix]accesslist.Usage
	Secrets   map[string]accesslist.Usage
	Addresses map[netip.Addr]AddressUsage

	// Dropped counts served calls whose address is not in Addresses any more: a store keeps
	// at most MaxUsageAddresses. Every address used after Dropped.Last is in Addresses.
	Dropped accesslist.Usage

	// Denials are denied calls after the proof (lines 6 to 14), by reason. WouldDeny are
	// served calls, by the reason they would have been denied for (rule Q2).
	Denials, WouldDeny map[policy.Reason]accesslist.Usage
}

// AddressUsage is the usage of a key from one address.
type AddressUsage struct {
	Count       uint64
	First, Last time.Time // of the counted calls; zero: at an unknown time
}

// IsZero reports whether there is no usage.
func (u KeyUsage) IsZero() bool {
	return len(u.Entries)+len(u.Secrets)+len(u.Addresses)+len(u.Denials)+len(u.WouldDeny) == 0 && u.Dropped == (accesslist.Usage{})
}

// Last returns the time of the latest served call; zero if none is known.
func (u KeyUsage) Last() time.Time {
	last := u.Dropped.Last
	latest := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for _, used := range u.Entries {
		latest(used.Last)
	}
	for _, used := range u.Secrets {
		latest(used.Last)
	}
	for _, used := range u.Addresses {
		latest(used.Last)
	}
	return last
}

// AddressesSince returns the addresses of served calls at or after a time, in ascending
// order, with those used at an unknown time. all is false if there may have been others,
// since dropped.
func (u KeyUsage) AddressesSince(from time.Time) (addresses []netip.Addr, all bool) {
	within := func(last time.Time) bool { return last.IsZero() || !last.Before(from) }
	for address, used := range u.Addresses {
		if within(used.Last) {
			addresses = append(addresses, address)
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return addresses, u.Dropped.Count == 0 || !within(u.Dropped.Last)
}

const (
	// MaxUsageKeys is the largest number of keys in one batch, and in one call of Usage.
	MaxUsageKeys = 100

	// MaxUsageAddresses is the largest number of addresses kept for a key.
	MaxUsageAddresses = 64
)

// A UsageRecorder is a Store that counts usage. Without it usage is not known. Package
// store/usage gathers the batches, and store/adapter adds them up.
type UsageRecorder interface {
	// RecordUsage adds the usage in a batch to what is known of each key. Call it apart from
	// decisions; it changes no revision.
	//
	//   - U1. Counts MUST be added up.
	//   - U2. Last and LastAddress MUST become those of the latest call known.
	//   - U3. Usage of an absent key MUST be skipped without an error: the key may
	//     have been deleted meanwhile.
	//   - U4. If RecordUsage returns an error, it MUST have recorded nothing of the
	//     batch. The exception is that of S3, and then it MUST have recorded the whole
	//     batch or nothing.
	//   - U7. A batch of more than [MaxUsageKeys] keys MUST be refused with ErrInvalid.
	//   - U11. Of more than [MaxUsageAddresses] addresses those with the latest Last MUST be
	//     kept, and of equal ones those first in the order of netip.Addr.Compare. The calls
	//     of the others MUST be added to Dropped. First MUST become the earliest known.
	//   - U12. Denials and WouldDeny MUST be counted by reason, apart from all else and from
	//     each other. A reason that is not AfterProof, or an invalid address in Addresses,
	//     MUST be refused with ErrInvalid.
	RecordUsage(ctx context.Context, batch map[apikey.ID]KeyUsage) error

	// Usage returns how keys were used, by their IDs. The usage of each key is of one
	// moment; that of several keys need not be.
	//
	//   - U5. Usage of an entry or a secret that the key no longer has may be left out.
	//     All other usage MUST be kept when the key is replaced.
	//   - U6. The result MUST NOT be shared (S7).
	//   - U8. Unreadable usage of one of the keys MUST be an error naming the key.
	//     RecordUsage MUST NOT replace it by what is in the batch.
	//   - U9. The result MUST have every given key that exists, an unused one with no
	//     usage. It MUST have no other key: an absent key is no error.
	//   - U10. More than MaxUsageKeys IDs MUST be refused with ErrInvalid.
	Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]KeyUsage, error)

	// RecordObservation adds the report of one recorder to the store's [Observation]. It
	// changes no revision.
	//
	//   - U13. The Observation MUST become that of [Observation.Add]. Of several at once
	//     none may be lost.
	//   - U14. A report that fails its Validate MUST be refused with ErrInvalid. After an
	//     error the Observation MUST be as it was, but for the exception of S3.
	RecordObservation(ctx context.Context, report Report) error

	// Observation returns since when and how completely the store's usage is observed: the
	// zero Observation if no recorder ever reported.
	//
	//   - U15. It MUST be as recorded, times to the microsecond. It MUST NOT be shared.
	//     An unreadable one MUST be an error of both methods.
	Observation(ctx context.Context) (Observation, error)
}
