// Package replay tries an access list on access logs. It reports the clients that the list
// would have refused, with their calls and times, the entries without a call, and a list to
// serve all clients. Use it before putting a list or a requirement into force.
//
// It reads the logs of Apache, nginx, Caddy, Traefik, HAProxy, Envoy, IIS and of the clouds'
// load balancers, and this module's own audit log, also after the prefixes of container
// runtimes and syslog. The format is recognized and named ([Log.ReadsAs]); formats.md is a
// table of what is read of each. [Read] is for one log, [Replay] for several, and [Reader]
// for the requests themselves.
//
// It is no log analyzer: it keeps counts by client and nothing else, and reads logs of
// requests only.
//
// # No false conclusion
//
// A list is made from a report, and a wrong one locks customers out. So a report has doubts,
// and draws no conclusion against one. The gravest mistake is a proxy's address in the
// client's place. Clients look like a proxy if
//
//   - more than half of the calls come from private addresses,
//   - more than half have an X-Forwarded-For without the client in it, and not always the same
//     private address, which may be the server's own, or
//   - at most 4 addresses sent 12 different agents.
//
// No list is suggested and no entry is called unused either
//
//   - if a log cannot be read to its end,
//   - if one line of a log has another format than the log,
//   - if more than 1 % of the lines of a log were not read,
//   - if more lines of a JSON log are other messages than requests,
//   - if a log has ports, and IPv6 addresses that may end in one,
//   - if the guard's log has the calls of several keys, or leaves out allowed calls.
//
// No entry is called unused by logs of less than a day or fewer than 100 calls.
//
// A line that does not fit its format is counted and never taken; the errors of the first
// are in the report. Lines in another format are such lines: the client may be another
// machine in them.
//
// # The judgement and its limits
//
// Each call is judged at its own time by the list alone, as if its key had been verified: a
// log has no secrets. Except for the guard's own log, every client in it is taken for a
// client of the key: choose the calls with [Options.Counts].
//
// Calls that the log says were refused (401, 403, or denied by the guard) are nobody's use,
// and are left out. A suggestion is for clients with a call that was answered with success.
// It knows addresses only, so it admits an attacker in the log, too.
//
// # Bounds
//
// Memory does not grow with the logs. IPv6 is counted by /64. With more than 262,144
// distinct addresses, calls are counted by wider blocks, and the report says so. A line of
// more than 1 MiB is not read. Errors and doubts quote 60 bytes of a line.
//
// Logs compressed with gzip or bzip2 are recognized by their content. Other compressions are
// named and refused, with the command that decompresses them.
package replay
