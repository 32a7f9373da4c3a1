package trials_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/faultproxy"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/replica"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/storetest/staletest"
)

// bound is so short that the disturbances outlast it.
const bound = time.Second

// TestStaleness writes to a store while whatever is between it and two replicas is cut,
// killed, held and made to forget. No answer of a replica may be older than the bound.
func TestStaleness(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		s := sqliteSystem(t)
		first, second := faulty.New(s.open(t)), faulty.New(s.open(t))
		db, err := sql.Open("sqlite", strings.TrimPrefix(s.address, "sqlite ")+"?_pragma=busy_timeout(60000)")
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		feed := []faulty.Method{faulty.Position, faulty.Watch}
		gone := errors.New("disk I/O error")
		staleness(t, s, []store.Store{first, second}, map[string]func(ctx context.Context){
			"the change log is forgotten": func(ctx context.Context) {
				_, err := db.ExecContext(ctx, "BEGIN IMMEDIATE; DELETE FROM changes; UPDATE progress SET forgotten = revision; COMMIT")
				if ctx.Err() == nil {
					assert.NoError(t, err)
				}
			},
			"another process holds the lock": func(ctx context.Context) {
				conn, err := db.Conn(ctx)
				if err != nil {
					return
				}
				defer conn.Close()
				if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil {
					pause(ctx, 3*bound/2)
					_, err = conn.ExecContext(context.Background(), "ROLLBACK")
					assert.NoError(t, err)
				}
			},
			"one replica's reads fail": func(ctx context.Context) {
				first.Break(faulty.Fail(gone), feed...)
				pause(ctx, 3*bound/2)
				first.Heal()
			},
			"one replica's feed hangs": func(ctx context.Context) {
				second.Break(faulty.Hang(), faulty.Watch)
				pause(ctx, 3*bound/2)
				second.Heal()
			},
		})
	})
	t.Run("postgres", func(t *testing.T) {
		s := postgresSystem(t)
		network := faultproxy.Start(t, s.server.Address())
		through := s
		through.address = fmt.Sprintf("postgres postgres://postgres:%s@%s/postgres?sslmode=disable", postgrestest.Password, network.Address())
		dsn := strings.TrimPrefix(s.address, "postgres ")
		staleness(t, s, []store.Store{through.open(t), through.open(t)}, map[string]func(ctx context.Context){
			"connections are reset": func(ctx context.Context) { network.Reset() },
			"the network holds everything": func(ctx context.Context) {
				network.Hold()
				pause(ctx, 3*bound/2)
				network.Heal()
			},
			"listeners are killed": func(ctx context.Context) {
				s.server.SQL(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ILIKE 'listen%'")
			},
			"every connection is killed": func(ctx context.Context) {
				s.server.SQL(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
			},
			"the change log is forgotten": func(ctx context.Context) {
				s.server.SQL(t, dsn, "BEGIN; SELECT FROM sallyport.state FOR UPDATE; UPDATE sallyport.state SET forgotten = greatest(forgotten, (SELECT max(revision) FROM sallyport.changes)); DELETE FROM sallyport.changes; COMMIT")
			},
			"the server is killed": func(ctx context.Context) {
				s.server.Kill(t)
				pause(ctx, bound/2)
				s.server.Restart(t)
			},
		})
	})
	t.Run("etcd", func(t *testing.T) {
		s := etcdSystem(t)
		client := s.cluster.Client(t)
		staleness(t, s, []store.Store{s.open(t), s.open(t)}, map[string]func(ctx context.Context){
			"the leader is killed": func(ctx context.Context) {
				leader := s.cluster.Leader(t)
				s.cluster.Kill(t, leader)
				s.cluster.Leader(t)
				pause(ctx, bound)
				s.cluster.Restart(t, leader)
				s.cluster.WaitHealthy(t)
			},
			"a member is held": func(ctx context.Context) {
				member := rand.N(3)
				s.cluster.Cut(member)
				pause(ctx, 3*bound/2)
				s.cluster.Heal(t, member)
			},
			"the leader is isolated": func(ctx context.Context) {
				leader := s.cluster.Leader(t)
				s.cluster.Isolate(t, leader)
				pause(ctx, 3*bound)
				s.cluster.Heal(t, leader)
				s.cluster.WaitHealthy(t)
			},
			"history is compacted": func(ctx context.Context) {
				response, err := client.Get(ctx, "any")
				if err == nil {
					_, _ = client.Compact(ctx, response.Header.Revision, clientv3.WithCompactPhysical())
				}
			},
		})
	})
}

// staleness has one disturbance after the other, in random order, while it is checked.
func staleness(t *testing.T, s system, followed []store.Store, disturbances map[string]func(ctx context.Context)) {
	var sources []policy.Source
	for i, keys := range followed {
		copied, err := replica.New(keys, replica.WithMaxStaleness(bound), replica.WithErrorHandler(func(error) {}))
		require.NoError(t, err)
		t.Cleanup(func() { _ = copied.Close() })
		require.NoError(t, copied.Ready(t.Context()), "replica %d", i)
		sources = append(sources, copied)
	}
	disturbed := 0
	result := staletest.Check{
		Store: s.open(t), Sources: sources, Bound: bound, Duration: time.Duration(of(120, 12)) * time.Second,
		Disturb: func(ctx context.Context) {
			for ctx.Err() == nil {
				for _, disturb := range disturbances { // in whatever order a map has
					if pause(ctx, rand.N(bound)); ctx.Err() == nil {
						disturb(ctx)
						disturbed++
					}
				}
			}
		},
	}.Run(t)
	t.Logf("%s: %d disturbances, %d writes, %d in doubt, %d answers, %d refused, the oldest %v", s.name,
		disturbed, result.Writes, result.Doubts, result.Answers, result.Errors, result.Oldest.Round(time.Millisecond))
	assert.Positive(t, disturbed)
	assert.Positive(t, result.Errors, "the disturbances were not felt")
	assert.Positive(t, result.Answers)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
