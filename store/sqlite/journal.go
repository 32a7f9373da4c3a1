package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// The events of one write are one row. Its columns are those to search by, and its document
// is the JSON of all of them.
const (
	insertEvents = `INSERT INTO events (revision, organization, key, document) VALUES (?, ?, ?, ?)`

	// The writes with events after a revision and up to another.
	selectEvents   = `SELECT revision, organization, key, document FROM events `
	ofEveryone     = `WHERE `
	ofOrganization = `WHERE organization = ?4 AND `
	ofKey          = `INDEXED BY events_of_key WHERE organization = ?4 AND key = ?5 AND key <> '' AND ` // SQLite would take the other index
	oldestFirst    = `revision > ?1 AND revision <= ?2 ORDER BY revision LIMIT ?3`
	newestFirst    = `revision > ?1 AND revision <= ?2 ORDER BY revision DESC LIMIT ?3`
)

var eventQueries = []string{
	selectEvents + ofEveryone + oldestFirst, selectEvents + ofOrganization + oldestFirst, selectEvents + ofKey + oldestFirst,
	selectEvents + ofEveryone + newestFirst, selectEvents + ofOrganization + newestFirst, selectEvents + ofKey + newestFirst,
}

// Write implements [store.Journal]. The events are one row more in the transaction of the
// record.
func (s *Store) Write(ctx context.Context, write store.Write) (revision uint64, err error) {
	unswept := false
	err = s.transact(ctx, "write with events", func(t *transaction) error {
		if err := adapter.CheckWrite(write); err != nil {
			return err
		}
		if err := t.checkConditions(write.If); err != nil {
			return err
		}
		if err := t.change(write); err != nil {
			return err
		}
		revision, unswept = t.now.Revision, t.unswept
		return t.keep(write)
	})
	if err == nil && unswept {
		err = s.sweep(ctx, write.Forget.Revision)
	}
	if err != nil {
		return 0, err
	}
	return revision, nil
}

func (t *transaction) checkConditions(conditions []store.Condition) error {
	for _, condition := range conditions {
		stored, err := t.revisionOf(condition)
		if err != nil {
			return err
		}
		if err := adapter.CheckCondition(condition, stored); err != nil {
			return err
		}
	}
	return nil
}

// revisionOf returns the revision of a condition's record, zero if it is absent or a key of
// another organization.
func (t *transaction) revisionOf(condition store.Condition) (uint64, error) {
	if condition.Key == "" {
		organization, err := t.organization(condition.Organization)
		if err != nil || organization == nil {
			return 0, err
		}
		return organization.Revision, nil
	}
	key, err := t.key(condition.Key)
	if err != nil || key == nil || key.Organization != condition.Organization {
		return 0, err
	}
	return key.Revision, nil
}

// change makes the change of a Write.
func (t *transaction) change(write store.Write) (err error) {
	switch {
	case write.PutOrganization != nil:
		_, err = t.putOrganization(*write.PutOrganization)
	case write.PutKey != nil:
		_, err = t.putKey(*write.PutKey, write.Options...)
	case write.Delete != nil && write.Delete.Key != "":
		err = t.deleteKey(write.Delete.Key, write.Delete.Revision, write.Delete.Organization)
	case write.Delete != nil:
		err = t.deleteOrganization(write.Delete.Organization, write.Delete.Revision)
	default:
		err = t.forgetEvents(*write.Forget)
	}
	return err
}

// keep keeps the events of a Write.
func (t *transaction) keep(write store.Write) error {
	document, err := adapter.EncodeEvents(write.Events)
	if err != nil || document == nil {
		return err
	}
	organization, key := write.Subject()
	return t.exec(insertEvents, int64(t.now.Revision), organization, string(key), string(document))
}

// Events implements [store.Journal]. A page is read in one transaction.
func (s *Store) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.EventPage{}, err
	}
	defer leave()
	if err := adapter.CheckEventRequest(request); err != nil {
		return store.EventPage{}, err
	}
	r := eventReading{ctx: ctx, prepared: s.read.prepared, request: request}
	if err := s.whileLocked(ctx, func() error { return r.start(s.read) }); err != nil {
		return store.EventPage{}, r.failure(err)
	}
	defer r.end()
	s.poller.saw(r.latest)
	if err := r.readForgotten(); err != nil {
		return store.EventPage{}, r.failure(err)
	}
	if request.After != (store.Position{}) {
		if err := r.checkAfter(); err != nil {
			return store.EventPage{}, err
		}
	}
	return r.page()
}

