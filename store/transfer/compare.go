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
// store.UsageRecorder. Verify returns:
//   - the Counts of the file and nil, if the store has every record of the file and no other;
//   - [ErrDamaged], if the file is not whole;
//   - [ErrDiffers] otherwise; the error names the first five records that differ, that are
//     only in the file, and that are only in the store.
//
// Nobody else should write to the store meanwhile. Verify holds the identifiers of the file in
// memory.
func Verify(ctx context.Context, s store.Store, r io.Reader) (Counts, error) {
	var counts Counts
	err := protected(func() error {
		c, err := compare(ctx, s, r)
		if err != nil {
			return err
		}
		counts = c.counts
		if err := c.list(ctx, s); err != nil {
			return err
		}
		return errors.Join(c.unlike(), c.more.err())
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
	file        order    // the names in the file
	more        findings // records of the store that are not in the file
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
			c.counts, c.sum, c.file = r.counts, r.total(), r.order
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
				c.lacks.add(records[i].name() + " is only in the file")
			}
		}
		c.states = append(c.states, states...)
	}
}

// list notes what only the store has.
func (c *comparison) list(ctx context.Context, s store.Store) error {
	for organization, err := range store.AllOrganizations(ctx, s) {
		if err != nil {
			return fmt.Errorf("listing the organizations: %w", err)
		}
		if !c.file.has(organization.ID, "") {
			c.more.add(nameOf(organization.ID, "") + " is only in the store")
		}
		for key, err := range store.AllKeys(ctx, s, organization.ID) {
			if err != nil {
				return fmt.Errorf("listing the keys of %s: %w", nameOf(organization.ID, ""), err)
			}
			if !c.file.has(organization.ID, key.ID) {
				c.more.add(nameOf(organization.ID, key.ID) + " is only in the store")
			}
		}
	}
	return nil
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
