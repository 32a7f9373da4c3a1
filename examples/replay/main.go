// Replay tells what an access list would have done to the requests of a log: how
// many it would have served and denied, whom, which of its entries nobody needed,
// and, if asked, which list would have served them all. Try a list, or a requirement,
// with it before it is put into force.
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
// LOG is an access log in the Common or the Combined Log Format, as Apache and nginx
// write them, possibly with further fields at the end of each line, possibly
// compressed with gzip (recognized by content). "-", or no LOG at all, is standard
// input. Logs are read once, line by line, and may be of any size.
//
// # What it answers, and what not
//
// Each line is decided by policy.Evaluate, as a request with one key that has the
// list, in an organization that has the requirement. A log holds no secrets, so each
// request is taken as if its key had been proven. And a log does not tell which
// requests were made with the key: give it those that were, or else every client of
// the service counts as one of the key's. The client is the first field; behind a
// proxy that is the proxy, unless the server was told otherwise.
//
// Expiries of entries are judged by the time of each line, or by -at for all of them.
//
// # Flags
//
//	-requirement WORD    of the organization: not_required, report_only or required (default)
//	-endpoint-requires   the endpoint requires an access list by itself
//	-ipv6                take IPv6 entries in LIST
//	-at TIME             judge expiries as of TIME, such as 2026-01-02T15:04:05Z
//	-top N               how many denied clients, and findings of a kind, to print (default 20)
//	-suggest N           suggest a list of at most N entries, up to 1000, that serves all IPv4 clients
//	-json                print the report as a JSON object: see the type report
//
// # What it prints
//
// The report goes to standard output. Lines that are no log lines are told on
// standard error by file and number, the first 20 of them; all are counted in the
// report. On a terminal, a line there tells how far it is.
//
// A suggestion is a whole list, to put in the place of the present one: it serves
// the IPv4 clients that are served now as well as those that are denied, with as few
// other addresses as N entries allow. It knows clients by their addresses only, so
// an attacker in the log is let in too: read it before you use it. It is for IPv4:
// the present list's IPv6 entries stay in it, beyond N, and other IPv6 clients are
// counted as left out. Since it stands at the end of the report and what is said of
// it is in comments, the report from there on can be saved as a list.
//
// When there are more different clients than are held in memory, 262,144, clients
// are counted by block instead of by address, and the report says so.
//
// Exit status: 0 if everything was read, whatever was decided; 2 for wrong usage, if
// a list or log cannot be opened (nothing is decided then), if a log cannot be read
// to its end (the report is about the rest, and says so), and if the report cannot be
// written.
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
LOG   an access log in Common or Combined Log Format, gzip or not; "-" or none: standard input

  -requirement WORD    of the organization: not_required, report_only or required (default)
  -endpoint-requires   the endpoint requires an access list by itself
  -ipv6                take IPv6 entries in LIST
  -at TIME             judge expiries as of TIME, such as 2026-01-02T15:04:05Z, not of each line
  -top N               how many denied clients, and findings of a kind, to print (default 20)
  -suggest N           suggest a list of at most N entries, up to 1000, that serves all IPv4 clients
  -json                print the report as a JSON object

A log has no secrets: each request is taken as if its key had been proven.
Exit status: 0 if everything was read, 2 if not.
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is the program; it returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	const failed = 2
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
	report, err := r.report(sources)
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
	if !r.complete {
		return failed
	}
	return 0
}

// A config is what the command line says.
type config struct {
	list             string
	logs             []string
	requirement      policy.Requirement
	endpointRequires bool
	ipv6             bool
	at               time.Time // zero: the time of each line
	top              int
	suggest          int // 0: no suggestion is wanted
	json             bool
}

// maxSuggest bounds the time that a suggestion takes, which is proportional to it.
const maxSuggest = 1000

func parseArgs(args []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is in the error
	flags.Usage = func() {}
	flags.TextVar(&c.requirement, "requirement", policy.Required, "")
	flags.BoolVar(&c.endpointRequires, "endpoint-requires", false, "")
	flags.BoolVar(&c.ipv6, "ipv6", false, "")
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