// An eventReading reads a page in a transaction.
type eventReading struct {
	ctx       context.Context
	tx        *sql.Tx
	prepared  map[string]*sql.Stmt
	request   store.EventRequest
	latest    store.Position
	forgotten uint64 // revision up to which events were forgotten
}

// start begins the transaction. Only here may it have to wait for another process.
func (r *eventReading) start(in database) (err error) {
	if r.tx, err = in.BeginTx(r.ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		return err
	}
	if r.latest, _, err = progress(r.row(selectProgress), "read"); err != nil {
		r.end()
	}
	return err
}

func (r *eventReading) end() { _ = r.tx.Rollback() }

func (r *eventReading) failure(err error) error { return failure(r.ctx, "read events", err) }

func (r *eventReading) row(query string, args ...any) *sql.Row {
	return r.tx.StmtContext(r.ctx, r.prepared[query]).QueryRowContext(r.ctx, args...)
}

func (r *eventReading) readForgotten() error {
	var column any
	err := r.row(selectEventsForgotten).Scan(&column)
	if err == nil {
		r.forgotten, err = asCount(column)
	}
	return err
}

// checkAfter decides E6.
func (r *eventReading) checkAfter() error {
	after := r.request.After
	past, err := isPast(after, r.latest, r.row(selectEnd, after.History))
	if err != nil {
		return r.failure(err)
	}
	if past {
		after.History = r.latest.History
	}
	return adapter.CheckEventsAfter(after, r.forgotten, r.latest)
}

func (r *eventReading) page() (store.EventPage, error) {
	page := adapter.NewEventReader(r.request, r.latest)
	if len(r.request.Organization) > maxIdentifier || len(r.request.Key) > maxIdentifier {
		return page.Page(), nil // of nobody
	}
	query, args := r.query()
	rows, err := r.tx.StmtContext(r.ctx, r.prepared[query]).QueryContext(r.ctx, args...)
	if err != nil {
		return store.EventPage{}, r.failure(err)
	}
	defer rows.Close()
	for more := true; more && rows.Next(); {
		var e eventRow
		if err := rows.Scan(&e.revision, &e.organization, &e.key, &e.document); err != nil {
			return store.EventPage{}, r.failure(err)
		}
		events, err := e.events()
		if err != nil {
			return store.EventPage{}, adapter.UnreadableEvents(uint64(e.revision), err)
		}
		more = page.Add(events)
	}
	if err := rows.Err(); err != nil {
		return store.EventPage{}, r.failure(err)
	}
	return page.Page(), nil
}

func (r *eventReading) query() (query string, args []any) {
	after, through, order := max(r.request.After.Revision, r.forgotten), uint64(math.MaxInt64), oldestFirst
	if r.request.Newest {
		after, order = r.forgotten, newestFirst
		if r.request.After != (store.Position{}) {
			through = max(r.request.After.Revision, 1) - 1
		}
	}
	args = []any{int64(after), int64(through), r.request.Size() + 1}
	switch {
	case r.request.Key != "":
		return selectEvents + ofKey + order, append(args, r.request.Organization, string(r.request.Key))
	case r.request.Organization != "":
		return selectEvents + ofOrganization + order, append(args, r.request.Organization)
	}
	return selectEvents + ofEveryone + order, args
}

// An eventRow has the events of one write as stored. Columns have whatever type SQLite finds
// in the file.
type eventRow struct {
	revision                    int64
	organization, key, document any
}

func (e eventRow) events() ([]store.Event, error) {
	var columns [3]string
	for i, column := range []any{e.organization, e.key, e.document} {
		text, ok := column.(string)
		if !ok {
			return nil, fmt.Errorf("its row has a value of type %T: want a text", column)
		}
		columns[i] = text
	}
	return adapter.DecodeEvents([]byte(columns[2]), columns[0], apikey.ID(columns[1]), uint64(e.revision))
}
