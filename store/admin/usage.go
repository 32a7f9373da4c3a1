package admin

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// A KeyUsage shows how a key was used in the window: the evidence by which a change of it would
// be judged. The names in its JSON do not change. An empty list is [] there.
type KeyUsage struct {
	Key       apikey.ID    `json:"key"`
	Revision  uint64       `json:"revision"`  // of the key
	Uses      []Use        `json:"uses"`      // of served calls, by entry and by secret
	Addresses []AddressUse `json:"addresses"` // of served calls, ascending

	// MoreAddresses is true if there may have been others: a store keeps a bounded number.
	MoreAddresses bool `json:"moreAddresses"`

	Denials   []DenialUse `json:"denials"`   // calls denied after the proof
	WouldDeny []DenialUse `json:"wouldDeny"` // served calls that a list on trial or a requirement not in force would have denied
	Gaps      []string    `json:"gaps"`      // in sentences, what the evidence lacks; none: it is complete
	Evidence  Evidence    `json:"evidence"`
}

// Usage returns how a key of the organization was used in the window. Usage that cannot be read
// is no error: Gaps says so. A key of another organization is NotFound.
func (a *Admin) Usage(ctx context.Context, organization string, id apikey.ID) (KeyUsage, error) {
	key, err := a.keyOf(ctx, organization, id)
	if err != nil {
		return KeyUsage{}, err
	}
	p := &plan{admin: a, organization: organization, now: moment(a.clock())}
	usage, evidence := p.observed(ctx, key, p.now.Add(-a.rules.window))
	seen := observedOf(usage, evidence)
	for i := range seen.uses {
		seen.uses[i].Ended = seen.uses[i].hasEnded(key, p.now)
	}
	return KeyUsage{
		Key: key.ID, Revision: key.Revision, Uses: listed(seen.uses), Addresses: listed(seen.addresses), MoreAddresses: !seen.all,
		Denials: listed(seen.denials), WouldDeny: listed(seen.wouldDeny), Gaps: listed(evidence.gaps()), Evidence: evidence,
	}, nil
}

// hasEnded reports whether a key has no such entry or secret that is live.
func (u Use) hasEnded(key apikey.Key, now time.Time) bool {
	if u.Secret != "" {
		return !slices.ContainsFunc(key.Secrets, func(s apikey.StoredSecret) bool { return s.ID() == u.Secret && isLive(s, now) })
	}
	entry, listed := key.AccessList.Find(u.prefix)
	return !listed || entry.ExpiredAt(now)
}
