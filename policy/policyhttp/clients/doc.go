// Package clients is a test module and has nothing to import. It tests packages policyhttp
// and digest end to end, over real sockets, with the HTTP clients of real callers and behind
// common proxies.
//
// The clients are curl, Python's requests and urllib, digest-fetch and urllib of npm, and
// in Go net/http, icholy/digest and mongodb-forks/digest. The proxies are nginx, HAProxy,
// Caddy and Traefik. [install.sh] installs the first two on Debian, and module caddy builds the
// third. Traefik takes minutes to build: its test runs with the program's path in SALLYPORT_TRAEFIK,
// and `.ci/run traefik` does both.
//
// The page [edges.md] has a configuration and a declaration for each common edge. Those that
// can be installed run with it, and the others are replayed.
//
// The test of a missing tool is skipped, with a line in the log. With
// SALLYPORT_CLIENTS=required in the environment it fails. At the end, `go test -v` prints
// the tested versions and the result of each client and each forgery.
//
// The callers, the proxies and the service have different addresses of the loopback block
// 127.0.0.0/8. Linux has these without configuration.
//
// [edges.md]: ../edges.md
// [install.sh]: install.sh
package clients
