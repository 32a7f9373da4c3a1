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

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Rows are locked in one order, that of the identifiers, keys before usage: so those who
// count do not wait for each other in a circle, nor for those who delete keys.
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

	// greatest passes over NULL, and what is compared with NULL is not true.
	addUsageSQL = `count = known.count + excluded.count, last = greatest(known.last, excluded.last),
	last_address = CASE WHEN known.last IS NULL OR excluded.last > known.last THEN excluded.last_address ELSE known.last_address END`
)

// A used is what was used: an entry of a key, or a secret.
type used[T netip.Prefix | string] struct {
	key  string
	what T
}

// RecordUsage is as store.UsageRecorder says. A record of an entry or a secret that
// cannot be a key's is passed over, as that of a key that is not there; counts that are
// more than the database holds, 2^63-1, and times outside the years 1 to 9999 are refused
// with ErrInvalid.
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
	return s.retry(what, func() error { return s.addUsage(ctx, entries, secrets) })
}

// isSecret reports whether a text can be the ID of a secret.
func isSecret(id string) bool { return apikey.ValidateName("secret", id) == nil }

// add adds calls to those that are known, of one batch.
func add[K comparable](known map[K]accesslist.Usage, what K, more accesslist.Usage) error {
	if more.Last = cut(more.Last); more.Last.Year() < 1 || more.Last.Year() > 9999 {
		return fmt.Errorf("store/postgres: %w: usage in the year %d: want 1 to 9999", store.ErrInvalid, more.Last.Year())
	}
	sum := known[what]
	if more.Count > math.MaxInt64-sum.Count {
		return fmt.Errorf("store/postgres: %w: a usage of %d calls and %d more: want at most %d", store.ErrInvalid, sum.Count, more.Count, math.MaxInt64)
	}
	sum.Count += more.Count
	if more.Last.After(sum.Last) {
		sum.Last, sum.LastAddress = more.Last, more.LastAddress
	}
	known[what] = sum
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

// columns are usage as parameters.
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

// addressOrNull leaves out a zone, which the database does not hold.
func addressOrNull(address netip.Addr) *netip.Addr {
	if !address.IsValid() {
		return nil
	}
	address = address.WithZone("")
	return &address
}

// Usage is as store.UsageRecorder says.
func (s *Store) Usage(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.KeyUsage{}, err
	}
	defer leave()
	if !isKey(id) {
		return store.KeyUsage{}, notFound("key", id)
	}
	usage := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
	there := false
	if _, err := s.read(ctx, s.querier(), sink{usage: func(r *row) error {
		there = true
		return r.addTo(usage)
	}}, s.sql.usage, string(id)); err != nil {
		return store.KeyUsage{}, err
	}
	if !there {
		return store.KeyUsage{}, notFound("key", id)
	}
	return usage, nil
}

// addTo adds a row of usage to what is known. One that is of neither an entry nor a
// secret says that the key is there.
func (r *row) addTo(usage store.KeyUsage) error {
	if !r.address.IsValid() && !r.text.Valid {
		return nil
	}
	u := accesslist.Usage{Count: uint64(r.revision.Int64)}
	err := instant(&u.Last, r.a)
	if err == nil && r.name.Valid {
		u.LastAddress, err = netip.ParseAddr(r.name.String)
	}
	if err == nil && (!r.revision.Valid || r.revision.Int64 < 0) {
		err = errors.New("its count is NULL or negative")
	}
	if err != nil {
		return unreadable("the usage of key", apikey.ID(r.id.String), err)
	}
	if r.address.IsValid() {
		usage.Entries[r.address.Prefix] = u
	} else {
		usage.Secrets[r.text.String] = u
	}
	return nil
}
