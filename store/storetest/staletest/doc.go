// Package staletest checks the bound on staleness of sources that follow a store, such as
// replicas, while connections are cut and servers are killed.
//
// A [Check] writes to the store and looks up in the sources, while the test cuts, kills
// and heals. It fails for every answer that is older than the bound, is of the future,
// or was never true. It writes and deletes keys: do not use it on a store that anybody
// needs. It needs only the standard library and this module.
package staletest
