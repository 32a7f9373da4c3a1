// Service is the production set-up, to copy and to edit: keys in SQLite, decisions from a
// replica in memory, usage, the guard behind a declared proxy, an audit log, an
// administration, and an end without losing a request or a count.
//
//	go run . -create acme -from 198.51.100.0/24   # prints the secret of the first key, once
//	go run . -proxy 127.0.0.1/32
//
// is for a proxy on the same machine. It terminates TLS and appends to X-Forwarded-For. With
// that header, and X-Forwarded-User: olga@service.example, curl then asks
// /doctor/projects/atlas on port 8081 how a client is judged.
// -demo calls the service and ends.
//
// # What to copy
//
//   - main.go, the service. Keep the order of its parts: deferred calls end them in reverse.
//   - projects.go stands for your API. Replace it, and keep its form: the organization comes
//     from the record, and the handler serves the judged record.
//   - manage.go and changes.go, the administration. Edit the roles of its two endpoints in
//     main.go, and the kinds of changes.
//   - people.go stands for your accounts and their sign-in. Replace sender.
//   - setup.go, the first key of a customer. Call setUp from your sign-up.
//
// # The administration
//
// The same handlers serve keys with the role owner, on the API's listener behind the guard,
// and people, on the operators' listener:
//
//	GET  /organizations/{organization}          and /keys, /keys/{key}, /events
//	POST /organizations/{organization}/changes
//
// One handler takes every change. Without "apply" it writes nothing and answers a preview:
//
//	{"changes": [{"kind": "remove_entries", "key": "k3vsg", "entries": [{"address": "203.0.113.7"}]}]}
//
// The preview has the keys affected, the findings, and a token. With the token the same
// changes are made, unless something relevant has changed since. A finding in the way is
// accepted by its name, with a reason:
//
//	{"apply": true, "token": "…", "accept": ["breaks_key"], "reason": "they moved in May", "changes": […]}
//
// The answer has the secrets of new keys, once, and says whether the change is in force: in
// this process at once, in others within the bound of their replicas. A refusal is a 409 with
// a sentence for the person and the findings.
//
// Package admin keeps everybody from locking out themselves or the organization, and keys
// from suspending a requirement. The rest is decided here:
//   - Owners change their own organization, from a listed address only. Auditors read. People
//     change the organizations of their account.
//   - Roles and projects must exist (rule K5).
//   - A change with an unknown field, or without a needed one, is refused. null is none.
//   - A client's hanging up does not stop a change half-way.
//   - A new key may be given its ID. Sent twice, the order then creates one key.
//   - Browsers send no changes for other sites, neither people's nor those with a key's
//     Basic credentials.
//   - Only operators of the service see the doctor and the counters.
package main
