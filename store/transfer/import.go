package transfer

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Result is what Import did.
type Result struct {
	File    Counts // records of the file
	Written Counts // records written; the store had the rest
}

// Import reads an export from its beginning and writes the missing records to a store:
//
//  1. It checks the whole file and compares it with the store as [Verify] does. If the file
//     is not whole ([ErrDamaged]), or the store has another record with the same
//     identifier ([ErrDiffers]), it writes nothing.
//  2. It writes the missing records. Equal ones are skipped: to resume an interrupted
//     import, run it again.
//  3. It reads everything back and compares. A record not kept is ErrDiffers.
//
// Keys without entries are restored as they were (rule A10).
// Records get new revisions from the store; a write with an old revision is
// store.ErrConflict. With a [store.Loader] many are written at once, otherwise one by one.
// Usage is written for keys without any, and not at all if store.As finds no
// store.UsageRecorder. Nobody else should write to the store, or count in it, meanwhile.
//
// With an error the Result has the records written before it.
func Import(ctx context.Context, s store.Store, r io.ReadSeeker) (Result, error) {
	i := &importer{store: s, file: r}
	i.recorder, _ = store.As[store.UsageRecorder](s)
	i.loader, _ = store.As[store.Loader](s)
	if err := protected(func() error { return i.run(ctx) }); err != nil {
		return i.result, fmt.Errorf("store/transfer: import: %w", err)
	}
	return i.result, nil
}

type importer struct {
	store    store.Store
	recorder store.UsageRecorder // nil if the store does not count
	loader   store.Loader        // nil if the store has none
	file     io.ReadSeeker
	result   Result
}

func (i *importer) run(ctx context.Context) error {
	before, err := i.compare(ctx)
	if err != nil {
		return err
	}
	i.result.File = before.counts
	if err := before.differences.err(); err != nil || before.lacks.count == 0 {
		return err
	}
	if err := i.writeAll(ctx, before); err != nil {
		return err
	}
	after, err := i.compare(ctx)
	if err != nil {
		return err
	}
	if after.sum != before.sum {
		return errChanged
	}
	if err := after.unlike(); err != nil {
		return fmt.Errorf("reading back what was written: %w", err)
	}
	return nil
}

var errChanged = fmt.Errorf("%w: it changed during the import: want a file that nobody writes", ErrDamaged)

func (i *importer) compare(ctx context.Context) (*comparison, error) {
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return compare(ctx, i.store, i.file)
}

// writeAll writes all missing records.
func (i *importer) writeAll(ctx context.Context, c *comparison) error {
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, states := newReader(i.file), c.states
	for {
		records, err := r.chunk()
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		if len(records) > len(states) {
			return errChanged
		}
		if err := i.write(ctx, records, states); err != nil {
			return err
		}
		states = states[len(records):]
	}
	if r.total() != c.sum {
		return errChanged
	}
	return nil
}

// write writes the missing records of a chunk: organizations, then keys, then usage.
func (i *importer) write(ctx context.Context, records []record, states []state) error {
	var organizations []policy.Organization
	var keys []apikey.Key
	var used []record
	for n, record := range records {
		if states[n] == lacksRecord && record.key == nil {
			organizations = append(organizations, *record.organization)
			organizations[len(organizations)-1].Revision = 0
		}
		if states[n] == lacksRecord && record.key != nil {
			keys = append(keys, *record.key)
			keys[len(keys)-1].Revision = 0
		}
		if states[n] != same && record.usage != nil && i.recorder != nil {
			used = append(used, record)
		}
	}
	if err := i.create(ctx, organizations, keys); err != nil {
		return err
	}
	return i.record(ctx, used)
}

// create writes new organizations and keys, and counts those written.
func (i *importer) create(ctx context.Context, organizations []policy.Organization, keys []apikey.Key) error {
	if len(organizations)+len(keys) == 0 {
		return nil
	}
	if i.loader != nil {
		if err := i.loader.Load(ctx, organizations, keys, store.AllowOpen, store.AllowManyEntries); err != nil {
			return fmt.Errorf("loading %d organizations and %d keys: %w", len(organizations), len(keys), err)
		}
		i.result.Written.Organizations += len(organizations)
		i.result.Written.Keys += len(keys)
		return nil
	}
	err := putAll(&i.result.Written.Organizations, organizations, func(o policy.Organization) error {
		_, err := i.store.PutOrganization(ctx, o)
		return written(nameOf(o.ID, ""), err)
	})
	if err != nil {
		return err
	}
	return putAll(&i.result.Written.Keys, keys, func(key apikey.Key) error {
		_, err := i.store.PutKey(ctx, key, store.AllowOpen, store.AllowManyEntries) // as it was
		return written(nameOf(key.Organization, key.ID), err)
	})
}

// putAll puts records, several at once, and counts those put.
func putAll[R any](count *int, records []R, put func(R) error) error {
	var done atomic.Int64
	err := parallel(len(records), func(n int) error {
		err := put(records[n])
		if err == nil {
			done.Add(1)
		}
		return err
	})
	*count += int(done.Load())
	return err
}

// record writes the usage of keys without any.
func (i *importer) record(ctx context.Context, used []record) error {
	for some := range slices.Chunk(used, store.MaxUsageKeys) {
		batch := make(map[apikey.ID]store.KeyUsage, len(some))
		for _, record := range some {
			batch[record.key.ID] = record.usage.known()
		}
		if err := i.recorder.RecordUsage(ctx, batch); err != nil {
			return fmt.Errorf("writing the usage of %d keys: %w", len(some), err)
		}
		i.result.Written.Usage += len(some)
	}
	return nil
}

func written(name string, err error) error {
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
