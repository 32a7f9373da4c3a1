package replay

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
)

// Options configures a replay. The zero Options recognizes the format and asks for no
// suggestion.
type Options struct {
	Format Format // zero: recognized for each log
	Client Client // zero: by format

	// Counts says which calls count, for example those of one user or below one path; nil
	// counts all. It must not keep the record. Calls that are not counted are left out of
	// everything but Report.LeftOut.
	Counts func(*Record) bool

	// CountRefused counts the calls, too, that the log says were refused (see
	// Record.Refused). They are nobody's use of the key: without it, they are left out of
	// everything but Report.AlreadyRefused.
	CountRefused bool

	// ListRequired says that something requires an access list. An empty list then refuses
	// every call, and otherwise none.
	ListRequired bool

	// At is the time as of which expiries are judged; zero: each call's own time.
	At time.Time

	// Suggest is the most entries of a suggested list, up to MaxSuggest; 0 asks for none.
	Suggest int

	// IPv6 suggests IPv6 entries, too. Set it if lists may have them (see
	// accesslist.Parser.AllowIPv6). Suggest must be 2 or more then.
	IPv6 bool

	// MaxAddresses is the most distinct addresses that are counted one by one; 0 means
	// 262,144, some 30 MB. With more, calls are counted by block, and the report says so.
	MaxAddresses int
}

// MaxSuggest bounds the time for a suggestion: the two are proportional.
const MaxSuggest = 1000

func (o Options) check() error {
	var problem error
	switch {
	case o.Suggest < 0 || o.Suggest > MaxSuggest:
		problem = fmt.Errorf("replay: a suggestion of %d entries: want 1 to %d, or 0 for none", o.Suggest, MaxSuggest)
	case o.Suggest == 1 && o.IPv6:
		problem = errors.New("replay: a suggestion of 1 entry for IPv4 and IPv6: want 2 or more")
	case o.MaxAddresses < 0 || o.MaxAddresses == 1:
		problem = fmt.Errorf("replay: at most %d addresses: want 2 or more, or 0 for %d", o.MaxAddresses, maxAddresses)
	}
	return errors.Join(o.Format.check(), o.Client.check(), problem)
}

// Read reads a log and reports what the list would have done to its calls. See [Replay] for
// several logs.
//
// Errors are invalid options and an invalid list. An unreadable end of the log and lines that
// were not read are in the report: look at [Report.Doubts] before concluding anything.
func Read(log io.Reader, list accesslist.List, options Options) (Report, error) {
	r, err := New(list, options)
	if err != nil {
		return Report{}, err
	}
	r.Read("", log)
	return r.Report(), nil
}

// A Replay collects what an access list would have done to the calls of logs. Its memory
// does not grow with the logs. It is for one goroutine.
type Replay struct {
	options Options
	list    accesslist.List
	reader  *Reader

	logs           []Log
	leftOut        uint64
	alreadyRefused uint64
	leftOutBefore  uint64 // calls that the guard did not log
	calls          uint64
	served         uint64
	first, last    time.Time // of the calls
	origin         origin
	keys           keys
	usage          map[netip.Prefix]*accesslist.Usage
	refused        *tally

	// seen is the input of a suggestion, nil if none is wanted: the clients with at least
	// one call that was answered with success.
	seen        *tally
	unspecified uint64            // calls from 0.0.0.0 or ::, for which no entry is possible
	failed      [1000]uint64      // calls without success, by status
	entry       *accesslist.Usage // of entryPrefix, which is asked for again most often
	entryPrefix netip.Prefix
}

// New returns a Replay without logs. An invalid list and invalid options are errors.
func New(list accesslist.List, options Options) (*Replay, error) {
	err := options.check()
	if !list.IsValid() {
		err = errors.Join(err, errors.New("replay: the list is invalid: want the error looked at that came with it"))
	}
	if err != nil {
		return nil, err
	}
	limit := options.MaxAddresses
	if limit == 0 {
		limit = maxAddresses
	}
	reader := NewReader(nil)
	reader.Format, reader.Client = options.Format, options.Client
	r := &Replay{
		options: options,
		list:    list,
		reader:  reader,
		origin:  newOrigin(),
		usage:   make(map[netip.Prefix]*accesslist.Usage),
		refused: newTally(limit),
	}
	if options.Suggest > 0 {
		r.seen = newTally(limit)
	}
	return r, nil
}

// Read reads a log to its end and returns what was read of it. The name is for the report.
// The format is recognized anew for each log.
func (r *Replay) Read(name string, log io.Reader) Log {
	r.reader.Reset(log)
	for {
		record, err := r.reader.Read()
		if err == nil {
			r.add(record)
			continue
		}
		if _, bad := err.(*LineError); !bad {
			break
		}
	}
	read := r.reader.Log()
	read.Name = name
	r.logs = append(r.logs, read)
	return read
}

// add judges a call and counts it.
func (r *Replay) add(record *Record) {
	r.leftOutBefore += record.LeftOut
	switch {
	case r.options.Counts != nil && !r.options.Counts(record):
		r.leftOut++
		return
	case record.Refused() && !r.options.CountRefused:
		r.alreadyRefused++
		return
	}
	r.calls++
	if r.first.IsZero() || record.Time.Before(r.first) {
		r.first = record.Time
	}
	if record.Time.After(r.last) {
		r.last = record.Time
	}
	r.origin.add(record)
	if record.Key != nil {
		r.keys.add(record.Key)
	}
	now := record.Time
	if !r.options.At.IsZero() {
		now = r.options.At
	}
	entry, listed := r.list.Match(record.Client, now)
	if listed {
		r.use(entry.Prefix(), record)
	}
	if listed || r.list.IsEmpty() && !r.options.ListRequired && record.Client.Zone() == "" {
		r.served++
	} else {
		r.refused.add(record.Client, record.Time)
	}
	if r.seen != nil {
		r.see(record, listed)
	}
}

// use counts a call on the entry that admitted it (rule A11).
func (r *Replay) use(entry netip.Prefix, record *Record) {
	u := r.entry
	if u == nil || entry != r.entryPrefix {
		if u = r.usage[entry]; u == nil {
			u = new(accesslist.Usage)
			r.usage[entry] = u
		}
		r.entry, r.entryPrefix = u, entry
	}
	u.Count++
	if !record.Time.Before(u.Last) {
		u.Last, u.LastAddress = record.Time, record.Client
	}
}

// see notes a client for the suggestion, if the call was answered with success. Others are
// of anybody: scanners, and callers with a wrong secret.
func (r *Replay) see(record *Record, listed bool) {
	client := record.Client.Unmap()
	switch {
	case !record.Succeeded():
		r.failed[record.Status]++
	case client.IsUnspecified() || client.Zone() != "":
		r.unspecified++
	case client.Is4() || r.options.IPv6 || !listed:
		r.seen.add(client, record.Time)
	}
}
