package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	// conditionsSQL are the records of conditions: $1 their keys, $2 their organizations.
	conditionsSQL = theseKeysSQL + ` UNION ALL ` + selectOwners + ` LEFT JOIN sallyport.organizations o ON o.id = ANY ($2)`

	// requireSQL is the number of conditions that do not hold.
	requireSQL = `SELECT count(*) FROM unnest($1::text[], $2::text[], $3::bigint[]) AS c (organization, key, revision)
	WHERE revision <> coalesce(CASE c.key
		WHEN '' THEN (SELECT revision FROM sallyport.organizations WHERE id = c.organization)
		ELSE (SELECT revision FROM sallyport.keys WHERE id = c.key AND organization = c.organization) END, 0)`

	insertEventsSQL = `INSERT INTO sallyport.events (revision, organization, key, count, document)
	SELECT given, $1, $2, $3, $4::text::json FROM ` + lastGivenSQL

	// joinPast has the latest position, the revision up to which events were forgotten, and
	// the last revision here of history $1, NULL if it is unknown.
	joinPast = `
	LEFT JOIN (SELECT name, latest, events_forgotten, CASE WHEN $1 IN (history, name) THEN latest ELSE (SELECT until FROM sallyport.histories WHERE history = $1) END AS until
		FROM (SELECT history, events_forgotten, ` + nameSQL + ` AS name, ` + latestSQL + ` AS latest FROM ` + stateSQL + ` AS s) AS s) AS p ON true`
	selectPast = selectState + `, p.name, p.latest, p.events_forgotten, p.until`
	pastSQL    = selectPast + fromState + joinPast
)

// eventsSQL returns the statement for the writes with events that meet a condition, in the
// order ASC or DESC of their revisions. They are at most $3, enough for a page of $3 - 1
// events. Writes behind a full page are left out, except for two at most: each may have 256 kB.
func eventsSQL(where, order string) string {
	return selectPast + `, e.revision, e.organization, e.key, e.count, e.document` + fromState + joinPast + `
	LEFT JOIN (SELECT * FROM (
		SELECT *, sum(count) OVER (ORDER BY revision ` + order + ` ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before FROM (
		SELECT * FROM sallyport.events WHERE ` + isKept + ` AND ` + where + ` ORDER BY revision ` + order + ` LIMIT $3) AS e) AS e WHERE coalesce(before, 0) < $3) AS e ON true
	ORDER BY e.revision ` + order
}

