package accesslist

import "errors"

// Errors that a program may want to tell apart, with errors.Is. Those that
// concern an entry come wrapped, with its text.
var (
	// ErrDuplicate: an entry is on the list already, or twice in one request.
	// Nothing was added (rule A6).
	ErrDuplicate = errors.New("duplicate entry")

	// ErrNotListed: no entry is exactly the one that was named (rule A9).
	ErrNotListed = errors.New("no such entry")

	// ErrOpensKey: the removal would leave no entry, and a list without entries
	// admits every address (rule A10). Nothing was removed. See [AllowOpen].
	ErrOpensKey = errors.New("this would leave the access list empty and open the key to every address: say so with AllowOpen")

	// ErrNoEntries: there was nothing to make a list of.
	ErrNoEntries = errors.New(`accesslist: no entries, and a list without entries admits every address: ` +
		`say so with List{}, [] in JSON, or "empty" in text`)
)
