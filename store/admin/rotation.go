package admin

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// DefaultIdle is how long a secret is out of use before it is safe to end.
const DefaultIdle = 24 * time.Hour

// A Rotation shows how far a rotation has come: whether the earlier secrets of a key are still
// used.
type Rotation struct {
	Key      apikey.ID   `json:"key"`
	Revision uint64      `json:"revision"` // of the key, for Change.At
	Secrets  []SecretUse `json:"secrets"`  // the oldest first
	Evidence Evidence    `json:"evidence"` // since the latest secret was made, or for the idle time if that is not known
}

// A SecretUse is a secret of a key with its use, by its text or by HTTP Digest. Calls with other
// proof, such as a client certificate, are not in it.
type SecretUse struct {
	SecretView
	Live    bool       `json:"live"`
	Count   uint64     `json:"count"`            // of served calls
	Last    time.Time  `json:"last,omitzero"`    // the last one; zero: none is known, or at an unknown time
	Address netip.Addr `json:"address,omitzero"` // of the last one

	// IdleSince is when an earlier secret was last used, or later, when the latest one was
	// made. It is zero if that is not known, and for the latest and for ended secrets.
	IdleSince time.Time `json:"idleSince,omitzero"`

	SafeToEnd bool   `json:"safeToEnd"`
	Why       string `json:"why,omitempty"` // a sentence: why it is not safe
}

// Rotation returns the secrets of a key with their last uses, and whether the earlier ones are
// safe to end. An earlier secret is, if
//   - the latest live secret does not end first;
//   - it was used, and no call with other proof came after its last use and that of the
//     earlier one;
//   - the earlier one was not used for the idle time, from its last use on or, if that is
//     later, from when the latest was made;
//   - usage was observed since the latest was made, within the bounds of [MaxMissing] and
//     [MaxLate].
//
// An idle time of zero means [DefaultIdle]. End the secret by [EndSecret], which is judged
// like any change. Errors are NotFound, Unavailable, and Invalid for an idle time below zero.
// Usage that cannot be read is no error: nothing is safe then.
func (a *Admin) Rotation(ctx context.Context, organization string, id apikey.ID, idle time.Duration) (Rotation, error) {
	switch {
	case idle < 0:
		return Rotation{}, invalid("The idle time is negative.")
	case idle == 0:
		idle = DefaultIdle
	}
	key, err := a.keyOf(ctx, organization, id)
	if err != nil {
		return Rotation{}, err
	}
	p := &plan{admin: a, organization: organization, now: moment(a.clock())}
	latest, begin := -1, p.now.Add(-idle)
	for i, secret := range key.Secrets {
		if isLive(secret, p.now) {
			latest = i
		}
	}
	if latest >= 0 && !key.Secrets[latest].Created.IsZero() {
		begin = key.Secrets[latest].Created
	}
	usage, evidence := p.observed(ctx, key, begin)
	other := observedOf(usage, evidence).otherProof()
	rotation := Rotation{Key: key.ID, Revision: key.Revision, Secrets: make([]SecretUse, 0, len(key.Secrets)), Evidence: evidence}
	for i, view := range secretViews(key.Secrets) {
		kept := usage.Secrets[view.ID]
		rotation.Secrets = append(rotation.Secrets, SecretUse{SecretView: view, Live: isLive(key.Secrets[i], p.now),
			Count: kept.Count, Last: kept.Last, Address: kept.LastAddress.Unmap()})
	}
	for i := range rotation.Secrets {
		switch secret := &rotation.Secrets[i]; {
		case !secret.Live:
			secret.Why = "It has ended."
		case i == latest:
			secret.Why = "It is the latest secret. Rotate the key first."
		default:
			secret.Why = secret.inUse(rotation.Secrets[latest], evidence, other, idle)
			secret.SafeToEnd = secret.Why == ""
		}
	}
	return rotation, nil
}

// inUse notes since when an earlier secret is idle, and returns why it is not safe to end.
func (s *SecretUse) inUse(latest SecretUse, evidence Evidence, other bool, idle time.Duration) string {
	switch {
	case latest.Created.IsZero():
		return "It is not known when the latest secret was made."
	case s.Count > 0 && s.Last.IsZero():
		return "It was used at an unknown time."
	}
	s.IdleSince = latest.Created
	if s.Last.After(s.IdleSince) {
		s.IdleSince = s.Last
	}
	gaps := evidence.gaps()
	switch until := s.IdleSince.Add(idle); {
	case sooner(latest.Expires, s.Expires):
		return fmt.Sprintf("The latest secret ends first, at %s. The key would have none then.", latest.Expires.UTC().Format(time.RFC3339))
	case len(gaps) > 0:
		return strings.Join(gaps, " ")
	case other:
		return "The last call came with other proof than a secret, such as a client certificate. Whether it was made with this secret is not known."
	case latest.Count == 0:
		return "The latest secret was not used yet."
	case until.After(evidence.Until) && s.IdleSince.Equal(s.Last): // later calls are not known yet
		return fmt.Sprintf("It was used at %s. Without further use it is safe to end at %s.", s.Last.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	case until.After(evidence.Until):
		return fmt.Sprintf("The latest secret is new. Without use of this one it is safe to end at %s.", until.UTC().Format(time.RFC3339))
	}
	return ""
}
