// Service is the production set-up, to copy and to edit: keys in SQLite, decisions from a
// replica in memory, usage, the guard behind a declared proxy, an audit log, an
// administration with events, and an end without losing a request or a count.
//
//	go run . -create acme -from 198.51.100.0/24   # prints the secret of the first key, once
//	go run . -proxy 127.0.0.1/32
//
// is for a proxy on the same machine, one that terminates TLS and appends to
// X-Forwarded-For. With the same header, curl then asks /doctor/projects/atlas on port 8081
// how a client is judged. -demo calls the service and ends.
//
// # What to copy
//
//   - main.go, the service: the order of starting and ending matters. Deferred calls end it in
//     reverse, and so nothing is lost.
//   - projects.go stands for your API. Replace it, and keep its form: the organization comes
//     from the record, and the handler serves the judged record.
//   - manage.go, changes.go: the administration. Change the lists of roles and kinds.
//   - people.go stands for your accounts and their sign-in. Replace byPerson.
//   - setup.go: the first key of a customer. Call setUp where your customers sign up.
//
// # The administration
//
// It is there twice, with the same handlers: for keys with the role owner, on the API's
// listener and behind the guard, and for people on the operators' listener.
//
//	GET  /organizations/{organization}          and /keys, /keys/{key}, /events
//	POST /organizations/{organization}/changes
//
// One handler takes every change. Without "apply" it answers a preview, and writes nothing:
//
//	{"changes": [{"kind": "remove_entries", "key": "k3vsg", "entries": [{"address": "203.0.113.7"}]}]}
//
// The preview lists the keys that would be answered differently, the findings, and a token.
// With it the same changes are made, unless something that matters is different by then. A
// finding in the way is accepted by its name, with a reason:
//
//	{"apply": true, "token": "…", "accept": ["breaks_key"], "reason": "they moved in May", "changes": […]}
//
// The answer has the secrets of new keys, once, and says whether the change is in force: the
// replica of this process has it then, and other processes have it within the bound of
// theirs. A refusal has the status 409, a sentence for the person, and the findings.
//
// These decisions are the embedding program's, and made here:
//   - Who may do what. Keys with the role owner change their own organization, from a listed
//     address only; auditors read. People change the organizations of their account. Package
//     admin adds that nobody locks out themselves or everybody, and that only people suspend
//     a requirement.
//   - Roles and projects are checked (rule K5): nobody else knows them.
//   - A field that a kind of change does not have is refused, and a missing one too.
//   - A client that hangs up does not stop a change half-way.
//   - Cross-site requests to the people's side are refused.
package main
