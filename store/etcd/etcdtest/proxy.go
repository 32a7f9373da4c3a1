package etcdtest

import (
	"net"
	"sync"
)

// A proxy carries the bytes between clients and one member, until it is told to hold
// them. What is held is not lost and no connection breaks: that is how a network behaves
// that has stopped to carry packets, and harder to notice than a process that ended.
type proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	free   chan struct{} // closed while bytes may pass
	conns  map[net.Conn]bool
	closed bool
}

func newProxy(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: target, free: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.free)
	go p.serve()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// hold has no byte pass, until release.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.free:
		p.free = make(chan struct{})
	default:
	}
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.free:
	default:
		close(p.free)
	}
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.release()
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(client)
	}
}

// carry joins a client to the member. If there is none, the client's connection is
// closed, as the machine would do where no process listens.
func (p *proxy) carry(client net.Conn) {
	p.wait()
	member, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	if !p.keep(client, member) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(member, client) })
	both.Go(func() { p.copy(client, member) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, member)
	p.mu.Unlock()
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
		if p.closed {
			_ = conn.Close()
		}
	}
	return !p.closed
}

// copy ends both connections when it ends.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.wait()
		if _, writeErr := to.Write(buffer[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

func (p *proxy) wait() {
	p.mu.Lock()
	free := p.free
	p.mu.Unlock()
	<-free
}
