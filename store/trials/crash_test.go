package trials_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
)

// TestCrash kills, at random moments, whatever keeps the records while it writes: the
// process itself with SQLite, the first process of the server with PostgreSQL, the
// leader with etcd. After each round storetest's ledger is compared with what is there.
func TestCrash(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		crash(t, sqliteSystem(t), of(200, 20), func(s system, seed uint64, ledger *crashtest.Ledger) {
			process := exec.Command(os.Args[0])
			process.Env = append(os.Environ(), childVariable+"=writer", "ADDRESS="+s.address, fmt.Sprint("SEED=", seed))
			process.Stdout, process.Stderr = ledger, os.Stderr
			require.NoError(t, process.Start())
			ended := make(chan error, 1)
			go func() { ended <- process.Wait() }()
			awaitWrites(t, ledger, ended)
			require.NoError(t, process.Process.Kill())
			require.ErrorContains(t, <-ended, "killed")
		})
	})
	t.Run("postgres", func(t *testing.T) {
		crash(t, postgresSystem(t), of(50, 5), func(s system, seed uint64, ledger *crashtest.Ledger) {
			ended, _ := s.write(t, seed, ledger)
			awaitWrites(t, ledger, ended)
			s.server.Kill(t)
			require.Error(t, <-ended)
			s.server.Restart(t)
		})
	})
	t.Run("etcd", func(t *testing.T) {
		s := etcdSystem(t)
		killed := -1
		crash(t, s, of(50, 5), func(s system, seed uint64, ledger *crashtest.Ledger) {
			if killed >= 0 { // since the round before
				s.cluster.Restart(t, killed)
				s.cluster.WaitHealthy(t)
			}
			ended, stop := s.write(t, seed, ledger)
			awaitWrites(t, ledger, ended)
			killed = s.cluster.Leader(t)
			s.cluster.Kill(t, killed)
			s.cluster.Leader(t)
			stop() // if no write was under way at the leader, none failed
			require.Error(t, <-ended)
		})
	})
}

// crash goes through rounds of killing and looking.
func crash(t *testing.T, s system, rounds int, kill func(s system, seed uint64, ledger *crashtest.Ledger)) {
	var ledger crashtest.Ledger
	for round := range rounds {
		kill(s, uint64(round), &ledger)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		reopened, err := open(ctx, s.address)
		cancel()
		require.NoError(t, err, "round %d", round)
		ledger.Check(t, reopened)
		require.NoError(t, reopened.Close())
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	t.Logf("%s: %d rounds, %d acknowledged writes", s.name, rounds, ledger.Acknowledged())
}

// awaitWrites waits until some writes were acknowledged, and for a random while more.
func awaitWrites(t *testing.T, ledger *crashtest.Ledger, ended <-chan error) {
	t.Helper()
	before, few := ledger.Acknowledged(), 1+rand.N(30)
	for deadline := time.Now().Add(time.Minute); ledger.Acknowledged() < before+few; time.Sleep(time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("the writers ended before they were killed: %v", err)
		default:
		}
		require.True(t, time.Now().Before(deadline), "no writes are acknowledged")
	}
	time.Sleep(rand.N(20 * time.Millisecond))
}

// write writes in this process, until what it writes to was killed or it is stopped.
func (s system) write(t *testing.T, seed uint64, ledger *crashtest.Ledger) (ended <-chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	keys, err := open(ctx, s.address)
	require.NoError(t, err)
	end := make(chan error, 1)
	go func() {
		defer cancel()
		defer keys.Close()
		end <- crashtest.WriteUntilKilled(ctx, keys, seed, ledger)
	}()
	return end, cancel
}

func init() {
	children["writer"] = func() error {
		seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
		if err != nil {
			return err
		}
		keys, err := open(context.Background(), os.Getenv("ADDRESS"))
		if err != nil {
			return err
		}
		return crashtest.WriteUntilKilled(context.Background(), keys, seed, os.Stdout)
	}
}
