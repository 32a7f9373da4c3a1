package etcdtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNothingIsLeft starts a cluster and lets its test end.
func TestNothingIsLeft(t *testing.T) {
	var processes []int
	var dir string
	t.Run("cluster", func(t *testing.T) {
		cluster := Start(t, 3)
		for _, m := range cluster.members {
			processes = append(processes, m.process.Process.Pid)
			dir = filepath.Dir(m.config.Dir)
		}
		cluster.Kill(t, 1)
		cluster.Restart(t, 1)
		processes = append(processes, cluster.members[1].process.Process.Pid)
	})
	require.Len(t, processes, 4)
	for _, pid := range processes {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, err := os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestMemberEndsWithTheTest has the pipe between a member and the test's process break,
// as it does when that is killed.
func TestMemberEndsWithTheTest(t *testing.T) {
	cluster := Start(t, 1)
	m := cluster.members[0]
	require.NoError(t, m.commands.Close())
	ended := make(chan error, 1)
	go func() { ended <- m.process.Wait() }()
	select {
	case err := <-ended:
		require.NoError(t, err)
		m.process = nil
	case <-time.After(patience):
		t.Fatal("the member goes on")
	}
}

// TestCutAndHeal cuts clients off, and members from each other. What was held comes
// through afterwards.
func TestCutAndHeal(t *testing.T) {
	cluster := Start(t, 3)
	client := cluster.Client(t, 0)
	_, err := client.Put(t.Context(), "a", "1")
	require.NoError(t, err)
	cluster.Cut(0)
	done := make(chan error, 1)
	go func() {
		_, err := client.Put(t.Context(), "a", "2")
		done <- err
	}()
	other := cluster.Client(t, 1)
	for range 20 { // the others go on, and see nothing of it
		response, err := other.Get(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, "1", string(response.Kvs[0].Value))
	}
	require.Empty(t, done)
	cluster.Heal(t, 0)
	require.NoError(t, <-done)

	leader := cluster.Leader(t)
	cluster.Isolate(t, leader)
	next := cluster.LeaderOf(t, (leader+1)%3, (leader+2)%3)
	require.NotEqual(t, leader, next)
	cluster.Heal(t, leader)
	cluster.WaitHealthy(t)
	response, err := cluster.Client(t, leader).Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "2", string(response.Kvs[0].Value))
}
