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
//
// # How a decision meets memory
//
// Among many keys a decision waits for memory longer than it computes, so records are laid out
// by what it reads:
//
//   - The table: one cache line has the tags and the pointers of seven keys. A tag is seven bits
//     of the ID's hash, so a search reads hardly any record but the right one. The hash has
//     secret random words: nobody can choose IDs that fill one place.
//   - The key's record: the organization's pointer, the ID and its text, the list, the grants and the
//     expiry fill two cache lines. Beside them a few bits say which of the rarer conditions the key
//     has: a switch, a beginning, a list on trial. Without one its fields are not read. A grant that
//     many keys have by itself is kept once, and stays in the cache.
//   - The organization: its record and the text of its ID lie beside the pointer to it until it is
//     replaced.
//
// Each line that is read needs the one before, so their number is most of the time. Fewer
// instructions between them save little.
//
// A key and its organization are replaced independently; package records, below this one, says
// how a look-up gets both of one moment without a lock.
//
// An engine asks the records of this package themselves, and store/replica directly: their
// answers are sound by construction, so it does not check them again, and their code does not
// wait. A type that wraps or embeds a Store is another source. Its answers are checked. The
// rules are the same code in either case.
//
// [policy.Engine.DecideAll] reads 16 records before it decides the first: their waits overlap.
package memory
