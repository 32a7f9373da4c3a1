package apikey

import "errors"

var (
	// ErrWrongSecret is returned by [Secret.Verify] when the secret matches no live stored one, when nothing is stored,
	// and for the zero Secret.
	ErrWrongSecret = errors.New("apikey: the secret matches no live secret of the key: " +
		"want one that Issue, New or Rotate returned for this key, not expired")

	// ErrUnknownServerKey is returned by [Secret.Verify] in place of [ErrWrongSecret] when nothing matched and the issuer
	// cannot check one of the live stored secrets. That one was hashed under another server key than the issuer's, or
	// under none while the issuer has server keys without [Unkeyed]. It denies just the same. It is for the operator,
	// whose configuration may be wrong, and never for the caller.
	ErrUnknownServerKey = errors.New("apikey: no secret matched, and a stored one was hashed under a server key " +
		"unknown to this issuer: want that key among IssuerConfig.ServerKeys, or Unkeyed if it was hashed under none")

	// ErrTwoSecrets is returned by [Issuer.Issue] and [Issuer.Rotate] for a key with two live secrets (rule K4).
	ErrTwoSecrets = errors.New("apikey: the key has two live secrets already")

	// ErrMalformedSecret is returned by [Issuer.Parse], wrapped with the problem and the repair. The error contains
	// nothing of the text (rule K2).
	ErrMalformedSecret = errors.New("apikey: malformed secret")
)
