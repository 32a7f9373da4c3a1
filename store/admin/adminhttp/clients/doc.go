// Package clients is a test module and has nothing to import. It tests package adminhttp over
// real sockets, with the clients that programs have: the vendor's Go module
// go.mongodb.org/atlas, and curl as the vendor's documentation shows it.
//
// The test of a missing curl is skipped, with a line in the log. With
// SALLYPORT_CLIENTS=required in the environment it fails.
package clients