// Write implements [store.Journal]. The events are one row more in the transaction of the
// record, in the same round trip. Conditions are read first, in a round trip of their own, and
// checked again in the transaction.
func (s *Store) Write(ctx context.Context, write store.Write) (revision uint64, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if err := adapter.CheckWrite(write); err != nil {
		return 0, err
	}
	var b *batch
	err = s.retry(ctx, subjectOf(write), func() error {
		if err := s.checkConditions(ctx, write.If); err != nil {
			return err
		}
		p, err := s.planWrite(ctx, write)
		if err != nil {
			return err
		}
		b = s.newBatch(p.change)
		b.require(write.If)
		p.queue(b)
		b.keep(write)
		if revision, err = s.commit(ctx, b); write.Delete != nil && write.Delete.Key == "" {
			err = notEmpty(write.Delete.Organization, err)
		}
		return err
	})
	if err == nil && b.unswept {
		err = s.sweep(ctx, b, write.Forget.Revision)
	}
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// subjectOf names what a Write is of.
func subjectOf(write store.Write) string {
	switch {
	case write.PutOrganization != nil:
		return atRevision("organization", write.PutOrganization.ID, write.PutOrganization.Revision)
	case write.PutKey != nil:
		return atRevision("key", write.PutKey.ID, write.PutKey.Revision)
	case write.Delete != nil:
		return fmt.Sprintf("%v at revision %d", adapter.ConditionName(*write.Delete), write.Delete.Revision)
	}
	return fmt.Sprintf("the events up to revision %d", write.Forget.Revision)
}

func (s *Store) planWrite(ctx context.Context, write store.Write) (plan, error) {
	switch {
	case write.PutOrganization != nil:
		return s.planPutOrganization(ctx, *write.PutOrganization)
	case write.PutKey != nil:
		return s.planPutKey(ctx, *write.PutKey, write.Options...)
	case write.Delete != nil && write.Delete.Key != "":
		return s.planDeleteKey(ctx, write.Delete.Key, write.Delete.Revision, write.Delete.Organization)
	case write.Delete != nil:
		return s.planDeleteOrganization(ctx, write.Delete.Organization, write.Delete.Revision)
	}
	return s.planForget(ctx, *write.Forget)
}

// checkConditions decides E5 by what is stored now.
func (s *Store) checkConditions(ctx context.Context, conditions []store.Condition) error {
	if len(conditions) == 0 {
		return nil
	}
	keys, organizations := []string{}, []string{}
	for _, c := range conditions {
		if c.Key != "" {
			keys = append(keys, string(c.Key))
		} else {
			organizations = append(organizations, c.Organization)
		}
	}
	foundKeys, foundOrganizations := map[apikey.ID]apikey.Key{}, map[string]policy.Organization{}
	if err := s.readRecords(ctx, s.querier(), func(r *records) error {
		if r.key.id.Valid {
			k := r.key.asKey()
			if _, ok := foundKeys[k.ID]; ok {
				return twice(r)
			}
			foundKeys[k.ID] = k.Key
			return k.err
		}
		o := r.organization.asOrganization()
		if _, ok := foundOrganizations[o.ID]; ok {
			return twice(r)
		}
		foundOrganizations[o.ID] = o.Organization
		return o.err
	}, conditionsSQL, keys, organizations); err != nil {
		return err
	}
	for _, c := range conditions {
		stored := foundOrganizations[c.Organization].Revision
		if key := foundKeys[c.Key]; c.Key != "" {
			if stored = key.Revision; key.Organization != c.Organization {
				stored = 0
			}
		}
		if err := adapter.CheckCondition(c, stored); err != nil {
			return err
		}
	}
	return nil
}

// require queues the check that conditions hold under the lock of all writes. It comes before
// the statements of the record, which may be one of theirs.
func (b *batch) require(conditions []store.Condition) {
	if len(conditions) == 0 {
		return
	}
	var organizations, keys []string
	var revisions []int64
	for _, c := range conditions {
		organizations, keys, revisions = append(organizations, c.Organization), append(keys, string(c.Key)), append(revisions, int64(c.Revision))
	}
	b.queue(requireSQL, organizations, keys, revisions).QueryRow(func(row pgx.Row) error {
		var broken int
		err := row.Scan(&broken)
		if err == nil && broken > 0 {
			err = errChanged
		}
		return err
	})
}

// keep queues the events of a Write.
func (b *batch) keep(write store.Write) {
	if len(write.Events) == 0 {
		return
	}
	document, err := adapter.EncodeEvents(write.Events)
	organization, key := write.Subject()
	b.queue(insertEventsSQL, organization, string(key), len(write.Events), b.document(string(document), err))
}

// Events implements [store.Journal]. A page is one statement, and so one snapshot.
func (s *Store) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.EventPage{}, err
	}
	defer leave()
	if err := adapter.CheckEventRequest(request); err != nil {
		return store.EventPage{}, err
	}
	var (
		past pastRow
		e    eventRow
		page *adapter.EventReader
		last int64 // revision of the row before
		full bool
	)
	sql, args := eventQuery(request)
	if err := s.read(ctx, s.querier(), append(past.columns(), &e.revision, &e.organization, &e.key, &e.count, &e.document), func() error {
		if page == nil {
			latest, forgotten, err := past.decode()
			if err == nil && request.After != (store.Position{}) {
				err = adapter.CheckEventsAfter(past.resolve(request.After), forgotten, latest)
			}
			if err != nil {
				return err
			}
			page = adapter.NewEventReader(request, latest)
		}
		if !e.revision.Valid || full {
			return nil
		}
		events, err := e.events()
		if e.revision.Int64 == last {
			err = errors.New("its table has several rows for it: want one")
		}
		if err != nil {
			return adapter.UnreadableEvents(uint64(e.revision.Int64), err)
		}
		last, full = e.revision.Int64, !page.Add(events)
		return nil
	}, sql, args...); err != nil {
		return store.EventPage{}, err
	}
	if page == nil {
		return store.EventPage{}, errNoState
	}
	return page.Page(), nil
}

