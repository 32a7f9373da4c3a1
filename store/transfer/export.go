package transfer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// Export writes all records of a store and returns their number. The package's
// documentation has the format.
//
// If store.As finds a store.Watcher, the organizations and keys are a snapshot (W6). They
// wait in a temporary file in os.TempDir, as large as the export. Only this user can read
// it, and Export removes it. Without a Watcher they come from the listings, page by page,
// and the export may or may not have concurrent writes: for a snapshot stop the writers.
// Usage is read later than the keys.
//
// Export holds the identifiers in memory, some 200 bytes a key, and a thousand records or
// four megabytes of the rest at a time.
//
// An unreadable record is an error with its name. After an error the file has no last
// line, and Import refuses it.
func Export(ctx context.Context, s store.Store, w io.Writer) (Counts, error) {
	e := &exporter{out: bufio.NewWriterSize(w, 1<<16), sum: sha256.New()}
	e.recorder, _ = store.As[store.UsageRecorder](s)
	if err := protected(func() error { return e.everything(ctx, s) }); err != nil {
		return Counts{}, fmt.Errorf("store/transfer: export: %w", err)
	}
	return e.counts, nil
}

type exporter struct {
	out      *bufio.Writer
	sum      hash.Hash
	recorder store.UsageRecorder // nil if the store does not count
	order    order
	chunk    []item // lines to be written
	size     int    // of the chunk, in bytes
	counts   Counts
}

// An item is a record as its line.
type item struct {
	organization string
	key          apikey.ID // empty for an organization
	text         []byte
	used         bool
}

// full reports whether a chunk has enough records, or enough bytes of lines.
func full(records, bytes int) bool { return records >= store.MaxLoad || bytes >= 1<<22 }

func (e *exporter) everything(ctx context.Context, s store.Store) error {
	watcher, ok := store.As[store.Watcher](s)
	if !ok {
		return e.writeAll(ctx, listed(ctx, s))
	}
	spool, err := newSpool()
	if err != nil {
		return err
	}
	err = protected(func() error {
		if err := spool.fill(watcher.Watch(ctx, store.Position{})); err != nil {
			return err
		}
		return e.writeAll(ctx, spool.items)
	})
	return errors.Join(err, spool.remove())
}

// listed yields the records from the listings of a store.
func listed(ctx context.Context, s store.Store) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for organization, err := range store.AllOrganizations(ctx, s) {
			if err != nil {
				yield(item{}, fmt.Errorf("listing the organizations: %w", err))
				return
			}
			text, err := line{Organization: &organization}.encode()
			if !yield(item{organization: organization.ID, text: text}, err) {
				return
			}
			for key, err := range store.AllKeys(ctx, s, organization.ID) {
				if err != nil {
					yield(item{}, fmt.Errorf("listing the keys of %s: %w", nameOf(organization.ID, ""), err))
					return
				}
				text, err := line{Key: &key}.encode()
				if !yield(item{organization: key.Organization, key: key.ID, text: text}, err) {
					return
				}
			}
		}
	}
}

func (e *exporter) writeAll(ctx context.Context, items iter.Seq2[item, error]) error {
	_ = e.write(firstLine) // Flush returns its error
	for item, err := range items {
		if err != nil {
			return err
		}
		if err := e.add(ctx, item); err != nil {
			return err
		}
	}
	if err := e.writeChunk(ctx); err != nil {
		return err
	}
	_ = e.write(lastLine(e.counts, e.sum))
	return e.out.Flush()
}

func (e *exporter) add(ctx context.Context, item item) error {
	if err := e.order.add(item.organization, item.key); err != nil {
		return fmt.Errorf("the store returned %w", err)
	}
	e.chunk = append(e.chunk, item)
	e.size += len(item.text)
	if !full(len(e.chunk), e.size) {
		return nil
	}
	return e.writeChunk(ctx)
}

// writeChunk adds the usage of the chunk's keys and writes the chunk.
func (e *exporter) writeChunk(ctx context.Context) error {
	if e.recorder != nil {
		parts := slices.Collect(slices.Chunk(e.chunk, store.MaxUsageKeys))
		if err := parallel(len(parts), func(i int) error { return e.addUsage(ctx, parts[i]) }); err != nil {
			return err
		}
	}
	for _, item := range e.chunk {
		e.counts.add(item.key != "", item.used)
		if err := e.write(item.text); err != nil {
			return err
		}
	}
	e.chunk, e.size = e.chunk[:0], 0
	return nil
}

// addUsage adds the usage of keys to their lines. A key deleted meanwhile has none.
func (e *exporter) addUsage(ctx context.Context, items []item) error {
	var ids []apikey.ID
	var first string
	for _, item := range items {
		if item.key != "" {
			if ids = append(ids, item.key); len(ids) == 1 {
				first = nameOf(item.organization, item.key)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	all, err := e.recorder.Usage(ctx, ids...)
	if err != nil {
		return fmt.Errorf("the usage of %d keys from %s on: %w", len(ids), first, err)
	}
	for i := range items {
		item := &items[i]
		known := all[item.key]
		if known.IsZero() {
			continue
		}
		l, err := decode(item.text)
		if err != nil {
			return err
		}
		l.Usage = newKeyUsage(*l.Key, known)
		item.used = l.Usage != nil
		if item.text, err = l.encode(); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) write(text []byte) error {
	e.sum.Write(text) // never fails
	_, err := e.out.Write(text)
	return err
}
