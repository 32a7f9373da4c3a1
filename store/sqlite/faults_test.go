package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// faults have one call of SQLite's driver fail, the n-th from now, and then all go well
// again.
type faults struct {
	mu     sync.Mutex
	left   int // calls before the one that fails; negative: none does
	failed bool
}

var errInjected = errors.New("a disk I/O error that was injected")

func (f *faults) after(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.failed = n, false
}

// heal reports whether a call has failed.
func (f *faults) heal() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = -1
	return f.failed
}

func (f *faults) happened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *faults) next() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left < 0 {
		return nil
	}
	f.left--
	if f.left >= 0 {
		return nil
	}
	f.failed = true
	return errInjected
}

// What follows passes on what database/sql asks of a driver, unless it is to fail.

type faultyConnector struct {
	driver.Connector
	*faults
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.next(); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return faultyConn{conn.(sqliteConn), c.faults}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.QueryerContext
	driver.ExecerContext
	driver.SessionResetter
	driver.Validator
	IsReadOnly(string) (bool, error)
}

type faultyConn struct {
	sqliteConn
	*faults
}

func (c faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.next(); err != nil {
		return nil, err
	}
	stmt, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return faultyStmt{stmt.(sqliteStmt), c.faults}, nil
}

func (c faultyConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.next(); err != nil {
		return nil, err
	}
	tx, err := c.sqliteConn.BeginTx(ctx, options)
	return faultyTx{tx, c.faults}, err
}

func (c faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.next(); err != nil {
		return nil, err
	}
	rows, err := c.sqliteConn.QueryContext(ctx, query, args)
	return faultyRows{rows, c.faults}, err
}

func (c faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.next(); err != nil {
		return nil, err
	}
	return c.sqliteConn.ExecContext(ctx, query, args)
}

type faultyTx struct {
	driver.Tx
	*faults
}

