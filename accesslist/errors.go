package accesslist

import "errors"

// Errors to tell apart with errors.Is. An error about an entry is wrapped with the
// entry's text.
var (
	// ErrDuplicate is returned for an entry already on the list, or given twice.
	// Nothing was added (rule A6).
	ErrDuplicate = errors.New("duplicate entry")

	// ErrNotListed is returned if no entry is exactly the named one (rule A9).
	ErrNotListed = errors.New("no such entry")

	// ErrOpensKey is returned for a removal of the last entry without [AllowOpen]: a
	// list without entries admits every address (rule A10). Nothing was removed.
	ErrOpensKey = errors.New("an empty access list opens the key to every address: want an entry left, or AllowOpen")

	// ErrNoEntries is returned for a list made of nothing.
	ErrNoEntries = errors.New(`accesslist: no entries: an empty access list opens the key to every address: ` +
		`want entries, or List{}, [] in JSON, "empty" in text`)
)
