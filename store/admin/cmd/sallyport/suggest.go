package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// didYouMean asks for the known word nearest to another one; "" if none is near.
func didYouMean(word string, known []string) string {
	most := min(2, max(1, len(word)/3)) // letters that differ
	best, nearest := most+1, ""
	for _, w := range known {
		d := distance(strings.ToLower(word), strings.ToLower(w))
		if w == word || d >= len(w) { // it is the word, or has no letter of it
			continue
		}
		if strings.HasPrefix(w, strings.ToLower(word)) && len(word) > 2 {
			d = min(d, most) // it was not typed to its end
		}
		if d < best {
			best, nearest = d, w
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", nearest)
}

// distance returns the number of letters to insert, remove, replace or swap with the next one.
// Long words are far from all.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}

// unknownCommand refuses a word that is no command of a group.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known, below []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
		for _, of := range sub.Commands() {
			if of.Name() == args[0] && of.IsAvailableCommand() {
				below = append(below, sub.Name()+" "+of.Name())
			}
		}
	}
	meant := didYouMean(args[0], known)
	if below != nil {
		meant = fmt.Sprintf(": did you mean %s?", strings.Join(below, ", or "))
	}
	return fmt.Errorf("unknown command %.40q for %q%s", args[0], c.CommandPath(), meant)
}

// wrongFlag is the error of a flag that is wrong, with the flag that may be meant.
func wrongFlag(c *cobra.Command, err error) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 { // the flag is one of the command that was meant
		return usageError{unknownCommand(c, c.Flags().Args())}
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usageError{err}
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	text := didYouMean(unknown.GetSpecifiedName(), known)
	return usageError{fmt.Errorf("%w%s", err, strings.Replace(text, "mean ", "mean --", 1))}
}

// A noKeyError says that there is no such key.
type noKeyError struct {
	id    apikey.ID
	where string
}

func (e noKeyError) Error() string { return fmt.Sprintf("there is no key %q in %s", e.id, e.where) }

// maxNear is the number of names among which the nearest one is looked for.
const maxNear = 1000

// nearNames adds the name that may be meant to the error of an absent record: of the
// organization that the command names, or else of its key.
func (s *session) nearNames(ctx context.Context, c *cobra.Command, err error) error {
	if !isAbsent(err) {
		return err
	}
	r, failed := s.records(ctx)
	if failed != nil {
		return err
	}
	organization, id := named(c, "org", "ORG"), named(c, "key", "KEY")
	if organization != "" {
		flag := ""
		if c.Flags().Lookup("org") != nil { // the error may be about a key
			flag = "--org "
		}
		near := nearest(err, organization, flag, func(yield func(string, error) bool) {
			for o, err := range r.Organizations(ctx) {
				if !yield(o.ID, err) {
					return
				}
			}
		})
		if near != err {
			return near
		}
	}
	if id == "" {
		return err
	}
	return nearKey(ctx, r, organization, id, err)
}

// nearKey does the same for a key of an organization, or of any.
func nearKey(ctx context.Context, r records, organization, id string, err error) error {
	return nearest(err, id, "", func(yield func(string, error) bool) {
		for key, err := range views(ctx, r, organization, store.Filter{}) {
			if !yield(string(key.ID), err) {
				return
			}
		}
	})
}

// named returns the record that a command names by a flag, or by an argument of this name in Use.
func named(c *cobra.Command, flag, argument string) string {
	if f := c.Flags().Lookup(flag); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	i := slices.Index(strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(c.Use)), argument) - 1
	return c.Flags().Arg(i)
}

// isAbsent reports whether an error says that a record is absent.
func isAbsent(err error) bool {
	refused, ok := errors.AsType[*admin.Error](err)
	_, absent := errors.AsType[noKeyError](err)
	return absent || ok && refused.Class == admin.NotFound
}

// nearest adds to an error the nearest of the names there are. It stays as it is where the name is
// one of them, and where they cannot be read. flag is what the name stands after.
func nearest(err error, name, flag string, names iter.Seq2[string, error]) error {
	var known []string
	for name, failed := range names {
		if failed != nil || len(known) == maxNear {
			break
		}
		known = append(known, name)
	}
	if slices.Contains(known, name) {
		return err
	}
	slices.Sort(known)
	text := strings.Replace(didYouMean(name, known), "mean ", "mean "+flag, 1)
	if text != "" && strings.HasSuffix(err.Error(), ".") {
		text = strings.Replace(text, ": d", " D", 1)
	}
	if text == "" {
		return err
	}
	return fmt.Errorf("%w%s", err, text)
}
