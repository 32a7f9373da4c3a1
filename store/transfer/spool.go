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

// A spool puts the records of a feed, which come in any order, in the order of a file.
// The lines wait in a temporary file; only where each is, is in memory.
type spool struct {
	file          *os.File
	out           *bufio.Writer
	size          int64
	organizations map[string]string // each name once, for all the keys to share
	places        []place
}

type place struct {
	organization string
	key          apikey.ID // empty for the organization itself
	offset       int64
	length       int
}

// newSpool makes a spool that nobody else can read, since there are hashes of secrets in
// it. Its file is removed at once where a file that is open can be, so that not even a
// process that is killed leaves it behind, and otherwise by remove.
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

// fill takes what a feed tells up to its first mark.
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
	return errors.New("the feed ended without a mark (W5, W6)")
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
	return nil, fmt.Errorf("the feed told of %s without its record (W6)", nameOf(change.Organization, change.Key))
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
