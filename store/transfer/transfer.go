package transfer

import (
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
)

// Errors of this package, told apart with errors.Is. Others are failures of the store,
// of the file's reader or writer, or of the context.
var (
	// ErrDamaged: what was read is not the whole of a file as Export wrote it.
	ErrDamaged = errors.New("not a whole and unaltered export")

	// ErrDiffers: the store has other records than the file, or lacks some.
	ErrDiffers = errors.New("the store does not have what the file has")
)

// Counts says how many there are of each.
type Counts struct {
	Organizations int
	Keys          int
	Usage         int // keys that were used
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

// nameOf is what errors call a key, or an organization if there is no key.
func nameOf(organization string, key apikey.ID) string {
	if key == "" {
		return fmt.Sprintf("organization %q", organization)
	}
	return fmt.Sprintf("key %q of organization %q", key, organization)
}
