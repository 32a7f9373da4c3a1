package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
	"github.com/sallyport-go/sallyport/policy"
)

// A replaying is the flags of a replay.
type replaying struct {
	*session
	options   replay.Options
	list, key string
	at        instant
	users     []string
	methods   []string
	paths     []string
	statuses  statuses
	top       int
	text      bool
}

func (s *session) replayCommand() *cobra.Command {
	r := replaying{session: s}
	c := &cobra.Command{Use: "replay LOG...", Short: "Try an access list on access logs: exit status 1 if it would have refused calls", Args: atLeast(1)}
	c.Long = `Try an access list on access logs, before it comes into force: which clients it would have
refused, which entries have no call and, with --suggest, a list that serves all. LOG is text, gzip
or bzip2; - is standard input. The format is recognized and said; nothing is written.

  sallyport replay --list list.txt access.log*
  sallyport replay --key KEY --suggest 5 guard.log

Every client in a log is taken for one of the key, but in the log of this module's own guard, which
says the key: choose the calls by --user, --path, --method and --status. Calls that the log says
were refused are left out. Behind a proxy the client may be in another field: see --client.

Exit status: 0 the list serves every call; 1 it would have refused some, or the report has a doubt
(a short log is none), or the suggestion is withheld; 2 a log was not read to its end, has another
format in it, has too many lines that were not read, or no call.`
	c.RunE = func(c *cobra.Command, logs []string) error { return r.run(c.Context(), logs) }
	flags := c.Flags()
	flags.StringVar(&r.list, "list", "", "the access list in a `file`")
	flags.StringVar(&r.key, "key", "", "the calls of this `key`, where the log says the key; without --list, its stored list")
	flags.TextVar(&r.options.Format, "format", replay.Auto, "`format` of the logs")
	flags.TextVar(&r.options.Client, "client", replay.Client{}, "the client's `field`: auto, peer, forwarded:N (of X-Forwarded-For, from the right) or field:NAME")
	flags.IntVar(&r.options.Suggest, "suggest", 0, "suggest a list of at most this `number` of entries")
	flags.BoolVar(&r.text, "text", false, "only the suggested list, as a file for list replace")
	flags.BoolVar(&r.options.IPv6, "ipv6", false, "take IPv6 addresses in --list, and suggest some")
	flags.BoolVar(&r.options.ListRequired, "list-required", false, "an empty list refuses everybody; with a stored list, as its organization requires")
	flags.BoolVar(&r.options.CountRefused, "count-refused", false, "count calls, too, that the log says were refused")
	flags.Var(&r.at, "at", "judge expiries as of a time, not of each call")
	flags.StringSliceVar(&r.users, "user", nil, "calls of these `users` only")
	flags.StringSliceVar(&r.methods, "method", nil, "calls by these `methods` only")
	flags.StringArrayVar(&r.paths, "path", nil, "calls of paths that begin with this `prefix` only")
	flags.Var(&r.statuses, "status", "calls with this answer only, such as 200,5xx")
	flags.IntVar(&r.top, "top", 20, "show at most this `number` of clients, and of findings of a kind")
	c.MarkFlagsOneRequired("list", "key")
	complete(c, "format", logFormats()...)
	complete(c, "client", "auto", "peer", "forwarded:1", "field:")
	return c
}

// logFormats returns the names of the formats of logs.
func logFormats() (names []string) {
	for format := replay.Auto; ; format++ {
		name, err := format.MarshalText()
		if err != nil {
			return names
		}
		names = append(names, string(name))
	}
}

func (r *replaying) run(ctx context.Context, logs []string) error {
	if r.text && (r.options.Suggest == 0 || r.output != "table") {
		return usageError{errors.New("--text is a format itself, of a suggestion: want --suggest, and no -o beside it")}
	}
	if r.list == "-" && slices.Contains(logs, "-") {
		return usageError{errors.New("the list and a log cannot both be standard input")}
	}
	tried, err := r.accessList(ctx)
	if err != nil {
		return err
	}
	r.options.At = r.at.Time
	shown := &progress{on: r.err, unit: "calls"}
	r.options.Counts = func(call *replay.Record) bool {
		shown.add(1)
		return r.counts(call)
	}
	trial, err := replay.New(tried, r.options)
	if err != nil {
		return usageError{errors.New(strings.TrimPrefix(err.Error(), "replay: "))}
	}
	for _, path := range logs {
		if err := readLog(ctx, trial, path, r.stdin); err != nil {
			return err
		}
	}
	shown.end()
	report := trial.Report()
	withFlags(&report)
	if err := r.show(&report); err != nil {
		return err
	}
	return answerOf(&report)
}

