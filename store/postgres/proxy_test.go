package postgres_test

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A proxy stands between a program and its server, and fails as networks do.
type proxy struct {
	net.Listener
	target string

	mu      sync.Mutex
	healthy *sync.Cond // signals a change of what follows
	cut     bool       // connections are reset
	silent  bool       // connections stand, and nothing goes through
	conns   map[net.Conn]bool
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: listener, target: target, conns: map[net.Conn]bool{}}
	p.healthy = sync.NewCond(&p.mu)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		p.set(true, false)
	})
	return p
}

// set has the network be as it says from now on.
func (p *proxy) set(cut, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.silent = cut, silent
	if cut {
		for conn := range p.conns {
			_ = conn.Close()
		}
		clear(p.conns)
	}
	p.healthy.Broadcast()
}

func (p *proxy) Cut()    { p.set(true, false) }
func (p *proxy) Silent() { p.set(false, true) }
func (p *proxy) Heal()   { p.set(false, false) }

// keep notes a connection, unless there are to be none.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	if p.keep(server) {
		go p.pass(server, client)
		p.pass(client, server)
	}
}

// pass copies, while the network lets it.
func (p *proxy) pass(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.silent {
			p.healthy.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
