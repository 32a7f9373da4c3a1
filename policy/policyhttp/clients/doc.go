// Package clients is a test module and has nothing to import: it tests package policyhttp
// end to end, over real sockets, with the HTTP clients that callers use and behind the
// proxies that services stand behind.
//
// The clients are curl, Python's requests and urllib, digest-fetch and urllib of npm, and
// in Go net/http, icholy/digest and mongodb-forks/digest. The proxies are nginx and
// HAProxy. [install.sh] installs what is missing of them on Debian.
//
// The test of a tool that is not there is skipped, with a line that says so; with
// SALLYPORT_CLIENTS=required in the environment it fails. At the end, `go test -v` prints
// which versions were tested and what came of each client and each forgery.
//
// The callers, the proxies and the service have different addresses of the loopback block
// 127.0.0.0/8, which Linux has without being configured.
//
// [install.sh]: install.sh
package clients
