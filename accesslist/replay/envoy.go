package replay

import (
	"fmt"
)

// envoy reads a line of Envoy in its default format, or in that of Istio:
//
//	[time] "request" status flags received sent duration upstream
//	  "forwarded" "agent" "id" "authority" "host"
//	[time] "request" status flags details failure "termination" received sent duration upstream
//	  "forwarded" "agent" "id" "authority" "host" cluster local local remote name route
//
// Envoy escapes no quotation mark in a header that it copies. A caller who sends one makes
// more fields and never fewer: such a line is not taken.
func (s *scanner) envoy(line []byte, r *Record) error {
	f := fields{rest: line}
	when := f.next()
	if len(when) < 2 || when[0] != '[' || when[len(when)-1] != ']' {
		return fmt.Errorf("%s: want a line that begins with the time in brackets", quoted(line))
	}
	var ok bool
	if r.Time, ok = s.clock.any(when[1 : len(when)-1]); !ok {
		return fmt.Errorf("the time %s: want one such as [2006-01-02T15:04:05.000Z]", quoted(when))
	}
	r.request(f.quoted())
	r.Status = f.status()
	f.next() // flags
	istio := len(f.rest) > 0 && !isDigit(f.rest[0])
	if istio {
		f.next() // details, and the failure of the transport
		f.next()
		f.quoted()
	}
	for range 4 {
		f.number()
	}
	forwarded := f.quoted()
	r.Agent = known(f.quoted())
	for range 3 {
		f.quoted()
	}
	if istio {
		for range 3 {
			f.unquoted() // cluster, and two addresses of this proxy
		}
		r.peer, r.withPort = f.unquoted(), true
		f.unquoted() // server name
		f.unquoted() // route
	}
	f.bad = f.bad || f.rest != nil
	r.forwarded = forwarded
	return f.done("the fields of Envoy's default format or of Istio's, without a quotation mark in one")
}

// unquoted returns a field without quotation marks.
func (f *fields) unquoted() []byte {
	field := f.next()
	for _, c := range field {
		f.bad = f.bad || c == '"'
	}
	return field
}
