// Sallyport is the command of an operator with a shell: it says why a call is refused, and
// changes organizations and keys straight in their store, also while the service is down.
//
//	export SALLYPORT_STORE=sqlite:/var/lib/gate/keys.db
//	sallyport explain k3vsg --from 203.0.113.7 --org acme
//	sallyport org suspend acme --for 1h --reason "thrown by mistake"
//
// Every change goes through package store/admin: it is previewed, refused if it would lock
// somebody out, and kept with an event. The actor is the system, under the name of the user
// of the operating system. Do not use the command as an interface for programs that manage
// keys: those embed store/admin, or call its API.
//
// A guide for a bad day, with the commands for each incident, is [incidents.md].
//
// # The store
//
// The flag --store, or the environment variable SALLYPORT_STORE, is one of
//
//	sqlite:/path/to/keys.db
//	postgres://user@host/database     also ?schema=NAME; passwords by PGPASSWORD or ~/.pgpass
//	etcd://host1,host2/prefix         TLS and user by ETCDCTL_CACERT, _CERT, _KEY and _USER
//
// An absent store is an error: only the command migrate makes one.
//
// # The server
//
// Instead, --server or SALLYPORT_SERVER is the https address of a running service that serves
// the API of package adminhttp, and SALLYPORT_KEY has the secret of a key for it. The key is the
// actor then, may do what its roles allow, and can lock itself out: that is refused. The command
// whoami says who it is.
//
//	export SALLYPORT_SERVER=https://gate.example.com SALLYPORT_KEY
//	read -rs SALLYPORT_KEY
//	sallyport whoami
//
// The commands are the same, with the same outputs and questions. Some need --store, and say so:
//
//   - export, import and verify have every organization's records, with the hashes of the secrets,
//     and callers of a service have rights in single organizations;
//   - migrate: a service brings its store up to date itself;
//   - org create: nobody has a right in an organization that does not exist, and the program
//     creates it for a new customer;
//   - org suspend and org resume: no key can do them, but a person in the console can;
//   - flags for what the service decides: the roles of an endpoint, the form of secrets.
//
// decide prints neither the entry nor the log line, and may is about the service's own endpoints.
// IPv6 entries need a list that has some already. doctor also looks at the server's clock and
// certificate, and cannot see server keys.
//
// The key is sent over TLS 1.2 or later only, or to a loopback address; --ca-file names the
// certificates to trust instead of the system's. A redirection is not followed. Exit status 1 is
// also for a key that is refused and for what the server does not have (401, 403 and 404), and
// 3 for every conflict of a change (409 and 412) but a refusal of the guard. A server that cannot be
// reached, fails, or is another is 2. If the answer to a change is lost, it is not known whether
// it was made: look first.
//
// # Profiles
//
// Settings can have a name in ~/.config/sallyport/config.toml, and are chosen by -P NAME or
// SALLYPORT_PROFILE. A flag goes before the environment. A profile goes before it if -P names it,
// and after it if SALLYPORT_PROFILE does. `sallyport config` shows the settings in force and where
// each comes from, and its help has an example. A wrong profile does not disable the others. A
// secret is in a file of its own that nobody else can read, and is sent to its profile's server
// alone.
//
// # Exit statuses
//
//	0  yes, or done
//	1  no: the call is denied, a list would have refused calls of a log, a preview has findings
//	   or keys that may be in use, the guard refused the change, a published list lost half, a
//	   file and the store differ
//	2  could not tell or do: wrong usage, a failure, a declined question; or the change was made
//	   and could not be shown, as the error says
//	3  the records were changed meanwhile: look again
//
// So `sallyport decide … && deploy` fails closed. An empty flag, as of a variable that is not set, is
// wrong usage and never means none, but for --comment, --description, --managers, --name, --org and
// --profile. An error is one line on standard error, and after wrong usage a second one names the
// help. A terminal may break it between words.
//
// # Changes
//
// On a terminal a change shows the store's address, where that was given, and the effect, and asks. Elsewhere it
// needs --yes, which accepts no finding: each is accepted by --accept KIND, with a --reason.
// --preview writes nothing. To apply exactly what was previewed, give the preview's --token.
//
// A change that changes nothing is done, with exit status 0: a listed entry is added with its end
// and comment, a role is granted twice, a disabled key is disabled. Removing something absent is 2,
// since the name may be mistyped.
//
// # Secrets
//
// A secret is printed alone on standard output, or written to a new file by --secret-file.
// Everything else is on standard error. No secret is an argument. The secrets of a service
// have its prefix, and its server keys if it has some: give the same to the command, best in a
// profile. With another prefix the service refuses the secret, and nothing here can tell.
//
// # Files
//
// A file is -f FILE, and - is standard input or output. Only the logs of replay are arguments,
// since there may be many. A file that is written must be new.
//
// # Output
//
// -o is table, json, jsonl or name. A table wider than the terminal becomes a list. Text from
// records is escaped. Colours are for terminals only, and not with NO_COLOR.
//
// [incidents.md]: https://github.com/sallyport-go/sallyport/blob/main/store/admin/incidents.md
package main
