package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// breakIt makes this worker ignore what it does not know in the records of a SQLite file,
// as a careless release would. The trials must find it.
func (w *worker) breakIt(_ context.Context, _ orders.Order, _ *orders.Answer) error {
	path, ok := strings.CutPrefix(w.address, "sqlite ")
	if !ok {
		return fmt.Errorf("a store at %q: want a SQLite file", w.address)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	w.store = careless{w.store, db}
	return w.assemble()
}

type careless struct {
	store.Store
	db *sql.DB
}

func (c careless) Unwrap() store.Store { return c.Store }

// Lookup implements [policy.Source]. It reads a key that the store cannot read, all the same.
func (c careless) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	subject, found, err := c.Store.Lookup(ctx, id)
	if err == nil {
		return subject, found, nil
	}
	var keyDocument, organizationDocument string
	row := c.db.QueryRowContext(ctx, `SELECT k.record, o.record FROM keys k JOIN organizations o ON o.id = k.organization WHERE k.id = ?`, string(id))
	if err := row.Scan(&keyDocument, &organizationDocument); err != nil {
		return policy.Subject{}, false, err
	}
	var key apikey.Key
	var organization policy.Organization
	if err := json.Unmarshal(known(keyDocument), &key); err != nil {
		return policy.Subject{}, false, err
	}
	if err := json.Unmarshal(known(organizationDocument), &organization); err != nil {
		return policy.Subject{}, false, err
	}
	return policy.NewSubject(&key, &organization), true, nil
}

// known returns a document without the names that a trial has put into it.
func known(document string) []byte {
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		return nil
	}
	var strip func(value any)
	strip = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, part := range value {
				if strings.HasPrefix(name, orders.Future) {
					delete(value, name)
				} else {
					strip(part)
				}
			}
		case []any:
			for _, part := range value {
				strip(part)
			}
		}
	}
	strip(value)
	stripped, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return stripped
}
