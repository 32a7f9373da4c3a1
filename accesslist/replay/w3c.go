package replay

import (
	"bytes"
	"fmt"
	"strings"
)

// w3cColumns are the places of a line's fields, from 1 on; 0 if there is no such field.
type w3cColumns struct {
	count                                int
	date, time, client, forwarded, named int
	status, method, path, user, agent    int
}

// cloudFrontFields are the fields of CloudFront's standard log, for files without a head.
const cloudFrontFields = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) " +
	"x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type " +
	"cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end"

// w3c reads a line of the W3C Extended Log File Format with spaces, as IIS writes it.
func (s *scanner) w3c(line []byte, r *Record) error {
	if s.isDirective(line) {
		return errOther
	}
	if s.columns.count == 0 {
		return fmt.Errorf("%s before any #Fields: want the head of the log, which names the fields", quoted(line))
	}
	return s.w3cLine(line, ' ', &s.columns, r)
}

// cloudFront reads a line of CloudFront's standard log: W3C with tabs.
func (s *scanner) cloudFront(line []byte, r *Record) error {
	if s.isDirective(line) {
		return errOther
	}
	if s.columns.count > 0 {
		return s.w3cLine(line, '\t', &s.columns, r)
	}
	if s.withoutHead.count == 0 {
		s.withoutHead = columnsOf(cloudFrontFields, s.client.Field)
	}
	return s.w3cLine(line, '\t', &s.withoutHead, r)
}

// isDirective reports whether a line is a comment or a directive, and takes the names of the
// fields from #Fields.
func (s *scanner) isDirective(line []byte) bool {
	if len(line) == 0 || line[0] != '#' {
		return false
	}
	if names, ok := bytes.CutPrefix(line, []byte("#Fields:")); ok {
		s.columns = columnsOf(string(names), s.client.Field)
	}
	return true
}

func columnsOf(names, named string) (c w3cColumns) {
	for i, name := range strings.Fields(names) {
		c.count = i + 1
		var place *int
		switch strings.ToLower(name) {
		case "date":
			place = &c.date
		case "time":
			place = &c.time
		case "c-ip":
			place = &c.client
		case "x-forwarded-for", "cs(x-forwarded-for)":
			place = &c.forwarded
		case "sc-status":
			place = &c.status
		case "cs-method":
			place = &c.method
		case "cs-uri-stem", "cs-uri":
			place = &c.path
		case "cs-username":
			place = &c.user
		case "cs(user-agent)":
			place = &c.agent
		}
		if place != nil && *place == 0 {
			*place = i + 1
		}
		if named != "" && strings.EqualFold(name, named) {
			c.named = i + 1
		}
	}
	return c
}

// w3cLine reads a line by the places of its fields.
func (s *scanner) w3cLine(line []byte, separator byte, c *w3cColumns, r *Record) error {
	if c.date == 0 || c.time == 0 || c.client == 0 {
		return fmt.Errorf("no date, time or c-ip among the fields: want the three logged")
	}
	var date, when, status []byte
	i := 0
	for rest := line; ; {
		end := bytes.IndexByte(rest, separator)
		field := rest
		if end >= 0 {
			field = rest[:end]
		}
		i++
		switch i {
		case c.date:
			date = field
		case c.time:
			when = field
		case c.client:
			r.peer = field
		case c.forwarded:
			r.forwarded = field
		case c.status:
			status = field
		case c.method:
			r.Method = known(field)
		case c.path:
			r.Path = known(field)
		case c.user:
			r.User = known(field)
		case c.agent:
			r.Agent = known(field)
		}
		if i == c.named {
			r.named = field
		}
		if end < 0 {
			break
		}
		rest = rest[end+1:]
	}
	if i != c.count {
		return fmt.Errorf("%d fields in %s: want the %d that #Fields names", i, quoted(line), c.count)
	}
	midnight, ok := s.clock.isoDay(date)
	clock, ok2 := parseClock(when)
	if !ok || !ok2 {
		return fmt.Errorf("the time %s %s: want one such as 2006-01-02 15:04:05", quoted(date), quoted(when))
	}
	r.Time = unixTime(midnight + clock)
	f := fields{rest: status}
	if r.noStatus = c.status == 0; !r.noStatus {
		if r.Status = f.status(); f.bad {
			return fmt.Errorf("the status %s: want three digits", quoted(status))
		}
	}
	return nil
}
