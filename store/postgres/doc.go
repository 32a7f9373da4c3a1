// Package postgres is a store.Store in PostgreSQL, for those who run one already: any
// number of processes on any number of machines read and write the same keys, and each
// can be told of what the others write.
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db.example/app?target_session_attrs=primary")
//	if err != nil { … }
//	if err := postgres.Migrate(ctx, pool); err != nil { … }
//	keys, err := postgres.New(ctx, pool)
//	if err != nil { … }
//	engine := policy.New(keys)
//
// Every decision then is one round trip to the database. To decide from memory, put a
// copy in front, which package store/replica keeps by the change feed.
//
// Do not use it where there is no PostgreSQL yet and one machine is enough: package
// store/sqlite needs no server. It is tested with PostgreSQL 15, and uses nothing that
// is not in 13.
//
// # What it keeps of the contract, and how
//
// A Lookup, a Key and a page are one statement each, and so as of one moment (S8). A
// write reads first, without a lock, and then does all that it has to in one short
// transaction, which checks that what was read is still so. That transaction first locks
// the one row of the table state, where the revision is: so writes become visible in the
// order of their revisions, to everybody, and cannot deadlock among themselves. The price
// is that writes take turns. A turn is as long as it takes to write some rows, to make
// them durable and to be told so by the client: on a local disk a millisecond, so that
// the whole store takes up to a thousand writes a second, whatever the number of writers.
// [Store.Load] puts up to 1,000 records into one turn. A client that goes silent in its
// turn is thrown out by the server after ten seconds (idle_in_transaction_session_timeout).
// Decisions wait for no turn, nor does the counting of usage; but that waits for
// transactions which have deleted, or counted, the same key and have not ended, such as
// one that a caller of [Store.WithTx] keeps open.
//
// When a write has returned it is on the disk of the server (S25), if that is told to
// use it: fsync must be on, as it is by default. That synchronous_commit is off for the
// database or the user does not matter: writes turn it on for their transaction, also if
// that is the caller's. Other processes see a write when it returns (S9).
//
// A write whose COMMIT brought an error instead of an answer may have happened (S3). It
// is not tried again; whoever puts the same record again learns by ErrConflict or
// ErrExists that it did. What the server itself took back, because of a deadlock with
// statements of the operator's, for example, is tried again.
//
// A revision is the time of the write, in microseconds since 1970 by the server's clock,
// or one more than the last if that is not less. Times are kept to the microsecond and
// cut to it; what Put returns has them so.
//
// A record that cannot be read is an error, never one with less in it (S6, rule A3): the
// table keys has the number of entries, grants and secrets that belong to each key, so
// that rows which are gone are missed, and the tables' constraints keep half a record
// from being written by hand. Such a key can be deleted and created anew.
//
// # For operators
//
// [Migrate] makes these tables, in the schema sallyport unless [Schema] says otherwise:
//
//	organizations   id, requirement, revision
//	keys            id, organization, description, disabled, not_before, expires, created,
//	                entries, grants, secrets, revision
//	entries         key, address, comment, added, expires
//	grants          key, position, role, project, all_projects
//	secrets         key, position, server_key, sum, created, expires
//	entry_usage     key, address, count, last, last_address
//	secret_usage    key, secret, count, last, last_address
//	changes         revision, organization, key, deleted: the latest writes, at least 100,000
//	state           the latest revision, and how far back changes go
//	migrations      the version of the tables, and since when
//
// A key with three entries takes some 900 bytes, indexes included. The tables are there
// to be queried. Which keys does an address that leaked reach, and when
// was each last used from there?
//
//	SELECT k.organization, k.id, e.address, u.count, u.last
//	FROM sallyport.entries e JOIN sallyport.keys k ON k.id = e.key
//	LEFT JOIN sallyport.entry_usage u ON u.key = e.key AND u.address = e.address
//	WHERE e.address >>= '203.0.113.7' AND (e.expires IS NULL OR e.expires > now())
//	ORDER BY 1, 2;
//
// Do not write to them: no revision changes then, so nobody who watches is told and a
// copy goes on as before. Whoever has to revoke a key by hand all the same tells of it
// in the same transaction:
//
//	BEGIN;
//	UPDATE sallyport.state SET revision = revision + 1, kept = kept + 1;
//	UPDATE sallyport.keys SET disabled = true, revision = (SELECT revision FROM sallyport.state) WHERE id = 'KEY';
//	INSERT INTO sallyport.changes SELECT revision, (SELECT organization FROM sallyport.keys WHERE id = 'KEY'), 'KEY', false FROM sallyport.state;
//	COMMIT;
//
// The program needs USAGE of the schema and SELECT on its tables; to write, INSERT,
// UPDATE and DELETE on all of them but migrations. Migrate needs to own them, and to
// create the schema if it is not there. Programs of several versions may run while one
// of them migrates: those that do not know the new tables refuse every call from then on,
// so that none reads a record with less in it. Migrating is for a moment in which that is
// acceptable.
//
// The database's encoding must be UTF8; its collation does not matter. Several stores can
// share a database, each in a schema of its own.
//
// # The change feed
//
// What is told is read from the table changes, and the records with it, in one snapshot of
// the database. A notification (NOTIFY on the channel sallyport, one for each transaction)
// only says that it is time to look: it comes within a millisecond or so of the commit.
// If it is lost, or cannot be had, those who watch look once a second by themselves: that
// is how late they can be told while the server answers.
//
// A watch that cannot read ends with an error, and may be begun again from its last mark.
// A connection that stands without a sign of life is given up after a minute (maybe
// less, by the pool's own settings): until then a watch says nothing, and Revision, with
// a deadline, tells that there is something wrong. The same minute is what a watcher has
// for each change while more than 1,000 are to be told: the server cannot clear away
// what was deleted while somebody reads a snapshot.
//
// While something is watched, a Store has one connection of its own beside the pool's,
// made as the pool makes them, until Close.
//
// # Pools and poolers
//
// A call takes one connection of the pool, and so does a watch while it reads. A pool of
// one connection works, but whoever asks the same store for records from the body of a
// watch needs a second one. Let the context of each call have a deadline: it is what ends
// waiting, for a connection of the pool or for a server that does not answer. An Engine's
// Decide has one.
//
// A watch that has more than 1,000 records to tell keeps its connection until it has told
// all but the last 1,000 of them, and has a new minute for each. So a few slow watchers
// can keep all of a small pool, and every other call then waits. Have more connections
// than watchers, or have these take what they are told into memory, as package
// store/replica does.
//
// PgBouncer may be in between. A program that watches, as a replica does, takes a pool that
// goes to the server itself or through a bouncer in mode "session". In mode "transaction"
// LISTEN stays on a connection that the bouncer lends to others: the notifications go to
// whoever has it at the time, in whose pool they pile up, and those who watch are told only
// when they look, once a second. Everything else works in mode "transaction" too,
// [Store.WithTx] included. Prepared statements it passes on from version 1.21 on, if
// max_prepared_statements is above zero, as it is by default from 1.24 on: set
// default_query_exec_mode=exec elsewhere.
//
// # Standbys, failover and backups
//
// Reads go to the primary, and fail on a standby, since that may lag behind: a key that
// was revoked could live on. A list of several servers wants target_session_attrs=primary.
//
// A primary that is to be replaced must be fenced first: stopped, or out of the programs'
// reach, before the standby is promoted. It does not know that it was replaced. As it is
// no standby it goes on answering Lookup and Revision, and a program that is still
// connected to it decides as if nothing had been revoked since; so does a replica, which
// proves itself fresh by what stands still. What is written to it is lost.
//
// If the primary is lost, a standby that is not synchronous takes over without the
// writes that it had not received, though they had returned: keys that were revoked in
// the last moments before are valid again, and no software that asks the new primary can
// know. Have a synchronous standby (synchronous_standby_names) if that must not be; or
// compare, after a failover, what the audit log says of the last minutes. The same goes,
// for a longer time, for a backup that was restored: what was revoked since is to be
// revoked again. What is deleted or put by hand after either gets no revision that was
// given before, unless the new server's clock is behind by more than the loss; and who
// watches from a revision that was lost is told ErrCompacted and begins anew, even if the
// store has come further meanwhile (W4).
//
// For a backup pg_dump will do; all tables are read in one snapshot.
package postgres
