package replay

import (
	"fmt"
	"strings"
)

// A Format is a format of access logs. What is read of each is in [formats.md].
//
// [formats.md]: https://github.com/sallyport-go/sallyport/blob/main/accesslist/replay/formats.md
type Format uint8

// The formats. Each is read with or without the prefix of a container runtime, of kubectl, of
// Docker Compose, of syslog or of journald, and inside the JSON of a log collector.
const (
	// Auto recognizes the format: that of most of the first 100 lines, in 64 KiB at most.
	Auto Format = iota

	// Guard is the log of this module's own guard: policyhttp.Log, through the JSON or the
	// text handler of log/slog. Its clients are resolved by the declared topology, and
	// Record.Key says whose call it was.
	Guard

	// Common is the Common and the Combined Log Format, as of Apache, nginx and Traefik.
	Common

	// JSON has an object a line, whose fields are known by name: Caddy, nginx, Traefik,
	// Envoy, Cloudflare, Google Cloud, Azure, log/slog.
	JSON

	ALB        // an AWS Application Load Balancer
	ELB        // an AWS Classic Load Balancer
	NLB        // an AWS Network Load Balancer: connections with TLS
	CloudFront // the standard log of AWS CloudFront
	W3C        // the W3C Extended Log File Format, as of IIS
	HAProxy    // option httplog, httpslog or tcplog
	Envoy      // the default format of Envoy, or of Istio

	formats // the number of them
)

var formatTable = [formats]struct {
	text, name string
	parse      func(*scanner, []byte, *Record) error
}{
	Auto:       {"auto", "recognized", nil},
	Guard:      {"guard", "the guard's own log", (*scanner).guardLine},
	Common:     {"common", "Common or Combined Log Format", (*scanner).common},
	JSON:       {"json", "JSON", (*scanner).jsonLine},
	ALB:        {"alb", "AWS ALB", (*scanner).alb},
	ELB:        {"elb", "AWS Classic Load Balancer", (*scanner).elb},
	NLB:        {"nlb", "AWS NLB", (*scanner).nlb},
	CloudFront: {"cloudfront", "CloudFront", (*scanner).cloudFront},
	W3C:        {"w3c", "W3C Extended Log File Format, as of IIS", (*scanner).w3c},
	HAProxy:    {"haproxy", "HAProxy", (*scanner).haproxy},
	Envoy:      {"envoy", "Envoy", (*scanner).envoy},
}

// String returns the text form: auto, guard, common, json, alb, elb, nlb, cloudfront, w3c,
// haproxy or envoy.
func (f Format) String() string {
	if f >= formats {
		return fmt.Sprintf("format %d", uint8(f))
	}
	return formatTable[f].text
}

// MarshalText implements [encoding.TextMarshaler].
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), f.check() }

// UnmarshalText implements [encoding.TextUnmarshaler]. It reads the texts of String.
func (f *Format) UnmarshalText(text []byte) error {
	for i, of := range formatTable {
		if of.text == string(text) {
			*f = Format(i)
			return nil
		}
	}
	return fmt.Errorf("replay: format %s: want one of %s", quoted(text), formatTexts())
}

func (f Format) check() error {
	if f >= formats {
		return fmt.Errorf("replay: %v is unknown: want one of %s", f, formatTexts())
	}
	return nil
}

func formatTexts() string {
	var texts []string
	for _, of := range formatTable {
		texts = append(texts, of.text)
	}
	return strings.Join(texts, ", ")
}

// A reading is how a line is read: what is around it, and its format.
type reading struct {
	around wrapper
	format Format
}

// read parses a line.
func (s *scanner) read(how reading, line []byte, r *Record) error {
	*r = Record{}
	inside, err := s.unwrap(how.around, line)
	if err != nil {
		return err
	}
	if err := formatTable[how.format].parse(s, inside, r); err != nil {
		return err
	}
	return s.choose(r)
}

// errUnknown is returned for a line in no known format.
var errUnknown = fmt.Errorf("no known format: want one of %s", formatTexts())

// recognize returns the first reading of a line that finds a request in it. Only the given
// format is tried unless it is Auto. The error says why there is none: errOther if the line
// is a comment or a message in some format.
func (s *scanner) recognize(line []byte, only Format) (reading, error) {
	var r Record
	first, last := Guard, formats-1
	if only != Auto {
		first, last = only, only
	}
	var why, faulty error // of the given format without anything around it; of a request in JSON
	other := false
	for around := range wrappers {
		if _, err := s.unwrap(around, line); err != nil {
			continue
		}
		for format := first; format <= last; format++ {
			how := reading{around, format}
			err := s.read(how, line, &r)
			if err == nil || err == errNoClient {
				return how, nil
			}
			other = other || err == errOther
			if format == JSON && err != errOther && err != errJSON {
				faulty = err
			}
			if around == bare {
				why = err
			}
		}
	}
	switch {
	case other && faulty != nil: // to the guard's log it is another message, and it has a client
		return reading{}, faulty
	case other:
		return reading{}, errOther
	case only != Auto:
		return reading{}, why
	}
	return reading{}, fmt.Errorf("%s: %w", quoted(line), errUnknown)
}

// name says how a log is read, for a report.
func (s *scanner) name(how reading) string {
	name := formatTable[how.format].name
	if how.format == JSON {
		name = s.describe()
	}
	if how.around != bare {
		name += ", " + wrapperNames[how.around]
	}
	return name
}
