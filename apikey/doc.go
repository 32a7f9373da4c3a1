// Package apikey says what an API key is, whether it is valid now, and how its secret is made and checked.
//
// Use it for the credentials that programs show to a service: text that the service made itself, with so much
// randomness that a fast hash is enough to keep. Do not use it for anything that a person chose or can remember: such a
// text needs a slow password hash, and this package has none (rule K1). It is not for sessions, which need a renewal, and
// not for signed requests, where the secret is never sent. It looks nothing up: package store keeps the keys and package
// policy decides whether a call is allowed; the rules cited here as K1 to K7 and A3 are listed there.
//
// # The parts
//
// A [Key] is the record of one program's access: who owns it, what it may do, where it may call from and when. It holds
// one or two [StoredSecret] values, which are hashes. A [Secret] is the text itself, in the hands of a caller. It exists
// at two moments only: [New] and [Rotate] return one to be shown once, and [Parse] reads the one that a request carries.
//
// The text of a secret is made to be recognized (rule K2):
//
//	sp_bbzwyxit3eylkdeqgytw_S1Dg4mM4KZlV7KHGtSGLf39kg0V4ObTZ3zaMkX
//	── ──────────────────── ──────────────────────────────────────
//	prefix   key ID          32 random characters and 6 of checksum
//
// The key ID inside tells which record to look up; the checksum refuses typing errors before any look-up, and
// [Issuer.Pattern] is what a secret scanner searches for. The checksum is no protection: anybody can compute it.
//
// # Hashes and server keys
//
// By default the SHA-256 of the text is stored. With an [Issuer] that has server keys it is an HMAC-SHA-256, so that
// whoever can write to the database but does not have the server key cannot make a secret that is accepted. Server keys
// are rotated by putting the new one first and dropping the old one when no stored secret names it any more.
package apikey
