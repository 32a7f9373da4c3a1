// Package apikey defines API keys: the record of a key, whether it is valid now, and how its secret is made and verified.
//
// Use it for the credentials of programs: text made by the service itself, with enough randomness for a fast hash. Do not
// use it for a text chosen or remembered by a person: that needs a slow password hash, and this package has none (rule
// K1). It is not for sessions, which need a renewal, and not for signed requests, where the secret is never sent. It
// looks nothing up: package store keeps the keys, and package policy decides whether a call is allowed and lists the
// rules cited here as K1 to K7 and A3.
//
// A service with keys of its own form keeps them: see [moving.md].
//
// # The parts
//
// A [Key] is the record of one program's access: its owner, its grants, its addresses and its time. It holds one or two
// [StoredSecret] values, which are hashes, with [DigestCredentials] if its service offers HTTP Digest. A [Secret] is the text itself, in the hands of a caller. It exists at two
// moments only: [New], [Issue] and [Rotate] return one to be shown once, and [Parse] reads the one in a request.
//
// The text of a secret is made to be recognized (rule K2):
//
//	sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3zaMkX
//	── ──────────────────── ──────────────────────────────────────
//	prefix   key ID          32 random characters and 6 of checksum
//
// The key ID inside tells which record to look up; the checksum refuses typing errors before any look-up, and
// [Issuer.Pattern] is for a secret scanner. The checksum is no protection: anybody can compute it.
//
// # Hashes and server keys
//
// By default the SHA-256 of the text is stored. With an [Issuer] with server keys it is an HMAC-SHA-256: write access
// to the database without the server key is then not enough to make a valid secret, unless HTTP Digest is offered. A
// service that begins to use server keys, or rotates them, takes these steps, each in every process before the next.
// The example of store.CountServerKeys is a program of them.
//
//  1. The new server key is put behind the old one in [IssuerConfig] (ServerKeys): it can verify. The old one of a
//     service without any is [Unkeyed].
//  2. It is put first: new secrets are hashed under it. The old one still verifies the others.
//  3. Each proven secret is hashed again: policy.Decision.Rehashed returns the key to put, [Secret.Rehash]
//     does it. Without the text a hash cannot be made anew. A secret keeps its ID and with it its usage.
//  4. store.CountServerKeys counts the secrets under each server key. Those that remain were not used, or by HTTP Digest
//     alone, which hashes none again: look at their usage, and [Rotate] them with their owners, or delete their keys.
//     Those that only a policy.Verifier of the service's own proves stay under "", and no server key concerns them.
//  5. The old server key is dropped when none remains. A secret under it would be denied as a wrong one from then on,
//     except by HTTP Digest, which needs no server key; the operator's side of the decision has [ErrUnknownServerKey] and
//     names the server key.
//
// After a leak of a server key alone, no secret can be computed; take the same steps.
//
// [moving.md]: https://github.com/sallyport-go/sallyport/blob/main/apikey/moving.md
package apikey
