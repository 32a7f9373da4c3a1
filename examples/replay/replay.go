package main

import (
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// maxTold is the number of bad lines reported one by one.
const maxTold = 20

// A replay decides the requests of logs as if all came with one key, and keeps the counts
// for the report. Its memory does not grow with the logs.
type replay struct {
	config   config
	list     accesslist.List
	progress *progress

	// The question for each line: only the client differs.
	subject policy.Subject
	request policy.Request

	parser      lineParser
	record      record // of the present line
	logs        []logReport
	lines, bad  uint64
	second      uint64 // requests with the client in the second field
	unforwarded uint64 // lines without a forwarded address, which are not judged
	origin      origin
	reasons     [math.MaxUint8 + 1]uint64 // requests by policy.Reason
	wouldDeny   [math.MaxUint8 + 1]uint64
	first       time.Time // of the requests
	last        time.Time
	usage       map[netip.Prefix]*accesslist.Usage
	denied      *tally

	// seen is the input of a suggestion, nil if none is wanted: the IPv4 clients, and the
	// IPv6 clients without an entry, for the report to count as left out. Both have at
	// least one request that was answered with success.
	seen        *tally
	unspecified uint64       // requests from 0.0.0.0, for which no entry is possible
	failed      [1000]uint64 // requests without success, by status
}

func newReplay(c config, list accesslist.List, p *progress, maxKeys int) *replay {
	const organization = "replay"
	key := &apikey.Key{ID: "replayed", Organization: organization, AccessList: list}
	r := &replay{
		config:   c,
		list:     list,
		progress: p,
		parser:   lineParser{field: c.client},
		origin:   origin{seed: maphash.MakeSeed()},
		subject:  policy.NewSubject(key, &policy.Organization{ID: organization, Requirement: c.requirement}),
		request: policy.Request{
			Key:          key.ID,
			Verifier:     policy.AlreadyVerified{}, // a log has no secrets
			Organization: organization,
			Endpoint:     policy.Endpoint{Name: "replayed", RequiresAccessList: c.endpointRequires},
		},
		usage:  make(map[netip.Prefix]*accesslist.Usage),
		denied: newTally(maxKeys),
	}
	if c.suggest > 0 {
		r.seen = newTally(maxKeys)
	}
	return r
}

// run reads the logs one after the other. If one cannot be read to its end, it reports that
// and goes on with the next one.
func (r *replay) run(sources []source) {
	r.progress.total = totalSize(sources)
	lines := newLineReader()
	var before int64
	for _, s := range sources {
		counting := &countingReader{Reader: s}
		r.logs = append(r.logs, logReport{Name: s.name, Complete: true})
		log := &r.logs[len(r.logs)-1]
		if err := r.read(lines, log, counting, before); err != nil {
			log.Complete, log.Problem = false, err.Error()
			r.progress.printf("replay: %s: %v\n", s.name, err)
		}
		before += counting.read
	}
	r.progress.erase()
	if r.bad > maxTold {
		r.progress.printf("replay: %s further bad lines were counted and not shown\n", thousands(r.bad-maxTold))
	}
}

// totalSize returns 0 if the size of one is unknown.
func totalSize(sources []source) (total int64) {
	for _, s := range sources {
		if s.size < 0 {
			return 0
		}
		total += s.size
	}
	return total
}

func (r *replay) read(lines *lineReader, log *logReport, bytes *countingReader, before int64) error {
	if err := lines.reset(bytes); err != nil {
		return err
	}
	r.parser.place = 0
	for {
		line, err := lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil && err != errTooLong {
			return fmt.Errorf("line %d and what follows cannot be read: %w", log.Lines+1, err)
		}
		r.lines++
		log.Lines++
		if err == nil {
			err = r.decide(log, line)
		}
		if err != nil {
			r.badLine(log, line, err)
		}
		if r.lines%4096 == 0 {
			r.progress.update(r.lines, before+bytes.read)
		}
	}
}

func (r *replay) badLine(log *logReport, line []byte, err error) {
	r.bad++
	log.BadLines++
	if log.BadLines == 1 {
		log.firstBad, log.format = err.Error(), formatOf(line)
	}
	if r.bad <= maxTold {
		r.progress.printf("replay: %s:%d: %v\n", log.Name, log.Lines, err)
	}
}

// requests returns the number of judged requests.
func (r *replay) requests() uint64 { return r.lines - r.bad - r.unforwarded }

// decide decides the request of one line. The error says why a line is bad.
func (r *replay) decide(log *logReport, line []byte) error {
	record := &r.record
	err := r.parser.parse(line, record)
	if err == errUnforwarded {
		r.unforwarded++
		return nil
	}
	if err != nil {
		return err
	}
	if record.client.port {
		log.ports++
	}
	if record.client.end {
		if log.ports > 0 {
			return fmt.Errorf("the client %v may end in a port, as others do: want IPv6 with a port in brackets", record.client)
		}
		log.ends++
	}
	if record.second {
		r.second++
	}
	r.origin.add(record)
	r.judge(record)
	return nil
}

// judge decides a request and counts the decision.
func (r *replay) judge(record *record) {
	now := record.time
	if !r.config.at.IsZero() {
		now = r.config.at
	}
	client := record.client.Addr
	r.request.Client = client
	d := policy.Evaluate(r.subject, r.request, now)

	r.reasons[d.Reason]++
	r.wouldDeny[d.WouldDeny]++
	if r.first.IsZero() || record.time.Before(r.first) {
		r.first = record.time
	}
	if record.time.After(r.last) {
		r.last = record.time
	}
	if !d.Allowed() {
		r.denied.add(client)
	}
	entry, listed := d.Entry()
	if listed {
		r.use(entry.Prefix(), record)
	}
	if r.seen != nil {
		r.see(record, listed)
	}
}

// use counts a call on the entry that admitted it (rule A11).
func (r *replay) use(entry netip.Prefix, record *record) {
	u := r.usage[entry]
	if u == nil {
		u = new(accesslist.Usage)
		r.usage[entry] = u
	}
	u.Count++
	if !record.time.Before(u.Last) {
		u.Last, u.LastAddress = record.time, record.client.Addr
	}
}

// see notes a client for the suggestion, if the request was answered with success. Others
// are of anybody: scanners, and callers with a wrong secret.
func (r *replay) see(record *record, listed bool) {
	client := record.client.Unmap()
	switch {
	case !isSuccess(record.status):
		r.failed[record.status]++
	case client.Is4() && client.IsUnspecified():
		r.unspecified++
	case client.Is4() || !listed:
		r.seen.add(client)
	}
}

// isSuccess includes 101, the status of a WebSocket.
func isSuccess(status int) bool { return 200 <= status && status <= 399 || status == 101 }
