package records

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

const line = 64 // bytes of a cache line

// What nearly every decision reads of a key fills two lines, and of an organization two.
func TestLayout(t *testing.T) {
	field := func(of reflect.Type, names ...string) (end uintptr) {
		for _, name := range names {
			f, ok := of.FieldByName(name)
			require.True(t, ok, "%v has no field %s", of, name)
			end, of = end+f.Offset, f.Type
		}
		return end + of.Size()
	}
	allocated := make([]*record, 100)
	for i := range allocated {
		allocated[i] = new(record)
	}
	record := reflect.TypeFor[record]()
	for _, name := range []string{"ID", "AccessList"} {
		require.LessOrEqual(t, field(record, "key", name), uintptr(line), name)
	}
	for _, name := range []string{"Grants", "Expires"} {
		require.LessOrEqual(t, field(record, "key", name), uintptr(2*line), name)
	}
	if unsafe.Sizeof(uintptr(0)) == 8 { // with shorter pointers a record has another size of the allocator
		for _, r := range allocated {
			require.Zero(t, uintptr(unsafe.Pointer(r))%line, "a record of %d bytes begins a line", record.Size())
		}
	}
	for _, name := range []string{"ID", "Requirement", "Disabled", "SuspendedUntil"} {
		require.LessOrEqual(t, field(reflect.TypeFor[organization](), "first", name), uintptr(2*line), name)
	}
}

// inside reports whether a text lies in the memory of a value.
func inside[V any](text string, value *V) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(value))
	return at >= from && at+uintptr(len(text)) <= from+unsafe.Sizeof(*value)
}

// The texts that a look-up compares lie beside the rest of the record, also after an organization
// was replaced and its keys have moved to it. A longer one lies elsewhere and is found all the same.
func TestTextsLieInTheRecord(t *testing.T) {
	for _, c := range []struct {
		id     string
		inside bool
	}{{"short", true}, {strings.Repeat("k", 20), true}, {strings.Repeat("k", 21), false}} {
		held := NewCopy()
		organization := policy.Organization{ID: strings.Repeat("o", 2*len(c.id)), Revision: 1}
		key := apikey.Key{ID: apikey.ID(c.id), Organization: organization.ID, Secrets: []apikey.StoredSecret{{}}}
		for range 3 {
			held.Apply([]store.Change{
				{Organization: organization.ID, OrganizationRecord: &organization},
				{Organization: organization.ID, Key: key.ID, KeyRecord: &key},
			})
			r, _ := held.keys.get(c.id)
			require.NotNil(t, r, c.id)
			require.Equal(t, key.ID, r.key.ID)
			require.Equal(t, c.inside, inside(string(r.key.ID), r), c.id)
			require.Same(t, &r.secret[0], &r.key.Secrets[0])
			require.Equal(t, c.inside, inside(r.organization.stored.Load().ID, r.organization), organization.ID)
			subject, found, err := held.LookupNow(key.ID)
			require.NoError(t, err)
			require.True(t, found)
			require.True(t, subject.Key().Equal(r.key))
			require.Equal(t, organization, subject.Organization())
			organization.Revision++
			key.Revision++
		}
	}
}

// A full table becomes twice as large, not four times.
func TestTableDoubles(t *testing.T) {
	table := newTable()
	places := len(table.groups.Load().groups)
	for n := range 5000 {
		table.put(numbered(fmt.Sprintf("key-%06d", n), n))
		now := len(table.groups.Load().groups)
		require.Contains(t, []int{places, 2 * places}, now, "with %d records", n+1)
		places = now
	}
}
