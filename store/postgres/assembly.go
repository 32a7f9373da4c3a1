package postgres

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// An assembly is a key of which some rows were read. What is wrong with one of them is
// wrong with the key: a record is read whole or not at all (rule A3).
type assembly struct {
	id      pgtype.Text // NULL: of none
	key     apikey.Key
	keys    int // how many rows the table keys has for it: one, or something is wrong
	want    struct{ entries, grants, secrets int }
	entries []accesslist.Entry
	grants  []placed[apikey.Grant]
	secrets []placed[apikey.StoredSecret]
	err     error // the first that is wrong
}

// A placed value has a place among others.
type placed[T any] struct {
	position pgtype.Int4
	value    T
}

// add takes one of the key's rows.
func (k *assembly) add(r *row) {
	if !k.id.Valid {
		k.id, k.key = r.id, apikey.Key{ID: apikey.ID(r.id.String)}
	}
	var err error
	switch r.kind.String {
	case keyRow:
		err = k.addKey(r)
	case entryRow:
		err = k.addEntry(r)
	case grantRow:
		k.grants = append(k.grants, placed[apikey.Grant]{r.number, apikey.Grant{Role: r.text.String, Project: r.name.String, AllProjects: r.flag.Bool}})
		err = notNull("grants", r.flag.Valid)
	case secretRow:
		err = k.addSecret(r)
	}
	k.err = cmp.Or(k.err, err)
}

func (k *assembly) addKey(r *row) error {
	k.keys++
	k.key.Organization, k.key.Description, k.key.Disabled = r.text.String, r.name.String, r.flag.Bool
	k.key.Revision = r.storedRevision()
	k.want.entries, k.want.grants, k.want.secrets = int(r.number.Int32), int(r.grants.Int32), int(r.secrets.Int32)
	return cmp.Or(
		notNull("keys", r.name.Valid, r.flag.Valid, r.number.Valid, r.grants.Valid, r.secrets.Valid),
		sound(k.key.Revision),
		instant(&k.key.NotBefore, r.a), instant(&k.key.Expires, r.b), instant(&k.key.Created, r.c),
	)
}

func (k *assembly) addEntry(r *row) error {
	entry, err := accesslist.Parser{AllowIPv6: true}.NewEntry(r.address.Prefix)
	entry.Comment = r.text.String
	k.entries = append(k.entries, entry)
	last := &k.entries[len(k.entries)-1]
	return cmp.Or(err, notNull("entries", r.text.Valid), instant(&last.Added, r.a), instant(&last.Expires, r.b))
}

func (k *assembly) addSecret(r *row) error {
	k.secrets = append(k.secrets, placed[apikey.StoredSecret]{r.number, apikey.StoredSecret{ServerKey: r.text.String}})
	secret := &k.secrets[len(k.secrets)-1].value
	if copy(secret.Sum[:], r.sum) != len(r.sum) || len(r.sum) != sha256.Size {
		return fmt.Errorf("the hash of a secret has %d bytes: want %d", len(r.sum), sha256.Size)
	}
	return cmp.Or(instant(&secret.Created, r.a), instant(&secret.Expires, r.b))
}

// finish tells the key, and has the assembly begin again. Rows of a key that is not in
// the table keys are none: what deletes a key takes that row first.
func (k *assembly) finish(tell func(storedKey) error) (err error) {
	if k.keys > 0 {
		key := storedKey{k.key, k.check()}
		if key.err != nil {
			key.Key = apikey.Key{ID: k.key.ID, Organization: k.key.Organization, Revision: k.key.Revision}
		}
		err = tell(key)
	}
	*k = assembly{entries: k.entries[:0], grants: k.grants[:0], secrets: k.secrets[:0]}
	return err
}

// check puts the key together, and says why it cannot be read.
func (k *assembly) check() (err error) {
	switch {
	case k.keys != 1:
		err = fmt.Errorf("the table keys has %d rows for it: want one", k.keys)
	case k.err != nil:
		err = k.err
	default:
		err = cmp.Or(
			complete("entries", len(k.entries), k.want.entries),
			inPlace("grants", &k.key.Grants, k.grants, k.want.grants),
			inPlace("secrets", &k.key.Secrets, k.secrets, k.want.secrets))
	}
	if err == nil {
		k.key.AccessList, err = accesslist.List{}.With(k.entries...)
	}
	if err == nil {
		err = k.key.Validate()
	}
	if err != nil {
		return unreadable("key", k.key.ID, err)
	}
	return nil
}

func unreadable[ID ~string](kind string, id ID, err error) error {
	return fmt.Errorf("store/postgres: %s %q cannot be read: %w", kind, id, err)
}

// complete checks that no row was lost.
func complete(table string, got, want int) error {
	if got != want {
		return fmt.Errorf("the table %s has %d rows for it, and the table keys says %d", table, got, want)
	}
	return nil
}

// inPlace puts values in order, and checks that none was lost.
func inPlace[T any](table string, to *[]T, values []placed[T], want int) error {
	if err := complete(table, len(values), want); err != nil || want == 0 {
		return err
	}
	slices.SortFunc(values, func(a, b placed[T]) int { return cmp.Compare(a.position.Int32, b.position.Int32) })
	*to = make([]T, len(values))
	for i, v := range values {
		if !v.position.Valid || int(v.position.Int32) != i {
			return fmt.Errorf("the table %s has the position %d: want 0 to %d, each once", table, v.position.Int32, len(values)-1)
		}
		(*to)[i] = v.value
	}
	return nil
}

func notNull(table string, valid ...bool) error {
	if slices.Contains(valid, false) {
		return fmt.Errorf("a column of the table %s is NULL", table)
	}
	return nil
}

func sound(revision uint64) error {
	if revision == 0 {
		return errors.New("its revision is not one: want more than zero")
	}
	return nil
}

// instant takes a time as it is stored, where NULL is the zero time. Infinity, and the zero
// time itself, could be an expiry that got lost.
func instant(to *time.Time, stored pgtype.Timestamptz) error {
	if !stored.Valid {
		return nil
	}
	if stored.InfinityModifier != pgtype.Finite || stored.Time.IsZero() {
		return errors.New("it has a time that is infinite or zero: want a finite one, or NULL")
	}
	*to = stored.Time.UTC()
	return nil
}
