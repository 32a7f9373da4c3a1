package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
)

// These tests start their own program again, as another process that has the file open.
// What it is to do there, and with which file, is in its environment.
const (
	childVariable = "SALLYPORT_SQLITE_CHILD"
	pathVariable  = "SALLYPORT_SQLITE_PATH"
)

var children = map[string]func(path string) error{
	"put":   putOnDemand,
	"count": func(path string) error { return withStore(path, countAtOnce) },
	"crash": func(path string) error {
		return withStore(path, func(s *Store) error {
			return crashtest.WriteUntilKilled(context.Background(), s, rand.Uint64(), os.Stdout)
		})
	},
	"open": func(path string) error { return withStore(path, func(*Store) error { return nil }) },
}

func TestMain(m *testing.M) {
	child := os.Getenv(childVariable)
	if child == "" {
		os.Exit(m.Run())
	}
	if err := children[child](os.Getenv(pathVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func withStore(path string, f func(*Store) error) error {
	s, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

// command returns a child that was not started.
func command(t testing.TB, child, path string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(program)
	c.Env = append(os.Environ(), childVariable+"="+child, pathVariable+"="+path)
	c.Stderr = os.Stderr
	return c
}

// A dialogue is a child that answers lines with lines.
type dialogue struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
	end func()
}

func talkTo(t testing.TB, child, path string) *dialogue {
	t.Helper()
	c := command(t, child, path)
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	end := sync.OnceFunc(func() {
		_ = in.Close() // which ends it
		assert.NoError(t, c.Wait())
	})
	t.Cleanup(end)
	return &dialogue{t, in, bufio.NewScanner(out), end}
}

func (d *dialogue) ask(format string, args ...any) string {
	d.t.Helper()
	_, err := fmt.Fprintf(d.in, format+"\n", args...)
	require.NoError(d.t, err)
	require.True(d.t, d.out.Scan(), "the other process ended")
	return d.out.Text()
}

// putOnDemand is a child that puts the key "shared" with the description that it reads,
// and answers with the revision, and the time after that.
func putOnDemand(path string) error {
	return withStore(path, func(s *Store) error {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			key, err := s.Key(context.Background(), "shared")
			if err != nil {
				return err
			}
			key.Description = in.Text()
			if key, err = s.PutKey(context.Background(), key, store.AllowOpen); err != nil {
				return err
			}
			fmt.Println(key.Revision, time.Now().UnixNano())
		}
		return nil
	})
}

func (d *dialogue) put(description string) (revision uint64, returned time.Time) {
	d.t.Helper()
	first, second, _ := strings.Cut(d.ask("%s", description), " ")
	revision, err := strconv.ParseUint(first, 10, 64)
	require.NoError(d.t, err)
	nano, err := strconv.ParseInt(second, 10, 64)
	require.NoError(d.t, err)
	return revision, time.Unix(0, nano)
}

// shared makes a store with a key for several to write.
func shared(t testing.TB) *Store {
	t.Helper()
	s := open(t, newPath(t))
	putOrganization(t, s, "acme")
	putKey(t, s, newKey(t, "shared", "acme"))
	return s
}

// What one process writes others read at once, are told, and cannot write over.
func TestTwoProcesses(t *testing.T) {
	s := shared(t)
	other := talkTo(t, "put", s.file.path)
	next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
	defer stop()
	for n := range 20 {
		old, err := s.Key(t.Context(), "shared")
		require.NoError(t, err)
		revision, _ := other.put(fmt.Sprint("the other ", n))
		read, err := s.Key(t.Context(), "shared")
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint("the other ", n), read.Description)
		assert.Equal(t, revision, read.Revision)
		subject, found, err := s.Lookup(t.Context(), "shared")
		require.NoError(t, err)
		require.True(t, found)
		assert.Equal(t, read, subject.Key())
		latest, err := revisionOf(t.Context(), s)
		require.NoError(t, err)
		assert.Equal(t, revision, latest)
		_, err = s.PutKey(t.Context(), old, store.AllowOpen)
		require.ErrorIs(t, err, store.ErrConflict)
		var last store.Change
		for change := (store.Change{}); !change.IsMark() || change.Revision < revision; {
			change, err, _ = next()
			require.NoError(t, err)
			if change.Key == "shared" {
				last = change
			}
		}
		assert.Equal(t, store.Change{Revision: revision, Organization: "acme", Key: "shared", KeyRecord: &read}, last)
		putKey(t, s, read)
	}
}

// Two stores on one file in one process are as two processes.
func TestTwoStores(t *testing.T) {
	one := shared(t)
	two := open(t, one.file.path)
	for _, pair := range [][2]*Store{{one, two}, {two, one}} {
		from, to := pair[0], pair[1]
		_, mark := told(t, to, 0)
		old, err := to.Key(t.Context(), "shared")
		require.NoError(t, err)
		written := putKey(t, from, old)
		read, err := to.Key(t.Context(), "shared")
		require.NoError(t, err)
		assert.Equal(t, written, read)
		_, err = to.PutKey(t.Context(), old, store.AllowOpen)
		require.ErrorIs(t, err, store.ErrConflict)
		changes, _ := told(t, to, mark)
		assert.Equal(t, []store.Change{{Revision: written.Revision, Organization: "acme", Key: "shared", KeyRecord: &written}}, changes)
	}
	require.NoError(t, one.Close())
	require.NoError(t, two.RecordUsage(t.Context(), nil), "after the other was closed")
	_, err := two.Key(t.Context(), "shared")
	require.NoError(t, err, "after the other was closed")
}

const (
	counters   = 4 // in each process
	countsEach = 100
)

// countAtOnce has several goroutines count in the description of one key.
func countAtOnce(s *Store) error {
	var group errgroup.Group
	for range counters {
		group.Go(func() error {
			for range countsEach {
				if err := countOne(s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func countOne(s *Store) error {
	for {
		key, err := s.Key(context.Background(), "shared")
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(key.Description)
		key.Description = strconv.Itoa(n + 1)
		if _, err := s.PutKey(context.Background(), key, store.AllowOpen); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// Eight writers of two processes count in one key, and no count is lost (S13).
func TestCountingInTwoProcesses(t *testing.T) {
	s := shared(t)
	other := command(t, "count", s.file.path)
	require.NoError(t, other.Start())
	assert.NoError(t, countAtOnce(s))
	require.NoError(t, other.Wait())
	key, err := s.Key(t.Context(), "shared")
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(2*counters*countsEach), key.Description)
}

// A process that is killed while it writes leaves every write whole or not at all, and
// those there that had returned (S25, S26).
func TestCrash(t *testing.T) {
	path := newPath(t)
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	var ledger crashtest.Ledger
	for range rounds {
		before := ledger.Acknowledged()
		child := command(t, "crash", path)
		child.Stdout = &ledger
		require.NoError(t, child.Start())
		assert.Eventually(t, func() bool { return ledger.Acknowledged() > before }, time.Minute, time.Millisecond, "it writes nothing")
		time.Sleep(rand.N(50 * time.Millisecond)) // the moment is to be any
		require.NoError(t, child.Process.Kill())
		_ = child.Wait()
		s, err := Open(t.Context(), path)
		require.NoError(t, err)
		ledger.Check(t, s)
		checkIntegrity(t, s)
		require.NoError(t, s.Close())
	}
}

// checkIntegrity has SQLite look at the whole file.
func checkIntegrity(t testing.TB, s *Store) {
	t.Helper()
	var verdict string
	require.NoError(t, s.read.QueryRow("PRAGMA integrity_check").Scan(&verdict))
	assert.Equal(t, "ok", verdict)
	var violation any
	assert.Error(t, s.read.QueryRow("SELECT * FROM pragma_foreign_key_check").Scan(&violation, &violation, &violation, &violation), "a foreign key leads nowhere")
}

// Several processes that make the same file end up with one store.
func TestMadeByProcessesAtOnce(t *testing.T) {
	for range 5 {
		path := newPath(t)
		var all []*exec.Cmd
		for range 4 {
			child := command(t, "open", path)
			require.NoError(t, child.Start())
			all = append(all, child)
		}
		var group errgroup.Group
		for range 4 {
			group.Go(func() error { return withStore(path, func(*Store) error { return nil }) })
		}
		assert.NoError(t, group.Wait())
		for _, child := range all {
			assert.NoError(t, child.Wait())
		}
		s := open(t, path)
		checkIntegrity(t, s)
		assert.True(t, contents{}.equal(contentsOf(t, s)))
	}
}
