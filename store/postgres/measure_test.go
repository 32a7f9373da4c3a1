package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// newKey returns a key that can be stored, with a list.
func newKey(t testing.TB, id, organization string, addresses ...string) apikey.Key {
	t.Helper()
	key, _, err := apikey.New(organization, apikey.Grant{Role: "reader", AllProjects: true})
	require.NoError(t, err)
	key.ID = apikey.ID(id)
	if len(addresses) > 0 {
		key.AccessList, err = accesslist.Parse(addresses...)
		require.NoError(t, err)
	}
	return key
}

// load stores so many keys of ten organizations.
func load(t testing.TB, s *postgres.Store, n int) {
	t.Helper()
	ctx := context.Background()
	var organizations []policy.Organization
	for i := range 10 {
		organizations = append(organizations, policy.Organization{ID: fmt.Sprint("organization ", i)})
	}
	require.NoError(t, s.Load(ctx, organizations, nil))
	for first := 0; first < n; first += store.MaxLoad {
		var keys []apikey.Key
		for i := first; i < min(n, first+store.MaxLoad); i++ {
			keys = append(keys, newKey(t, string(apikey.NewID()), organizations[i%10].ID,
				fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "192.0.2.0/24", "2.0.0.0/8"))
		}
		require.NoError(t, s.Load(ctx, nil, keys))
	}
}

// first watches from zero to the first mark, and returns how many records were told.
func first(t testing.TB, s *postgres.Store) (told int, mark uint64) {
	t.Helper()
	for change, err := range s.Watch(context.Background(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			return told, change.Revision
		}
		require.NoError(t, change.Err)
		told++
	}
	return told, 0
}

// fewer returns a tenth of n with -short, which is to try that a benchmark runs.
func fewer(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// BenchmarkMany measures what is done with many keys at once: how long a Load of them
// took, and how long a watch from zero takes to its first mark.
func BenchmarkMany(b *testing.B) {
	for _, n := range []int{fewer(10_000), fewer(100_000)} {
		b.Run(fmt.Sprintf("Watch from zero/%d", n), func(b *testing.B) {
			s := newStore(b, newPool(b, postgrestest.Shared(b).Database(b)))
			began := time.Now()
			load(b, s, n)
			loaded := time.Since(began)
			for b.Loop() {
				told, _ := first(b, s)
				require.Equal(b, n+10, told)
			}
			b.ReportMetric(loaded.Seconds(), "s-to-load")
		})
	}
}

// BenchmarkTold measures how long after a write was acknowledged, by one store, those are
// told of it who watch another.
func BenchmarkTold(b *testing.B) {
	dsn := postgrestest.Shared(b).Database(b)
	writer, watched := newStore(b, newPool(b, dsn)), openStore(b, newPool(b, dsn))
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	organization, err := writer.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(b, err)
	told := make(chan time.Time)
	go func() {
		for change := range watched.Watch(ctx, at(watched, organization.Revision)) {
			if change.Organization != "" {
				told <- time.Now()
			}
		}
	}()
	var late []time.Duration
	for b.Loop() {
		time.Sleep(2 * time.Millisecond) // each from a standstill
		organization, err = writer.PutOrganization(ctx, organization)
		require.NoError(b, err)
		acknowledged := time.Now()
		late = append(late, (<-told).Sub(acknowledged))
	}
	slices.Sort(late)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(late[len(late)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(late[len(late)*999/1000].Microseconds()), "µs-p99.9")
}

// BenchmarkWriters measures writers that each replace a key of their own.
func BenchmarkWriters(b *testing.B) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := newStore(b, newPool(b, postgrestest.Shared(b).Database(b)+" pool_max_conns=8"))
			_, err := s.PutOrganization(b.Context(), policy.Organization{ID: "acme"})
			require.NoError(b, err)
			work, done := make(chan struct{}), make(chan error, writers)
			for i := range writers {
				go func() {
					key, err := s.PutKey(context.Background(), newKey(b, fmt.Sprint("key-", i), "acme", "192.0.2.1", "198.51.100.0/24", "203.0.113.7"))
					for range work {
						if err == nil {
							key, err = s.PutKey(context.Background(), key)
						}
					}
					done <- err
				}()
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			for range writers {
				require.NoError(b, <-done)
			}
		})
	}
}

// BenchmarkLongTransaction measures writing and looking up before and after 30,000 writes
// during which a transaction elsewhere, such as a dump, stays open: the server can clear
// away none of the rows that they replaced. Run it with -benchtime 1x.
func BenchmarkLongTransaction(b *testing.B) {
	const keys, sample = 1000, 500
	pool := newPool(b, postgrestest.Start(b, "fsync=off").DSN())
	s := newStore(b, pool)
	load(b, s, keys)
	var all []apikey.Key
	_, stored := everything(b, s)
	for _, key := range stored {
		all = append(all, key)
	}
	dump, err := pool.Begin(b.Context())
	require.NoError(b, err)
	defer func() { _ = dump.Rollback(context.Background()) }()
	_, err = dump.Exec(b.Context(), `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM sallyport.state`)
	require.NoError(b, err)
	put := func(i int) {
		var err error
		all[i%keys], err = s.PutKey(b.Context(), all[i%keys])
		require.NoError(b, err)
	}
	lookup := func(i int) {
		_, found, err := s.Lookup(b.Context(), all[i%keys].ID)
		require.NoError(b, err)
		require.True(b, found)
	}
	median := func(do func(int)) float64 {
		var took []time.Duration
		for i := range sample {
			began := time.Now()
			do(i)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return float64(took[sample/2].Microseconds())
	}
	for b.Loop() {
		median(lookup)
		b.ReportMetric(median(put), "µs-put-before")
		b.ReportMetric(median(lookup), "µs-lookup-before")
		for i := range fewer(30_000) {
			put(i)
		}
		b.ReportMetric(median(put), "µs-put-after")
		b.ReportMetric(median(lookup), "µs-lookup-after")
	}
}
