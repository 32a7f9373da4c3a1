package digest

import (
	"errors"
	"fmt"
)

// ErrReplayed is wrapped by the Cause of a decision on a repeated request, with the nonce and
// the count of an accepted one. Somebody sent a captured request again, or a proxy or a
// client's connection pool repeated one by itself. The caller gets the answer to a wrong
// secret, with stale=true: an honest client then answers to the new nonce without asking
// anybody.
var ErrReplayed = errors.New("digest: the nonce was used with this count before: the request was sent again")

// errStale is wrapped by the error of a right response with an unusable nonce or count. Then,
// and only then, the challenges have stale=true (RFC 7616 section 3.3).
var errStale = errors.New("the response is right, but its nonce cannot be used")

// The reasons for stale=true.
var (
	errReplayed  = fmt.Errorf("%w (%w)", ErrReplayed, errStale)
	errUncertain = fmt.Errorf("digest: %w: its count is more than %d behind the highest, or the memory of nonces was full; "+
		"whether it was used before is unknown", errStale, countWindow-1)
	errExpiredNonce = fmt.Errorf("digest: %w: it has expired", errStale)
	errUnknownNonce = fmt.Errorf("digest: %w: this service did not make it, or made it for another algorithm or under another key", errStale)
	errElsewhere    = fmt.Errorf("digest: %w: another instance made it; see Config.ShareNonces", errStale)
)
