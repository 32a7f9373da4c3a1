// Replay applies an access list to the requests of a log. It reports the served and the
// denied requests, the denied clients, the unused entries and, with -suggest, a list to
// serve all clients. Use it to try a list or a requirement before putting it into force.
//
//	go run ./examples/replay [flags] LIST [LOG ...]
//
// LIST is a file with one entry a line, in the text form of package accesslist:
//
//	# the office
//	198.51.100.0/24 expires=2027-01-01T00:00:00Z
//	203.0.113.7     # the build server
//
// A file without entries is refused; the word "empty" in it stands for an open list.
//
// LOG is an access log of Apache, nginx or another server, in the Common or the Combined
// Log Format. A virtual host may stand before the client, and further fields at the end.
// Logs compressed with gzip or bzip2 are recognized by their content; other compressions
// are named and refused. "-", or no LOG at all, is standard input. Logs are read once, line
// by line, and may be of any size.
//
// # The judgement and its limits
//
// policy.Evaluate decides each line, as a request with one key. The key has the list, and
// its organization the requirement. A log holds neither secrets nor keys:
//
//   - The key of every request is taken as verified.
//   - Every client in the log is taken for a client of the key. Give it a log of requests
//     with this key only.
//
// Expiries of entries are judged by the time of each line, or by -at for all of them.
//
// # The client
//
// The client is the first field, or the second after a virtual host (-client auto). Two
// addresses before ident and user make a line bad, unless -client first or second chooses
// one. A port is removed: 203.0.113.7:443, [2001:db8::1]:443. In a log with ports, IPv6
// without brackets is ambiguous and makes a line bad.
//
// Behind a proxy the first field often is the proxy. Clients look like a proxy if
//
//   - more than half of the requests come from private addresses,
//   - more than half have a list of forwarded addresses after the agent, in quotes as
//     nginx writes X-Forwarded-For, without the client in it, or
//   - at most 4 addresses sent 12 different agents.
//
// -client first or second says that these are the clients nevertheless. -client forwarded
// takes the last address of the forwarded list, the one that the nearest proxy has seen.
// Lines with "-" for the list are left out and counted. Lines with another field of addresses
// after the agent, such as an upstream's or a host's, are bad: the caller may have written it.
//
// # Flags
//
//	-requirement WORD    of the organization: not_required, report_only or required (default)
//	-endpoint-requires   the endpoint requires an access list by itself
//	-ipv6                take IPv6 entries in LIST
//	-client FIELD        the client's field: auto (default), first, second or forwarded
//	-at TIME             judge expiries at TIME, such as 2026-01-02T15:04:05Z
//	-top N               print at most N denied clients, and N findings of a kind (default 20)
//	-suggest N           suggest a list of at most N entries, up to 1000, to serve all IPv4 clients
//	-json                print the report as a JSON object: see the type report
//
// # The output
//
// The report goes to standard output. It begins with what was read, what was not, and what
// was left out. Standard error gets file and number of the first 20 bad lines; the report
// counts all of them. On a terminal it also shows the progress.
//
// A suggestion is a whole list to replace the present one. It serves IPv4 clients, now
// served or denied, with as few other addresses as N entries allow. A client needs one
// answer with success: a status of 2xx, 3xx or 101. A suggestion knows addresses only, so
// it admits an attacker in the log too: read it before use. The IPv6 entries of the present
// list stay in it, beyond N; other IPv6 clients are counted as left out. The suggestion is
// the end of the report and has its explanations in comments: saved from there on, the
// report is a list.
//
// No list is suggested and no entry is called unused
//
//   - if a log cannot be read to its end,
//   - if more than 1 % of the lines of a log are bad,
//   - if the clients look like a proxy,
//   - if a log has ports, and IPv6 addresses that may end in one.
//
// No entry is called unused either by logs of less than a day or fewer than 100 requests.
//
// With more than 262,144 different clients, clients are counted by block instead of by
// address, and the report says so.
//
// The exit status is
//
//   - 0 if everything was read, but for at most 1 % of the lines of each log, whatever was
//     decided,
//   - 1 if it was, but the clients look like a proxy, IPv6 addresses may end in a port, or
//     there is no suggestion though -suggest was given,
//   - 2 if it was not: for wrong usage, if a list or log cannot be opened (nothing is
//     decided then), if a log cannot be read to its end or more than 1 % of its lines are
//     bad (the report covers the rest, and says so), or if the report cannot be written.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
)

