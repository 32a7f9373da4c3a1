package replay

import (
	"bytes"
	"fmt"
)

// haproxy reads a line of HAProxy, of option httplog, httpslog or tcplog:
//
//	client:port [time] frontend backend/server 1/2/3/4/5 status bytes - - ---- 1/1/1/1/0 0/0 {…} {…} "request" …
//	client:port [time] frontend backend/server 1/2/3 bytes -- 1/1/1/1/0 0/0
//
// The times have no zone: they are of the machine's clock. A connection that failed before a
// request, as in the handshake of TLS, has another line and is none.
func (s *scanner) haproxy(line []byte, r *Record) error {
	f := fields{rest: line}
	r.peer, r.withPort = f.next(), true
	when := f.next()
	if len(when) < 2 || when[0] != '[' || when[len(when)-1] != ']' {
		return fmt.Errorf("%s after the client: want the time in brackets", quoted(when))
	}
	var ok bool
	if r.Time, ok = s.clock.any(when[1 : len(when)-1]); !ok {
		return fmt.Errorf("the time %s: want one such as [02/Jan/2006:15:04:05.000]", quoted(when))
	}
	if frontend := f.next(); bytes.HasSuffix(frontend, []byte(":")) && bytes.IndexByte(frontend, '/') > 0 {
		return errOther // frontend/listener: SSL handshake failure
	}
	f.next() // backend/server
	timers := f.slashed()
	if timers == 3 { // TCP has neither status nor request
		r.noStatus = true
		f.number()
		f.next()
		f.counts(false)
		return f.done("bytes, state and two groups of counts")
	}
	f.bad = f.bad || timers != 5
	r.Status = f.status()
	f.number() // bytes
	f.next()   // captured cookies
	f.next()
	f.next() // state at the end
	f.counts(true)
	if err := f.done("five times, status, bytes, two cookies, the state, two groups of counts and the request"); err != nil {
		return err
	}
	// HAProxy writes a quotation mark in a captured header or a request as #22.
	for range 2 {
		if bytes.HasPrefix(f.rest, []byte("{")) {
			_, rest, found := bytes.Cut(f.rest, []byte("} "))
			if !found {
				return fmt.Errorf("%s: want the request after captured headers", quoted(f.rest))
			}
			f.rest = rest
		}
	}
	r.request(f.quoted())
	for f.rest != nil && !f.bad {
		f.next() // of option httpslog
	}
	return f.done("the request in quotes at the end")
}

// slashed skips numbers joined by slashes, and returns how many.
func (f *fields) slashed() int {
	field := f.next()
	n := 1
	digits := 0
	for i, c := range field {
		switch {
		case isDigit(c):
			digits++
		case c == '/' && digits > 0:
			n++
			digits = 0
		case (c == '-' || c == '+') && (i == 0 || field[i-1] == '/'):
		default:
			f.bad = true
		}
	}
	f.bad = f.bad || digits == 0
	return n
}

// counts skips the counts of connections and of the queues, after which there is more or
// nothing.
func (f *fields) counts(more bool) {
	connections := f.slashed()
	queues := f.slashed()
	f.bad = f.bad || connections != 5 || queues != 2 || (f.rest != nil) != more
}
