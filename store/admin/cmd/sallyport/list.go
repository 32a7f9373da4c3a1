package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
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
	return group("list", "Show the access list of a key, and change it", s.listShow(), s.listAdd(), s.listEdit(), s.listRemove(),
		s.listReplace(), s.listFindings(), s.listSuggest(),
		s.listTry(), s.listEnforce(), s.listEndTrial())
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
	c := &cobra.Command{Use: "show KEY", Short: "Show the access list of a key", Args: exactly(1)}
	c.RunE = func(c *cobra.Command, args []string) error {
		key, err := s.keyOf(c.Context(), args[0], org)
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
	whole, err := listOfViews(views)
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

// listOfViews returns the list with the entries of views.
func listOfViews(views []admin.EntryView) (accesslist.List, error) {
	made, err := entriesOf(views)
	if err != nil {
		return accesslist.List{}, err
	}
	return accesslist.List{}.With(made...)
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
	var length length
	var ipv6 bool
	c := &cobra.Command{Use: "add KEY ADDRESS...", Short: "Add addresses and blocks to the access list of a key", Args: atLeast(2)}
	c.Long = `Add addresses and blocks to the access list of a key. If all of them are listed already, with the
same end and comment, nothing is changed, and the exit status is 0. If one is listed with another
end or comment, or some are and others are not, nothing is added either, and it is 2: see list edit.`
	ch := s.changing(c)
	org := ch.keyFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		end := expires.Time
		if length.duration != 0 {
			end = s.env.now().Add(time.Duration(length.duration)).Truncate(time.Second)
		}
		made, err := entries(args[1:], ipv6, comment, end)
		if err != nil {
			return err
		}
		key, err := s.keyOf(c.Context(), args[0], *org)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("add to the list of key %s: %s", key.ID, strings.Join(args[1:], ", "))
		if !end.IsZero() {
			text += ", until " + when(end)
		}
		add := sent(admin.AddEntries(key.ID, made...), entryObjects(made))
		if so, err := listed(key, made, s.env.now()); err != nil {
			return err
		} else if so {
			add = sent(admin.EditEntries(key.ID, made...), entryObjects(made)) // changes nothing
		}
		return ch.makeOfKey(c.Context(), key.ID, *org, text, nil, add)
	}
	c.Flags().StringVar(&comment, "comment", "", "a `text` for people, at each of them")
	c.Flags().Var(&expires, "expires", "their end")
	c.Flags().Var(&length, "for", "or how long they hold")
	c.Flags().BoolVar(&ipv6, "ipv6", false, "allow IPv6 addresses")
	c.MarkFlagsMutuallyExclusive("expires", "for")
	return c
}

// listed reports whether a key has entries already, in force and as they are.
func listed(key admin.KeyView, entries []accesslist.Entry, now time.Time) (bool, error) {
	list, err := listOfViews(key.Entries)
	for _, entry := range entries {
		found, ok := list.Find(entry.Prefix())
		if !ok || found.ExpiredAt(now) || !found.Expires.Equal(entry.Expires) || found.Comment != entry.Comment {
			return false, err
		}
	}
	return true, err
}

func (s *session) listEdit() *cobra.Command {
	var comment string
	var f span
	c := &cobra.Command{Use: "edit KEY ADDRESS...", Short: "Change the end or the comment of entries, each exactly as it is listed", Args: atLeast(2)}
	ch := s.changing(c)
	org := ch.keyFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		named, err := entries(args[1:], true, "", time.Time{})
		if err != nil {
			return err
		}
		key, err := s.keyOf(c.Context(), args[0], *org)
		if err != nil {
			return err
		}
		listed, err := listOfViews(key.Entries)
		if err != nil {
			return err
		}
		for i, entry := range named {
			if found, ok := listed.Find(entry.Prefix()); ok {
				named[i] = found
			}
			_, named[i].Expires = f.of(time.Time{}, named[i].Expires, s.env.now())
			if c.Flags().Changed("comment") {
				named[i].Comment = comment
			}
		}
		text := fmt.Sprintf("edit on the list of key %s:", key.ID)
		for _, entry := range named {
			text += "\n" + entryDetail(entry)
		}
		return ch.makeOfKey(c.Context(), key.ID, *org, text, nil, sent(admin.EditEntries(key.ID, named...), entryObjects(named)))
	}
	c.Flags().StringVar(&comment, "comment", "", "a `text` for people, at each of them")
	c.Flags().Var(&f.end, "expires", "their end")
	c.Flags().Var(&f.length, "for", "or how long they hold from now on")
	c.Flags().BoolVar(&f.forever, "no-end", false, "or they hold without an end")
	c.MarkFlagsMutuallyExclusive("expires", "for", "no-end")
	c.MarkFlagsOneRequired("comment", "expires", "for", "no-end")
	return c
}

