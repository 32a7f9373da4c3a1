package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/store"
)

const (
	// lockPatience bounds the wait of a call for locks of other processes and for earlier
	// writes of its own process. Its context may end before. A write takes less than a
	// millisecond.
	lockPatience = 10 * time.Second

	// watchPatience bounds the time of a watcher for one change in the middle of a batch.
	// A batch is a transaction, and keeps the write-ahead log from being reused.
	watchPatience = time.Minute

	// keptChanges is the number of changes kept for watchers, at least.
	keptChanges = 100_000
)

// A Store is a store.Store in a file. It is also a store.Watcher, a store.UsageRecorder, a
// store.Loader and a store.Journal. Make one with [Open].
type Store struct {
	file  file
	write database       // one connection: writes take turns
	known store.Position // of the latest write here, zero if none; for the write whose turn it is
	read  database
	feed  database // a connection for each batch under way, and one to poll

	lockPatience  time.Duration
	watchPatience time.Duration
	keptChanges   uint64

	mu      sync.Mutex
	closed  bool
	calls   sync.WaitGroup     // under way
	life    context.Context    // ends when Close is called
	end     context.CancelFunc // of life
	closing sync.Once
	poller  poller
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Watcher       = (*Store)(nil)
	_ store.UsageRecorder = (*Store)(nil)
	_ store.Loader        = (*Store)(nil)
	_ store.Journal       = (*Store)(nil)
)

// Open opens the store in a file. It creates the file if it is absent, readable and
// writable by its owner alone. The path is that of a file on a local disk, not a URI; for a
// store in memory see package store/memory. Any number of processes may have the file
// open, and a process may open it more than once. ctx bounds the wait for locks of other
// processes.
//
// Open fails, and leaves the file as it is, if
//
//   - the file is something else
//   - a later version of this package has changed it, and this one may not read it any more:
//     store.ErrNewer
//   - the file may not be written
//   - processes cannot share memory on its file system
//   - the file has several names: hard links, or a mount of the file alone
func Open(ctx context.Context, path string) (*Store, error) {
	return openPath(ctx, path, makeFile, bringUpToDate)
}

// OpenExisting is [Open] for a file that has a store already. It does not make one, nor bring an
// older one up to date, as programs want that look at the store of a running service. An absent
// or empty file is an error that is fs.ErrNotExist, one of an earlier version is [ErrOlder]. With
// an error everything stays as it is.
func OpenExisting(ctx context.Context, path string) (*Store, error) {
	return openPath(ctx, path, findFile, leaveOlder)
}

func openPath(ctx context.Context, path string, find func(path string) (string, error), older treatment) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := find(path)
	if err != nil {
		return nil, fmt.Errorf("store/sqlite: %w", err)
	}
	to, err := sqlite.NewConnector(uri(path))
	if err != nil {
		return nil, fmt.Errorf("store/sqlite: open %s: %w", path, err)
	}
	return openFile(ctx, path, to, older)
}

// openFile opens the store in an existing file, by a connector to it.
func openFile(ctx context.Context, path string, to driver.Connector, older treatment) (*Store, error) {
	f, err := fileAt(path)
	if err == nil {
		err = errors.Join(checkLinks(path, f.opened), checkMount(path))
	}
	if err != nil {
		return nil, failure(ctx, "open "+path, err)
	}
	s := &Store{file: f, lockPatience: lockPatience, watchPatience: watchPatience, keptChanges: keptChanges}
	s.poller.pause, s.poller.hint = pollPause, make(chan struct{}, 1)
	s.life, s.end = context.WithCancel(context.Background())
	err = s.whileLocked(ctx, func() (err error) {
		s.known, err = prepareFile(ctx, f, to, older)
		return err
	})
	if err == nil {
		err = s.connect(ctx, to)
	}
	if err != nil {
		s.end()
		return nil, failure(ctx, "open "+path, errors.Join(explained(path, err), s.disconnect()))
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context, to driver.Connector) error {
	return s.whileLocked(ctx, func() error {
		errs := []error{s.disconnect()} // connections of an earlier attempt
		for _, c := range []struct {
			database    *database
			settings    []setting
			connections int
			queries     []string
		}{
			{&s.write, writing, 1, writeQueries},
			{&s.read, reading, max(4, runtime.GOMAXPROCS(0)), readQueries},
			{&s.feed, reading, 0, feedQueries},
		} {
			var err error
			*c.database, err = connect(ctx, connector{to, s.file, c.settings}, c.connections, c.queries)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// Close implements [store.Store]. It waits for calls under way, ends every watch, writes
// the log back into the file and releases it. An error says that the log could not be
// written back. Nothing is lost then: the next process to close the file tries again.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.end()
		s.poller.Wake() // watchers find the store closed
		s.calls.Wait()
		_, err = s.write.Exec("PRAGMA wal_checkpoint(PASSIVE)")
		err = errors.Join(err, s.disconnect())
	})
	if err != nil {
		return fmt.Errorf("store/sqlite: close %s: %w", s.file.path, err)
	}
	return nil
}

// disconnect closes all connections. The writing one is the last, so that it writes the
// log back.
func (s *Store) disconnect() error {
	return errors.Join(s.feed.close(), s.read.close(), s.write.close())
}

// enter begins a call, or returns why it cannot be served: S23, S2, or another file at the
// path. The call ends with leave.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	leave, err = s.begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.file.check(); err != nil {
		leave()
		return nil, fmt.Errorf("store/sqlite: %w", err)
	}
	return leave, nil
}

// begin is enter without a look at the file.
func (s *Store) begin(ctx context.Context) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

// A database is a pool of connections to the file, with prepared statements.
type database struct {
	*sql.DB
	prepared map[string]*sql.Stmt
}

// connect opens a database with a limit of connections, zero for none. It prepares the
// queries, so that a file without the tables is an error at once.
func connect(ctx context.Context, to connector, connections int, queries []string) (database, error) {
	d := database{DB: sql.OpenDB(to), prepared: make(map[string]*sql.Stmt, len(queries))}
	d.SetMaxOpenConns(connections)
	d.SetMaxIdleConns(max(connections, 16))
	for _, query := range queries {
		statement, err := d.PrepareContext(ctx, query)
		if err != nil {
			return d, err
		}
		d.prepared[query] = statement
	}
	return d, nil
}

func (d database) close() error {
	if d.DB == nil {
		return nil
	}
	return d.Close()
}