// Commit fails as SQLite's does: nothing has happened then.
func (tx faultyTx) Commit() error {
	if err := tx.next(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Tx.Commit()
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
}

type faultyStmt struct {
	sqliteStmt
	*faults
}

func (s faultyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.next(); err != nil {
		return nil, err
	}
	rows, err := s.sqliteStmt.QueryContext(ctx, args)
	return faultyRows{rows, s.faults}, err
}

func (s faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.next(); err != nil {
		return nil, err
	}
	return s.sqliteStmt.ExecContext(ctx, args)
}

type faultyRows struct {
	driver.Rows
	*faults
}

func (r faultyRows) Next(row []driver.Value) error {
	if err := r.next(); err != nil {
		return err
	}
	return r.Rows.Next(row)
}

// Whichever call of the driver fails, in whatever the store does, it is an error that
// says so, nothing has changed, and afterwards it goes on as if nothing had been (S3).
func TestEveryFailure(t *testing.T) {
	ctx := context.Background()
	used := adapter.UsageBatch(store.UsageRecord{Key: "second", Entry: netip.MustParsePrefix("192.0.2.2/32"), Secret: "5ec2e700", Usage: accesslist.Usage{Count: 1}})
	at := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	report := store.Report{Recorder: "one", Since: at, From: at, Until: at, At: at}
	var latest store.Position
	watch := func(revision uint64) func(s *Store) error {
		return func(s *Store) error {
			var after store.Position
			if revision > 0 {
				after = store.Position{History: latest.History, Revision: revision}
			}
			seen := 0
			for change, err := range s.Watch(ctx, after) {
				if err != nil {
					return err
				}
				if change.IsMark() {
					break
				}
				seen++
			}
			if want := 3 - int(revision); seen != want {
				return fmt.Errorf("it told %d changes and a mark: want %d", seen, want)
			}
			return nil
		}
	}
	for name, do := range map[string]func(s *Store) error{
		"Lookup":                 func(s *Store) error { _, _, err := s.Lookup(ctx, "first"); return err },
		"Key":                    func(s *Store) error { _, err := s.Key(ctx, "first"); return err },
		"Organization":           func(s *Store) error { _, err := s.Organization(ctx, "acme"); return err },
		"Keys":                   func(s *Store) error { _, err := s.Keys(ctx, "acme", store.PageRequest{}); return err },
		"Organizations":          func(s *Store) error { _, err := s.Organizations(ctx, store.PageRequest{}); return err },
		"Revision":               func(s *Store) error { _, err := revisionOf(ctx, s); return err },
		"Usage":                  func(s *Store) error { _, err := s.Usage(ctx, "first"); return err },
		"Watch from zero":        watch(0),
		"Watch from one":         watch(1),
		"Watch with nothing new": watch(3),
		"RecordUsage":            func(s *Store) error { return s.RecordUsage(ctx, used) },
		"RecordObservation":      func(s *Store) error { return s.RecordObservation(ctx, report) },
		"Observation":            func(s *Store) error { _, err := s.Observation(ctx); return err },
		"PutOrganization": func(s *Store) error {
			_, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
			return err
		},
		"PutKey creates": func(s *Store) error { _, err := s.PutKey(ctx, newKey(t, "third", "acme"), store.AllowOpen); return err },
		"PutKey replaces": func(s *Store) error {
			key := newKey(t, "first", "acme", "192.0.2.9")
			key.Revision = 2
			_, err := s.PutKey(ctx, key, store.AllowOpen)
			return err
		},
		"DeleteKey": func(s *Store) error { return s.DeleteKey(ctx, "first", 2) },
		"DeleteOrganization": func(s *Store) error {
			err := s.DeleteOrganization(ctx, "acme", 0)
			if errors.Is(err, store.ErrNotEmpty) {
				return nil
			}
			return err
		},
		"Load": func(s *Store) error {
			return s.Load(ctx, []policy.Organization{{ID: "other"}}, []apikey.Key{newKey(t, "third", "other"), newKey(t, "fourth", "acme")}, store.AllowOpen)
		},
		"Write": func(s *Store) error {
			key := newKey(t, "first", "acme", "192.0.2.9")
			key.Revision = 2
			_, err := s.Write(ctx, store.Write{
				PutKey: &key,
				If:     []store.Condition{{Organization: "acme", Revision: 1}, {Organization: "acme", Key: "second", Revision: 3}, {Organization: "acme", Key: "third"}},
				Events: []store.Event{eventOf("acme", "first"), eventOf("acme", "first")},
			})
			return err
		},
		"Write forgets": func(s *Store) error { return forget(ctx, s, latest) },
		"Events": func(s *Store) error {
			page, err := s.Events(ctx, store.EventRequest{Organization: "acme", After: store.Position{History: latest.History, Revision: 1}})
			if err == nil && len(page.Events) != 1 {
				err = fmt.Errorf("%d events: want 1", len(page.Events))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := twoKeys(t)
			observer := open(t, path)
			before := contentsOf(t, observer)
			var err error
			latest, err = observer.Position(ctx)
			require.NoError(t, err)
			to, err := sqlite.NewConnector(uri(path))
			require.NoError(t, err)
			f := &faults{left: -1}
			s, err := openFile(ctx, path, faultyConnector{to, f}, bringUpToDate)
			require.NoError(t, err)
			defer func() { assert.NoError(t, s.Close()) }()
			s.keptChanges = 2 // so that writes drop some
			for n := 0; ; n++ {
				f.after(n)
				err := do(s)
				if !f.heal() {
					require.NoError(t, err, "without a failure")
					assert.Positive(t, n)
					break
				}
				if err == nil && name[:5] == "Watch" {
					continue // it was the polling, which tries again
				}
				require.ErrorIs(t, err, errInjected, "call %d", n)
				require.ErrorContains(t, err, "store/sqlite: ")
				require.True(t, before.equal(contentsOf(t, observer)), "call %d has changed something", n)
			}
			checkIntegrity(t, observer)
		})
	}
}

// Whichever call fails while a file is opened, it is an error, and the file can be opened
// afterwards.
func TestEveryFailureOfOpen(t *testing.T) {
	dir, here, step := inMemory(t), twoKeys(t), 1
	if testing.Short() {
		step = 7
	}
	for _, there := range []bool{true, false} {
		for n := 0; ; n += step {
			path := here
			if !there {
				path = filepath.Join(dir, fmt.Sprint(n))
			}
			_, err := makeFile(path)
			require.NoError(t, err)
			to, err := sqlite.NewConnector(uri(path))
			require.NoError(t, err)
			f := &faults{}
			f.after(n)
			s, err := openFile(t.Context(), path, faultyConnector{to, f}, bringUpToDate)
			if !f.heal() {
				require.NoError(t, err)
				require.NoError(t, s.Close())
				break
			}
			require.ErrorIs(t, err, errInjected, "call %d", n)
			assert.Nil(t, s)
			s = open(t, path)
			checkIntegrity(t, s)
			require.NoError(t, s.Close())
		}
	}
}

// When the log cannot be written back Close says so, and nothing is lost.
func TestFailureOfClose(t *testing.T) {
	path := twoKeys(t)
	to, err := sqlite.NewConnector(uri(path))
	require.NoError(t, err)
	f := &faults{left: -1}
	s, err := openFile(t.Context(), path, faultyConnector{to, f}, bringUpToDate)
	require.NoError(t, err)
	putKey(t, s, newKey(t, "third", "acme"))
	f.after(0)
	err = s.Close()
	require.ErrorIs(t, err, errInjected)
	require.ErrorContains(t, err, "store/sqlite: close "+path+": ")
	require.NoError(t, s.Close())
	_, err = open(t, path).Key(t.Context(), "third")
	require.NoError(t, err)
}

// Whatever SQLite makes of a call whose context ends, the error is that of the context.
func TestFailureOfContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.NotErrorIs(t, failure(ctx, "look", errInjected), context.Canceled)
	cancel()
	err := failure(ctx, "look", errInjected)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errInjected)
	require.EqualError(t, failure(ctx, "look", ctx.Err()), "store/sqlite: look: context canceled")
}