func (s *session) listRemove() *cobra.Command {
	return s.changeKey("remove KEY ADDRESS...", "Remove entries from the access list of a key, each exactly as it is listed", atLeast(2), func(id apikey.ID, rest []string) (string, change, error) {
		made, err := entries(rest, true, "", time.Time{})
		var prefixes []netip.Prefix
		for _, entry := range made {
			prefixes = append(prefixes, entry.Prefix())
		}
		return fmt.Sprintf("remove from the list of key %s: %s", id, strings.Join(rest, ", ")), sent(admin.RemoveEntries(id, prefixes...), prefixObjects(prefixes)), err
	})
}

// A listFile is the flags of a list in a file.
type listFile struct {
	path string
	ipv6 bool
}

func (f *listFile) flags(c *cobra.Command) {
	inputFlag(c, &f.path, "the list")
	c.Flags().BoolVar(&f.ipv6, "ipv6", false, "allow IPv6 addresses")
	must(c, "file")
}

func (f *listFile) read(s *session) ([]accesslist.Entry, error) {
	text, err := s.readFile(f.path)
	if err != nil {
		return nil, err
	}
	read, err := accesslist.Parser{AllowIPv6: f.ipv6}.ParseText(text)
	if errors.Is(err, accesslist.ErrNoEntries) {
		err = errors.New(`it has no entries, and an empty list opens the key to every address: want entries, or the one line "empty"`)
	}
	if err != nil {
		return nil, fmt.Errorf("the list in %s cannot be used: %w", f.path, err)
	}
	return slices.Collect(read.All()), nil
}

func (s *session) listReplace() *cobra.Command {
	var file listFile
	c := s.changeKey("replace KEY -f FILE", "Replace the access list of a key by a file", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		made, err := file.read(s)
		return fmt.Sprintf("replace the list of key %s by %s", id, count(len(made), "entry", "entries")), sent(admin.ReplaceEntries(id, made...), entryObjects(made)), err
	})
	c.Long = `Replace the access list of a key by a file, an entry in each line, as list show --text has it:

  198.51.100.0/24
  203.0.113.7 expires=2027-01-01T00:00:00Z # a visitor

A file without entries is refused, unless its one line is "empty". With - the list is read from
standard input, and --yes is needed.`
	file.flags(c)
	return c
}

func (s *session) listTry() *cobra.Command {
	var file listFile
	c := s.changeKey("try KEY -f FILE", "Put a list on trial: it denies nobody, and what it would deny is counted", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		made, err := file.read(s)
		return fmt.Sprintf("put a list of %s on trial for key %s", count(len(made), "entry", "entries"), id), sent(admin.SetTrialList(id, made...), entryObjects(made)), err
	})
	c.Long = `Put a list on trial: it denies nobody, and what it would deny is counted. Then

  sallyport denials KEY                  has the calls that it would have denied
  sallyport list enforce KEY --preview   judges by them
  sallyport list end-trial KEY           gives it up`
	file.flags(c)
	return c
}

func (s *session) listEnforce() *cobra.Command {
	return s.changeKey("enforce KEY", "Make the list on trial the access list of a key", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		return fmt.Sprintf("enforce the list on trial of key %s", id), sent(admin.EnforceTrial(id), nil), nil
	})
}

func (s *session) listEndTrial() *cobra.Command {
	return s.changeKey("end-trial KEY", "End the trial of a list, without enforcing it", exactly(1), func(id apikey.ID, _ []string) (string, change, error) {
		return fmt.Sprintf("end the trial of a list of key %s", id), sent(admin.EndTrial(id), nil), nil
	})
}
