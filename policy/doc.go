// Package policy decides whether an API key may make a call from an address. It
// is the rules and nothing else: [Evaluate] is a pure function, and [Engine.Decide]
// looks the key up in a [Source] and calls it.
//
// Use it in middleware, once per request, after the client's address is known and
// before the handler runs. Do not use it to authorize people (a key stands for a
// program and cannot sign in to a console), to decide what an authenticated caller
// may do with one object among many, to limit rates, or to find out the client's
// address from headers.
//
// All that the module promises, with its limits and tests, is in [guarantees.md].
//
// # The order
//
// Every request gets one outcome and one reason: the first line that applies. Authentication comes before the address and the address before what the
// key may do, so a stolen key used from elsewhere learns nothing of its rights.
//
//	line  when                                                        reason                            HTTP
//	 1    no key ID, no valid client address, an address with a zone, invalid_request                   400
//	      neither an organization nor a Resolver, two proofs, or an
//	      unreadable request
//	 2    the call is to the console                                  console_forbidden                 403
//	 3    the source failed, timed out, was cancelled, is too stale,  unavailable                       503
//	      or returned an unreadable record; a proxy hid the client
//	 4    no such key                                                 unknown_key                       401
//	 5    the secret, or other proof, does not match                  wrong_secret                      401
//	 6    the key, or its organization, is switched off               key_disabled                      401
//	 7    now is before the key's not-before                          key_not_yet_valid                 401
//	 8    now is at or after the key's expiry                         key_expired                       401
//	 9    the list has entries and no live one covers the client      address_not_listed                403
//	10    the list has no entries, the organization requires one      organization_requires_access_list 403
//	11    the list has no entries, the endpoint requires one          endpoint_requires_access_list     403
//	12    the organization of the request is not the key's            wrong_organization                403
//	13    the request names a project, no grant reaches it            project_not_granted               403
//	14    the endpoint names roles, no grant reaching the resource    role_missing                      403
//	      has one
//	15    a live entry covers the client                              address_listed                    allow
//	16    the list has no entries                                     open_list                         allow
//
// A [Resolver] finds the resource where the request does not name it. It is called once,
// after line 11: a guessed or stolen key causes no look-up in the embedding program's
// tables. If it fails, the answer is unavailable; if it names no organization,
// invalid_request. The decision hands on the judged resource; see [Decision.Resource].
//
// An organization is switched off by [Organization.Disabled], and with it each of its keys
// at once. The switch writes no key: switched on again, every key is as it was. The caller is
// answered as by the key's own switch; the operator's side says which of the two it was.
//
// The unknown is denied:
//
//   - The zero Request, Reason and Decision deny.
//   - A failing, panicking or hanging source is a denial.
//   - An organization with an unknown requirement requires a list.
//
// # Kinds
//
// Some reasons stand for honest callers and for hostile ones. A decision's [Kind] tells them
// apart, in the log line, the counters and the telemetry: a request without credentials, a right
// Digest response with an old nonce, a caller who hung up before the answer. An alarm on
// unavailable leaves out caller_gone, and one on wrong_secret leaves out stale_nonce. An alarm
// on address_not_listed keeps possible_proxy: any caller gets that kind by sending an address
// header. The caller's side does not show it.
//
// # Look-ups
//
// An [Engine] waits for its source as long as the caller does, and no longer than its timeout.
// The look-up of a caller who hung up goes on to its end, since to cancel a query closes the
// connection in common database drivers: strangers could break them as fast as they are made.
// At most [WithMaxLookups] are under way, and those still waiting for their turn leave with
// their callers. A source that waits by itself asks [CallerContext] how long. Of many requests
// [Engine.DecideAll] looks each key up once.
//
// # Rules
//
// The tests and comments of this module cite the rules by these names.
//
// Access lists, kept by package accesslist:
//
//   - A1. A list covers the union of its live entries; the first and the last address
//     of a block are inside.
//   - A2. Expiry narrows and never widens: an expired entry covers nothing and still
//     counts as an entry, so a list whose entries have all expired denies everyone
//     until somebody edits it. It is not empty.
//   - A3. An unreadable list is not empty: line 3 applies.
//   - A4. One key's list never admits or blocks another key, and one organization's
//     requirement never touches another's keys.
//   - A5. Entries are IPv4. An IPv4-mapped IPv6 client is the mapped IPv4 address;
//     any other IPv6 client is covered by no IPv4 entry, and with an empty list is judged
//     like everyone else. IPv6 entries are refused unless the embedding program
//     opts in.
//   - A6. An address and its /32 are the same entry. Adding a listed entry, or the
//     same one twice, is an error naming it, and adds nothing.
//   - A7. Refused, with an error naming the text and the repair: leading zeros, missing
//     or extra octets, white space, ports, zones, ranges, host names, a prefix longer than
//     the address, an empty text, 0.0.0.0/32, a block with host bits set.
//   - A8. 0.0.0.0/0 is legal. Findings report any block wider than /8, for IPv6 wider
//     than /32, as over-broad, and entries that no client can have: multicast, broadcast,
//     link-local, reserved.
//   - A9. Entries are found and removed by exact entry, never by containment.
//     Overlapping entries may coexist.
//   - A10. Adding the first entry narrows an open key at once. Removing the last one
//     opens it, and a key created without entries is open from the start: no operation
//     does either unless the caller says so in the call.
//   - A11. A served call is counted on the entry covering the client, the most specific
//     of several. A denied call is not counted.
//   - A12. Lists, grants, names, texts, lines and errors are bounded. A bound has a name,
//     and whatever exceeds it is refused with its number: apikey.MaxEntries and the
//     constants beside it, store.MaxEntries (a caller may raise it), accesslist.MaxLine,
//     transfer.MaxLine.
//
// Keys, kept by package apikey:
//
//   - K1. A secret is shown once. Only a hash is stored; it is a fast one, since a
//     secret has at least 160 bits from crypto/rand and cannot be guessed.
//   - K2. A secret's text has a recognizable prefix and a checksum, and never appears in
//     a log, an error or JSON.
//   - K3. Verifying takes the same time for an unknown key and for a wrong secret. A
//     look-up may not: see [Source].
//   - K4. Rotation keeps the old secret alive for a stated overlap, which may be zero;
//     each secret has its own last use.
//   - K5. A grant is a role and where it holds: the organization itself, one project, or
//     all projects of the organization. A grant at the organization reaches no project;
//     a grant in a project reaches neither the organization nor another project; "all
//     projects" reaches every project of the key's organization. Every request names its
//     organization. Roles are the embedding program's words, and none implies another.
//   - K6. Deleting a key deletes its list, its grants and its secrets. A key cannot move
//     to another organization.
//   - K7. Decide believes the request about which organization owns a project. Take it
//     from the project's own record, never from the caller; see the example of Request.
//
// The requirement of an organization:
//
//   - Q1. An organization's requirement covers every operation of the organization
//     and of all its projects.
//   - Q2. [ReportOnly] judges the call as if nothing were required and notes the answer
//     under [Required] in [Decision.WouldDeny], so that a switch can be watched before it
//     is thrown.
//   - Q3. Changing the requirement alters no list and holds for existing keys at once.
//   - Q4. A list on trial (apikey.Key.TrialList) is report only for one list. If a call has
//     passed lines 6 to 11 and no live entry of that list covers the client,
//     Decision.WouldDeny is address_not_listed; nothing is enforced by it. The note replaces
//     one of line 10, because line 9 comes first. A covered client's note of line 10 stays:
//     the list is not the key's yet. An expired entry covers nothing, and a list on trial
//     without entries is none.
//   - M20. A requirement may be suspended until an instant, for an emergency; see
//     [Organization.SuspendedUntil]. Before that instant line 10 does not apply and
//     Decision.WouldDeny has its answer; from that instant on it applies again, and nobody
//     has to write anything. All other lines are untouched. A past instant is as none. Only
//     Required is suspended: an unknown requirement requires a list all the same.
//
// Two audiences:
//
//   - D1. A decision has two sides. The operator's is [Decision] itself: the reason,
//     the entry, the requirement, the compared values, the error. The caller's is
//     [Decision.Answer]: a status, a code and one sentence.
//   - D2. Lines 4 and 5 look the same to the caller, in body and in time. Lines 6 to
//     14 are answered only after the secret was verified.
//   - D3. The caller-side codes of lines 9, 10 and 11 come with the client's address as
//     the service saw it.
//
// [guarantees.md]: https://github.com/sallyport-go/sallyport/blob/main/policy/guarantees.md
package policy
