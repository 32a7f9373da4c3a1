// Package memory is a store.Store that keeps everything in the process's memory.
// It is the default for programs that load their keys at the start, the reference
// for those who write an adapter, and what decisions are answered from in tests.
//
// Do not use it for keys that must outlive the process: nothing is written to
// disk. A [Copy] holds, in the same structures, what another store tells of its records;
// package store/replica keeps one up to date.
//
// Lookup, Key and Organization take no lock and wait for nobody, and a decision
// allocates nothing. Writes take turns. A page of a listing is read while no write
// is under way, and writes wait for it.
//
// # How a look-up is as of one moment
//
// A key and its organization are two records, replaced independently, each behind
// an atomic pointer. A reader loads the key, then the organization, then looks
// whether the key is still the one that it loaded. If so it was the stored one
// all the time in between, so it was when the organization was loaded: the two
// belong together. If not, it begins again. Records are never changed after they
// were published and pointers to them are never used again, so an equal pointer
// means an unchanged record.
package memory
