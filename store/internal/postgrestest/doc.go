// Package postgrestest starts real PostgreSQL servers for tests, from the programs that
// are installed on the machine, and kills them.
//
//	server := postgrestest.Start(t)
//	pool, err := pgxpool.New(ctx, server.DSN())
//
// It needs nothing but the standard library, so that the packages of the root module
// and of every other can use it, and it knows no driver: what it does inside a server
// it does with psql. Where no server is installed it skips the test, or fails it if the
// environment variable SALLYPORT_POSTGRES is "required".
//
// Do not use it outside tests.
package postgrestest
