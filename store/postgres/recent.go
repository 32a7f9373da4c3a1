package postgres

import (
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// recentSQL is the position and the latest changes after revision $1, the last one first,
// with their records. It is one statement, and so one snapshot: see beginSnapshotSQL for the
// tables. The parameter is in a subquery, or the server would plan the statement anew each
// time, which takes longer than running it: it expects fewer changes after a known revision.
var recentSQL = selectState + `, p.history, p.latest, p.forgotten, c.revision, c.organization, c.key, c.deleted,
	k.id, k.organization, k.revision, k.entries, k.document, o.id, o.revision, o.document` + fromState + joinPosition + `
	LEFT JOIN (SELECT * FROM sallyport.changes WHERE revision > (SELECT $1::bigint) AND ` + isOfRecord + ` ORDER BY revision DESC LIMIT ` + strconv.Itoa(few) + `) AS c ON true
	LEFT JOIN LATERAL (SELECT * FROM sallyport.keys WHERE id = c.key LIMIT 2) AS k ON true
	LEFT JOIN LATERAL (SELECT * FROM sallyport.organizations WHERE c.key IS NULL AND id = c.organization LIMIT 2) AS o ON true
	ORDER BY c.revision DESC`

// few is the limit in recentSQL.
const few = 16

// readRecent reads a few changes since the mark, as there are after a notification. It takes
// one round trip instead of five, and less than half of the server's time.
//
// all is false if that is not enough: there are more changes, or another history, or a
// record has several rows. Then it has added nothing to deliver.
func (w *watch) readRecent(r *reading) (latest store.Position, all bool, err error) {
	var (
		p            positionRow
		revision     pgtype.Int8
		organization pgtype.Text
		key          pgtype.Text
		deleted      pgtype.Bool
		rows         records
		forgotten    uint64
		last         uint64 // revision of the row before
		n            int
		twice        bool
		changes      []store.Change
	)
	k, o := &rows.key, &rows.organization
	into := append(p.columns(), &revision, &organization, &key, &deleted, &k.id, &k.organization, &k.revision, &k.entries, &k.document, &o.id, &o.revision, &o.document)
	seen := map[adapter.Name]bool{}
	err = w.s.read(r.ctx, r.conn, into, func() (err error) {
		if latest, forgotten, err = p.decode(); err != nil || !revision.Valid {
			return err
		}
		change := store.Change{Revision: uint64(revision.Int64), Organization: organization.String, Key: apikey.ID(key.String), Deleted: deleted.Bool}
		// A record with several rows, or a change without a name: the long way has the error.
		twice = twice || change.Revision == last || !organization.Valid || !deleted.Valid
		last = change.Revision
		n++
		if name := adapter.NameOf(change); !seen[name] {
			seen[name] = true
			changes = append(changes, adapter.Confirm(change, rows.found()))
		}
		return nil
	}, recentSQL, w.mark.Revision)
	if err != nil || n == few || twice || latest.History != w.mark.History {
		return store.Position{}, false, err
	}
	if err := adapter.CheckWatch(w.mark, forgotten, latest); err != nil {
		return store.Position{}, false, err
	}
	w.told = append(w.told, changes...)
	return latest, true, nil
}

// found returns the record of a row as a change, nil if there is none.
func (r *records) found() *store.Change {
	var found store.Change
	switch {
	case r.key.id.Valid:
		found = keyChange(r.key.asKey(), 0)
	case r.organization.id.Valid:
		found = organizationChange(r.organization.asOrganization(), 0)
	default:
		return nil
	}
	return &found
}
