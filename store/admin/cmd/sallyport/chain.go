package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/store"
)

// An export of events is a file of JSON lines, in the order of their revisions:
//
//	{"sallyport":{"events":1}}
//	{"previous":"…","event":{…}}
//	{"previous":"…","end":{"events":1,"revision":17,"history":"…"}}
//
// previous is the SHA-256 of the line before, without its line feed, in hexadecimal. The hash
// of the last line is the head. A line that is altered, left out, added or moved breaks the
// chain. A file written anew as a whole has another head: so keep the head elsewhere.
const chainBegin = `{"sallyport":{"events":1}}`

type chainLine struct {
	Previous string          `json:"previous"`
	Event    json.RawMessage `json:"event,omitempty"`
	End      *chainEnd       `json:"end,omitempty"`
}

type chainEnd struct {
	Events   int    `json:"events"`
	Revision uint64 `json:"revision"`
	History  string `json:"history"`
}

// maxChainLine is more than the length of the line of the largest event.
const maxChainLine = 4 * store.MaxEventBytes

func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// writeChain writes the events of a request, and returns their number and the head.
func writeChain(ctx context.Context, w io.Writer, from records, request store.EventRequest) (n int, head string, err error) {
	line := []byte(chainBegin)
	write := func(next chainLine) (err error) {
		if _, err = w.Write(append(line, '\n')); err != nil {
			return err
		}
		next.Previous = hashOf(line)
		line, err = json.Marshal(next)
		return err
	}
	request.Limit = store.MaxPageSize
	for more := true; more; {
		page, err := from.Events(ctx, request)
		if err != nil {
			return n, "", err
		}
		for _, event := range page.Events {
			text, err := json.Marshal(event)
			if err == nil {
				err = write(chainLine{Event: text})
			}
			if err != nil {
				return n, "", err
			}
			n++
		}
		request.After, more = page.Next, page.More
	}
	if err := write(chainLine{End: &chainEnd{n, request.After.Revision, request.After.History}}); err != nil {
		return n, "", err
	}
	_, err = w.Write(append(line, '\n'))
	return n, hashOf(line), err
}

// A chainError says where an export is broken.
type chainError struct {
	line    int
	problem string
}

func (e *chainError) Error() string { return fmt.Sprintf("line %d %s", e.line, e.problem) }

// readChain reads an export. A broken one is a *chainError.
func readChain(r io.Reader) (end chainEnd, head string, err error) {
	lines := bufio.NewReaderSize(r, maxChainLine)
	previous, events := "", 0
	for n := 1; ; n++ {
		text, err := lines.ReadSlice('\n')
		broken := func(problem string) (chainEnd, string, error) { return chainEnd{}, "", &chainError{n, problem} }
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return broken("is too long")
		case errors.Is(err, io.EOF) && len(text) == 0:
			return broken("is missing: the file has no end")
		case errors.Is(err, io.EOF):
			return broken("is cut off")
		case err != nil:
			return chainEnd{}, "", err
		}
		text = text[:len(text)-1]
		if n == 1 {
			if string(text) != chainBegin {
				return broken("is not that of an export of events")
			}
			previous = hashOf(text)
			continue
		}
		var line chainLine
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		switch err := decoder.Decode(&line); {
		case err != nil:
			return broken("is not that of an event")
		case line.Previous != previous:
			return broken("does not follow the line before: one of the two was altered, or lines between were removed or added")
		}
		previous = hashOf(text)
		if line.End == nil {
			events++
			continue
		}
		switch _, err := lines.ReadByte(); {
		case line.End.Events != events:
			return broken(fmt.Sprintf("ends %d events, not %d", line.End.Events, events))
		case !errors.Is(err, io.EOF):
			return broken("is the end, and the file goes on")
		}
		return *line.End, previous, nil
	}
}

func (s *session) eventsExport() *cobra.Command {
	var q eventQuery
	var path string
	c := &cobra.Command{Use: "export", Short: "Write events as JSON lines with a hash chain", Args: exactly(0)}
	c.Long = `Write events as JSON lines, each with the hash of the one before. The head on standard error
stands for all of them: keep it elsewhere, and give it to events verify.`
	c.RunE = func(c *cobra.Command, _ []string) error {
		from, request, err := q.request(c.Context(), s)
		if err != nil {
			return err
		}
		n, head := 0, ""
		err = s.writeFile(path, func(w io.Writer) (err error) {
			n, head, err = writeChain(c.Context(), w, from, request)
			return err
		})
		if err == nil {
			s.err.printf("%s, head %s\n", count(n, "event", "events"), head)
		}
		return err
	}
	q.flags(c)
	outputFlag(c, &path)
	return c
}

func (s *session) eventsVerify() *cobra.Command {
	var head, path string
	c := &cobra.Command{Use: "verify -f FILE", Short: "Verify the hash chain of exported events", Args: exactly(0)}
	c.Long = `Verify the hash chain of exported events. Exit status 1 if it is broken, or has another
head than the one given. Without --head a file that was written anew as a whole is not noticed. No store is needed.`
	c.RunE = func(*cobra.Command, []string) error {
		from, err := s.open(path)
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }() // it is only read
		end, found, err := readChain(from)
		broken, ok := errors.AsType[*chainError](err)
		if ok || err == nil && head != "" && head != found {
			text := fmt.Sprintf("The head is %s, not the one given: the file is another one.", found)
			if ok {
				text = "The chain is broken: " + broken.Error() + "."
			}
			s.out.print(text + "\n")
			return errNo
		}
		if err != nil {
			return err
		}
		s.out.printf("%s up to revision %d, head %s\n", count(end.Events, "event", "events"), end.Revision, found)
		return nil
	}
	inputFlag(c, &path, "the export")
	must(c, "file")
	c.Flags().StringVar(&head, "head", "", "the `head` that the export printed")
	return c
}
