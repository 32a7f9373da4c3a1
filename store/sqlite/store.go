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
	// lockPatience is how long a call waits for what another process has locked, and for
	// the writes of its own process before it, if its context does not end before. A write
	// takes less than a millisecond.
	lockPatience = 10 * time.Second

	// watchPatience is how long a watcher may take over one change in the middle of a
	// batch, which is a transaction that keeps the write-ahead log from being reused.
	watchPatience = time.Minute

	// keptChanges is how many changes are kept at least, for those who watch.
	keptChanges = 100_000
)

// A Store is a store.Store in a file; it is also a store.Watcher, a
// store.UsageRecorder and a store.Loader. Make one with [Open].
type Store struct {
	file  file
	write database // of one connection: writes take turns
	read  database
	feed  database // a connection for each batch that is being told, and one to poll

	lockPatience  time.Duration
	watchPatience time.Duration
	keptChanges   uint64

	mu      sync.Mutex
	closed  bool
	calls   sync.WaitGroup     // those under way
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
)

// Open opens the store in a file, which it makes if it is not there, for its owner alone
// to read and write. The path is that of a file on a local disk; it is not a URI, and
// there is no store in memory: that is package store/memory. Any number of processes may
// have the file open, and a process may open it more than once.
//
// A file that is something else, or that a later version of this package has written, is
// an error and stays as it is. So is one that may not be written, and one on a file
// system on which processes cannot share memory. ctx bounds how long Open waits for what
// other processes have locked.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := makeFile(path)
	if err != nil {
		return nil, fmt.Errorf("store/sqlite: %w", err)
	}
	to, err := sqlite.NewConnector(uri(path))
	if err != nil {
		return nil, fmt.Errorf("store/sqlite: open %s: %w", path, err)
	}
	return openFile(ctx, path, to)
}

// openFile opens the store in a file that is there, by a connector to it.
func openFile(ctx context.Context, path string, to driver.Connector) (*Store, error) {
	f, err := fileAt(path)
	if err != nil {
		return nil, failure(ctx, "open "+path, err)
	}
	s := &Store{file: f, lockPatience: lockPatience, watchPatience: watchPatience, keptChanges: keptChanges}
	s.life, s.end = context.WithCancel(context.Background())
	err = s.whileLocked(ctx, func() error { return prepareFile(ctx, f, to) })
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
		errs := []error{s.disconnect()} // what an attempt before has connected
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

// Close waits for the calls that are under way, ends what is being watched with
// store.ErrClosed, writes the log back into the file, and lets go of it. An error says
// that the log could not be written back: nothing is lost by that, and whoever has the
// file open next tries again.
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

// disconnect closes what is open. The connection that writes is the last, so that it
// is the one which writes the log back.
func (s *Store) disconnect() error {
	return errors.Join(s.feed.close(), s.read.close(), s.write.close())
}

// enter begins a call, or returns why it cannot be served: S23, S2, and that the file is
// not the one that was opened. The call ends with leave.
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

// A database is some connections to the file, with the statements that are made on
// them.
type database struct {
	*sql.DB
	prepared map[string]*sql.Stmt
}

// connect opens a database of so many connections at most, zero: of any number. It
// prepares the queries, so that a file without the tables is an error at once.
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
