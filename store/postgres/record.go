package postgres

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A record is one JSON document. The columns beside it are for searching; if they
// contradict the document, someone else or a disk has changed the record, and it cannot be
// read.

// A row is a record as its table has it. Its fields take anything the database may hold,
// NULL too: a row that failed to scan would end the statement, and the other rows with it.
type row struct {
	id, organization pgtype.Text // an organization's row has no organization
	revision         pgtype.Int8
	entries          prefixes // of a key
	document         document
}

// A document is the JSON of a record, in memory of the driver: it lasts until the next row.
type document []byte

// ScanBytes implements [pgtype.BytesScanner].
func (d *document) ScanBytes(bytes []byte) error {
	*d = bytes
	return nil
}

// A storedOrganization is an organization as it was read. If err is not nil the record
// cannot be read, and only the ID and the revision are set.
type storedOrganization struct {
	policy.Organization
	err error
}

// A storedKey is a key as it was read. If err is not nil the record cannot be read, and only
// the ID, the organization and the revision are set.
type storedKey struct {
	apikey.Key
	err error
}

func (r *row) asOrganization() storedOrganization {
	o, err := r.decodeOrganization()
	if err != nil {
		o = policy.Organization{ID: r.id.String, Revision: r.revisionOrZero()}
		err = adapter.Unreadable(adapter.OrganizationName(o.ID), err)
	}
	return storedOrganization{o, err}
}

func (r *row) asKey() storedKey {
	key, err := r.decodeKey()
	if err != nil {
		key = apikey.Key{ID: apikey.ID(r.id.String), Organization: r.organization.String, Revision: r.revisionOrZero()}
		err = adapter.Unreadable(adapter.KeyName(key.ID), err)
	}
	return storedKey{key, err}
}

func (r *row) decodeOrganization() (policy.Organization, error) {
	if err := r.check(); err != nil {
		return policy.Organization{}, err
	}
	return adapter.DecodeOrganization(r.document, r.id.String, r.revisionOrZero())
}

func (r *row) decodeKey() (apikey.Key, error) {
	if err := r.check(); err != nil {
		return apikey.Key{}, err
	}
	key, err := adapter.DecodeKey(r.document, apikey.ID(r.id.String), r.organization.String, r.revisionOrZero())
	if err != nil {
		return apikey.Key{}, err
	}
	return key, r.entries.check(key.AccessList)
}

// check returns an error if the row has no revision or no document.
func (r *row) check() error {
	switch {
	case r.revisionOrZero() == 0:
		return errors.New("its revision is not one: want more than zero")
	case r.document == nil:
		return errors.New("its document is NULL: want JSON")
	}
	return nil
}

func (r *row) revisionOrZero() uint64 { return uint64(max(r.revision.Int64, 0)) }

func encodeOrganization(o policy.Organization) (string, error) {
	o.Revision = 1
	return withoutRevision(adapter.EncodeOrganization(o))
}

func encodeKey(key apikey.Key) (string, error) {
	key.Revision = 1
	return withoutRevision(adapter.EncodeKey(key))
}

// withoutRevision returns a document of revision 1 without its end "1}". The server assigns
// the revision in the transaction that writes the record, and appends it.
func withoutRevision(document []byte, err error) (string, error) {
	if err != nil {
		return "", err
	}
	text := string(document)
	if !strings.HasSuffix(text, `"revision":1}`) {
		return "", fmt.Errorf("store/postgres: the JSON of a record ends with %q: want its revision", text[max(0, len(text)-20):])
	}
	return strings.TrimSuffix(text, "1}"), nil
}

// prefixesOf returns the column entries of a key, as an array in SQL.
func prefixesOf(list accesslist.List) string {
	var all []string
	for entry := range list.All() {
		all = append(all, entry.Prefix().String())
	}
	return "{" + strings.Join(all, ",") + "}"
}

// prefixes are the column entries. Rows that are read one after the other share the memory.
type prefixes struct {
	null bool
	all  []prefix
}

// SetDimensions implements [pgtype.ArraySetter].
func (p *prefixes) SetDimensions(dimensions []pgtype.ArrayDimension) error {
	p.null, p.all = dimensions == nil, p.all[:0]
	if len(dimensions) == 0 {
		return nil
	}
	n := 1
	for _, d := range dimensions {
		n *= int(d.Length)
	}
	p.all = append(p.all, make([]prefix, n)...)
	return nil
}

// ScanIndex implements [pgtype.ArraySetter].
func (p *prefixes) ScanIndex(i int) any { return &p.all[i] }

// ScanIndexType implements [pgtype.ArraySetter].
func (p *prefixes) ScanIndexType() any { return new(prefix) }

// check returns an error unless these are the prefixes of a list, in its order.
func (p *prefixes) check(list accesslist.List) error {
	switch {
	case p.null:
		return errors.New("its column entries is NULL: want the prefixes of its list")
	case len(p.all) != list.Len():
		return fmt.Errorf("its document has %d entries, and its column entries %d: want the same", list.Len(), len(p.all))
	}
	i := 0
	for entry := range list.All() {
		if p.all[i].Prefix != entry.Prefix() {
			return fmt.Errorf("entry %d is %v in its document, and %v in its column entries: want the same", i+1, entry.Prefix(), p.all[i])
		}
		i++
	}
	return nil
}

// A prefix is a netip.Prefix that is invalid for NULL.
type prefix struct{ netip.Prefix }

// ScanNetipPrefix implements [pgtype.NetipPrefixScanner].
func (p *prefix) ScanNetipPrefix(v netip.Prefix) error {
	p.Prefix = v
	return nil
}
