package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A Reader reads the requests of a log, one a line. Logs compressed with gzip or bzip2 are
// recognized by their content. Memory does not grow with the log, and a line costs no
// allocation in most formats.
//
// Set the fields before the first call of Read.
type Reader struct {
	Format Format // zero: recognized by the first lines
	Client Client // zero: by format

	source io.Reader
	lines  *lineReader
	begun  bool
	failed error // that Read returns from now on

	scanner scanner
	other   *scanner // tries other formats on a bad line, since trying changes a scanner
	how     reading  // format Auto: not recognized yet
	record  Record
	log     Log
}

// NewReader returns a reader of a log.
func NewReader(r io.Reader) *Reader {
	reader := &Reader{lines: newLineReader()}
	reader.Reset(r)
	return reader
}

// Reset begins to read another log, with the same buffers, and with what Format and Client
// are now.
func (r *Reader) Reset(source io.Reader) {
	r.source, r.begun, r.failed = source, false, nil
	r.log = Log{}
}

// A Log is what was read of a log. Lines = Requests + NoClient + Other + Bad.
type Log struct {
	Name    string `json:"name"`
	ReadsAs string `json:"readsAs"` // such as "AWS ALB"; empty if no line was recognized

	// Problem says why the log could not be read to its end; empty if it was.
	Problem string `json:"problem,omitempty"`

	Lines    uint64 `json:"lines"`
	Requests uint64 `json:"requests"`
	NoClient uint64 `json:"noClient"` // requests whose line does not say the client
	Other    uint64 `json:"other"`    // comments, and other messages of a service
	Bad      uint64 `json:"bad"`      // lines that were not read

	// FirstBad are the errors of the first bad lines.
	FirstBad []string `json:"firstBad,omitempty"`

	// Changed is the first bad line that reads as another format, or as JSON with the client
	// in another field; zero if there is none. Such lines are bad, since the client may be
	// another machine in them. ChangedTo is how the line reads.
	Changed   uint64 `json:"changed,omitempty"`
	ChangedTo string `json:"changedTo,omitempty"`

	format      Format // as recognized
	ports, ends uint64 // addresses with a port; IPv6 that may have one, see clientAddress
	second      uint64 // requests with the client in the second field
}

// mostBad is the number of bad lines whose errors are kept.
const mostBad = 5

// A LineError is returned for a line that was not read. The next one can be.
type LineError struct {
	Line uint64 // from 1 on
	Err  error  // what is wrong, and what is wanted
}

func (e *LineError) Error() string { return fmt.Sprintf("replay: line %d: %v", e.Line, e.Err) }

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

// Log returns what was read so far.
func (r *Reader) Log() Log {
	log := r.log
	log.FirstBad = append([]string(nil), log.FirstBad...)
	return log
}

// Read returns the next request, valid until the next call. Errors are
//
//   - io.EOF at the end of the log,
//   - a *LineError for a line that was not read; the next call reads the next line,
//   - any other if the log cannot be read further.
//
// Comments, other messages of a service, and requests without a client are passed over, and
// counted in [Reader.Log].
func (r *Reader) Read() (*Record, error) {
	for {
		if err := r.begin(); err != nil {
			return nil, err
		}
		line, err := r.lines.next()
		if err != nil && err != errTooLong {
			if err != io.EOF {
				r.log.Problem = fmt.Sprintf("line %d and what follows cannot be read: %v", r.log.Lines+1, err)
				err = fmt.Errorf("replay: line %d and what follows cannot be read: %w", r.log.Lines+1, err)
			}
			r.failed = err
			return nil, err
		}
		r.log.Lines++
		if err == nil {
			err = r.readLine(line)
		}
		switch err {
		case nil:
			r.log.Requests++
			return &r.record, nil
		case errNoClient:
			r.log.NoClient++
		case errOther:
			r.log.Other++
		default:
			return nil, r.bad(line, err)
		}
	}
}

// begin opens a log and recognizes its format, once.
func (r *Reader) begin() error {
	if r.begun {
		return r.failed
	}
	r.begun = true
	if r.failed = errors.Join(r.Format.check(), r.Client.check()); r.failed != nil {
		return r.failed
	}
	if err := r.lines.reset(r.source); err != nil {
		r.failed = fmt.Errorf("replay: %w", err)
		r.log.Problem = err.Error()
		return r.failed
	}
	r.scanner.client = r.Client
	how := r.recognized(&r.scanner)
	if how.format == Auto && r.Client != (Client{}) {
		// Lines without the client that is wanted: their own format says what is missing.
		how = r.recognized(new(scanner))
	}
	r.recognize(how)
	return nil
}

// recognize notes how the log is read.
func (r *Reader) recognize(how reading) {
	r.how, r.log.format = how, how.format
	if how.format != Auto {
		r.log.ReadsAs = r.scanner.name(how)
	}
}

// recognized returns the reading of most of the first lines; of format Auto if there is none.
func (r *Reader) recognized(s *scanner) (most reading) {
	s.reset()
	defer s.reset()
	counts := make(map[reading]int)
	n := 0
	for line := range bytes.Lines(r.lines.sample()) {
		if n++; n > sampled {
			break
		}
		how, err := s.recognize(bytes.TrimRight(line, "\r\n"), r.Format)
		if err != nil {
			continue
		}
		if counts[how]++; counts[how] > counts[most] {
			most = how
		}
	}
	return most
}

// sampled is the number of lines by which a format is recognized: that of most of them.
const sampled = 100

// readLine reads a line into the record.
func (r *Reader) readLine(line []byte) error {
	s := &r.scanner
	if r.how.format == Auto {
		if r.Format == Auto && !r.worthTrying() {
			return errUnknown
		}
		how, err := s.recognize(line, r.Format)
		if s.json.reset(); err != nil {
			return err
		}
		r.recognize(how)
	}
	if err := s.read(r.how, line, &r.record); err != nil {
		return err
	}
	from := &r.record.from
	if from.port {
		r.log.ports++
	}
	if from.end {
		if r.log.ports > 0 {
			return fmt.Errorf("the client %v may end in a port, as others do: want IPv6 with a port in brackets", from.Addr)
		}
		r.log.ends++
	}
	if r.record.second {
		r.log.second++
	}
	if r.log.Requests == 0 {
		r.log.ReadsAs = s.name(r.how) // with the field of the client, if it is JSON
	}
	return nil
}

// worthTrying bounds the time for looking at lines that are not read: the first thousand,
// and then one in a hundred.
func (r *Reader) worthTrying() bool { return r.log.Bad < 1000 || r.log.Bad%100 == 0 }

// bad counts a line that was not read, and looks whether it has another format.
func (r *Reader) bad(line []byte, err error) error {
	if r.log.Changed == 0 && line != nil && r.worthTrying() {
		if r.other == nil {
			r.other = new(scanner)
		}
		r.other.json.reset()
		if r.scanner.columns.count > 0 {
			r.other.columns = r.scanner.columns
		}
		how, err := r.other.recognize(line, Auto)
		if name := r.other.name(how); err == nil && (how != r.how || r.Client == (Client{}) && name != r.log.ReadsAs) {
			r.log.Changed, r.log.ChangedTo = r.log.Lines, name
		}
	}
	r.log.Bad++
	problem := &LineError{r.log.Lines, err}
	if len(r.log.FirstBad) < mostBad {
		r.log.FirstBad = append(r.log.FirstBad, fmt.Sprintf("line %d: %v", problem.Line, err))
	}
	return problem
}
