package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

var entryViews = listing[admin.EntryView]{
	header: "ADDRESS EXPIRES ADDED COMMENT",
	row: func(e admin.EntryView) []string {
		end := when(e.Expires)
		if e.Expired {
			end += " (expired)"
		}
		return []string{e.Address, end, when(e.Added), e.Comment}
	},
	name: func(e admin.EntryView) string { return e.Address },
	none: "The list has no entries: the key is open to every address while nothing requires a list.",
}

func (s *session) listCommands() *cobra.Command {
	return group("list", "Show the access list of a key, and change it", s.listShow(), s.listAdd(), s.listRemove(),
		s.listReplace(), s.listFindings(), s.listSuggest())
}

// each yields the items of a slice, without an error.
func each[T any](items []T) func(yield func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

func (s *session) listShow() *cobra.Command {
	var org string
	var trial, text bool
	c := &cobra.Command{Use: "show KEY", Short: "Show the access list of a key", Args: cobra.ExactArgs(1)}
	c.RunE = func(c *cobra.Command, args []string) error {
		a, err := s.admin(c.Context())
		if err != nil {
			return err
		}
		key, err := s.keyOf(c.Context(), a, args[0], org)
		if err != nil {
			return err
		}
		shown := key.Entries
		if trial {
			shown = key.TrialEntries
		}
		if text && s.output != "table" {
			return usageError{errors.New("--text is a format itself: want no -o beside it")}
		}
		if text {
			return s.listText(shown)
		}
		views := entryViews
		if trial {
			views.none = "There is no list on trial."
		}
		return list(s, views, each(shown))
	}
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	c.Flags().BoolVar(&trial, "trial", false, "the list on trial instead")
	c.Flags().BoolVar(&text, "text", false, "as a file for list replace")
	return c
}

// listText prints entries as a file that list replace reads.
func (s *session) listText(views []admin.EntryView) error {
	made, err := entriesOf(views)
	if err != nil {
		return err
	}
	whole, err := accesslist.List{}.With(made...)
	if err != nil {
		return err
	}
	text, err := whole.MarshalText()
	if err != nil {
		return err
	}
	s.out.print(string(text))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		s.out.print("\n")
	}
	return nil
}

// entriesOf returns the entries of views.
func entriesOf(views []admin.EntryView) (made []accesslist.Entry, err error) {
	for _, view := range views {
		entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry(view.Address)
		if err != nil {
			return nil, err
		}
		entry.Comment, entry.Added, entry.Expires = view.Comment, view.Added, view.Expires
		made = append(made, entry)
	}
	return made, nil
}

func (s *session) listAdd() *cobra.Command {
	var comment string
	var expires instant
	var length duration
	var ipv6 bool
	c := s.changeKey("add KEY ADDRESS...", "Add addresses and blocks to the access list of a key", cobra.MinimumNArgs(2), func(id apikey.ID, rest []string) (string, admin.Change, error) {
		end := expires.Time
		if length != 0 {
			end = s.env.now().Add(time.Duration(length)).Truncate(time.Second)
		}
		made, err := entries(rest, ipv6, comment, end)
		text := fmt.Sprintf("add to the list of key %s: %s", id, strings.Join(rest, ", "))
		if !end.IsZero() {
			text += ", until " + when(end)
		}
		return text, admin.AddEntries(id, made...), err
	})
	c.Flags().StringVar(&comment, "comment", "", "a `text` for people, at each of them")
	c.Flags().Var(&expires, "expires", "their end")
	c.Flags().Var(&length, "for", "or how long they hold")
	c.Flags().BoolVar(&ipv6, "ipv6", false, "allow IPv6 addresses")
	c.MarkFlagsMutuallyExclusive("expires", "for")
	return c
}

func (s *session) listRemove() *cobra.Command {
	return s.changeKey("remove KEY ADDRESS...", "Remove entries from the access list of a key, each exactly as it is listed", cobra.MinimumNArgs(2), func(id apikey.ID, rest []string) (string, admin.Change, error) {
		made, err := entries(rest, true, "", time.Time{})
		var prefixes []netip.Prefix
		for _, entry := range made {
			prefixes = append(prefixes, entry.Prefix())
		}
		return fmt.Sprintf("remove from the list of key %s: %s", id, strings.Join(rest, ", ")), admin.RemoveEntries(id, prefixes...), err
	})
}

func (s *session) listReplace() *cobra.Command {
	var path string
	var ipv6 bool
	c := s.changeKey("replace KEY -f FILE", "Replace the access list of a key by a file", cobra.ExactArgs(1), func(id apikey.ID, _ []string) (string, admin.Change, error) {
		text, err := s.readFile(path)
		if err != nil {
			return "", admin.Change{}, err
		}
		read, err := accesslist.Parser{AllowIPv6: ipv6}.ParseText(text)
		if errors.Is(err, accesslist.ErrNoEntries) {
			err = errors.New(`it has no entries, and an empty list opens the key to every address: want entries, or the one line "empty"`)
		}
		if err != nil {
			return "", admin.Change{}, fmt.Errorf("the list in %s cannot be used: %w", path, err)
		}
		return fmt.Sprintf("replace the list of key %s by %s", id, count(read.Len(), "entry", "entries")), admin.ReplaceEntries(id, slices.Collect(read.All())...), nil
	})
	c.Long = `Replace the access list of a key by a file, an entry in each line, as list show --text has it:

  198.51.100.0/24
  203.0.113.7 expires=2027-01-01T00:00:00Z # a visitor

A file without entries is refused, unless its one line is "empty". With - the list is read from
standard input, and --yes is needed.`
	c.Flags().StringVarP(&path, "file", "f", "", "the `file`, - for standard input")
	c.Flags().BoolVar(&ipv6, "ipv6", false, "allow IPv6 addresses")
	must(c, "file")
	return c
}

