// Package adminhttp is the administration of organizations and keys over HTTP: an API that
// clients of a large cloud's documented administration API speak, and an API of our own under
// /api/sallyport/v1.
//
// Use it to let programs manage keys with the clients, scripts and engines that they have. Do
// not use it
//   - for people in a browser: that is package console;
//   - without TLS: a new key's secret is in an answer;
//   - as an API of your service: it manages access, and serves nothing else.
//
// # The documented API
//
// The same resources are served under three prefixes: /api/public/v1.0 (Ops Manager),
// /api/atlas/v1.0, and /api/atlas/v2 with its media types. The table of endpoints is in
// endpoints.md beside this file. It is for programs: [Config].Guard judges each call, by the
// [Roles] that the embedding program names. A manager of a project can create keys in it,
// assign any key of the organization to it, and give them its roles there.
//
// A key is an organization's key with its ID as id and publicKey, and its secret as
// privateKey, shown once. Organizations and projects are orgs and groups. Their IDs may be any
// names; the vendor's command line sends 24 hexadecimal digits only.
//
// Answers leave out, and every change keeps, comments and
// expiries of entries, lists on trial, grants for all projects, labels, validity, and events
// of other kinds. A requirement of report only is read as false, and false leaves it. A
// running suspension is not shown, and true leaves it.
//
// # Going ahead
//
// Every change is judged by package admin. The documented API has no word to accept a finding,
// so a call goes ahead with what its own words say, and nothing else:
//   - A key is created without an access list, and is open while nothing requires one.
//   - A block is added as wide as it is written.
//   - Deleting a key, or an entry, ends the calls that were made with it.
//   - apiAccessListRequired false opens the keys without a list.
//
// The events of these calls have the accepted finding and a reason. All else is refused, and
// nothing is changed: removing the last entry, the first entry of a key that is called from
// elsewhere, a requirement that would deny a used key, the last manager, and every lockout of
// the calling key. [Config].Accept lets documented calls go ahead with more.
//
// Refusals are
//   - 400 CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST, with the caller's address;
//   - 409 CHANGE_WOULD_LOCK_OUT for every other denial, with the address if it is the
//     caller's;
//   - 409 CHANGE_WOULD_OPEN for an opened key.
//
// # Deviations
//
//   - A call refused after the proof is 403 and not 401. A 401 needs a challenge (RFC 9110
//     section 15.5.2), and makes clients try again.
//   - An unknown key is 404 with API_KEY_NOT_FOUND, as clients expect, and not 400.
//   - A project of another organization is answered like an absent one: 404 GROUP_NOT_FOUND.
//     So is an organization: 403 USER_UNAUTHORIZED.
//   - envelope=true is refused. v2 has the version 2023-01-01 of each resource, and answers
//     requests for it or a later one. Without a versioned Accept it answers as well.
//   - An event has one of the documented types. A journal of over 100,000 events has no
//     totalCount.
//   - Strict-Transport-Security and rate limits are up to the embedding program.
//   - privateKey is redacted to the ID of the newest secret.
//
// # Requests
//
// Links have the scheme and the host of the request, or [Config].BaseURL. No X-Forwarded
// header is read. Browsers send changes from the API's own origin only, and from
// TrustedOrigins. A body has at most 1 MiB. A change goes on if its caller hangs up, and is
// in force on Config.Replicas when it is answered. Lists are read page by page, in bounded
// memory.
package adminhttp
