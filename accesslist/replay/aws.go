package replay

import (
	"bytes"
	"errors"
	"fmt"
)

// alb reads a line of an AWS Application Load Balancer:
//
//	type time elb client:port target:port time time time status status received sent
//	"request" "agent" cipher protocol group "trace" "domain" "certificate" priority
//	created "actions" "redirect" "error" …
//
// Fields that AWS may add at the end are skipped.
func (s *scanner) alb(line []byte, r *Record) error {
	f := fields{rest: line}
	switch string(f.next()) {
	case "http", "https", "h2", "grpcs", "ws", "wss":
	default:
		return fmt.Errorf("%s: want a line that begins with http, https, h2, grpcs, ws or wss", quoted(line))
	}
	if err := s.balanced(&f, r); err != nil {
		return err
	}
	f.next() // cipher, protocol, target group
	f.next()
	f.next()
	for range 3 { // trace, domain, certificate
		f.quoted()
	}
	f.number() // priority of the rule
	f.next()   // creation of the request
	for range 3 {
		f.quoted() // actions, redirect, error
	}
	for f.rest != nil && !f.bad {
		if f.rest[0] == '"' {
			f.quoted()
		} else {
			f.next()
		}
	}
	return f.done("the actions, the redirect and the error in quotes at the end")
}

// elb reads a line of an AWS Classic Load Balancer: an alb's from the time on to the
// protocol of TLS.
func (s *scanner) elb(line []byte, r *Record) error {
	f := fields{rest: line}
	if err := s.balanced(&f, r); err != nil {
		return err
	}
	f.next()
	f.next()
	f.bad = f.bad || f.rest != nil
	return f.done("cipher and protocol at the end")
}

// balanced reads the fields that both kinds of load balancer have.
func (s *scanner) balanced(f *fields, r *Record) error {
	when := f.next()
	var ok bool
	if r.Time, ok = s.clock.any(when); !ok {
		return fmt.Errorf("the time %s: want one such as 2006-01-02T15:04:05.000000Z", quoted(when))
	}
	f.next() // the name of the balancer
	r.peer, r.withPort = f.next(), true
	f.next() // target
	for range 3 {
		f.number() // processing times
	}
	r.Status = f.status()
	f.next() // the target's status
	f.number()
	f.number()
	r.request(f.quoted())
	r.Agent = f.quoted()
	return f.done("client, target, three times, two statuses, two sizes, request and agent")
}

// nlb reads a line of an AWS Network Load Balancer, about a connection with TLS:
//
//	tls 2.0 time elb listener client:port target:port time time received sent alert
//	certificate serial cipher protocol group domain alpn alpn "alpn,…" created
//
// Older lines lack the last fields.
func (s *scanner) nlb(line []byte, r *Record) error {
	rest, ok := bytes.CutPrefix(line, []byte("tls "))
	if !ok {
		return fmt.Errorf("%s: want a line that begins with tls", quoted(line))
	}
	f := fields{rest: rest}
	f.number() // version
	when := f.next()
	if r.Time, ok = s.clock.any(when); !ok {
		return fmt.Errorf("the time %s: want one such as 2006-01-02T15:04:05", quoted(when))
	}
	f.next() // balancer
	f.next() // listener
	r.peer, r.withPort, r.noStatus = f.next(), true, true
	f.next() // target
	for range 4 {
		f.number() // times and sizes
	}
	for range 7 {
		f.next() // alert, certificate, serial, cipher, protocol, group, domain
	}
	for f.rest != nil && !f.bad {
		f.next()
	}
	return f.done("18 fields at least")
}

// done returns an error if a field was missing or of another kind.
func (f *fields) done(want string) error {
	if f.bad {
		return errors.New("fields are missing or of another kind: want " + want)
	}
	return nil
}
