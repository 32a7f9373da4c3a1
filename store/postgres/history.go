package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A history is the line of writes that revisions are of (W9). It may fork wherever the tables
// are read in another place than they were written in: by a standby that was promoted, or
// from a backup. So a history has another name in each place. Everybody there computes the
// same name, before anything is written. The first write stores it in the table state, and
// moves the last name with its last revision to the table histories. By these a watch goes on
// after a mere restart, and after a failover that lost nothing the watch had delivered.
//
// In one place revisions count up by one. A new place begins with a random gap above 2^32,
// beyond any number of lost writes. So a lost revision is not given again (S27).

const (
	// hereSQL is the place of a row of the table state. The start of the server's process
	// differs on a standby, on a restored server and after a restart. The file differs in a
	// database made by CREATE DATABASE … TEMPLATE, and the transaction (xmin) in a row
	// brought back from a dump.
	hereSQL = `((extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint || ' ' || pg_relation_filepath(tableoid) || ' ' || xmin)`

	// stateSQL is the table state, with its place.
	stateSQL = `(SELECT *, ` + hereSQL + ` AS here FROM sallyport.state)`

	// nameSQL is the name of the history here, for a stateSQL called s.
	nameSQL = `CASE WHEN s.place = s.here THEN s.history ELSE left(encode(sha256(convert_to(s.history || ' ' || s.here, 'UTF8')), 'hex'), 32) END`

	// latestSQL is the latest revision, for a table state called s. Where somebody has
	// deleted all changes, it is that of the latest record or event.
	latestSQL = `greatest(s.forgotten, coalesce((SELECT max(revision) FROM sallyport.changes),
		greatest((SELECT max(revision) FROM sallyport.keys), (SELECT max(revision) FROM sallyport.organizations), (SELECT max(revision) FROM sallyport.events))))`

	positionSQL  = selectState + `, p.history, p.latest, p.forgotten` + fromState + joinPosition
	joinPosition = `
	LEFT JOIN (SELECT ` + nameSQL + ` AS history, ` + latestSQL + ` AS latest, forgotten FROM ` + stateSQL + ` AS s) AS p ON true`

	// lockSQL takes the lock of all writes, and leaves no new version of the row. It tells
	// whether the history has the name of this place.
	lockSQL = `SELECT place = ` + hereSQL + ` FROM sallyport.state FOR UPDATE`

	// renameSQL gives the history the name of this place.
	renameSQL = `WITH s AS (SELECT history, ` + nameSQL + ` AS name, ` + latestSQL + ` AS latest FROM ` + stateSQL + ` AS s WHERE place <> here),
	known AS (UPDATE sallyport.histories SET until = least(until, latest) FROM s WHERE histories.history = s.history),
	past AS (INSERT INTO sallyport.histories SELECT history, latest FROM s ON CONFLICT DO NOTHING)
	UPDATE sallyport.state SET history = s.name, place = '', base = s.latest + 4294967296 + (random() * 4294967296)::bigint FROM s`

	// placeSQL follows a change of the row in the same transaction. Only then can the row
	// tell which transaction it is, in a savepoint too.
	placeSQL = `UPDATE sallyport.state SET place = ` + hereSQL + ` WHERE place = ''`

	// resumeSQL finds whether a watch can go on from revision $2 of history $1: the last
	// revision of that history here, NULL if it is unknown, and whether the revision was
	// given. The latest revision is known even if its change was deleted by hand: nothing
	// came after it.
	resumeSQL = `SELECT forgotten, until, $2 IN (forgotten, latest) OR EXISTS (SELECT FROM sallyport.changes WHERE revision = $2)
	FROM (SELECT forgotten, latest, CASE WHEN $1 IN (history, name) THEN latest ELSE (SELECT until FROM sallyport.histories WHERE history = $1) END AS until
		FROM (SELECT history, forgotten, ` + nameSQL + ` AS name, ` + latestSQL + ` AS latest FROM ` + stateSQL + ` AS s) AS s) AS s`
)

// Position implements [store.Watcher]. It asks the server each time, and fails on a
// standby.
func (s *Store) Position(ctx context.Context) (store.Position, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Position{}, err
	}
	defer leave()
	at := time.Now()
	latest, _, err := s.readPosition(ctx, s.querier())
	if err != nil {
		return store.Position{}, err
	}
	s.asked.Store(&asked{at, latest})
	// A watch that is behind looks now, and not only when it is notified.
	if told := s.told.Load(); told != nil && *told != latest {
		s.hints.missed()
		s.hints.waker.Wake()
	}
	return latest, nil
}

// An asked is an answer of Position: the store had no later write when it was called.
type asked struct {
	at       time.Time
	position store.Position
}

// readPosition returns the latest position, and the revision of the latest change no longer
// kept.
func (s *Store) readPosition(ctx context.Context, q querier) (latest store.Position, forgotten uint64, err error) {
	var p positionRow
	err = s.read(ctx, q, p.columns(), func() (err error) {
		latest, forgotten, err = p.decode()
		return err
	}, positionSQL)
	return latest, forgotten, err
}

// A positionRow is the columns of joinPosition.
type positionRow struct {
	history           pgtype.Text
	latest, forgotten pgtype.Int8
}

func (p *positionRow) columns() []any { return []any{&p.history, &p.latest, &p.forgotten} }

func (p *positionRow) decode() (latest store.Position, forgotten uint64, err error) {
	if p.history.String == "" || p.latest.Int64 < 0 || p.forgotten.Int64 < 0 {
		return store.Position{}, 0, fmt.Errorf("%w: its latest position is revision %d of history %.40q: want a name, and no revision below zero", errUnfit, p.latest.Int64, p.history.String)
	}
	return store.Position{History: p.history.String, Revision: uint64(p.latest.Int64)}, uint64(p.forgotten.Int64), nil
}

// errElsewhere is returned when the last write was made in another place.
var errElsewhere = errors.New("store/postgres: the history has the name of another place")

// rename gives the history the name of this place.
func (s *Store) rename(ctx context.Context) error {
	b := &batch{schema: s.schema}
	b.queue(lockSQL)
	b.beginWrite()
	b.queue(renameSQL)
	b.queue(placeSQL)
	return s.inTx(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &b.Batch).Close() })
}

// checkResume returns why a watch cannot go on from a position (W4), nil if it can. latest is
// that of the snapshot.
func (s *Store) checkResume(r *reading, from, latest store.Position) error {
	here := store.Position{History: latest.History, Revision: from.Revision}
	if err := adapter.CheckWatch(here, 0, latest); err != nil {
		return err // its revision may be too great a number for the server
	}
	if !utf8.ValidString(from.History) || strings.ContainsRune(from.History, 0) { // no text to the server
		return adapter.CheckWatch(from, 0, latest)
	}
	var (
		forgotten uint64
		until     *uint64
		known     bool
	)
	if err := r.tx.QueryRow(r.ctx, inSchema(s.schema, resumeSQL), from.History, from.Revision).Scan(&forgotten, &until, &known); err != nil {
		return failed(r.ctx, err)
	}
	switch {
	case until == nil:
		return adapter.CheckWatch(from, forgotten, latest)
	case from.Revision > *until:
		return fmt.Errorf("store/postgres: a watch from revision %d of history %.40q, which forked at revision %d: %w", from.Revision, from.History, *until, store.ErrCompacted)
	case from.Revision >= forgotten && !known:
		return fmt.Errorf("store/postgres: a watch from revision %d, which the store never gave: %w", from.Revision, store.ErrCompacted)
	}
	return adapter.CheckWatch(here, forgotten, latest)
}
