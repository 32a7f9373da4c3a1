package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-go/sallyport/store"
)

// Verify reads an export and compares it with a store. Revisions, and times less than a
// microsecond apart, count as equal. Usage is not compared if store.As finds no
// store.UsageRecorder. Records missing in the file are ignored. Verify returns:
//   - the Counts of the file and nil, if the store has every record of the file;
//   - [ErrDamaged], if the file is not whole;
//   - [ErrDiffers], if the store has other records or lacks some; the error names the
//     first five.
func Verify(ctx context.Context, s store.Store, r io.Reader) (Counts, error) {
	var counts Counts
	err := protected(func() error {
		c, err := compare(ctx, s, r)
		if err != nil {
			return err
		}
		counts = c.counts
		return c.unlike()
	})
	if err != nil {
		return Counts{}, fmt.Errorf("store/transfer: verify: %w", err)
	}
	return counts, nil
}

// A comparison is the result of comparing a file with a store.
type comparison struct {
	counts      Counts
	sum         [sha256.Size]byte // of the file's lines
	states      []state           // of each record, in the file's order
	differences findings
	lacks       findings
}

// A state is the result for one record of a file.
type state uint8

const (
	same state = iota
	differs
	lacksUsage
	lacksRecord
)

// findings are the first five of any number.
type findings struct {
	first []string
	count int
}

func (f *findings) add(text string) {
	if f.count++; len(f.first) < 5 {
		f.first = append(f.first, text)
	}
}

func (f *findings) err() error {
	if f.count == 0 {
		return nil
	}
	text := strings.Join(f.first, "; ")
	if more := f.count - len(f.first); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return fmt.Errorf("%w: %s", ErrDiffers, text)
}

// unlike returns an error if anything differs or is lacking.
func (c *comparison) unlike() error { return errors.Join(c.differences.err(), c.lacks.err()) }

// compare checks a whole file and compares it with a store.
func compare(ctx context.Context, s store.Store, file io.Reader) (*comparison, error) {
	recorder, _ := store.As[store.UsageRecorder](s)
	c, r := &comparison{}, newReader(file)
	for {
		records, err := r.chunk()
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			c.counts, c.sum = r.counts, r.total()
			return c, nil
		}
		states, texts := make([]state, len(records)), make([]string, len(records))
		err = parallel(len(records), func(i int) (err error) {
			if states[i], texts[i], err = find(ctx, s, recorder, records[i]); err != nil {
				err = fmt.Errorf("reading %s: %w", records[i].name(), err)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, state := range states {
			switch state {
			case differs:
				c.differences.add(records[i].name() + " has " + texts[i])
			case lacksUsage:
				c.lacks.add(records[i].name() + " has no usage")
			case lacksRecord:
				c.lacks.add(records[i].name() + " is not there")
			}
		}
		c.states = append(c.states, states...)
	}
}

// find looks for a record in a store. The text is the difference, if there is one.
func find(ctx context.Context, s store.Store, recorder store.UsageRecorder, want record) (state, string, error) {
	if want.key == nil {
		stored, err := s.Organization(ctx, want.organization.ID)
		return judged(organizationDifference(*want.organization, stored), err)
	}
	stored, err := s.Key(ctx, want.key.ID)
	found, text, err := judged(keyDifference(*want.key, stored), err)
	if err != nil || found != same || want.usage == nil || recorder == nil {
		return found, text, err
	}
	known, err := recorder.Usage(ctx, want.key.ID)
	if err != nil {
		return 0, "", err
	}
	switch usage := newKeyUsage(stored, known[stored.ID]); {
	case usage == nil:
		return lacksUsage, "", nil
	case !usage.same(want.usage):
		return differs, "other usage", nil
	}
	return same, "", nil
}

func judged(difference string, err error) (state, string, error) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return lacksRecord, "", nil
	case err == nil && difference != "":
		return differs, difference, nil
	}
	return same, "", err
}
