package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Every statement that reads records has rows of one form, whatever table they are from,
// and so everything that it reads is as of one moment, in one round trip. The first
// column says from where: see the constants. Of the others each kind of row uses some,
// and the rest are NULL.
const (
	stateRow        = "state"
	organizationRow = "organization"
	keyRow          = "key"
	entryRow        = "entry"
	grantRow        = "grant"
	secretRow       = "secret"
	usageRow        = "usage"
	thereRow        = "there"
)

// form is the columns after the first, with their types. All texts are of the tables'
// collation, or the server would convert each row.
var form = [...]struct{ name, kind string }{
	{"id", `text COLLATE "C"`}, {"text", `text COLLATE "C"`}, {"name", `text COLLATE "C"`},
	{"a", "timestamptz"}, {"b", "timestamptz"}, {"c", "timestamptz"},
	{"flag", "boolean"}, {"address", "cidr"}, {"sum", "bytea"},
	{"number", "integer"}, {"grants", "integer"}, {"secrets", "integer"}, {"revision", "bigint"},
}

// values are what a kind of row has in the columns.
type values map[string]string

// rowsOf is a part of a statement: rows of one kind.
func rowsOf(kind string, v values, from string) string {
	list := fmt.Sprintf("SELECT '%s'::text AS kind", kind)
	for _, column := range form {
		list += fmt.Sprintf(", %s AS %s", cmp.Or(v[column.name], "NULL::"+column.kind), column.name)
	}
	return list + " " + from
}

// stateOf is one row, in every statement: the version of the tables, the latest revision,
// and whether this server is a standby.
func stateOf() string {
	return rowsOf(stateRow, values{
		"flag": "pg_is_in_recovery()", "number": "(SELECT max(version) FROM sallyport.migrations)", "revision": "(SELECT revision FROM sallyport.state)"}, "")
}

// organizationsWhere are the rows of organizations, with a condition on the ID.
func organizationsWhere(condition string) string {
	return rowsOf(organizationRow, values{"id": "id", "text": "requirement", "revision": "revision"}, "FROM sallyport.organizations WHERE id "+condition)
}

// keysWhere are the rows of keys, with a condition on the ID.
func keysWhere(condition string) string {
	return strings.Join([]string{
		rowsOf(keyRow, values{"id": "id", "text": "organization", "name": "description", "a": "not_before", "b": "expires", "c": "created",
			"flag": "disabled", "number": "entries", "grants": "grants", "secrets": "secrets", "revision": "revision"},
			"FROM sallyport.keys WHERE id "+condition),
		rowsOf(entryRow, values{"id": "key", "text": "comment", "a": "added", "b": "expires", "address": "address"},
			"FROM sallyport.entries WHERE key "+condition),
		rowsOf(grantRow, values{"id": "key", "text": "role", "name": "project", "flag": "all_projects", "number": "position"},
			"FROM sallyport.grants WHERE key "+condition),
		rowsOf(secretRow, values{"id": "key", "text": "server_key", "a": "created", "b": "expires", "sum": "sum", "number": "position"},
			"FROM sallyport.secrets WHERE key "+condition),
	}, unionAll)
}

// usageWhere are a row for the key itself, if it is there, and one for each of its
// entries and secrets that was used. The count is in the column revision.
func usageWhere(condition string) string {
	return strings.Join([]string{
		rowsOf(usageRow, values{"id": "id"}, "FROM sallyport.keys WHERE id "+condition),
		rowsOf(usageRow, values{"id": "key", "address": "address", "name": "host(last_address)", "a": "last", "revision": "count"},
			"FROM sallyport.entry_usage WHERE key "+condition),
		rowsOf(usageRow, values{"id": "key", "text": "secret", "name": "host(last_address)", "a": "last", "revision": "count"},
			"FROM sallyport.secret_usage WHERE key "+condition),
	}, unionAll)
}

// thereWhere are a row for each record of a table that is there, with a condition on the
// ID. What they are is told as the text.
func thereWhere(what, table, condition string) string {
	return rowsOf(thereRow, values{"id": "id", "text": fmt.Sprintf(`'%s'::text COLLATE "C"`, what)}, "FROM sallyport."+table+" WHERE id "+condition)
}

const unionAll = "\nUNION ALL "

// statements are what is read, for one schema.
type statements struct {
	revision           string
	lookup             string // $1: the key
	forPut             string // $1: the key, $2: its organization
	key                string // $1
	forLoad            string // $1: keys, $2: organizations, $3: organizations that keys are of
	usage              string // $1: the key
	keys               string // $1: organization, $2: after which key, $3: how many
	theseKeys          string // $1: their IDs
	allKeys            string
	organization       string // $1
	organizations      string // $1: after which, $2: how many
	theseOrganizations string // $1: their IDs
	allOrganizations   string
}

