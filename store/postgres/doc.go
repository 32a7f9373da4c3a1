// Package postgres is a store.Store in PostgreSQL, for services that run one already. Any
// number of processes on any number of machines read and write the same keys, and each can
// watch the others' writes.
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db.example/app?target_session_attrs=primary")
//	if err != nil { … }
//	if err := postgres.Migrate(ctx, pool); err != nil { … }
//	keys, err := postgres.New(ctx, pool)
//	if err != nil { … }
//	engine := policy.New(keys)
//
// Every decision then is one round trip to the database. To decide from memory, put a
// store/replica in front: a copy kept by the change feed.
//
// Do not use it where there is no PostgreSQL yet and one machine is enough: package
// store/sqlite needs no server. It is tested with PostgreSQL 15, and uses nothing newer
// than 13.
//
// # What it keeps of the contract, and how
//
// A Lookup, a Key and a page are one statement each, and so one snapshot (S8). A write reads
// first, without a lock, and then writes in one short transaction, after checking there that
// nothing it read has changed. The transaction first locks the one row of the table state.
// So writes become visible in the order of their revisions, to everybody, and cannot deadlock
// among themselves.
//
// The price is that writes take turns. A turn lasts until the rows are written and durable
// and the client has been answered: on a local disk a millisecond, so the whole store takes
// up to a thousand writes a second, whatever the number of writers. [Store.Load] puts up to
// 1,000 records into one turn. The server throws a client out after ten silent seconds in
// its turn (idle_in_transaction_session_timeout). Decisions wait for no turn, nor does
// counting usage. Counting waits only for open transactions that have deleted or counted the
// same key, such as a caller's in [Store.WithTx].
//
// A write that has returned is on the server's disk (S25) if fsync is on, as it is by
// default. It is also on that of a synchronous standby, if synchronous_standby_names has one.
// A synchronous_commit of off, local or remote_write, for the database or the user, does not
// matter: writes turn it on for their transaction, a caller's included. Other processes see a
// write when it returns (S9).
//
// A write whose COMMIT brought an error instead of an answer may have happened (S3). So may
// one whose wait for the synchronous standby was cancelled: the server answers with success
// and a warning, and the write returns an error. Neither is retried. Putting the same record
// again shows by ErrConflict or ErrExists that it had happened. A write is retried if the
// server itself took it back, for example because of a deadlock with an operator's
// statements.
//
// Revisions count up by one. The first write after a start of the server, a promotion or a
// restored backup leaves a gap of 2^32 to 2^33.
//
// A record is one JSON document, as in the other stores: a key's is the text of its
// MarshalJSON. So times are kept to the nanosecond, and a new field needs no migration. The
// columns beside the document are for searching: id, organization, revision, and a key's
// entries, the prefixes of its access list. A record that cannot be read is an error, never
// one with less in it (S6, rule A3). It cannot be read if a column contradicts the
// document. Such a key can be deleted and created anew.
//
// # Events
//
// The Store is a [store.Journal]. The events of a write are one row in its transaction: one
// statement more, in the same round trip, and no other wait for the disk. The row takes the
// bytes of their JSON, about 140 for a small event, and 160 for itself and its places in three
// indexes. Conditions on other records take a round trip more, to read them, and are checked
// again in the turn of the write. A page of events is one statement. It reads by an index, and
// no more writes than the page has, but for two.
//
// No event is dropped until a [store.Write] forgets it. From then on no page has it. The rows
// of a thousand writes are deleted in the turn of the Write, and the rest after it, without
// that turn. If this fails, Write returns an error, and the next Write with Forget deletes
// them. In a caller's transaction all rows are deleted at once, 10,000 in some 50 ms.
// Autovacuum then frees the room for later rows.
//
// A follower's position is valid until an event after it is forgotten, over restarts of the
// server and failovers too. For this the table histories keeps every name since the last event
// forgotten.
//
// A Journal in a caller's transaction ([Store.WithTx]) keeps events together with rows of the
// caller, such as an outbox. Nobody else reads them before the commit, and after a rollback
// they never were.
//
// # For operators
//
// [Migrate] makes these tables, in the schema sallyport unless [Schema] says otherwise:
//
//	organizations   id, revision, document
//	keys            id, organization, revision, entries, document
//	usage           key, document: see adapter.EncodeUsage
//	observation     since when usage is observed, and the gaps
//	changes         revision, organization, key, deleted: the latest writes, at least 100,000
//	events          revision, organization, key, count, document: one row for each write
//	state           the name of the history, and how far back changes and events go
//	histories       earlier names, and the last revision of each
//	migrations      the version of the tables, the oldest versions that may read and write them, and since when
//
// A key with three entries takes some 700 bytes, indexes included. The tables may be
// queried. The keys with a block on their list:
//
//	SELECT organization, id FROM sallyport.keys
//	WHERE '203.0.113.0/24' = ANY (entries)
//	ORDER BY 1, 2;
//
// The keys usable from an address, such as a leaked one, and their last use by that entry:
//
//	SELECT k.organization, k.id, e.address, (u.used->>0)::numeric, to_timestamp((u.used->>1)::numeric / 1000000)
//	FROM sallyport.keys k CROSS JOIN unnest(k.entries) WITH ORDINALITY AS e (address, n)
//	LEFT JOIN (SELECT u.key, e.key::cidr AS address, e.value AS used
//		FROM sallyport.usage u, json_each(u.document->'entries') e) u ON u.key = k.id AND u.address = e.address
//	WHERE e.address >>= '203.0.113.7'
//	AND ((k.document->'accessList'->(n::integer - 1)->>'expires')::timestamptz > now()) IS NOT FALSE
//	ORDER BY 1, 2, 3;
//
// The two read the whole table: 0.1 s for 100,000 keys. For frequent questions create an index
// USING gin (entries): it serves entries @> '{203.0.113.0/24}'. Migrate does not make it,
// since creating keys becomes a tenth slower.
//
// Who changed a key, and when:
//
//	SELECT e->>'time', e->>'type', e->'actor'->>'id'
//	FROM sallyport.events, json_array_elements(document) AS e
//	WHERE organization = 'acme' AND key = 'KEY' AND key <> ''
//	ORDER BY revision;
//
// Do not write to the tables: the revision would not change, so no watcher would learn of
// it, and a copy would go on as before. To revoke a key by hand all the same, record the
// change in the same transaction. The step is random because a revision one above the last
// may have been given in a history that was lost. The first UPDATE takes the turn. It leaves a
// new version of the row, so that a caller's transaction with an older snapshot cannot give a
// revision below.
//
//	BEGIN;
//	UPDATE sallyport.state SET forgotten = forgotten;
//	INSERT INTO sallyport.changes
//		SELECT greatest(s.base, max(c.revision)) + 1 + (random() * 1000000)::bigint, k.organization, k.id, false
//		FROM sallyport.keys k, sallyport.state s, sallyport.changes c WHERE k.id = 'KEY' GROUP BY s.base, k.organization, k.id;
//	UPDATE sallyport.keys SET revision = c.revision,
//		document = document::jsonb || jsonb_build_object('disabled', true, 'revision', c.revision)
//	FROM (SELECT max(revision) AS revision FROM sallyport.changes) c WHERE id = 'KEY';
//	NOTIFY sallyport, 'sallyport';
//	COMMIT;
//
// The row of state is then another place (see below). After two such transactions without another
// write between them, a follower may have to reload.
//
// The program needs USAGE of the schema and SELECT on its tables; to write, INSERT, UPDATE
// and DELETE on all of them but migrations. Migrate needs to own them, and to create the
// schema if it is absent. Programs of several versions may run while one of them migrates:
// run Migrate of the newest one first, then replace the programs. Older ones go on reading
// and writing as long as the table migrations lets them, and get store.ErrNewer otherwise;
// see package store, "Versions side by side". Writes wait while the tables are changed, and
// reads do not, unless a step says so.
//
// While a transaction stays open elsewhere, such as a dump's, the server keeps every version
// of the rows that are replaced. Look-ups and writes then pass over the versions of the key
// itself, and of no other row.
//
// The database's encoding must be UTF8; its collation does not matter. Several stores can
// share a database, each in a schema of its own.
//
// # The change feed
//
// Changes are read from the table changes, and the records with them, in one snapshot. A
// notification (NOTIFY on the channel sallyport) is only a hint to look. It arrives within a
// millisecond or so of the commit. Without notifications watchers look when a call of
// Position finds something new, and within a second of the last that found nothing: that
// bounds their delay while the server answers. If no notification arrives at all, the Store says so once, by a
// warning of log/slog.
//
// A watch that cannot read ends with an error, and can be resumed from its last mark. A
// connection without a sign of life is given up after a minute, or earlier by the pool's own
// settings. Until then a watch says nothing, but Position, with a deadline, shows that
// something is wrong. A watcher has the same minute for each change while more than 1,000
// are pending: the server cannot clear away deleted rows while a snapshot is being read.
//
// # What a follower costs
//
// A follower is a Store that is watched, as by a replica: n processes are n followers. Each
// has one connection of its own beside the pool's, made as the pool makes them, until Close.
// A replica uses up to two of the pool, so allow three connections for each in
// max_connections.
//
// A quiet replica with the default bound asks for the position twice a second, and tests its
// listening connection every five: half a millisecond of the server's processor time a
// second, and a millisecond of its own.
//
// After a notification each follower reads by one statement in one round trip. For both it
// takes 0.2 to 0.5 ms of the server and 0.1 to 0.3 ms of its own. A write must not cost by
// the number of followers. So with n followers a store notifies at most once in n
// milliseconds, and beyond 1,000 followers once a second. All followers together then read
// some 1,000 times a second, however many they are and however much is written.
//
// The first write after such a pause notifies them as it commits. A sooner one is delivered
// with a later one, or after one and a half pauses: with 50 followers, 75 ms. A process that
// is killed in a pause notifies nobody of its last writes, and followers find them within a
// second. Processes that write and do not watch have a pause each. [Store.WithTx] notifies
// with every transaction.
//
// On two cores, shared with a writer and all clients, 50 followers left 0.67 of the writes a
// second, and 100 followers 0.4. There are more figures in the module store/trials.
//
// # Pools and poolers
//
// A call takes one connection of the pool, and so does a watch while it reads. A pool of one
// connection works, but a watcher that calls the same store from the body of its watch needs
// a second one. Give the context of each call a deadline: only that ends waiting, for a
// connection of the pool or for a silent server. An Engine's Decide has one.
//
// A caller who hangs up while a read waits for a connection leaves the queue. One who hangs up
// later does not end the query: pgx would close the connection, and strangers could exhaust the
// pool. The read then ends by itself, and after a second by force.
//
// A watch with more than 1,000 pending records keeps its connection until all but the last
// 1,000 are delivered, with a new minute for each. So a few slow watchers can keep all of a
// small pool, and every other call then waits. Have more connections than watchers, or let
// watchers take changes into memory, as package store/replica does.
//
// PgBouncer may be in between. A program with a watch, such as a replica, takes a pool that
// goes to the server itself or through a bouncer in mode "session". In mode "transaction"
// the bouncer lends the connection of LISTEN to others: its notifications pile up in their
// pools, and watchers look once a second. Everything else works in mode "transaction",
// [Store.WithTx] included. PgBouncer passes prepared statements on from version 1.21, if
// max_prepared_statements is above zero, the default from 1.24. Set
// default_query_exec_mode=exec elsewhere; errors with SQLSTATE 42P05 or 26000 say so.
//
// # Standbys, failover and backups
//
// Reads go to the primary and fail on a standby. A standby may lag behind, and a revoked key
// could live on. A list of several servers wants target_session_attrs=primary.
//
// A promoted asynchronous standby lacks the writes it had not received, though they had
// returned. A restored backup lacks all writes since. Keys revoked in that time are valid
// again, and the new primary does not know. If that must not be, have a
// synchronous standby, and promote no other: every write that has returned is on it. Writes
// wait while it is away, and so do others behind them. An operator who empties
// synchronous_standby_names has them return without it. Without such a standby, compare the
// audit log of the last minutes after a failover. After restoring a backup revoke again
// what was revoked since.
//
// Programs need no restart after either. The history has a name (W9), computed from its last
// name and from its place: the start of the server's process, the file of the table state,
// and the transaction that wrote its row. A promoted standby, a restored dump, a copy of the
// server's files and a cloned database each are another place, before and after their first
// write. Places are compared for equality only; no clock decides. The table histories tells
// the store where a history forked:
//
//   - A watch from a lost position gets ErrCompacted and reloads (W4, W10). A watch from an
//     earlier one goes on, under the new name. So a mere restart reloads nothing. It is the
//     same for a reader of events (E6).
//   - A replica stops answering from a copy with lost writes within its bound.
//   - A lost revision is not given again (S27). A Put with one is ErrConflict. If the history
//     forks twice before one write, as when a backup is restored twice, a revision of the
//     first fork is given again with a probability of n in 2^32, after n writes.
//
// One case cannot be seen: a virtual machine taken back to a snapshot together with its
// memory. Its server goes on as the same process. Restart PostgreSQL after that; it then is
// another place. A machine that was only paused has lost nothing.
//
// Fence a primary before replacing it: stop it, or put it out of the programs' reach, before
// the standby is promoted. It does not know that it was replaced. It goes on answering
// Lookup and Position under its own name, and a program still connected to it decides as if
// nothing had been revoked since. Writes to it are lost.
//
// For a backup pg_dump will do; all tables are read in one snapshot. Restore all of the
// tables, or none.
package postgres