// A listFinding is a finding of package accesslist.
type listFinding struct {
	Kind  string   `json:"kind"`
	Entry string   `json:"entry"`
	By    []string `json:"by,omitempty"`
	Text  string   `json:"text"`
}

var listFindings = listing[listFinding]{
	header: "KIND ENTRY FINDING",
	row:    func(f listFinding) []string { return []string{f.Kind, f.Entry, f.Text} },
	name:   func(f listFinding) string { return f.Entry },
	none:   "There is nothing to report.",
}

func (s *session) listFindings() *cobra.Command {
	var internet bool
	since := duration(30 * 24 * time.Hour)
	c := &cobra.Command{Use: "findings KEY", Short: "Report entries that are expired, unused, shadowed or too broad", Args: cobra.ExactArgs(1)}
	c.Long = "Report entries that are expired, unused, shadowed or too broad. Exit status 1 if there are any."
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.use(c.Context()); err != nil {
			return err
		}
		key, err := s.store.Key(c.Context(), apikey.ID(args[0]))
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("there is no key %q in %s", args[0], s.shown)
		} else if err != nil {
			return err
		}
		evidence, err := s.listEvidence(c.Context(), key.ID, time.Duration(since))
		if err != nil {
			return err
		}
		evidence.Internet = internet
		var found []listFinding
		for _, f := range key.AccessList.Findings(s.env.now(), evidence) {
			view := listFinding{Kind: f.Kind.String(), Entry: f.Entry.String(), Text: f.String()}
			for _, by := range f.By {
				view.By = append(view.By, by.String())
			}
			found = append(found, view)
		}
		if err := list(s, listFindings, each(found)); err != nil {
			return err
		}
		if len(found) > 0 {
			return errNo
		}
		return nil
	}
	c.Flags().Var(&since, "since", "how long an entry is without a call to be unused")
	c.Flags().BoolVar(&internet, "internet", false, "clients come over the Internet: report private addresses")
	return c
}

// listEvidence returns the usage of a key's entries, as far as it was observed.
func (s *session) listEvidence(ctx context.Context, id apikey.ID, window time.Duration) (evidence accesslist.Evidence, err error) {
	recorder, ok := store.As[store.UsageRecorder](s.store)
	if !ok {
		return evidence, nil
	}
	usage, err := recorder.Usage(ctx, id)
	if err != nil {
		return evidence, err
	}
	observed, err := recorder.Observation(ctx)
	now := s.env.now()
	return accesslist.Evidence{Usage: usage[id].Entries, Since: observed.Coverage(now.Add(-window), now).Since, Window: window}, err
}

func (s *session) listSuggest() *cobra.Command {
	var org string
	var options admin.TightenOptions
	since := duration(30 * 24 * time.Hour)
	c := &cobra.Command{Use: "suggest KEY", Short: "Suggest an access list from the addresses that used a key", Args: cobra.ExactArgs(1)}
	c.Long = `Suggest an access list from the addresses that used a key. The list is on standard output, as a
file for list replace; what speaks against it is on standard error. Nothing is written.

  sallyport list suggest KEY --budget 5 > list.txt
  sallyport list replace KEY -f list.txt`
	c.RunE = func(c *cobra.Command, args []string) error {
		a, err := s.admin(c.Context(), admin.WithWindow(time.Duration(since)))
		if err != nil {
			return err
		}
		organization, err := s.organizationOf(c.Context(), apikey.ID(args[0]), org)
		if err != nil {
			return err
		}
		t, err := a.Tighten(c.Context(), s.actor(), organization, apikey.ID(args[0]), options)
		if err != nil {
			return err
		}
		for _, gap := range t.Gaps {
			s.err.printf("Mind: %s\n", gap)
		}
		for _, left := range t.LeftOut {
			s.err.printf("Left out: %s, with %s\n", left.Address, count(int(left.Count), "call", "calls"))
		}
		s.err.printf("%s, to cover %s: %d added, %d removed.\n", count(len(t.Entries), "entry", "entries"), count(len(t.Observed), "address", "addresses"), len(t.Added), len(t.Removed))
		switch s.output {
		case "table":
			return s.listText(t.Entries)
		case "json":
			return s.json(t, "  ")
		case "jsonl":
			return s.json(t, "")
		}
		return list(s, entryViews, each(t.Entries))
	}
	c.Flags().IntVar(&options.Budget, "budget", admin.DefaultBudget, "the largest `number` of entries")
	c.Flags().Var(&since, "since", "how far back calls count")
	c.Flags().BoolVar(&options.AllowIPv6, "ipv6", false, "suggest IPv6 entries, too")
	c.Flags().StringVar(&org, "org", "", "the key's `organization`; found by the key unless given")
	return c
}
