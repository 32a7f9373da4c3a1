package faultproxy

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for something that must come.
const patience = time.Minute

// A server accepts connections and hands them to the test.
type server struct {
	net.Listener
	conns chan net.Conn
}

func listen(t *testing.T) server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	s := server{listener, make(chan net.Conn, 16)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns <- conn
		}
	}()
	return s
}

// accepted returns the next connection that reached the server.
func (s server) accepted(t *testing.T) net.Conn {
	t.Helper()
	select {
	case conn := <-s.conns:
		return watched(t, conn)
	case <-time.After(patience):
		require.FailNow(t, "no connection reached the server")
		return nil
	}
}

// dial connects a client to the proxy.
func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	require.NoError(t, err)
	return watched(t, conn)
}

func watched(t *testing.T, conn net.Conn) net.Conn {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// carries sends a text one way and reads it at the other end.
func carries(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(from, text)
	require.NoError(t, err)
	arrives(t, to, text)
}

func arrives(t *testing.T, to net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_, err := io.ReadFull(to, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// ends reads until the connection ends and checks that nothing came before.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	got, err := io.ReadAll(conn)
	assert.Empty(t, got)
	var timeout net.Error
	if errors.As(err, &timeout) {
		assert.False(t, timeout.Timeout(), "the connection stands: %v", err)
	}
}

// holding waits until n directions of connections have something to pass.
func holding(t *testing.T, p *Proxy, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.waiting == n
	}, patience, time.Millisecond)
}

// started returns a proxy with one connection that has carried something.
func started(t *testing.T) (p *Proxy, s server, client, there net.Conn) {
	t.Helper()
	s = listen(t)
	p = Start(t, s.Addr().String())
	client = dial(t, p)
	there = s.accepted(t)
	carries(t, client, there, "question")
	carries(t, there, client, "answer")
	return p, s, client, there
}

func TestPasses(t *testing.T) {
	_, _, client, there := started(t)
	large := strings.Repeat("0123456789abcdef", 1<<16)
	go func() { _, _ = io.WriteString(client, large) }()
	arrives(t, there, large)
	require.NoError(t, client.Close())
	ends(t, there)
}

// TestHold: what is sent stands, both ways, and comes when the network heals, with the
// end of the connection behind it. Cut below shows that none of it came before.
func TestHold(t *testing.T) {
	p, _, client, there := started(t)
	p.Hold()
	for from, text := range map[net.Conn]string{client: "late question", there: "late answer"} {
		_, err := io.WriteString(from, text)
		require.NoError(t, err)
	}
	holding(t, p, 2)
	require.NoError(t, there.Close())
	p.Heal()
	arrives(t, client, "late answer")
	ends(t, client)
}

func TestHoldHoldsNewConnections(t *testing.T) {
	p, s, _, _ := started(t)
	p.Hold()
	client := dial(t, p)
	holding(t, p, 1)
	assert.Empty(t, s.conns)
	p.Heal()
	carries(t, client, s.accepted(t), "late question")
}

// TestCut: what was held is lost, and no connection can be made until the network heals.
func TestCut(t *testing.T) {
	p, s, client, there := started(t)
	p.Hold()
	_, err := io.WriteString(client, "lost question")
	require.NoError(t, err)
	_, err = io.WriteString(there, "lost answer")
	require.NoError(t, err)
	waiting := dial(t, p)
	holding(t, p, 3)
	p.Cut()
	ends(t, client)
	ends(t, there)
	ends(t, waiting)
	ends(t, dial(t, p))
	assert.Empty(t, s.conns)
	p.Heal()
	client = dial(t, p)
	carries(t, client, s.accepted(t), "another question")
}

// TestReset: connections end and new ones can be made, at once or, if the network is
// held, when it heals.
func TestReset(t *testing.T) {
	p, s, client, there := started(t)
	p.Reset()
	ends(t, client)
	ends(t, there)
	client = dial(t, p)
	there = s.accepted(t)
	carries(t, client, there, "another question")

	p.Hold()
	_, err := io.WriteString(client, "lost question")
	require.NoError(t, err)
	holding(t, p, 1)
	p.Reset()
	ends(t, client)
	ends(t, there)
	client = dial(t, p)
	holding(t, p, 1)
	assert.Empty(t, s.conns)
	p.Heal()
	carries(t, client, s.accepted(t), "late question")
}

func TestClose(t *testing.T) {
	p, _, client, there := started(t)
	p.Hold()
	_, err := io.WriteString(client, "lost question")
	require.NoError(t, err)
	holding(t, p, 1)
	p.Close()
	ends(t, client)
	ends(t, there)
	assert.Empty(t, p.conns)
	assert.Zero(t, p.waiting)
	p.Heal()
	p.Close()
	_, err = net.Dial("tcp", p.Address())
	assert.ErrorContains(t, err, "refused")
}

// TestNobodyListens: the client notices, as it would without a proxy.
func TestNobodyListens(t *testing.T) {
	s := listen(t)
	require.NoError(t, s.Close())
	p := Start(t, s.Addr().String())
	ends(t, dial(t, p))
}

// TestConcurrentFaults has the network fail and heal while connections come and go.
func TestConcurrentFaults(t *testing.T) {
	s := listen(t)
	p := Start(t, s.Addr().String())
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case conn := <-s.conns:
				all.Go(func() { _, _ = io.Copy(conn, conn); _ = conn.Close() })
			case <-done:
				return
			}
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 50 {
				conn, err := net.Dial("tcp", p.Address())
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = conn.Write([]byte("echo"))
				_, _ = io.ReadFull(conn, make([]byte, 4))
				_ = conn.Close()
			}
		})
	}
	faults := make(chan struct{})
	go func() {
		defer close(faults)
		for n := range 200 {
			[]func(){p.Hold, p.Reset, p.Heal, p.Cut, p.Heal}[n%5]()
		}
	}()
	<-faults
	clients.Wait()
	p.Close()
	close(done)
	all.Wait()
	assert.Empty(t, p.conns)
}
