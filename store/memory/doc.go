// Package memory is a store.Store in the process's memory. It is the default for
// programs that load their keys at the start, the source of decisions in tests, and the
// reference for writers of adapters.
//
// Do not use it for keys that must outlive the process: nothing is written to disk. For
// a copy of another store in memory see package store/replica.
//
// It keeps events (store.Journal) until they are forgotten, and they take memory: forget
// them, or make no events.
//
// Lookup, Key and Organization take no lock and wait for nobody, and a decision
// allocates nothing. Writes take turns. A page is read while no write is under way.
package memory