const usage = `Replay tells what an access list would have done to the requests of a log.

usage: replay [flags] LIST [LOG ...]

LIST  a file with one address or block a line; the word "empty" for an open list
LOG   an access log in Common or Combined Log Format, as text, gzip or bzip2; "-" or none:
      standard input

  -requirement WORD    of the organization: not_required, report_only or required (default)
  -endpoint-requires   the endpoint requires an access list by itself
  -ipv6                take IPv6 entries in LIST
  -client FIELD        the client's field: auto (the first, or the second after a virtual host;
                       default), first, second, or forwarded (the last address of
                       X-Forwarded-For, in quotes after the agent)
  -at TIME             judge expiries as of TIME, such as 2026-01-02T15:04:05Z, not of each line
  -top N               how many denied clients, and findings of a kind, to print (default 20)
  -suggest N           suggest a list of at most N entries, up to 1000, that serves all IPv4 clients
  -json                print the report as a JSON object

A log has no secrets: each request is taken as if its key had been verified.
Exit status: 0 if everything was read, 1 if the report lacks a conclusion, 2 if not all was read.
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program without main. It returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	const failed = exitIncomplete
	config, err := parseArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		if _, err := io.WriteString(stdout, usage); err != nil {
			return failed
		}
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "replay: %v\nreplay -h tells how to use it\n", err)
		return failed
	}
	list, err := readList(config)
	if err != nil {
		fmt.Fprintf(stderr, "replay: %v\n", err)
		return failed
	}
	sources, err := openLogs(config.logs, stdin)
	if err != nil {
		fmt.Fprintf(stderr, "replay: %v\n", err)
		return failed
	}
	defer closeLogs(sources)

	progress := newProgress(stderr, time.Now)
	r := newReplay(config, list, progress, maxKeys)
	r.run(sources)
	if config.suggest > 0 {
		progress.show("choosing the entries to suggest")
	}
	report, err := r.report()
	progress.erase()
	if err != nil {
		fmt.Fprintf(stderr, "replay: %v\n", err)
		return failed
	}

	out := bufio.NewWriter(stdout)
	if config.json {
		err = report.writeJSON(out)
	} else {
		err = report.writeText(out, config)
	}
	if err = cmp.Or(err, out.Flush()); err != nil {
		fmt.Fprintf(stderr, "replay: the report could not be written: %v\n", err)
		return failed
	}
	return report.status()
}

// A config is the parsed command line.
type config struct {
	list             string
	logs             []string
	requirement      policy.Requirement
	endpointRequires bool
	ipv6             bool
	client           clientField
	at               time.Time // zero: the time of each line
	top              int
	suggest          int // 0: no suggestion
	json             bool
}

// maxSuggest bounds the time for a suggestion: the two are proportional.
const maxSuggest = 1000

func parseArgs(args []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says enough
	flags.Usage = func() {}
	flags.TextVar(&c.requirement, "requirement", policy.Required, "")
	flags.BoolVar(&c.endpointRequires, "endpoint-requires", false, "")
	flags.BoolVar(&c.ipv6, "ipv6", false, "")
	flags.TextVar(&c.client, "client", autoField, "")
	flags.IntVar(&c.top, "top", 20, "")
	flags.IntVar(&c.suggest, "suggest", 0, "")
	flags.BoolVar(&c.json, "json", false, "")
	flags.Func("at", "", func(text string) (err error) {
		if c.at, err = time.Parse(time.RFC3339, text); err != nil || c.at.IsZero() {
			return errors.New("want a time such as 2026-01-02T15:04:05Z")
		}
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case flags.NArg() == 0:
		return config{}, errors.New("no LIST: want the file with the access list, and then the logs")
	case c.top < 0:
		return config{}, fmt.Errorf("-top %d: want 0 or more", c.top)
	case given["suggest"] && (c.suggest < 1 || c.suggest > maxSuggest):
		return config{}, fmt.Errorf("-suggest %d: want 1 to %d entries", c.suggest, maxSuggest)
	}
	c.list, c.logs = flags.Arg(0), flags.Args()[1:]
	for _, name := range flags.Args() {
		if len(name) > 1 && name[0] == '-' {
			return config{}, fmt.Errorf("%s after LIST: want the flags first (a file of that name is ./%s)", name, name)
		}
	}
	return c, nil
}

func readList(c config) (accesslist.List, error) {
	text, err := os.ReadFile(c.list)
	if err != nil {
		return accesslist.List{}, err
	}
	list, err := accesslist.Parser{AllowIPv6: c.ipv6}.ParseText(text)
	switch {
	case errors.Is(err, accesslist.ErrNoEntries):
		return accesslist.List{}, fmt.Errorf(`%s has no entries: want at least one, or the word "empty" for an open list, which admits every address`, c.list)
	case err != nil:
		return accesslist.List{}, fmt.Errorf("%s is no access list:\n  %s", c.list, strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return list, nil
}
