package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// pollInterval is how often those who watch look by themselves.
	pollInterval = time.Second

	// pingTimeout is how long the server may take to answer on the connection that
	// listens before another is made.
	pingTimeout = 5 * time.Second
)

// A listener wakes those who watch when the server notifies of a write. It has a
// connection of its own, not one of the pool's, so that a small pool is not smaller for
// it. What it says is a hint: if it fails, those who watch find out by themselves, only
// later, and meanwhile it connects again.
type listener struct {
	ctx    context.Context
	pool   *pgxpool.Pool
	schema string

	start sync.Once
	ended chan struct{}

	mu      sync.Mutex
	waiting map[chan struct{}]bool
}

func newListener(ctx context.Context, pool *pgxpool.Pool, schema string) *listener {
	return &listener{ctx: ctx, pool: pool, schema: schema, ended: make(chan struct{}), waiting: map[chan struct{}]bool{}}
}

// join returns a channel that has a token when there may be something new. The first to
// join starts the listener.
func (l *listener) join() (hint chan struct{}, leave func()) {
	l.start.Do(func() { go l.run() })
	hint = make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[hint] = true
	return hint, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, hint)
	}
}

func (l *listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for hint := range l.waiting {
		select {
		case hint <- struct{}{}:
		default:
		}
	}
}

// wait waits until the listener has ended, whose context has.
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
		return
	}
	defer l.disconnect(conn)
	// What was written before was not told to this connection.
	l.wake()
	for {
		ctx, cancel := context.WithTimeout(l.ctx, pollInterval)
		notification, err := conn.WaitForNotification(ctx)
		cancel()
		if err == nil && notification.Payload == l.schema {
			l.wake()
		}
		if err != nil && l.ping(conn) != nil {
			return
		}
	}
}

// connect returns a connection that listens, made as the pool makes its own.
func (l *listener) connect() (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, 2*pingTimeout)
	defer cancel()
	config := l.pool.Config()
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, err
		}
	}
	// With a function of the program's to take notifications, none would be left here.
	// The configuration is a copy, and this connection nobody else's.
	config.ConnConfig.OnNotification = nil
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
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

// disconnect says good-bye, unless that takes long.
func (l *listener) disconnect(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout/10)
	defer cancel()
	_ = conn.Close(ctx)
}
