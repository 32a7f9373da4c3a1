package store

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A UsageRecord tells of calls that a key was used for: rule A11 for its entries,
// rule K4 for its secrets.
type UsageRecord struct {
	Key    apikey.ID
	Entry  netip.Prefix // the entry that covered the client; zero for an open list
	Secret string       // the secret that was proven, by its ID; empty for other proof
	accesslist.Usage
}

// UsageOf returns the record of one decision, for an observer to gather. It is
// false for a call that was denied, which is not counted (rule A11). Its Last is the
// decision's Time, which an engine that has an observer always reads; without one it
// may be zero, and then the call is counted and its time is not known.
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

// KeyUsage is how a key was used, by entry and by secret. An entry or a secret that
// is not in it was not used. Entries is what accesslist.List.Findings takes.
type KeyUsage struct {
	Entries map[netip.Prefix]accesslist.Usage
	Secrets map[string]accesslist.Usage
}

// MaxUsageKeys is how many keys the records of one batch may be of.
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

	// Usage returns how a key was used, or ErrNotFound if the key is absent.
	//
	//   - U5. Usage of an entry or a secret that the key no longer has may be left out.
	//     Usage of those that it still has MUST be kept when the key is replaced.
	//   - U6. The result MUST NOT be shared (S7).
	//   - U8. Unreadable usage MUST be an error. RecordUsage MUST NOT replace it by what
	//     is in the batch.
	Usage(ctx context.Context, id apikey.ID) (KeyUsage, error)
}

// CheckUsageBatch returns the error with which RecordUsage refuses a batch, or nil:
// U7.
func CheckUsageBatch(batch []UsageRecord) error {
	keys := make(map[apikey.ID]struct{})
	for _, record := range batch {
		keys[record.Key] = struct{}{}
	}
	if len(keys) > MaxUsageKeys {
		return fmt.Errorf("store: %w: a batch of usage of %d keys: want at most %d", ErrInvalid, len(keys), MaxUsageKeys)
	}
	return nil
}