// eventQuery returns the statement for a page. A name that no record can have is not asked
// for, since the server would refuse some of it.
func eventQuery(request store.EventRequest) (sql string, args []any) {
	after := int64(min(request.After.Revision, math.MaxInt64)) // a greater one is refused
	where, order := `revision > $2`, `ASC`
	if request.Newest {
		where, order = `revision <= $2`, `DESC`
		if after--; request.After == (store.Position{}) {
			after = math.MaxInt64
		}
	}
	args = []any{historyArgument(request.After), after, request.Size() + 1}
	switch {
	case request.Organization != "" && !isOrganization(request.Organization), request.Key != "" && !isKey(request.Key):
		where += ` AND false`
	case request.Key != "":
		where += ` AND organization = $4 AND key = $5 AND key <> ''`
		args = append(args, request.Organization, string(request.Key))
	case request.Organization != "":
		where += ` AND organization = $4`
		args = append(args, request.Organization)
	}
	return eventsSQL(where, order), args
}

// historyArgument returns the name of a position's history, "" if the server would refuse it
// as a text: no history has either name.
func historyArgument(p store.Position) string {
	if !utf8.ValidString(p.History) || strings.ContainsRune(p.History, 0) {
		return ""
	}
	return p.History
}

// A pastRow is the columns of selectPast.
type pastRow struct {
	name                     pgtype.Text
	latest, forgotten, until pgtype.Int8
}

func (p *pastRow) columns() []any { return []any{&p.name, &p.latest, &p.forgotten, &p.until} }

// decode returns the latest position, and the revision up to which events were forgotten.
func (p *pastRow) decode() (latest store.Position, forgotten uint64, err error) {
	if p.name.String == "" || p.latest.Int64 < 0 || !p.forgotten.Valid || p.forgotten.Int64 < 0 {
		return store.Position{}, 0, fmt.Errorf("%w: its latest position is revision %d of history %.40q, and it has forgotten events up to %d: want a name, and no revision below zero", errUnfit, p.latest.Int64, p.name.String, p.forgotten.Int64)
	}
	return store.Position{History: p.name.String, Revision: uint64(p.latest.Int64)}, uint64(p.forgotten.Int64), nil
}

// resolve returns a position of the past under the latest name, and any other as it is.
func (p *pastRow) resolve(position store.Position) store.Position {
	if p.until.Valid && p.until.Int64 >= 0 && position.Revision <= uint64(p.until.Int64) {
		position.History = p.name.String
	}
	return position
}

// An eventRow is the events of one write as the table has them.
type eventRow struct {
	revision          pgtype.Int8
	organization, key pgtype.Text
	count             pgtype.Int4
	document          document
}

func (e *eventRow) events() ([]store.Event, error) {
	if !e.organization.Valid || !e.key.Valid || !e.count.Valid || e.document == nil {
		return nil, errors.New("a column of its row is NULL: want a value in each")
	}
	events, err := adapter.DecodeEvents(e.document, e.organization.String, apikey.ID(e.key.String), uint64(e.revision.Int64))
	if err == nil && len(events) != int(e.count.Int32) {
		err = fmt.Errorf("its document has %d events, and its column count %d: want the same", len(events), e.count.Int32)
	}
	return events, err
}
