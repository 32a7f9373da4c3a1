package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Rows are locked in the order of the identifiers, keys before usage. So counting cannot
// deadlock with other counting, nor with deleting keys. $1 are the keys.
const (
	lockKeysSQL = `SELECT id FROM sallyport.keys WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE`

	beginUsageSQL = `INSERT INTO sallyport.usage (key, document)
	SELECT id, '{}' FROM sallyport.keys WHERE id = ANY ($1) ORDER BY id ON CONFLICT (key) DO NOTHING`

	lockUsageSQL = `SELECT key, document FROM sallyport.usage WHERE key = ANY ($1) ORDER BY key FOR UPDATE`

	putUsageSQL = `UPDATE sallyport.usage SET document = u.document::json
	FROM unnest($1::text[], $2::text[]) AS u (key, document) WHERE usage.key = u.key`

	usageSQL = selectState + `, k.id, u.document` + fromState + `
	LEFT JOIN sallyport.keys k ON k.id = ANY ($1)
	LEFT JOIN sallyport.usage u ON u.key = k.id`
)

// RecordUsage implements [store.UsageRecorder]. Times are kept to the microsecond.
func (s *Store) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := adapter.CheckUsageBatch(batch); err != nil {
		return err
	}
	var ids []string
	for id := range batch {
		if isKey(id) {
			ids = append(ids, string(id))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	return s.retry(ctx, fmt.Sprintf("the usage of %d keys", len(ids)), func() error {
		return s.inTx(ctx, func(tx pgx.Tx) error { return s.addUsage(ctx, tx, ids, batch) })
	})
}

func (s *Store) addUsage(ctx context.Context, tx pgx.Tx, ids []string, batch map[apikey.ID]store.KeyUsage) error {
	known, err := s.lockUsage(ctx, tx, ids)
	if err != nil {
		return err
	}
	var keys, documents []string
	for _, id := range ids {
		document, ok := known[id]
		if !ok { // the key is absent (U3)
			continue
		}
		document, err = adapter.AddToDocument(apikey.ID(id), document, batch[apikey.ID(id)], func() (*apikey.Key, error) { return s.readableKey(ctx, tx, id) })
		if err != nil {
			return err
		}
		keys, documents = append(keys, id), append(documents, string(document))
	}
	if len(keys) == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, inSchema(s.schema, putUsageSQL), keys, documents)
	return err
}

// lockUsage returns the documents of the keys that exist, and locks them.
func (s *Store) lockUsage(ctx context.Context, tx pgx.Tx, ids []string) (known map[string][]byte, err error) {
	b := &batch{schema: s.schema}
	b.queue(durableSQL)
	b.queue(lockKeysSQL, ids)
	b.queue(beginUsageSQL, ids)
	known = make(map[string][]byte, len(ids))
	b.queue(lockUsageSQL, ids).Query(func(rows pgx.Rows) error {
		var id string
		var document document
		_, err := pgx.ForEachRow(rows, []any{&id, &document}, func() error {
			known[id] = slices.Clone(document)
			return nil
		})
		return err
	})
	b.checkVersion()
	return known, tx.SendBatch(ctx, &b.Batch).Close()
}

// readableKey returns a key, nil if it cannot be read.
func (s *Store) readableKey(ctx context.Context, tx pgx.Tx, id string) (key *apikey.Key, err error) {
	err = s.readRecords(ctx, tx, func(r *records) error {
		if k := r.key.asKey(); k.err == nil {
			key = &k.Key
		}
		return nil
	}, keySQL, id)
	return key, err
}

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
	var stored document
	if err := s.read(ctx, s.querier(), []any{&key, &stored}, func() error {
		if !key.Valid {
			return nil // none of the keys exists
		}
		id, usage := apikey.ID(key.String), store.KeyUsage{}
		if stored != nil {
			if usage, err = adapter.DecodeUsage(stored); err != nil {
				return adapter.UnreadableUsage(id, err)
			}
		}
		all[id] = usage
		return nil
	}, usageSQL, wanted); err != nil {
		return nil, err
	}
	return all, nil
}
