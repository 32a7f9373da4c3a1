package adapter

import (
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
)

// A Name names a record: a key, whatever its organization, or an organization. Names
// are comparable.
type Name struct {
	Key          apikey.ID // empty for an organization
	Organization string    // empty for a key
}

// KeyName returns the name of a key.
func KeyName(id apikey.ID) Name { return Name{Key: id} }

// OrganizationName returns the name of an organization.
func OrganizationName(id string) Name { return Name{Organization: id} }

// NameOf returns the name of the changed record, the zero Name for a mark.
func NameOf(change store.Change) Name {
	if change.Key != "" {
		return KeyName(change.Key)
	}
	return OrganizationName(change.Organization)
}

// String returns the name as it stands in errors, such as `key "abc"`. Long ones are cut. An
// invalid key ID is not shown, since a text in its place is most often the secret (rule K2).
func (n Name) String() string {
	if n.Organization != "" {
		return "organization " + plain.Quote(n.Organization)
	}
	return fmt.Sprintf("key %q", n.Key) // ID.String redacts
}
