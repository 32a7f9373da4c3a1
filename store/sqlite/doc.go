// Package sqlite is a store.Store in one file on one machine. Any number of processes on
// that machine may have the file open. It needs no server and no C compiler. Start with
// it for keys that must outlive the process.
//
//	keys, err := sqlite.Open(ctx, "/var/lib/gate/keys.db")
//	if err != nil { … }
//	defer keys.Close()
//	engine := policy.New(keys)
//
// A look-up takes some tens of microseconds, most of them for strict decoding. A write
// takes the time of the disk. For faster look-ups, or to keep floods of guessed keys away
// from the file, put package store/replica before it.
//
// Do not use it if several machines write keys, or if keys must be available when this
// machine is not: see packages store/postgres and store/etcd. Do not put the file on a
// network file system or on a volume of several machines, real or virtual. Processes share
// the file's log by shared memory, which reaches no other kernel.
//
// Containers of one machine may share it, if the directory of the file is mounted into each
// of them. The log is beside the file. So a mount of the file alone is refused, and a file
// with several hard links: each name would have a log of its own, and acknowledged writes
// would be lost. Symbolic links lead to one name.
//
// # The disk
//
// A write has returned when fsync of the log has returned (S25). No more is possible: a
// disk, or a layer below it, that confirms too early loses the last writes in a power
// failure, and may lose the file. If fsync fails, the write is an error and invisible; after
// a crash it may be there, whole.
//
// A full disk refuses writes. It also refuses the first process to open the file, which
// needs 32 kB for keys.db-shm. Processes with the file open go on reading, and further ones
// can open it.
//
// The file is created for its owner alone. SQLite's two files beside it, keys.db-wal and
// keys.db-shm, get the same permissions. Write access lets anyone in; read access shows the
// hashes of the secrets, and with the Digest credentials of a key, if it has any, a reader can
// sign in. Every process needs write access to the three files and their
// directory, even for look-ups alone.
//
// # Several processes
//
// The next read of any process sees a write, at once and whole. Of two that replace the
// same revision one gets store.ErrConflict. Writers take turns, a millisecond or less each.
// A writer waits for its turn until its context ends, or for ten seconds. Reads wait only
// for the recovery of the log after a crash. A killed process blocks no other and leaves
// every write whole or not at all.
//
// Watchers in any process receive a write a millisecond or two later. After a time of quiet
// it can be a hundredth of that time, 25 ms at most. As long as there are watchers, a
// process asks the file so often whether it was written. That takes one percent of a
// processor in quiet, mostly for waking up. While others write, a process spends a tenth of
// the time on asking and reading. On a machine with many followers each asks less often,
// every 50 ms at least. A write of the same process is delivered at once, and so is one
// after a call of Position.
//
// A later release that needs other tables changes them when it opens the file with Open.
// OpenExisting never changes them: it is for programs beside the service. An earlier
// one with the file open, or opening it then, goes on as far as the later one allows: see
// package store, "Versions side by side". If it may no longer write, or read, its calls
// return store.ErrNewer. The file has the two numbers in the table progress.
//
// On most systems a process loses all its locks on a file by closing it. So a process with
// the store open must not open one of the three files by other means, not even to copy it:
// another process could take itself for the last one and remove the log in use. Nor may
// another SQLite library have it open in the same process.
//
// # Unreadable records
//
// A record is the JSON document of apikey.Key or policy.Organization, beside columns for
// its ID, organization and revision. An incomplete record, or one that contradicts its
// columns, is an error wherever it is requested, and decisions about it are unavailable. It
// can be deleted. Other records are unaffected. A page of events with an unreadable one is an
// error, and the events can be forgotten. A damaged file is an error as soon as the
// damaged part is needed.
//
// SQLite has no checksums. A record changed into another valid one, by hand or by a disk,
// is that other one: a list changed to [] is an empty list. A key without its row is
// unknown and admits nobody.
//
// Changes by hand to the tables keys and organizations are read at once, but watchers do
// not receive them, and a copy stays as it was. To make watchers reload, raise the revision
// afterwards:
//
//	sqlite3 keys.db 'UPDATE progress SET revision = revision + 1, forgotten = revision + 1'
//
// A row without an ID belongs to nobody and cannot be deleted by its ID. Every watch from
// zero ends with an error until the row is deleted by hand, from table keys or
// organizations:
//
//	sqlite3 keys.db "DELETE FROM keys WHERE typeof(id) <> 'text' OR id = ''"
//
// # Events
//
// The store is a store.Journal. The events of a write are one row in its transaction: one
// statement more, and no other wait for the disk. The row takes the bytes of their JSON,
// about 140 for a small event, and 60 for itself and its place in two indexes. A page is read
// by an index, whatever the number of events.
//
// No event is dropped until a store.Write forgets it. From then on no page has it. The rows
// of a thousand writes are deleted in each transaction, in some 3 ms, and other writes come
// between. If that fails after the first, Write returns an error, and the next Write with
// Forget deletes the rest. The file does not shrink: its pages are used again.
//
// A follower's position is valid until an event after it is forgotten, over restarts too. For
// this the file keeps the name of every history since the last event forgotten, some 90 bytes
// for each Store that has written. If short-lived programs write often, forget at times, also
// without events.
//
// Rows of the table events may be read by hand, such as those of one key:
//
//	sqlite3 keys.db "SELECT revision, document FROM events WHERE organization = 'acme' AND key = 'KEY'"
//
// # Backups
//
// While the store is in use, in another process, with the sqlite3 program of SQLite 3.37
// or later:
//
//	umask 077; sqlite3 /var/lib/gate/keys.db "VACUUM INTO '/backup/keys.db'"
//
// This takes a snapshot and blocks no write. Copying the file is not enough: the last
// writes are in the log. Package store/transfer exports a store as text.
//
// To restore a backup: end all processes with the file open. Remove keys.db, and also
// keys.db-wal and keys.db-shm, which would be applied to the backup. Put the backup in its
// place. Keys deleted after the backup are back. Callers with a lost revision get
// store.ErrConflict, and watchers from a lost position store.ErrCompacted.
//
// Nothing in a file shows a backup put back. So every Store begins a history by
// its first write: it has a random name, and its revisions begin up to 2^32 behind the
// latest. The file keeps the names of its earlier histories. So watchers and followers of
// events go on over restarts, and with several writing processes. A lost revision is given again
// with a probability of n in 2^32, after n writes.
//
// With the command .restore of sqlite3 a backup can be restored into the file while a
// process has it open. The process notices, by its next write at the latest, if its own
// latest write is gone, or the latest one it has learned of by Position, a watch or Events.
// It may not have learned of the latest writes of others. Therefore end all processes.
//
// If the file is moved, removed or replaced while a process has it open, that process does
// not go on with the old one: every call is an error, and every watch ends with one. That
// lasts until the file is back, or the store is closed and opened again.
//
// # Size
//
// A key with three entries takes about 500 bytes, a change 50; the last 100,000 changes are
// kept, and events until they are forgotten. The log is some 4 MB. During a long read it grows by what others write, and is cut
// to 64 MB afterwards. A page, a look-up and a write take as long with a million keys as
// with a thousand.
package sqlite
