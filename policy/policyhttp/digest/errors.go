package digest

import (
	"fmt"

	"github.com/sallyport-go/sallyport/policy"
)

// The errors of a right response with an unusable nonce or count, made in advance. Then, and
// only then, the challenges have stale=true (RFC 7616 section 3.3): an honest client answers
// to the new nonce without asking anybody.
var (
	errReplayed  = fmt.Errorf("digest: %w: with this nonce and this count", policy.ErrReplayed)
	errUncertain = fmt.Errorf("digest: %w: its count is more than %d behind the highest, or the memory of nonces was full; "+
		"whether it was used before is unknown", policy.ErrStaleNonce, countWindow-1)
	errExpiredNonce = fmt.Errorf("digest: %w: it has expired", policy.ErrStaleNonce)
	errUnknownNonce = fmt.Errorf("digest: %w: this service did not make it, or made it for another algorithm or under another key", policy.ErrStaleNonce)
	errElsewhere    = fmt.Errorf("digest: %w: another instance made it; see Config.ShareNonces", policy.ErrStaleNonce)
)
