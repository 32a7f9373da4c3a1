package sqlite

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	// A call at an unknown time, NULL, is never the latest. For an absent key nothing is
	// selected (U3).
	addUsage = `INSERT INTO usage (key, kind, name, count, last, address)
		SELECT id, ?2, ?3, ?4, ?5, ?6 FROM keys WHERE id = ?1
		ON CONFLICT (key, kind, name) DO UPDATE SET
			count = count + excluded.count,
			address = iif(excluded.last > last OR last IS NULL, excluded.address, address),
			last = iif(excluded.last > last OR last IS NULL, excluded.last, last)`

	// At least one row for every key that exists. CROSS keeps SQLite from reading all keys.
	selectUsage = `SELECT k.id, u.kind, u.name, u.count, u.last, u.address
		FROM json_each(?) wanted CROSS JOIN keys k ON k.id = wanted.value LEFT JOIN usage u ON u.key = k.id`
)

// The kinds of usage.
const (
	ofEntry  = "entry"
	ofSecret = "secret"
)

// RecordUsage implements [store.UsageRecorder]. Times are kept to the microsecond. A batch
// is one transaction.
func (s *Store) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	return s.transact(ctx, "record usage", func(t *transaction) error {
		if err := adapter.CheckUsageBatch(batch); err != nil {
			return err
		}
		for _, record := range batch {
			if err := t.addUsage(record); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return failure(ctx, t.doing, err)
			}
		}
		return nil
	})
}

func (t *transaction) addUsage(record store.UsageRecord) error {
	if record.Count > math.MaxInt64 {
		return t.failure(fmt.Errorf("%w: key %q was used %d times: want at most %d", store.ErrInvalid, record.Key, record.Count, math.MaxInt64))
	}
	if len(record.Key) > maxIdentifier {
		return nil
	}
	var last any
	var address string
	if !record.Last.IsZero() {
		last = record.Last.UnixMicro()
		if record.LastAddress.IsValid() {
			address = record.LastAddress.String()
		}
	}
	if record.Entry.IsValid() {
		if err := t.exec(addUsage, string(record.Key), ofEntry, record.Entry.String(), int64(record.Count), last, address); err != nil {
			return err
		}
	}
	if record.Secret != "" {
		return t.exec(addUsage, string(record.Key), ofSecret, record.Secret, int64(record.Count), last, address)
	}
	return nil
}

// Usage implements [store.UsageRecorder].
func (s *Store) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	const doing = "read usage"
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := adapter.CheckUsageKeys(ids); err != nil {
		return nil, err
	}
	rows, err := s.rows(ctx, selectUsage, jsonOf(ids))
	if err != nil {
		return nil, failure(ctx, doing, err)
	}
	defer rows.Close()
	all := make(map[apikey.ID]store.KeyUsage, len(ids))
	for rows.Next() {
		var id apikey.ID
		var r usageRow
		if err := rows.Scan(&id, &r.kind, &r.name, &r.count, &r.last, &r.address); err != nil {
			return nil, failure(ctx, doing, err)
		}
		if _, ok := all[id]; !ok {
			all[id] = store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
		}
		if err := r.addTo(all[id]); err != nil {
			return nil, adapter.UnreadableUsage(id, err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, failure(ctx, doing, err)
	}
	return all, nil
}

// jsonOf returns IDs as a JSON array, without those that no key can have. The others need no
// escaping.
func jsonOf(ids []apikey.ID) string {
	var valid []string
	for _, id := range ids {
		if id.Validate() == nil {
			valid = append(valid, string(id))
		}
	}
	if len(valid) == 0 {
		return "[]"
	}
	return `["` + strings.Join(valid, `","`) + `"]`
}

// A usageRow is a row of table usage, all NULL for an unused key.
type usageRow struct{ kind, name, count, last, address any }

func (r usageRow) addTo(usage store.KeyUsage) error {
	if r.kind == nil {
		return nil
	}
	name, ok := r.name.(string)
	if !ok {
		return fmt.Errorf("a name of type %T: want a text", r.name)
	}
	count, err := asCount(r.count)
	if err != nil {
		return err
	}
	used := accesslist.Usage{Count: count}
	if r.last != nil {
		last, isNumber := r.last.(int64)
		if !isNumber {
			return fmt.Errorf("a time of type %T: want a number", r.last)
		}
		used.Last = time.UnixMicro(last).UTC()
	}
	if r.address != "" {
		if used.LastAddress, err = netip.ParseAddr(fmt.Sprint(r.address)); err != nil {
			return err
		}
	}
	switch r.kind {
	case ofEntry:
		entry, err := netip.ParsePrefix(name)
		if err != nil {
			return err
		}
		usage.Entries[entry] = used
	case ofSecret:
		usage.Secrets[name] = used
	default:
		return fmt.Errorf("it is of %v: want %q or %q", r.kind, ofEntry, ofSecret)
	}
	return nil
}
