package transfer

import (
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// Errors of this package, told apart with errors.Is. Others are failures of the store,
// of the file's reader or writer, or of the context.
var (
	// ErrDamaged is returned if the input is not one whole, unaltered export.
	ErrDamaged = errors.New("not a whole and unaltered export")

	// ErrDiffers is returned if a record of the file is another one in the store, or if one of
	// them lacks a record of the other.
	ErrDiffers = errors.New("the store differs from the file")
)

// Counts has the number of records of each kind.
type Counts struct {
	Organizations int
	Keys          int
	Usage         int // keys with usage
}

func (c *Counts) add(key, used bool) {
	if key {
		c.Keys++
	} else {
		c.Organizations++
	}
	if used {
		c.Usage++
	}
}

// nameOf returns the name of a key, or of an organization if key is empty, for errors.
func nameOf(organization string, key apikey.ID) string {
	if key == "" {
		return "organization " + plain.Quote(organization)
	}
	return fmt.Sprintf("key %q of organization %s", key, plain.Quote(organization))
}
