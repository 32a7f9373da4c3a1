package main

import (
	"fmt"
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

	parser     lineParser
	complete   bool // no log had to be given up
	lines, bad uint64
	reasons    [math.MaxUint8 + 1]uint64 // requests by policy.Reason
	wouldDeny  [math.MaxUint8 + 1]uint64
	first      time.Time // of the requests
	last       time.Time
	usage      map[netip.Prefix]*accesslist.Usage
	denied     *tally

	// seen is the input of a suggestion, nil if none is wanted: all IPv4 clients, and the
	// IPv6 clients without an entry, for the report to count as left out.
	seen        *tally
	unspecified uint64 // requests from 0.0.0.0, for which no entry is possible
}

func newReplay(c config, list accesslist.List, p *progress, maxKeys int) *replay {
	const organization = "replay"
	key := &apikey.Key{ID: "replayed", Organization: organization, AccessList: list}
	r := &replay{
		config:   c,
		list:     list,
		progress: p,
		complete: true,
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
		if err := r.read(lines, s.name, counting, before); err != nil {
			r.complete = false
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

func (r *replay) read(lines *lineReader, name string, log *countingReader, before int64) error {
	if err := lines.reset(log); err != nil {
		return fmt.Errorf("it begins like a gzip file and is none: %w", err)
	}
	for number := 1; ; number++ {
		line, err := lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil && err != errTooLong {
			return fmt.Errorf("line %d and what follows cannot be read: %w", number, err)
		}
		r.lines++
		if err == nil {
			err = r.decide(line)
		}
		if err != nil {
			r.bad++
			if r.bad <= maxTold {
				r.progress.printf("replay: %s:%d: %v\n", name, number, err)
			}
		}
		if r.lines%4096 == 0 {
			r.progress.update(r.lines, before+log.read)
		}
	}
}

// decide decides the request of one line. The error says why a line is bad.
func (r *replay) decide(line []byte) error {
	record, err := r.parser.parse(line)
	if err != nil {
		return err
	}
	now := record.time
	if !r.config.at.IsZero() {
		now = r.config.at
	}
	r.request.Client = record.client
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
		r.denied.add(record.client)
	}
	entry, listed := d.Entry()
	if listed {
		r.use(entry.Prefix(), record)
	}
	if r.seen != nil {
		r.see(record.client, listed)
	}
	return nil
}

// use counts a call on the entry that admitted it (rule A11).
func (r *replay) use(entry netip.Prefix, record record) {
	u := r.usage[entry]
	if u == nil {
		u = new(accesslist.Usage)
		r.usage[entry] = u
	}
	u.Count++
	if !record.time.Before(u.Last) {
		u.Last, u.LastAddress = record.time, record.client
	}
}

// see notes a client for the suggestion.
func (r *replay) see(client netip.Addr, listed bool) {
	client = client.Unmap()
	switch {
	case client.Is4() && client.IsUnspecified():
		r.unspecified++
	case client.Is4() || !listed:
		r.seen.add(client)
	}
}
