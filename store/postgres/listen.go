package postgres

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	// pollInterval is the longest time between two looks of a watcher.
	pollInterval = time.Second

	// pingInterval is how often the server is asked for a sign of life on the listening
	// connection.
	pingInterval = 5 * time.Second

	// pingTimeout is how long the server may take to answer on the listening connection
	// before it is replaced.
	pingTimeout = 5 * time.Second
)

// A listener wakes watchers when the server notifies of a write. It has a connection of its
// own, since a small pool cannot spare one. A notification is a hint: while the listener
// fails and connects again, watchers still look, only later.
type listener struct {
	ctx    context.Context
	pool   *pgxpool.Pool
	schema string

	notifier *notifier // of the same store

	start sync.Once
	ended chan struct{}

	waker adapter.Waker

	heard   atomic.Bool           // a notification arrived
	unheard atomic.Int64          // changes that watchers found by themselves
	failure atomic.Pointer[error] // of the last attempt to listen, nil while listening
	warning sync.Once
}

// maxUnheard is the number of changes found without any notification before a warning. A
// few may have been written by hand, or just when a watcher looked.
const maxUnheard = 5

// missed counts a change that a watcher found by itself. If no notification has ever
// arrived, it says so once in the log.
func (l *listener) missed() {
	if l.heard.Load() || l.unheard.Add(1) < maxUnheard {
		return
	}
	l.warning.Do(func() {
		why := "LISTEN succeeded"
		if err := l.failure.Load(); err != nil {
			why = (*err).Error()
		}
		slog.Warn("store/postgres: no notification arrives, so watchers learn of a write only when they look, once a second: want a pool to the server itself, or through PgBouncer in mode \"session\"", "listening", why)
	})
}

func newListener(ctx context.Context, pool *pgxpool.Pool, schema string) *listener {
	return &listener{ctx: ctx, pool: pool, schema: schema, ended: make(chan struct{})}
}

// join returns a channel with a token when something may be new. The first join starts the
// listener.
func (l *listener) join() (woken <-chan struct{}, leave func()) {
	l.start.Do(func() { go l.run() })
	return l.waker.Wait()
}

// wait waits for the end of the listener, after that of its context.
func (l *listener) wait() {
	l.start.Do(func() { close(l.ended) })
	<-l.ended
}

// run listens until the context ends, with one connection after another.
func (l *listener) run() {
	defer close(l.ended)
	for l.ctx.Err() == nil {
		l.listen()
		select {
		case <-l.ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// listen listens with one connection until it fails.
func (l *listener) listen() {
	conn, err := l.connect()
	if err != nil {
		l.failure.Store(&err)
		return
	}
	l.failure.Store(nil)
	defer l.disconnect(conn)
	// This connection was not notified of earlier writes.
	l.waker.Wake()
	for {
		ctx, cancel := context.WithTimeout(l.ctx, pingInterval)
		notification, err := conn.WaitForNotification(ctx)
		cancel()
		if err == nil {
			l.hear(notification.Payload)
		}
		if err != nil && l.ping(conn) != nil {
			return
		}
	}
}

// hear wakes the watchers if a notification is for them.
func (l *listener) hear(message string) {
	if revision, is := concerns(message, l.schema); is {
		l.heard.Store(true)
		l.notifier.notified(revision)
		l.waker.Wake()
	}
}

// connect returns a listening connection, made as the pool makes its own.
func (l *listener) connect() (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, 2*pingTimeout)
	defer cancel()
	config := l.pool.Config()
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, err
		}
	}
	// A function of the program's would take the notifications. The configuration is a
	// copy, so its own connections keep the function.
	config.ConnConfig.OnNotification = nil
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	// A server without such locks is no reason not to listen. Before LISTEN, or behind a
	// pooler this statement could receive a notification, and later ones none.
	_, _ = conn.Exec(ctx, followLockSQL, l.schema)
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		l.disconnect(conn)
		return nil, err
	}
	return conn, nil
}

func (l *listener) ping(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(l.ctx, pingTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// disconnect closes the connection, in order if that does not take long.
func (l *listener) disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout/10)
	defer cancel()
	_ = conn.Close(ctx)
}
