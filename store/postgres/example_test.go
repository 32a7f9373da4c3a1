package postgres_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// A program opens its store, creates a key, and decides by it.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app@db.example/app?target_session_attrs=primary")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool); err != nil { // every instance may, at every start
		log.Fatal(err)
	}
	keys, err := postgres.New(ctx, pool)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = keys.Close() }()

	if _, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required}); err != nil {
		log.Fatal(err)
	}
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "backup.admin"})
	if err != nil {
		log.Fatal(err)
	}
	if key.AccessList, err = accesslist.Parse("203.0.113.7"); err != nil {
		log.Fatal(err)
	}
	if _, err := keys.PutKey(ctx, key); err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy.New(keys).Decide(ctx, policy.Request{
		Key: key.ID, Secret: secret, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	}))
}

// A key is created together with a row of the program's own, or neither is.
func ExampleStore_WithTx() {
	signUp := func(ctx context.Context, pool *pgxpool.Pool, keys *postgres.Store, customer string, key apikey.Key) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO customers (name, key) VALUES ($1, $2)`, customer, string(key.ID)); err != nil {
				return err
			}
			_, err := keys.WithTx(tx).PutKey(ctx, key)
			return err // with an error, the transaction is rolled back
		})
	}
	_ = signUp
}

// A program keeps something of its own in step with the store.
func ExampleStore_Watch() {
	follow := func(ctx context.Context, keys *postgres.Store, mark store.Position, apply func([]store.Change)) error {
		var changes []store.Change
		for change, err := range keys.Watch(ctx, mark) {
			switch {
			case err != nil:
				return err // watch again from mark; after ErrCompacted from the zero Position
			case change.IsMark():
				apply(changes) // all at once: then the copy is the store as it was at the mark
				changes, mark = nil, change.Position()
			default:
				changes = append(changes, change)
			}
		}
		return nil
	}
	_ = follow
}

// Two stores in one database.
func ExampleSchema() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres:///app")
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"keys_of_customers", "keys_of_partners"} {
		if err := postgres.Migrate(ctx, pool, postgres.Schema(name)); err != nil {
			log.Fatal(err)
		}
		if _, err := postgres.New(ctx, pool, postgres.Schema(name)); err != nil {
			log.Fatal(err)
		}
	}
}
