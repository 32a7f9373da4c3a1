// Package freeport finds TCP ports for programs that tests start as servers. A test that is
// the server itself has no need for it: it listens at port 0.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// The ports are below those that the system gives to port 0 and to outgoing connections: 32,768
// to 60,999 with Linux, 49,152 and more with others.
const first, last = 10_000, 31_999

// Reserve returns a port at which nobody listens on 127.0.0.1 or ::1. No other call returns
// it, in this process or another, until it is released: until then the next port has a
// listener, which is for nothing else. The error says that there is no such port.
func Reserve() (port int, release func(), err error) { return reserve(first, last) }

// reserve looks for an even port from a random one on.
func reserve(first, last int) (port int, release func(), err error) {
	pairs := (last - first + 1) / 2
	start := rand.IntN(pairs)
	for i := range pairs {
		port := first + (start+i)%pairs*2
		held, err := net.Listen("tcp", address("127.0.0.1", port+1))
		if err != nil {
			continue
		}
		if isFree("127.0.0.1", port) && isFree("::1", port) {
			return port, func() { _ = held.Close() }, nil
		}
		_ = held.Close()
	}
	return 0, nil, fmt.Errorf("freeport: none of the ports %d to %d is free on 127.0.0.1 with the next one", first, last)
}

// isFree tells that nobody listens. A machine without IPv6 has nobody who does at ::1.
func isFree(host string, port int) bool {
	l, err := net.Listen("tcp", address(host, port))
	if err != nil {
		return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
	}
	return l.Close() == nil
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
