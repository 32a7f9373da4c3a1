package etcdtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
)

// snapshotTo saves a snapshot as etcdctl does.
func snapshotTo(t testing.TB, client *clientv3.Client, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	from, err := client.Snapshot(ctx)
	require.NoError(t, err)
	to, err := os.Create(path)
	require.NoError(t, err)
	_, err = io.Copy(to, from)
	require.NoError(t, err)
	require.NoError(t, to.Close())
}

// restoreFrom restores every member from a snapshot, as etcdutl does with the flags that
// the cluster was made with, and starts them.
func (c *Cluster) restoreFrom(t testing.TB, path string, bump uint64) {
	t.Helper()
	c.Stop(t)
	for _, m := range c.members {
		require.NoError(t, os.RemoveAll(m.config.Dir))
		require.NoError(t, snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
			SnapshotPath: path, Name: m.config.Name, OutputDataDir: m.config.Dir, PeerURLs: []string{m.config.Peer},
			InitialCluster: m.config.InitialCluster, InitialClusterToken: "etcdtest", RevisionBump: bump, MarkCompacted: bump > 0,
		}))
	}
	for _, m := range c.members {
		m.start(t)
	}
	c.WaitHealthy(t)
}

// TestRestored restores a cluster of three from a snapshot under a Store that goes on,
// with --bump-revision and without. The cluster has the same ID afterwards, and gives the
// lost revisions again without it. Lost positions are told from those that are not.
func TestRestored(t *testing.T) {
	for _, bump := range []uint64{0, 1_000_000_000} {
		t.Run(fmt.Sprint("bump ", bump), func(t *testing.T) {
			ctx := t.Context()
			cluster := Start(t, 3)
			client := cluster.Client(t)
			s, err := etcd.New(ctx, client, "/sallyport/")
			require.NoError(t, err)
			defer s.Close()
			_, err = s.PutOrganization(ctx, policy.Organization{ID: "acme"})
			require.NoError(t, err)
			key := apikey.Key{ID: "k1", Organization: "acme", Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte("k1"))}}}
			write := func(s *etcd.Store) store.Position {
				t.Helper()
				var err error
				if stored, e := s.Key(ctx, key.ID); e == nil {
					key.Revision = stored.Revision
				}
				key, err = s.PutKey(ctx, key, store.AllowOpen)
				require.NoError(t, err)
				latest, err := s.Position(ctx)
				require.NoError(t, err)
				require.Equal(t, key.Revision, latest.Revision)
				return latest
			}
			kept := write(s)
			id := clusterID(t, client)
			path := filepath.Join(t.TempDir(), "snapshot")
			snapshotTo(t, client, path)
			var lost []store.Position
			for range 5 {
				lost = append(lost, write(s))
			}
			lostKey := key

			cluster.restoreFrom(t, path, bump)
			require.Equal(t, id, clusterID(t, client), "nothing of the cluster tells")
			require.Equal(t, kept, latestOf(t, s), "the snapshot's")
			_, err = s.PutKey(ctx, lostKey, store.AllowOpen)
			require.ErrorIs(t, err, store.ErrConflict)
			for n := range 7 {
				for _, p := range lost {
					require.ErrorIs(t, first(t, s, p), store.ErrCompacted, "%+v after %d writes", p, n)
					require.ErrorIs(t, eventsAfter(t, s, p), store.ErrCompacted, "%+v after %d writes", p, n)
				}
				require.NoError(t, eventsAfter(t, s, kept), "however much is compacted")
				if bump == 0 {
					require.NoError(t, first(t, s, kept))
				}
				now := write(s)
				require.NotEqual(t, kept.History, now.History, "the Store went on, and has lost its connections")
				if bump == 0 {
					require.Equal(t, kept.Revision+uint64(n)+1, now.Revision, "revisions are given again")
				} else {
					_, err = s.PutKey(ctx, lostKey, store.AllowOpen)
					require.ErrorIs(t, err, store.ErrConflict, "no revision is given again")
				}
			}
		})
	}
}

func latestOf(t testing.TB, s *etcd.Store) store.Position {
	t.Helper()
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	return latest
}

func clusterID(t testing.TB, client *clientv3.Client) uint64 {
	t.Helper()
	response, err := client.Get(t.Context(), "any")
	require.NoError(t, err)
	return response.Header.ClusterId
}

func eventsAfter(t testing.TB, s *etcd.Store, p store.Position) error {
	t.Helper()
	page, err := s.Events(t.Context(), store.EventRequest{After: p})
	require.Empty(t, page.Events, "every write was a Put")
	return err
}

// first returns the error that a watch from a position begins with.
func first(t testing.TB, s *etcd.Store, p store.Position) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, err := range s.Watch(ctx, p) {
		return err
	}
	t.Fatal("the watch ended in silence")
	return nil
}
