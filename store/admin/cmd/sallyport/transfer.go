package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/store/transfer"
)

// acrossOrganizations is why no server has these commands.
const acrossOrganizations = "It reads or writes the records of every organization, with the hashes of the secrets, and callers of a service have rights in single ones"

func countsText(c transfer.Counts) string {
	return fmt.Sprintf("%s, %s, %d of them with usage", count(c.Organizations, "organization", "organizations"), count(c.Keys, "key", "keys"), c.Usage)
}

func (s *session) exportCommand() *cobra.Command {
	var path string
	c := &cobra.Command{Use: "export", Short: "Write all records to a file, as a backup or for another store", Args: exactly(0)}
	c.Long = `Write all organizations, keys and their usage to a file: a backup, or for import into another
store. The file has the hashes of the secrets: protect it like the store. Events are not in it;
see events export. It needs --store: callers of a server have rights in single organizations.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.use(c.Context(), acrossOrganizations); err != nil {
			return err
		}
		var counts transfer.Counts
		err := s.writeFile(path, func(w io.Writer) (err error) {
			counts, err = transfer.Export(c.Context(), s.store, w)
			return err
		})
		if err == nil {
			s.err.print(countsText(counts) + "\n")
		}
		return err
	}
	outputFlag(c, &path)
	return c
}

func (s *session) importCommand() *cobra.Command {
	var path string
	var preview, agreed bool
	c := &cobra.Command{Use: "import -f FILE", Short: "Write the missing records of a file to the store", Args: exactly(0)}
	c.Long = `Write the missing records of an export to the store. Equal ones are skipped, so an interrupted
import is run again. If the store has another record of the same name, nothing is written. It
is no change of an organization: nothing is judged, and no events are kept. Nobody else should
write to the store meanwhile. It needs --store: callers of a server have rights in single
organizations.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.use(c.Context(), acrossOrganizations); err != nil {
			return err
		}
		file, err := s.seekable(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it is only read
		if preview {
			return s.compare(c, file)
		}
		if !agreed {
			if err := s.ask("system "+s.env.user, "write the missing records of "+path); err != nil {
				return err
			}
			if err := s.confirm(c.Context()); err != nil {
				return err
			}
		}
		p := &rereading{progress{r: file, on: s.err, unit: "records"}, file}
		result, err := transfer.Import(c.Context(), s.store, p)
		p.end()
		s.err.printf("In the file: %s.\nWritten: %s.\n", countsText(result.File), countsText(result.Written))
		if errors.Is(err, transfer.ErrDiffers) {
			return noError{err}
		}
		return err
	}
	inputFlag(c, &path, "the export")
	c.Flags().BoolVar(&preview, "preview", false, "compare only, like verify: exit status 1 if they differ")
	c.Flags().BoolVar(&agreed, "yes", false, "do not ask")
	must(c, "file")
	return c
}

func (s *session) verifyCommand() *cobra.Command {
	var path string
	c := &cobra.Command{Use: "verify -f FILE", Short: "Compare the store with a file: exit status 1 if it differs", Args: exactly(0)}
	c.Long = `Compare the store with an export. Exit status 0 if both have the same records, 1 if not: the
first five records are named that differ, that only the file has, and that only the store has.
Nobody else should write to the store meanwhile. It needs --store: callers of a server have rights
in single organizations.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.use(c.Context(), acrossOrganizations); err != nil {
			return err
		}
		file, err := s.open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it is only read
		return s.compare(c, file)
	}
	inputFlag(c, &path, "the export")
	must(c, "file")
	return c
}

// compare compares the store with an export.
func (s *session) compare(c *cobra.Command, file io.Reader) error {
	p := &progress{r: file, on: s.err, unit: "records"}
	counts, err := transfer.Verify(c.Context(), s.store, p)
	p.end()
	if errors.Is(err, transfer.ErrDiffers) {
		s.out.print(strings.TrimPrefix(err.Error(), "store/transfer: verify: ") + "\n")
		return errNo
	}
	if err == nil {
		s.out.printf("The store has the records of the file, and no others: %s.\n", countsText(counts))
	}
	return err
}

func (s *session) migrateCommand() *cobra.Command {
	var preview, agreed bool
	c := &cobra.Command{Use: "migrate", Short: "Make the store, or bring an older one up to date", Args: exactly(0)}
	c.Long = `Make the store if it is absent, or bring one of an earlier version up to date. Programs of an
earlier version may be refused from then on: see the package of the store. It needs --store: a
server does this to its own.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		err := s.use(c.Context(), "A service makes its store and brings it up to date itself")
		if _, wrong := errors.AsType[usageError](err); wrong || s.isRemote() {
			return err
		}
		if err == nil {
			s.out.printf("%s is up to date.\n", s.shown)
			return nil
		}
		if !isToMigrate(err) {
			return err
		}
		if preview {
			s.out.printf("The store would be made, or changed: %v\n", err)
			return errNo
		}
		s.shown = hidePassword(s.settings.store)
		if !agreed {
			if err := s.ask("system "+s.env.user, "make the store or bring it up to date, because: "+err.Error()); err != nil {
				return err
			}
			if err := s.confirm(c.Context()); err != nil {
				return err
			}
		}
		made, failed := s.env.open(c.Context(), s.settings.store, s.env.getenv, true)
		if failed != nil {
			return failed
		}
		s.closing = made.close
		what := "was brought up to date"
		if errors.Is(err, fs.ErrNotExist) {
			what = "was made"
		}
		s.out.printf("%s %s.\n", made.shown, what)
		return nil
	}
	c.Flags().BoolVar(&preview, "preview", false, "say what would be done, and write nothing; exit status 1 if there is anything")
	c.Flags().BoolVar(&agreed, "yes", false, "do not ask")
	return c
}
