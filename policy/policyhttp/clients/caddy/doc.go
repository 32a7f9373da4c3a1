// Package caddy is a test module and has nothing to import. Its go.mod names the version of
// Caddy, and the tests of package clients build and run that program:
//
//	go tool -n caddy
package caddy
