// Replay tries an access list on access logs. It prints the clients that would have been
// refused, the entries without a call and, with -suggest, a list to serve all clients. It is
// a thin program over package accesslist/replay: see there for the formats, and for when a
// conclusion is withheld.
//
//	go run ./examples/replay [flags] LIST [LOG ...]
//
// LIST is a file with one entry a line, in the text form of package accesslist:
//
//	# the office
//	198.51.100.0/24 expires=2027-01-01T00:00:00Z
//	203.0.113.7     # the build server
//
// A file without entries is refused; the word "empty" in it stands for an open list. LOG is
// an access log, as text, gzip or bzip2; "-", or no LOG at all, is standard input.
//
// The report goes to standard output; a suggestion is its end, and a list by itself. The exit
// status is
//
//   - 0 if everything was read, but for at most 1 % of the lines of each log, whatever the
//     list would have refused,
//   - 1 if the report has another doubt than a short log, or lacks the suggestion asked for,
//   - 2 if a log could not be read to its end, more than 1 % of its lines were not read, or
//     the program was used wrongly.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// A config is the parsed command line.
type config struct {
	options replay.Options
	list    string
	logs    []string
	top     int
	json    bool
}

// run is the program without main. It returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c, err := parseArgs(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = c.run(stdin, stdout)
	}
	if status := exitStatus(0); errors.As(err, &status) {
		return int(status)
	}
	if err != nil {
		fmt.Fprintf(stderr, "replay: %s\n", strings.TrimPrefix(err.Error(), "replay: "))
		return 2
	}
	return 0
}

// An exitStatus is the status after a report that was written.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func parseArgs(args []string, stderr io.Writer) (c config, err error) {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.TextVar(&c.options.Format, "format", replay.Auto, "`format` of the logs, one of auto, guard, common, json, alb, elb, nlb, cloudfront, w3c, haproxy, envoy")
	flags.TextVar(&c.options.Client, "client", replay.Client{}, "the client's `field`: auto, peer, forwarded:N (of X-Forwarded-For, from the right) or field:NAME")
	flags.BoolVar(&c.options.ListRequired, "list-required", false, "an empty list refuses everyone")
	flags.BoolVar(&c.options.CountRefused, "count-refused", false, "count calls, too, that the log says were refused")
	flags.BoolVar(&c.options.IPv6, "ipv6", false, "take IPv6 entries in LIST, and suggest some")
	flags.IntVar(&c.options.Suggest, "suggest", 0, "suggest a list of at most `N` entries that serves all clients")
	flags.Func("at", "judge expiries as of `time`, such as 2026-01-02T15:04:05Z, not of each call", func(text string) (err error) {
		c.options.At, err = time.Parse(time.RFC3339, text)
		return err
	})
	flags.IntVar(&c.top, "top", 20, "how many refused clients, and findings of a kind, to print")
	flags.BoolVar(&c.json, "json", false, "print the report as a JSON object")
	key := flags.String("key", "", "count calls with this `key` only (the guard's log)")
	user := flags.String("user", "", "count calls of this `user` only")
	method := flags.String("method", "", "count calls with this `method` only")
	path := flags.String("path", "", "count calls with a path that begins with this `prefix` only")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() == 0 {
		return c, errors.New("no LIST: want the file with the access list, and then the logs")
	}
	c.list, c.logs = flags.Arg(0), flags.Args()[1:]
	c.options.Counts = func(r *replay.Record) bool {
		return (*key == "" || string(r.Key) == *key) && (*user == "" || string(r.User) == *user) &&
			(*method == "" || string(r.Method) == *method) && bytes.HasPrefix(r.Path, []byte(*path))
	}
	return c, nil
}

// run reads the list and the logs, and writes the report.
func (c *config) run(stdin io.Reader, stdout io.Writer) error {
	list, err := c.readList()
	if err != nil {
		return err
	}
	r, err := replay.New(list, c.options)
	if err != nil {
		return err
	}
	if len(c.logs) == 0 {
		c.logs = []string{"-"}
	}
	for _, name := range c.logs {
		if name == "-" {
			r.Read("standard input", stdin)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		r.Read(name, f)
		f.Close() // only read from: nothing can be lost
	}
	report := r.Report()
	if err := c.write(stdout, &report); err != nil {
		return fmt.Errorf("the report could not be written: %w", err)
	}
	for _, d := range report.Doubts {
		switch d.Kind {
		case replay.Incomplete, replay.BadLines, replay.FormatChanged:
			return exitStatus(2)
		}
	}
	if report.Doubtful() || report.Because(replay.SuggestedList) != "" {
		return exitStatus(1)
	}
	return nil
}

func (c *config) write(w io.Writer, report *replay.Report) error {
	if !c.json {
		return report.WriteText(w, c.top)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(report)
}

func (c *config) readList() (accesslist.List, error) {
	text, err := os.ReadFile(c.list)
	if err != nil {
		return accesslist.List{}, err
	}
	list, err := accesslist.Parser{AllowIPv6: c.options.IPv6}.ParseText(text)
	switch {
	case errors.Is(err, accesslist.ErrNoEntries):
		return accesslist.List{}, fmt.Errorf(`%s has no entries: want at least one, or the word "empty" for an open list, which admits every address`, c.list)
	case err != nil:
		return accesslist.List{}, fmt.Errorf("%s is no access list:\n  %s", c.list, strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return list, nil
}
