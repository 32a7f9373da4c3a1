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
// Its clients sign in with HTTP Digest; a guard of its own schemes takes Bearer and Basic, too.
// For Digest the issuer of the Admin makes credentials with each secret, for the realm of the
// guard: see the example Digest. Keys of before sign in with Digest once they were rotated.
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
// nothing is changed:
//   - a last entry removed;
//   - a first entry or a requirement, where it would deny calls seen in the window;
//   - a last manager lost;
//   - every lockout of the calling key.
//
// [Config].Accept lets documented calls go ahead with more.
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
//   - An event has one of the documented types.
//   - A list of over 10,000 keys or events has no totalCount, except on its last pages.
//   - A page of keys begins where the page before it ended, if the same key read that within
//     the last minute from the same process. The totalCount is the one counted then. Up to 1,000
//     keys, each call reads all that is before its page, as it is now.
//   - Strict-Transport-Security and rate limits are up to the embedding program.
//   - privateKey is redacted to the ID of the newest secret.
//
// # Our own API
//
// Our own API is below /api/sallyport/v1, for programs with a key and for people of
// [Config].Person. Its description in OpenAPI 3.1, for generators of clients, is at
// /api/sallyport/v1/openapi.json, and openapi.json beside this file. It has what the documented
// API has no words for:
//   - of an organization: its name and switch, the three values of the requirement, suspensions;
//   - of a list: comments and expiries, a list on trial, suggestions and findings;
//   - of a key: rotation with an overlap, usage, permissions;
//   - decisions, one or many at once, and investigations;
//   - several changes as a whole, and events.
//
// It neither creates nor deletes organizations. Nobody has a right in an organization that does not
// exist, so the program creates it for its new customer, with [admin.CreateOrganization]. A manager
// who can switch an organization off can also switch it on again: to block a customer, let Person
// refuse Manage as well.
//
// Every change can be previewed by the same call with ?preview=true: nothing is written, and
// the answer has a preview with its findings and its token. The terms of a change are headers,
// since not every client sends a body with DELETE, and URLs are kept in logs:
//
//	Sallyport-Token: 3402d48c0d8a4ae2fb24751e153acc21      of the preview
//	Sallyport-Accept: breaks_key, opens                     findings to go ahead with
//	Sallyport-Reason: the%20office%20moved                  percent-encoded UTF-8
//	If-Match: "12"                                          the ETag of the record
//
// None of them is required. The token stands for the If-Match, too: send the same one with the
// preview and the change. With the token of a suggested list, send the ETag of the suggestion;
// with that of a remedy, no If-Match. A change is answered with an outcome: the records as stored, their events, and
// secrets in full, this once. Its inForce is false if it is stored, and not known to be in
// force on Config.Replicas.
//
// Errors are problem+json (RFC 9457) with a code, and the class, the findings and the preview
// of an [admin.Error]:
//
//	400  INVALID_CHANGE, INVALID_BODY with the fields, INVALID_HEADER, INVALID_QUERY_PARAMETER
//	403  FORBIDDEN
//	404  NOT_FOUND; another organization's records are answered like absent ones
//	409  CHANGE_REFUSED for findings in the way, PREVIEW_CHANGED for a token, CONFLICT
//	410  EVENTS_FORGOTTEN for a cursor
//	412  REVISION_CHANGED for an If-Match, with the present ETag
//	503  SERVICE_UNAVAILABLE
//
// Bodies are read to the letter: an unknown or repeated name, null, an unknown parameter of the
// query and an unknown header Sallyport-... are refused, since each could be a misspelt word
// that keeps a change from being made, or a bound from being set.
//
// Events are followed at .../events/stream as Server-Sent Events, after the cursor in next of
// the events' page or in Last-Event-ID. A stream ends after 10 minutes, for its caller to be
// judged again, and with the Shutdown of its http.Server.
//
// # Requests
//
// Links have the scheme and the host of the request, or [Config].BaseURL. No X-Forwarded
// header is read. Browsers send changes from the API's own origin only, and from
// TrustedOrigins. A body has at most 1 MiB. A change goes on if its caller hangs up, and is
// in force on Config.Replicas when it is answered. Lists are read page by page, in bounded
// memory.
package adminhttp
