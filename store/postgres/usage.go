package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Rows are locked in the order of the identifiers, keys before usage. So counting cannot
// deadlock with other counting, nor with deleting keys.
const (
	lockKeysSQL = `SELECT id FROM sallyport.keys WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE`

	addEntryUsageSQL = `INSERT INTO sallyport.entry_usage AS known (key, address, count, last, last_address)
	SELECT u.* FROM unnest($1::text[], $2::cidr[], $3::bigint[], $4::timestamptz[], $5::inet[]) AS u (key, address, count, last, last_address)
		JOIN sallyport.keys ON keys.id = u.key ORDER BY u.key, u.address
	ON CONFLICT (key, address) DO UPDATE SET ` + addUsageSQL

	addSecretUsageSQL = `INSERT INTO sallyport.secret_usage AS known (key, secret, count, last, last_address)
	SELECT u.* FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::inet[]) AS u (key, secret, count, last, last_address)
		JOIN sallyport.keys ON keys.id = u.key ORDER BY u.key, u.secret
	ON CONFLICT (key, secret) DO UPDATE SET ` + addUsageSQL

	// greatest passes over NULL, and a comparison with NULL is not true.
	addUsageSQL = `count = known.count + excluded.count, last = greatest(known.last, excluded.last),
	last_address = CASE WHEN known.last IS NULL OR excluded.last > known.last THEN excluded.last_address ELSE known.last_address END`
)

// A used names an entry or a secret of a key.
type used[T netip.Prefix | string] struct {
	key  string
	what T
}

// RecordUsage implements [store.UsageRecorder]. Times are kept to the microsecond. A record
// is passed over if its key is absent, or if no key can have its entry or secret. Counts
// above 2^63-1, the database's limit, and times outside the years 1 to 9999 are refused with
// ErrInvalid.
func (s *Store) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := adapter.CheckUsageBatch(batch); err != nil {
		return err
	}
	entries, secrets := map[used[netip.Prefix]]accesslist.Usage{}, map[used[string]]accesslist.Usage{}
	for _, record := range batch {
		if !isKey(record.Key) {
			continue
		}
		if record.Entry.IsValid() && record.Entry == record.Entry.Masked() {
			err = cmp.Or(err, add(entries, used[netip.Prefix]{string(record.Key), record.Entry}, record.Usage))
		}
		if isSecret(record.Secret) {
			err = cmp.Or(err, add(secrets, used[string]{string(record.Key), record.Secret}, record.Usage))
		}
	}
	if err != nil || len(entries)+len(secrets) == 0 {
		return err
	}
	what := fmt.Sprintf("the usage of %d entries and %d secrets", len(entries), len(secrets))
	return s.retry(ctx, what, func() error { return s.addUsage(ctx, entries, secrets) })
}

func isSecret(id string) bool { return apikey.ValidateName("secret", id) == nil }

// add adds calls to those of the same batch.
func add[K comparable](known map[K]accesslist.Usage, what K, more accesslist.Usage) error {
	if more.Last = cut(more.Last); more.Last.Year() < 1 || more.Last.Year() > 9999 {
		return fmt.Errorf("store/postgres: %w: usage in the year %d: want 1 to 9999", store.ErrInvalid, more.Last.Year())
	}
	sum := known[what]
	if more.Count > math.MaxInt64-sum.Count {
		return fmt.Errorf("store/postgres: %w: a usage of %d calls and %d more: want at most %d", store.ErrInvalid, sum.Count, more.Count, math.MaxInt64)
	}
	known[what] = adapter.AddUsage(sum, more)
	return nil
}

func (s *Store) addUsage(ctx context.Context, entries map[used[netip.Prefix]]accesslist.Usage, secrets map[used[string]]accesslist.Usage) error {
	b := &batch{schema: s.schema}
	b.beginWrite()
	var keys []string
	addresses := columnsOf(entries, &keys)
	ids := columnsOf(secrets, &keys)
	slices.Sort(keys)
	b.queue(lockKeysSQL, slices.Compact(keys))
	if len(entries) > 0 {
		b.queue(addEntryUsageSQL, addresses.keys, addresses.what, addresses.counts, addresses.last, addresses.from)
	}
	if len(secrets) > 0 {
		b.queue(addSecretUsageSQL, ids.keys, ids.what, ids.counts, ids.last, ids.from)
	}
	return s.inTx(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &b.Batch).Close() })
}

