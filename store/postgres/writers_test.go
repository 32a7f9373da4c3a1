package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// TestWritersOfTwoPools has writers count in one key, by comparing and swapping, while
// others change its organization and count its usage, and yet others follow.
func TestWritersOfTwoPools(t *testing.T) {
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run("default isolation "+isolation, func(t *testing.T) {
			dsn := postgrestest.Shared(t).Database(t)
			level := func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_isolation"] = isolation }
			stores := []*postgres.Store{newStore(t, newPool(t, dsn, level)), newStore(t, newPool(t, dsn, level))}
			_, key := acme(t, stores[0])
			followers := []*follower{follow(t, stores[0]), follow(t, stores[1])}
			const writers, each = 8, 15
			var all sync.WaitGroup
			for i := range writers {
				s := stores[i%2]
				all.Go(func() { count(t, s, key.ID, each) })
				all.Go(func() {
					for range each {
						assert.NoError(t, s.RecordUsage(context.Background(), adapter.UsageBatch(usage(key, 1))))
					}
				})
			}
			all.Go(func() {
				for range each {
					organization, err := stores[1].Organization(context.Background(), "acme")
					if assert.NoError(t, err) {
						organization.Requirement = (organization.Requirement + 1) % 3
						_, err = stores[1].PutOrganization(context.Background(), organization)
						assert.NoError(t, err)
					}
				}
			})
			all.Wait()
			for i, s := range stores {
				got, err := s.Key(t.Context(), key.ID)
				require.NoError(t, err)
				assert.Equal(t, strconv.Itoa(writers*each), got.Description)
				known, err := s.Usage(t.Context(), key.ID)
				require.NoError(t, err)
				assert.EqualValues(t, writers*each, known[key.ID].Secrets[key.Secrets[0].ID()].Count)
				followers[i].is(t, s)
				assert.Empty(t, followers[i].ended())
			}
		})
	}
}

// count adds one to the number in a key's description, so many times.
func count(t *testing.T, s *postgres.Store, id apikey.ID, times int) {
	for range times {
		for {
			key, err := s.Key(context.Background(), id)
			if !assert.NoError(t, err) {
				return
			}
			n, _ := strconv.Atoi(key.Description)
			key.Description = strconv.Itoa(n + 1)
			if _, err = s.PutKey(context.Background(), key); err == nil {
				break
			}
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("PutKey: %v", err)
				return
			}
		}
	}
}

// TestUsageAndDeletion has keys counted and deleted at the same time, in any order.
func TestUsageAndDeletion(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	s := newStore(t, newPool(t, dsn+" pool_max_conns=12"))
	acme(t, s)
	const keys, rounds = 10, 20
	id := func(i int) string { return fmt.Sprint("key-", i%keys) }
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := range rounds {
				var batch []store.UsageRecord
				for i := range keys { // each in an order of its own
					batch = append(batch, usage(newKey(t, id(w*3+n+i*7), "acme"), 1))
				}
				assert.NoError(t, s.RecordUsage(context.Background(), adapter.UsageBatch(batch...)))
			}
		})
		all.Go(func() {
			for n := range rounds {
				stored, err := s.PutKey(context.Background(), newKey(t, id(w+n), "acme", "192.0.2.1"))
				if err == nil {
					_, err = s.PutKey(context.Background(), stored)
				}
				if err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("PutKey: %v", err)
				}
				if err := s.DeleteKey(context.Background(), apikey.ID(id(w+n+1)), 0); err != nil {
					assert.ErrorIs(t, err, store.ErrNotFound)
				}
			}
		})
	}
	all.Wait()
}
