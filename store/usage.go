package store

import (
	"context"
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A UsageRecord counts calls with a key: by entry (rule A11) and by secret (rule K4).
type UsageRecord struct {
	Key    apikey.ID
	Entry  netip.Prefix // entry that covered the client; zero for an open list
	Secret string       // ID of the proven secret; empty for other proof
	accesslist.Usage
}

// UsageOf returns the record of one decision, for an observer to gather. It is false for a
// denied call, which is not counted (rule A11). Last is the decision's Time. An engine with
// an observer always reads the clock; without one Last may be zero, and the call counts at
// an unknown time.
func UsageOf(decision policy.Decision) (UsageRecord, bool) {
	if !decision.Allowed() {
		return UsageRecord{}, false
	}
	entry, _ := decision.Entry()
	return UsageRecord{
		Key:    decision.KeyID(),
		Entry:  entry.Prefix(),
		Secret: decision.SecretID(),
		Usage:  accesslist.Usage{Count: 1, Last: decision.Time(), LastAddress: decision.Client()},
	}, true
}

// KeyUsage is the usage of a key, by entry and by secret. Entries and secrets without
// calls are absent. accesslist.List.Findings takes Entries.
type KeyUsage struct {
	Entries map[netip.Prefix]accesslist.Usage
	Secrets map[string]accesslist.Usage
}

// MaxUsageKeys is the largest number of keys in one batch, and in one call of Usage.
const MaxUsageKeys = 100

// A UsageRecorder is a Store that counts usage. Without it usage is not known. Package
// store/usage gathers the batches.
type UsageRecorder interface {
	// RecordUsage adds the records of a batch to what is known. Call it apart from
	// decisions; it changes no revision.
	//
	//   - U1. Counts MUST be added up.
	//   - U2. Last and LastAddress MUST become those of the latest call known.
	//   - U3. Records of an absent key MUST be skipped without an error: the key may
	//     have been deleted meanwhile.
	//   - U4. If RecordUsage returns an error, it MUST have recorded nothing of the
	//     batch. The exception is that of S3, and then it MUST have recorded the whole
	//     batch or nothing.
	//   - U7. A batch with records of more than [MaxUsageKeys] keys MUST be refused with
	//     ErrInvalid.
	RecordUsage(ctx context.Context, batch []UsageRecord) error

	// Usage returns how keys were used, by their IDs. The usage of each key is of one
	// moment; that of several keys need not be.
	//
	//   - U5. Usage of an entry or a secret that the key no longer has may be left out.
	//     Usage of those that it still has MUST be kept when the key is replaced.
	//   - U6. The result MUST NOT be shared (S7).
	//   - U8. Unreadable usage of one of the keys MUST be an error naming the key.
	//     RecordUsage MUST NOT replace it by what is in the batch.
	//   - U9. The result MUST have every given key that exists, an unused one with no
	//     entries and secrets. It MUST have no other key: an absent key is no error.
	//   - U10. More than MaxUsageKeys IDs MUST be refused with ErrInvalid.
	Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]KeyUsage, error)
}