// columns are the usage as parameters of a statement.
type columns[T netip.Prefix | string] struct {
	keys   []string
	what   []T
	counts []int64
	last   []*time.Time
	from   []*netip.Addr
}

func columnsOf[T netip.Prefix | string](usage map[used[T]]accesslist.Usage, keys *[]string) (c columns[T]) {
	for of, u := range usage {
		c.keys, c.what, c.counts = append(c.keys, of.key), append(c.what, of.what), append(c.counts, int64(u.Count))
		c.last, c.from = append(c.last, instantOrNull(u.Last)), append(c.from, addressOrNull(u.LastAddress))
	}
	*keys = append(*keys, c.keys...)
	return c
}

// cut truncates a time to microseconds, as the server keeps it. A time right after the zero
// time does not become zero, which means not known.
func cut(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	if cut := t.UTC().Truncate(time.Microsecond); !cut.IsZero() {
		return cut
	}
	return time.Time{}.Add(time.Microsecond)
}

func instantOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// addressOrNull drops the zone: the database holds none.
func addressOrNull(address netip.Addr) *netip.Addr {
	if !address.IsValid() {
		return nil
	}
	address = address.WithZone("")
	return &address
}

const usageSQL = selectState + `, k.id, u.address, u.secret, u.count, u.last, u.last_address` + fromState + `
	LEFT JOIN sallyport.keys k ON k.id = ANY ($1)
	LEFT JOIN LATERAL (
		SELECT address, NULL AS secret, count, last, host(last_address) AS last_address FROM sallyport.entry_usage WHERE key = k.id
		UNION ALL SELECT NULL, secret, count, last, host(last_address) FROM sallyport.secret_usage WHERE key = k.id) u ON true`

// Usage implements [store.UsageRecorder].
func (s *Store) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := adapter.CheckUsageKeys(ids); err != nil {
		return nil, err
	}
	wanted := []string{}
	for _, id := range ids {
		if isKey(id) {
			wanted = append(wanted, string(id))
		}
	}
	all := make(map[apikey.ID]store.KeyUsage, len(wanted))
	var key pgtype.Text
	var u storedUsage
	if err := s.read(ctx, s.querier(), []any{&key, &u.entry, &u.secret, &u.count, &u.last, &u.address}, func() error {
		if !key.Valid {
			return nil // none of the keys exists
		}
		id := apikey.ID(key.String)
		if _, ok := all[id]; !ok {
			all[id] = store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
		}
		if err := u.addTo(all[id]); err != nil {
			return adapter.UnreadableUsage(id, err)
		}
		return nil
	}, usageSQL, wanted); err != nil {
		return nil, err
	}
	return all, nil
}

// A storedUsage is the usage of an entry or a secret as its table has it; of neither if the
// key was not used.
type storedUsage struct {
	entry   prefix
	secret  pgtype.Text
	count   pgtype.Int8
	last    pgtype.Timestamptz
	address pgtype.Text
}

func (s *storedUsage) addTo(usage store.KeyUsage) (err error) {
	if !s.entry.IsValid() && !s.secret.Valid {
		return nil
	}
	if !s.count.Valid || s.count.Int64 < 0 {
		return errors.New("its count is NULL or negative: want zero or more")
	}
	u := accesslist.Usage{Count: uint64(s.count.Int64)}
	if s.last.Valid {
		if s.last.InfinityModifier != pgtype.Finite || s.last.Time.IsZero() {
			return errors.New("it has a time that is infinite or zero: want a finite one, or NULL")
		}
		u.Last = s.last.Time.UTC()
	}
	if s.address.Valid {
		if u.LastAddress, err = netip.ParseAddr(s.address.String); err != nil {
			return err
		}
	}
	if s.entry.IsValid() {
		usage.Entries[s.entry.Prefix] = u
	} else {
		usage.Secrets[s.secret.String] = u
	}
	return nil
}
