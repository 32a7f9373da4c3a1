package admin

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// Rotate gives a key a new secret, returned in the [Result]. The earlier one stays valid for
// the overlap, or until its own end if that is earlier (rule K4). With an overlap of 0 every
// earlier secret ends at once, as right after a leak: only SelfLockout and LastManager can
// refuse that (rule M23). If all of them have ended before, the new one revives the key, and
// Opens can refuse it as well. A longer overlap is no emergency: if it is shorter than the notice,
// and not of the actor's own key, calls with the earlier secret in the window are BreaksKey
// (rule M11).
//
// A key with two live secrets is a Conflict unless the overlap is 0.
func Rotate(key apikey.ID, overlap time.Duration) Change {
	change := ofKey("rotate", key, func(d *draft) error {
		rotated, secret, err := d.issuer.Rotate(*d.key, overlap)
		switch {
		case errors.Is(err, apikey.ErrTwoSecrets):
			var live []string
			for _, s := range d.key.Secrets {
				switch {
				case !isLive(s, d.now):
				case s.Expires.IsZero():
					live = append(live, s.ID())
				default:
					live = append(live, s.ID()+" until "+s.Expires.UTC().Format(time.RFC3339))
				}
			}
			return wrap(Conflict, err, "The key has two live secrets already: %s. End one of them, or rotate without an overlap, which ends both.", strings.Join(live, " and "))
		case err != nil:
			return wrap(Invalid, err, "The key would be invalid: %s", plainText(err))
		}
		d.hand(rotated, secret)
		return nil
	}, overlap.String())
	change.narrows = overlap == 0
	if overlap < 0 {
		change = change.wrong("The overlap is negative.")
	}
	return change
}

// EndSecret ends a secret of a key at an instant; the zero time and the past mean now. The
// secret stays on record as ended until the key is rotated. Only SelfLockout and LastManager
// can refuse it (rule M23): it narrows, and a later instant than the present end is a
// Conflict.
//
// secret is an [apikey.StoredSecret.ID]. Any other text is Invalid, and kept nowhere: by
// mistake it is the secret itself (rule K2).
func EndSecret(key apikey.ID, secret string, at time.Time) Change {
	named := isHex(secret, 8) // as every ID
	if !named {
		secret = ""
	}
	change := ofKey("end_secret", key, func(d *draft) error {
		i := slices.IndexFunc(d.key.Secrets, func(s apikey.StoredSecret) bool { return s.ID() == secret })
		if i < 0 {
			return notFound("The key has no secret %s.", plain.Quote(secret))
		}
		s := &d.key.Secrets[i]
		if !s.Expires.IsZero() && !d.now.Before(s.Expires) {
			return conflict("The secret %s has ended already. Rotate the key to have a new one.", plain.Quote(secret))
		}
		end := moment(at)
		if end.Before(d.now) {
			end = moment(d.now)
		}
		if !s.Expires.IsZero() && end.After(s.Expires) {
			return conflict("The secret %s ends earlier, at %s, and its end cannot be put off. Rotate the key to have a new one.", plain.Quote(secret), s.Expires.UTC().Format(time.RFC3339))
		}
		s.Expires = end
		return nil
	}, secret, stamp(at))
	change.narrows = true
	if !named {
		change = change.wrong("A secret is named by its ID: 8 hexadecimal digits, as a look at the key shows them.")
	}
	return change
}

// isHex reports whether a text is n hexadecimal digits in lower case.
func isHex(text string, n int) bool {
	return len(text) == n && strings.Trim(text, "0123456789abcdef") == ""
}
