package sqlite

import (
	"fmt"

	"github.com/sallyport-go/sallyport/store"
)

const (
	selectEveryOrganization = `SELECT id, NULL, revision, record FROM organizations`
	selectEveryKey          = `SELECT id, organization, revision, record FROM keys`
)

// snapshot delivers every record.
func (b *batch) snapshot() error {
	if err := b.every(selectEveryOrganization, row.organizationChange); err != nil {
		return err
	}
	return b.every(selectEveryKey, row.keyChange)
}

func (b *batch) every(query string, change func(row, uint64) store.Change) error {
	var r row
	return b.each(query, []any{&r.id, &r.organization, &r.revision, &r.record}, func() error {
		switch id, _ := r.id.(string); {
		case b.latest.Revision == 0:
			return fmt.Errorf("there is a record, %.300q, and the store has come to revision 0: want that of its latest write", fmt.Sprint(r.id))
		case id == "":
			return fmt.Errorf("a record has no name: its ID is %.300q, of type %T: want a text that is not empty", fmt.Sprint(r.id), r.id)
		}
		return b.deliver(change(r, b.latest.Revision))
	})
}
