package transfer

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// A spool sorts the records of a feed into the order of a file. The lines wait in a
// temporary file; only their places are in memory.
type spool struct {
	file          *os.File
	out           *bufio.Writer
	size          int64
	organizations map[string]string // each name once, shared by all its keys
	places        []place
}

type place struct {
	organization string
	key          apikey.ID // empty for the organization itself
	offset       int64
	length       int
}

// newSpool makes a spool. Nobody else can read its file, because hashes of secrets are in
// it. Where an open file can be removed, it is removed at once, so that a killed process
// leaves none behind; otherwise remove does it.
func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "sallyport-export-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name())
	return &spool{file: file, out: bufio.NewWriterSize(file, 1<<16), organizations: map[string]string{}}, nil
}

func (s *spool) remove() error {
	closed, removed := s.file.Close(), os.Remove(s.file.Name())
	if errors.Is(removed, fs.ErrNotExist) {
		removed = nil
	}
	return errors.Join(closed, removed)
}

// fill takes the changes of a feed up to its first mark.
func (s *spool) fill(changes iter.Seq2[store.Change, error]) error {
	for change, err := range changes {
		if err != nil {
			return err
		}
		if change.IsMark() {
			return s.out.Flush()
		}
		if change.Deleted {
			continue
		}
		text, err := encodeChange(change)
		if err != nil {
			return err
		}
		if err := s.add(change.Organization, change.Key, text); err != nil {
			return err
		}
	}
	return errors.New("the feed ended without a mark: want one after the snapshot (W5, W6)")
}

func encodeChange(change store.Change) ([]byte, error) {
	organization, key := change.OrganizationRecord, change.KeyRecord
	switch {
	case change.Err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", nameOf(change.Organization, change.Key), change.Err)
	case change.Key == "" && organization != nil && organization.ID == change.Organization:
		return line{Organization: organization}.encode()
	case change.Key != "" && key != nil && key.ID == change.Key && key.Organization == change.Organization:
		return line{Key: key}.encode()
	}
	return nil, fmt.Errorf("the feed has %s without its record: want it with each change (W6)", nameOf(change.Organization, change.Key))
}

func (s *spool) add(organization string, key apikey.ID, text []byte) error {
	name, ok := s.organizations[organization]
	if !ok {
		name = strings.Clone(organization)
		s.organizations[name] = name
	}
	s.places = append(s.places, place{name, key, s.size, len(text)})
	s.size += int64(len(text))
	_, err := s.out.Write(text)
	return err
}

// items yields the records in order.
func (s *spool) items(yield func(item, error) bool) {
	slices.SortFunc(s.places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.organization, b.organization), strings.Compare(string(a.key), string(b.key)))
	})
	for _, place := range s.places {
		text := make([]byte, place.length)
		_, err := s.file.ReadAt(text, place.offset)
		if !yield(item{organization: place.organization, key: place.key, text: text}, err) || err != nil {
			return
		}
	}
}
