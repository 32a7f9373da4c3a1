// Package upgrade has no code but tests: an older and a newer version of this library side
// by side on one store, as while a service is upgraded one process at a time.
//
// The newer version is the working tree. The older one is a release kept in testdata/proxy,
// a module proxy of the file system, by the program freeze. Both are compiled into the same
// program, worker, which opens a store and takes orders by its standard input.
//
//	go test ./...
//
// After a release keep it, by its tag, and commit the change:
//
//	go run ./freeze v1.2.3
//
// PostgreSQL must be installed for its part. etcd comes as a dependency. The modules that the
// older version requires come from the module proxy in use.
//
// Do not import it.
package upgrade
