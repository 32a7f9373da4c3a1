// Package trials has no code but tests: it puts the stores of this project to what a
// unit test cannot show, on real servers and in processes that are killed.
//
//	go test ./...                      # all of it, some half an hour
//	go test -short ./...               # a little of each, some minutes
//	go test -v -run 'Load|Revocation|Scale' # what is measured, with the figures
//
// PostgreSQL must be installed for its part; etcd comes as a dependency, and with
// its server that is a module of its own. No test fails for being slow: figures are
// logged, and results.md has those of one machine.
//
// Do not import it.
package trials
