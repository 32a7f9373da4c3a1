package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	// A row for every key that exists. CROSS keeps SQLite from reading all keys.
	selectUsage = `SELECT k.id, u.document
		FROM json_each(?) wanted CROSS JOIN keys k ON k.id = wanted.value LEFT JOIN usage u ON u.key = k.id`

	selectKeyUsage = `SELECT u.document FROM keys k LEFT JOIN usage u ON u.key = k.id WHERE k.id = ?`
	putUsage       = `INSERT INTO usage (key, document) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET document = excluded.document`
)

// RecordUsage implements [store.UsageRecorder]. Times are kept to the microsecond. A batch
// is one transaction.
func (s *Store) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	return s.transact(ctx, "record usage", func(t *transaction) error {
		if err := adapter.CheckUsageBatch(batch); err != nil {
			return err
		}
		for id, more := range batch {
			if err := t.addUsage(id, more); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return failure(ctx, t.doing, err)
			}
		}
		return nil
	})
}

// addUsage skips an absent key (U3).
func (t *transaction) addUsage(id apikey.ID, more store.KeyUsage) error {
	var document any
	found, err := t.find(selectKeyUsage, string(id), &document)
	if err != nil || !found {
		return err
	}
	text, err := usageText(document)
	if err != nil {
		return adapter.UnreadableUsage(id, err)
	}
	encoded, err := adapter.AddToDocument(id, text, more, func() (*apikey.Key, error) { return t.readableKey(id), nil })
	if err != nil {
		return t.failure(err)
	}
	return t.exec(putUsage, string(id), string(encoded))
}

// readableKey returns a key, nil if it cannot be read.
func (t *transaction) readableKey(id apikey.ID) *apikey.Key {
	key, err := t.key(id)
	if err != nil {
		return nil
	}
	return key
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
		var document any
		if err := rows.Scan(&id, &document); err != nil {
			return nil, failure(ctx, doing, err)
		}
		if all[id], err = decodeUsage(document); err != nil {
			return nil, adapter.UnreadableUsage(id, err)
		}
	}
	if err := cmp.Or(rows.Err(), s.checkReadable(ctx)); err != nil {
		return nil, failure(ctx, doing, err)
	}
	return all, nil
}

// jsonOf returns IDs as a JSON array, without those impossible for a key. The others need no
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

// decodeUsage reads a document, NULL for an unused key.
func decodeUsage(document any) (store.KeyUsage, error) {
	text, err := usageText(document)
	if err != nil {
		return store.KeyUsage{}, err
	}
	return adapter.DecodeUsage(text)
}

// usageText returns the text of a document, {} for NULL.
func usageText(document any) ([]byte, error) {
	switch document := document.(type) {
	case nil:
		return []byte("{}"), nil
	case string:
		return []byte(document), nil
	}
	return nil, fmt.Errorf("a document of type %T: want a text", document)
}
