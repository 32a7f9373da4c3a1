package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// inputFlag adds the flag -f, by which every command reads its file.
func inputFlag(c *cobra.Command, path *string, use string) {
	c.Flags().StringVarP(path, "file", "f", "", use+" in this `file`, - for standard input")
}

// outputFlag adds the flag -f to a command that writes a file.
func outputFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "file", "f", "", "a new `file`; standard output, or -, unless given")
}

// exactly wants n arguments. Of a file without its flag it says what to write instead.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= n {
			return atLeast(n)(c, args)
		}
		if file := c.Flags().Lookup("file"); file != nil && len(args) == n+1 && !file.Changed {
			return usageError{fmt.Errorf("%.40q is one argument too many: want a file as -f FILE", args[n])}
		}
		return usageError{fmt.Errorf("%.40q is one argument too many: want %s", args[n], c.UseLine())}
	}
}

// atLeast wants n arguments or more.
func atLeast(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError{fmt.Errorf("an argument is missing: want %s", c.UseLine())}
		}
		return nil
	}
}

// open opens a file to read, or standard input by the name -.
func (s *session) open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(s.stdin), nil
	}
	return os.Open(path)
}

// maxFile is the size of the largest file read whole: a list with every bound used.
const maxFile = 32 << 20

// readFile reads a whole file.
func (s *session) readFile(path string) ([]byte, error) {
	from, err := s.open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.Close() }() // it is only read
	data, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return data, err
}

// seekable opens a file to read several times. Standard input is copied into a file without a
// name.
func (s *session) seekable(path string) (*os.File, error) {
	if path != "-" {
		return os.Open(path)
	}
	file, err := os.CreateTemp("", "sallyport-import-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(file.Name())
	if err == nil {
		_, err = io.Copy(file, s.stdin)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("standard input cannot be kept to be read twice: %w", err), file.Close())
	}
	return file, nil
}

// writeFile writes a new file that only its owner can read, or standard output if there is no
// path. A file that could not be written whole is removed.
func (s *session) writeFile(path string, write func(io.Writer) error) error {
	write = s.counted(write)
	if path == "" || path == "-" {
		if s.out.term {
			return usageError{errors.New("a terminal is no place for an export: want -f FILE, or a pipe")}
		}
		return write(s.out.w)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the file %q exists already: want a new one", path)
	}
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// counted shows the progress of a writer on the terminal.
func (s *session) counted(write func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		p := &progress{w: w, on: s.err, unit: "records"}
		err := write(p)
		p.end()
		return err
	}
}
