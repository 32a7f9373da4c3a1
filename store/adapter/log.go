package adapter

import (
	"slices"

	"github.com/sallyport-go/sallyport/store"
)

// A Log keeps the latest changes of a store in memory, for its watchers. It is not safe
// for concurrent use: the lock of the store guards it. Make one with [NewLog].
type Log struct {
	keep      int
	history   string
	changes   []store.Change // ascending
	bytes     int            // of the records in changes, about
	forgotten uint64         // revision of the latest change no longer known
	revision  uint64
}

// MaxLogBytes is the size of the records in a [Log], about, in bytes (rule A12).
const MaxLogBytes = 64 << 20

// NewLog returns the log of a store at a position. Earlier changes are not known to it.
// It keeps at least the latest changes in the number given, or as many as fit MaxLogBytes
// if those are fewer. It always keeps the latest.
func NewLog(keep int, from store.Position) *Log {
	return &Log{keep: keep, history: from.History, forgotten: from.Revision, revision: from.Revision}
}

// Position returns the position of the latest change.
func (l *Log) Position() store.Position {
	return store.Position{History: l.history, Revision: l.revision}
}

// Revision returns the revision of the latest change.
func (l *Log) Revision() uint64 { return l.revision }

// Add adds a change. Its revision is greater than those before.
func (l *Log) Add(change store.Change) {
	// Old changes are dropped a sixteenth at a time, so that the rest seldom moves.
	drop := 0
	if spare := l.keep/16 + 1; len(l.changes) >= l.keep+spare {
		drop = spare
	}
	l.bytes += sizeOf(change)
	if l.bytes > MaxLogBytes {
		for left := l.bytes; drop < len(l.changes) && left > MaxLogBytes/16*15; drop++ {
			left -= sizeOf(l.changes[drop])
		}
	}
	if drop > 0 {
		for _, dropped := range l.changes[:drop] {
			l.bytes -= sizeOf(dropped)
		}
		l.forgotten = l.changes[drop-1].Revision
		l.changes = slices.Delete(l.changes, 0, drop) // and does not hold on to their records
	}
	l.changes = append(l.changes, change)
	l.revision = change.Revision
}

// Advance notes a write without a change of a record: events were forgotten. Its revision is
// greater than all earlier ones.
func (l *Log) Advance(revision uint64) { l.revision = revision }

// sizeOf returns the size of a change with its record, about. An entry has an address and
// a length, and in most lists with any comment or expiry its place for them.
func sizeOf(change store.Change) int {
	const each, perEntry, perGrant = 256, 80, 40
	size := each + len(change.Organization)
	if organization := change.OrganizationRecord; organization != nil {
		size += len(organization.Name)
	}
	if key := change.KeyRecord; key != nil {
		size += 2*each + len(key.Description) + perEntry*key.Entries() + perGrant*len(key.Grants)
		for entry := range key.AccessList.All() {
			size += len(entry.Comment)
		}
		for entry := range key.TrialList.All() {
			size += len(entry.Comment)
		}
		size += key.Metadata.Size() + perGrant*len(key.Labels())
		for _, grant := range key.Grants {
			size += len(grant.Role) + len(grant.Project)
		}
	}
	return size
}

// Since returns the changes after a position, in ascending order. The error is
// store.ErrCompacted (W4). Deliver the [Latest] of them, each as [Own].
func (l *Log) Since(after store.Position) ([]store.Change, error) {
	if err := CheckWatch(after, l.forgotten, l.Position()); err != nil {
		return nil, err
	}
	begin, _ := slices.BinarySearchFunc(l.changes, after.Revision+1, func(change store.Change, revision uint64) int {
		if change.Revision < revision {
			return -1
		}
		return 1
	})
	return slices.Clone(l.changes[begin:]), nil
}

// Latest returns the last entry for each record, in the order of the log: between two
// marks each record is delivered once (W6). A log is in ascending order of revisions; name
// returns the record's name of an entry. The log is not changed.
func Latest[E any](log []E, name func(E) Name) []E {
	latest := make([]E, 0, len(log))
	seen := make(map[Name]struct{}, len(log))
	for _, entry := range slices.Backward(log) {
		name := name(entry)
		if _, later := seen[name]; !later {
			seen[name] = struct{}{}
			latest = append(latest, entry)
		}
	}
	slices.Reverse(latest)
	return latest
}