func newStatements(schema string) statements {
	in := func(parts ...string) string {
		return inSchema(schema, strings.Join(append([]string{stateOf()}, parts...), unionAll))
	}
	// The rows of a key come together.
	sorted := func(parts ...string) string { return in(parts...) + "\nORDER BY id" }
	return statements{
		revision:           in(),
		lookup:             in(keysWhere(`= $1`), organizationsWhere(`= ANY (ARRAY(SELECT organization FROM sallyport.keys WHERE id = $1))`)),
		forPut:             in(keysWhere(`= $1`), organizationsWhere(`= $2`)),
		key:                in(keysWhere(`= $1`)),
		forLoad:            in(thereWhere("key", "keys", `= ANY ($1)`), thereWhere("organization", "organizations", `= ANY ($2)`), thereWhere("owner", "organizations", `= ANY ($3)`)),
		usage:              in(usageWhere(`= $1`)),
		keys:               sorted(keysWhere(`= ANY (ARRAY(SELECT id FROM sallyport.keys WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3))`)),
		theseKeys:          sorted(keysWhere(`= ANY ($1)`)),
		organization:       in(organizationsWhere(`= $1`)),
		organizations:      sorted(organizationsWhere(`= ANY (ARRAY(SELECT id FROM sallyport.organizations WHERE id > $1 ORDER BY id LIMIT $2))`)),
		theseOrganizations: in(organizationsWhere(`= ANY ($1)`)),
		allOrganizations:   in(organizationsWhere(`> ''`)),
		// With this condition the server reads the tables from end to end and sorts, which
		// for keys in no order on disk takes half as long as reading them by their indexes.
		allKeys: sorted(keysWhere(`> ''`)),
	}
}

// A row is one of any kind. Its fields take whatever the database may hold, NULL and
// infinity too, since a row that could not be read at all would end the others with it.
type row struct {
	kind            pgtype.Text
	id, text, name  pgtype.Text
	a, b, c         pgtype.Timestamptz
	flag            pgtype.Bool
	address         prefix
	sum             []byte
	number          pgtype.Int4
	grants, secrets pgtype.Int4
	revision        pgtype.Int8
}

// A prefix is a netip.Prefix that is not valid for NULL.
type prefix struct{ netip.Prefix }

// ScanNetipPrefix is as pgtype.NetipPrefixScanner says.
func (p *prefix) ScanNetipPrefix(v netip.Prefix) error {
	p.Prefix = v
	return nil
}

// A sink takes the records that a statement returns, each when its last row was read. An
// error of its own ends the reading.
type sink struct {
	organization func(storedOrganization) error
	key          func(storedKey) error
	usage        func(*row) error
	there        func(*row) error
}

// A storedOrganization is an organization as it was read. With an error, which says that
// it cannot be, it has its ID and its revision only.
type storedOrganization struct {
	policy.Organization
	err error
}

// A storedKey is a key as it was read. With an error it has its ID, its organization and
// its revision only.
type storedKey struct {
	apikey.Key
	err error
}

// read reads the rows of a statement, and returns the store's latest revision. The rows
// of a key come in any order, but together.
func (s *Store) read(ctx context.Context, q querier, to sink, sql string, args ...any) (revision uint64, err error) {
	rows, _ := q.Query(ctx, sql, args...) // its error is that of the rows, too
	defer rows.Close()
	var (
		r    row
		dest = []any{&r.kind, &r.id, &r.text, &r.name, &r.a, &r.b, &r.c, &r.flag, &r.address, &r.sum, &r.number, &r.grants, &r.secrets, &r.revision}
		key  assembly
	)
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return 0, failed(ctx, err)
		}
		switch r.kind.String {
		case stateRow:
			if revision, err = r.state(); err != nil {
				return 0, err
			}
		case organizationRow:
			if err := to.organization(r.storedOrganization()); err != nil {
				return 0, err
			}
		case usageRow:
			if err := to.usage(&r); err != nil {
				return 0, err
			}
		case thereRow:
			if err := to.there(&r); err != nil {
				return 0, err
			}
		default:
			if key.id != r.id {
				if err := key.finish(to.key); err != nil {
					return 0, err
				}
			}
			key.add(&r)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, failed(ctx, err)
	}
	return revision, key.finish(to.key)
}

func (r *row) state() (uint64, error) {
	if err := checkVersion(int(r.number.Int32)); err != nil {
		return 0, err
	}
	if r.flag.Bool {
		return 0, fmt.Errorf("%w: the server is a standby, which may lag behind: connect to the primary (target_session_attrs=primary)", errUnfit)
	}
	if !r.revision.Valid || r.revision.Int64 < 0 {
		return 0, fmt.Errorf("%w: its table state has no row, or no revision", errUnfit)
	}
	return uint64(r.revision.Int64), nil
}

func (r *row) storedOrganization() storedOrganization {
	o := storedOrganization{Organization: policy.Organization{ID: r.id.String, Revision: r.storedRevision()}}
	err := o.Requirement.UnmarshalText([]byte(r.text.String))
	if err = cmp.Or(err, o.Validate(), sound(o.Revision)); err != nil {
		o.err = unreadable("organization", o.ID, err)
		o.Requirement = 0
	}
	return o
}

func (r *row) storedRevision() uint64 { return uint64(max(r.revision.Int64, 0)) }
