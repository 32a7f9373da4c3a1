// Package faultproxy puts a TCP proxy between a client and a server in tests, and makes
// it fail as networks do.
//
//	proxy := faultproxy.Start(t, server.Address())
//	client := connect(proxy.Address())
//	proxy.Hold() // connections stand, nothing passes
//	...
//	proxy.Heal()
//
// A proxy is in one of three states:
//   - passing: bytes pass; the state after [Start] and [Proxy.Heal];
//   - held: connections stand and nothing passes, neither bytes nor the end of a
//     connection; nothing is lost ([Proxy.Hold]);
//   - cut: no connection stands, and new ones are closed at once ([Proxy.Cut]).
//
// [Proxy.Reset] ends the connections of a moment and leaves the state as it is.
//
// It needs nothing but the standard library, so that the tests of every module can use
// it. It is not for use outside tests, and it knows no protocol: it cannot lose one
// message and pass the next.
package faultproxy

import (
	"net"
	"sync"
	"testing"
)

type state int

const (
	passing state = iota
	held
	cut
	closed
)

// A Proxy carries bytes between clients and one server. Its methods are safe for
// concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	serving  sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	changed sync.Cond  // signals a change of them
	state   state
	conns   map[net.Conn]bool
	waiting int // directions of connections with something to pass in state held
}

// Start starts a proxy to the TCP address target, on a free port of the loopback
// address. It is closed when the test ends. A client is connected to the target when its
// connection is accepted; if the target refuses, the client's connection is closed.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("faultproxy: %v", err)
	}
	p := &Proxy{listener: listener, target: target, conns: map[net.Conn]bool{}}
	p.changed.L = &p.mu
	p.serving.Go(p.serve)
	t.Cleanup(p.Close)
	return p
}

// Address returns the host and port for clients.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Hold stops all bytes in both directions until Heal. Connections stand, and new ones are
// accepted but not yet connected to the target. Bytes on their way when Hold is called may
// still arrive.
func (p *Proxy) Hold() { p.become(held) }

// Cut ends every connection and closes new ones at once, until Heal. Bytes that were held
// or on their way are lost.
func (p *Proxy) Cut() { p.become(cut) }

// Heal ends Hold and Cut. Bytes that are still held arrive.
func (p *Proxy) Heal() { p.become(passing) }

// Reset ends every connection, and bytes that were held or on their way are lost. New
// connections are treated as before.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endConns()
}

// Close ends the proxy for good: its connections end and its port refuses new ones. It
// returns when nothing of the proxy runs any more.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.become(closed)
	p.serving.Wait()
}

func (p *Proxy) become(s state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == closed {
		return
	}
	p.state = s
	if s == cut || s == closed {
		p.endConns()
	}
	p.changed.Broadcast()
}

// endConns is called with mu held.
func (p *Proxy) endConns() {
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
	p.changed.Broadcast()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.serving.Go(func() { p.carry(client) })
	}
}

// carry connects a client to the target and returns when both connections have ended.
func (p *Proxy) carry(client net.Conn) {
	defer p.end(client)
	if !p.keep(client) || !p.wait(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.end(server)
	if !p.keep(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client) })
	both.Go(func() { p.pass(client, server) })
	both.Wait()
}

// keep notes a connection. It reports false if none may stand.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == cut || p.state == closed {
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) end(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	p.changed.Broadcast()
}

// pass copies from one connection to the other until one of them ends; then it ends
// both.
func (p *Proxy) pass(to, from net.Conn) {
	defer p.end(to)
	defer p.end(from)
	for buffer := make([]byte, 64<<10); ; {
		n, err := from.Read(buffer)
		if !p.wait(to) {
			return
		}
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// wait returns when bytes may pass. It reports false as soon as the connection they are
// for was ended.
func (p *Proxy) wait(to net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting++
	defer func() { p.waiting-- }()
	for p.state == held && p.conns[to] {
		p.changed.Wait()
	}
	return p.conns[to]
}
