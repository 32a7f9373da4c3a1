// Package sqlite is a store.Store in one file on one machine, which any number of
// processes there may have open at once. It needs no server and no C compiler. It is the
// one to begin with for keys that must outlast the process.
//
//	keys, err := sqlite.Open(ctx, "/var/lib/gate/keys.db")
//	if err != nil { … }
//	defer keys.Close()
//	engine := policy.New(keys)
//
// A look-up takes some tens of microseconds, most of them for reading the record
// strictly, and a write what the disk takes to make it last. Who needs look-ups faster,
// or wants a flood of guessed keys to touch no file, puts package store/replica before
// it.
//
// Do not use it if several machines write the keys, or if they must be there when this
// machine is not: see packages store/postgres and store/etcd. Do not put the file on a
// network file system, nor on a volume that several machines, real or virtual, have at
// once: processes share the file's log by shared memory, which reaches no other kernel.
// Containers of one machine may share it.
//
// # What it needs of the disk
//
// A write has returned when fsync has, on the log (S25). That is all that it can do: a
// disk, or a layer below it, that says so too early loses the last writes when the power
// fails, and may lose the file. If fsync fails the write is an error and nobody sees it;
// but whoever opens the file after a crash may find it there, whole. A disk that is full
// refuses writes, and the first process that opens the file, which takes 32 kB for
// keys.db-shm: those who have it open go on to read, and others can open it.
//
// The file is made for its owner alone, and the two that SQLite keeps beside it,
// keys.db-wal and keys.db-shm, have its permissions. Whoever may write them can let
// anyone in; whoever may read them sees the hashes of the secrets. Every process must be
// able to write them and their directory, those too that only look keys up.
//
// # Several processes
//
// What one process has written the next read of any other sees, at once and whole; and of
// two that replace the same revision one gets store.ErrConflict. Writers take turns, a
// millisecond or less each; one that waits for its turn, in whatever process, does so until
// its context ends, or for ten seconds. Reads wait only for the recovery of the log after a
// crash. A process that is killed holds up no other, and leaves every write there whole or
// not at all.
//
// A write is told to those who watch, in any process, about a millisecond later: as long
// as somebody watches, a process asks the file a thousand times a second whether it was
// written, which takes a few percent of a processor, most of them for waking up.
//
// When a later release has changed the file to a version of its own, a process of an earlier
// one that has it open is refused writes, Revision and watches, with the error that Open
// has. It still reads records: one that has anything in it that it does not know is an
// error.
//
// On most systems a process that closes a file loses all the locks that it has on that
// file. So nothing in a process that has the store open may open one of the three files
// by other means, not even to copy it: another process could then take itself for the
// last one, and remove the log to which this one still writes. Nor may another library of
// SQLite have it open in the same process.
//
// # What cannot be read
//
// A record is kept as the JSON of apikey.Key or policy.Organization, next to columns for
// what is searched: its ID, organization and revision. A record that is not complete,
// or that its columns contradict, is an error wherever it is asked for, and decisions
// about it are unavailable; it can be deleted, and other records are as they were. A
// damaged file is an error as soon as the damaged part is needed.
//
// SQLite has no checksums. A record that somebody, or a disk, has changed into another
// valid one is that other one: a list that has become [] is an empty list. A key of which
// the row is gone is unknown, and nobody gets in with it.
//
// What somebody writes by hand into the tables of keys and organizations is read at once,
// but those who watch are not told, and a copy stays as it was. To have them begin again,
// raise the revision afterwards, as for a backup that was restored.
//
// A row that has lost its ID cannot be told as anybody's, nor be deleted by its ID. Every
// watch from zero ends with an error then, until the row is deleted by hand, from table keys
// or organizations:
//
//	sqlite3 keys.db "DELETE FROM keys WHERE typeof(id) <> 'text' OR id = ''"
//
// # Backups
//
// While the store is in use, with the sqlite3 program of SQLite 3.37 or later, in another
// process:
//
//	umask 077; sqlite3 /var/lib/gate/keys.db "VACUUM INTO '/backup/keys.db'"
//
// That reads as of one moment and holds up no write. Copying the file does not do: what
// was written last is in the log. Package store/transfer writes a store out as text.
//
// To restore a backup end all processes that have the file open, remove keys.db, and also
// keys.db-wal and keys.db-shm, which would be applied to the backup, and put the backup
// in its place. Then raise its revision:
//
//	sqlite3 keys.db 'UPDATE progress SET revision = revision + 1000000, forgotten = revision + 1000000'
//
// Without that the revisions that were given after the backup would be given again, to
// other writes (S26): who still has a record from then could replace another one, and who
// watches from a mark of then would be told only a part. So they get store.ErrConflict
// and store.ErrCompacted. Keys that were deleted after the backup are there again.
//
// A process that still has the file open when it is moved, removed or replaced does not
// go on with the old one: every call is an error, and every watch ends with one, until the
// file is back or the store was closed and opened again.
//
// # Size
//
// A key with three entries takes about 500 bytes, a change 50, of which the last 100,000
// are kept. The log is some 4 MB, unless somebody reads for long while others write: then
// it grows by what is written, and is cut to 64 MB afterwards. A million keys are no
// trouble; a page, a look-up and a write take as long as with a thousand.
package sqlite
