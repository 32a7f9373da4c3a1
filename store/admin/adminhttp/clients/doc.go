// Package clients is a test module and has nothing to import. It tests package adminhttp over
// real sockets, with the clients that programs have:
//   - the vendor's Go module, go.mongodb.org/atlas, with github.com/mongodb-forks/digest;
//   - two packages of npm, mongodb-atlas-api-client with HTTP Digest, and the vendor's
//     @mongodb-js/mcp-atlas-api-client with a Bearer token;
//   - curl, with the calls of the vendor's documentation;
//   - Python's urllib, for its repeated calls.
//
// Folder vault is a module with HashiCorp Vault's secrets engine. The table of clients and
// calls is in [endpoints.md].
//
// A client of our own API is generated from openapi.json, compiled and run.
//
// Not tested are the vendor's newer Go module, command line, Ops Manager client and Terraform
// provider.
//
// The test of a missing program or package is skipped, with a line in the log. With
// SALLYPORT_CLIENTS=required in the environment it fails.
//
// The tests are in package clients_test, since govulncheck does not follow the imports of tests
// inside a package.
//
// [endpoints.md]: ../endpoints.md
package clients
