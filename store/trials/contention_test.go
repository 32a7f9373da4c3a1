package trials_test

import (
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// TestContention has eight writers, over two connections to the store, count in one
// key's description for a minute, as programs change a record: read it, change it, put
// it, and begin again on a conflict. No count may be lost.
func TestContention(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		ctx := t.Context()
		stores := []store.Store{s.open(t), s.open(t)}
		_, err := stores[0].PutOrganization(ctx, policy.Organization{ID: "acme"})
		require.NoError(t, err)
		key, _, err := apikey.New("acme")
		require.NoError(t, err)
		key.Description = "0"
		_, err = stores[0].PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)

		var counted, conflicts atomic.Int64
		end := time.Now().Add(time.Duration(of(60, 3)) * time.Second)
		var writers errgroup.Group
		for i := range 8 {
			writers.Go(func() error {
				for keys := stores[i%2]; time.Now().Before(end); {
					read, err := keys.Key(ctx, key.ID)
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(read.Description)
					if err != nil {
						return err
					}
					read.Description = strconv.Itoa(n + 1)
					switch _, err = keys.PutKey(ctx, read); {
					case err == nil:
						counted.Add(1)
					case errors.Is(err, store.ErrConflict):
						conflicts.Add(1)
					default:
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, writers.Wait())
		key, err = stores[1].Key(ctx, key.ID)
		require.NoError(t, err)
		assert.Equal(t, strconv.FormatInt(counted.Load(), 10), key.Description)
		assert.Positive(t, counted.Load())
		t.Logf("%s: %d writes, %d conflicts", s.name, counted.Load(), conflicts.Load())
	})
}
