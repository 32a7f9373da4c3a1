// Package apikey defines API keys: the record of a key, whether it is valid now, and how its secret is made and verified.
//
// Use it for the credentials of programs: text made by the service itself, with enough randomness for a fast hash. Do not
// use it for a text chosen or remembered by a person: that needs a slow password hash, and this package has none (rule
// K1). It is not for sessions, which need a renewal, and not for signed requests, where the secret is never sent. It
// looks nothing up: package store keeps the keys, and package policy decides whether a call is allowed and lists the
// rules cited here as K1 to K7 and A3.
//
// # The parts
//
// A [Key] is the record of one program's access: its owner, its grants, its addresses and its time. It holds one or two
// [StoredSecret] values, which are hashes. A [Secret] is the text itself, in the hands of a caller. It exists at two
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
// By default the SHA-256 of the text is stored. With an [Issuer] with server keys it is an HMAC-SHA-256: write access to
// the database without the server key is then not enough to make a valid secret. To rotate server keys, put the new one
// first, and drop the old one when no stored secret names it any more.
package apikey