// withFlags puts a flag for the option that a doubt names.
func withFlags(report *replay.Report) {
	named := strings.NewReplacer("want Counts to choose one", "want --key to choose one")
	for i := range report.Doubts {
		report.Doubts[i].Text = named.Replace(report.Doubts[i].Text)
	}
	for i := range report.Withheld {
		report.Withheld[i].Because = named.Replace(report.Withheld[i].Because)
	}
}

// accessList returns the list of the file or, without one, that of the key.
func (r *replaying) accessList(ctx context.Context) (accesslist.List, error) {
	if r.list != "" {
		file := listFile{path: r.list, ipv6: r.options.IPv6}
		made, err := file.read(r.session)
		if err != nil {
			return accesslist.List{}, err
		}
		return accesslist.New(made...)
	}
	from, err := r.records(ctx)
	if err != nil {
		return accesslist.List{}, err
	}
	key, err := keyOf(ctx, from, r.key, "")
	if err != nil {
		return accesslist.List{}, err
	}
	organization, err := from.Organization(ctx, key.Organization)
	if err != nil {
		return accesslist.List{}, err
	}
	r.options.ListRequired = r.options.ListRequired || organization.Requirement == policy.Required
	return listOfViews(key.Entries)
}

// counts reports whether a call was chosen by the flags.
func (r *replaying) counts(call *replay.Record) bool {
	return (r.key == "" || len(call.Key) == 0 || string(call.Key) == r.key) &&
		(len(r.users) == 0 || slices.Contains(r.users, string(call.User))) &&
		(len(r.methods) == 0 || slices.Contains(r.methods, string(call.Method))) &&
		(len(r.paths) == 0 || slices.ContainsFunc(r.paths, func(prefix string) bool { return bytes.HasPrefix(call.Path, []byte(prefix)) })) &&
		r.statuses.have(call.Status)
}

// readLog reads a log to its end, or until the command is interrupted: the report says so then.
func readLog(ctx context.Context, trial *replay.Replay, path string, stdin io.Reader) error {
	if path == "-" {
		trial.Read("standard input", &interruptible{ctx, stdin})
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it is only read
	trial.Read(path, &interruptible{ctx, file})
	return nil
}

// An interruptible reader fails once its context is done.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(data []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, errors.New("interrupted")
	}
	return i.r.Read(data)
}

func (r *replaying) show(report *replay.Report) error {
	switch {
	case r.output == "json":
		return r.json(report, "  ")
	case r.output == "jsonl":
		return r.json(report, "")
	case r.output == "name" || r.text:
		return r.showList(report)
	}
	var text strings.Builder
	err := report.WriteText(&text, r.top)
	r.out.print(text.String())
	return err
}

// showList prints the refused clients or the suggestion alone, and on standard error what the
// report says before its conclusions.
func (r *replaying) showList(report *replay.Report) error {
	for _, log := range report.Logs {
		if log.ReadsAs != "" {
			r.err.printf("%s reads as: %s\n", log.Name, log.ReadsAs)
		}
	}
	for _, doubt := range report.Doubts {
		r.err.printf("Mind: %s\n", doubt.Text)
	}
	if !r.text {
		for _, client := range report.RefusedClients {
			r.out.print(entryText(client.Prefix) + "\n")
		}
		return nil
	}
	if report.Suggestion == nil {
		return nil
	}
	text, err := report.Suggestion.List.MarshalText()
	r.out.print(string(text))
	return err
}

// answerOf returns the answer of a replay: whether the list serves every call.
func answerOf(report *replay.Report) error {
	for _, doubt := range report.Doubts {
		switch doubt.Kind {
		case replay.Incomplete, replay.BadLines, replay.FormatChanged:
			return errors.New("the logs were not all read: see the report")
		}
	}
	switch {
	case report.Calls == 0: // no yes to nothing
		return errors.New("no call was judged")
	case report.Refused > 0 || report.Doubtful() || report.Because(replay.SuggestedList) != "":
		return errNo
	}
	return nil
}

// statuses is a flag such as 200,5xx: statuses of answers, and classes of them.
type statuses []string

func (s *statuses) Type() string { return "statuses" }

func (s statuses) String() string { return strings.Join(s, ",") }

func (s *statuses) Set(text string) error {
	for status := range strings.SplitSeq(text, ",") {
		rest := strings.TrimSuffix(strings.ToLower(status), "xx")
		if n := len(rest); n != 1 && n != 3 || rest[0] < '1' || rest[0] > '5' || strings.Trim(rest, "0123456789") != "" || len(status) != 3 {
			return fmt.Errorf("want statuses of answers such as 200, or classes such as 5xx")
		}
		*s = append(*s, rest)
	}
	return nil
}

// have reports whether a status was chosen.
func (s statuses) have(status int) bool {
	text := fmt.Sprint(status)
	return len(s) == 0 || slices.ContainsFunc(s, func(chosen string) bool { return len(text) == 3 && strings.HasPrefix(text, chosen) })
}
