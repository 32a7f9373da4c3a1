package usage

import (
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A table adds records up until they are taken for writing. A taken record stays in its place
// with the count zero: the next call finds it and allocates nothing.
type table struct {
	limit  int64
	size   atomic.Int64  // records and folded counts of all tallies
	noRoom atomic.Uint64 // calls lost for want of room
	lost   atomic.Uint64 // calls lost otherwise
	seed   maphash.Seed
	shards [shardCount]shard
}

// shardCount is large enough that taking the records of one shard holds its lock for some
// microseconds, and callers seldom meet.
const shardCount = 256

// A shard has the tallies of some keys.
type shard struct {
	mu        sync.Mutex
	keys      map[apikey.ID]*tally
	closed    bool     // further calls are lost
	discarded bool     // and whatever comes back
	_         [40]byte // a cache line for each
}

// maxRecords is the largest number of records of a key. So a caller with a secret, and
// addresses without end, leaves room for other keys. Stores keep as many addresses.
const maxRecords = store.MaxUsageAddresses

// A tally is the usage of a key that is not written.
type tally struct {
	records []store.UsageRecord // like calls; their Key is empty
	rest    store.KeyUsage      // calls without a record: folded, or not written when tried
	folded  int64               // counts in rest that took room
}

func newTable(limit int) *table { return &table{limit: int64(limit), seed: maphash.MakeSeed()} }

func (t *table) shardOf(key apikey.ID) *shard {
	return &t.shards[maphash.String(t.seed, string(key))%shardCount]
}

// add counts a call, or counts it as lost.
func (t *table) add(record store.UsageRecord) {
	s := t.shardOf(record.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.keys[record.Key]
	switch {
	case s.closed:
		t.lost.Add(record.Count)
	case of == nil || !of.add(&record):
		t.insert(s, of, record)
	}
}

// add counts a call on the record of its like, false if there is none.
func (of *tally) add(call *store.UsageRecord) bool {
	for i := range of.records {
		known := &of.records[i]
		if !alike(known, call) {
			continue
		}
		if known.Count == 0 || call.Last.Before(known.First) {
			known.First = call.Last
		}
		known.Usage = adapter.AddCalls(known.Usage, call.Usage)
		if i >= 8 { // sooner found next time
			of.records[i], of.records[i/2] = of.records[i/2], of.records[i]
		}
		return true
	}
	return false
}

// alike reports whether two records are counted as one: denials by their reason, served calls
// by all they have.
func alike(a, b *store.UsageRecord) bool {
	return a.Denied == b.Denied && (a.Denied != 0 || a.LastAddress == b.LastAddress && a.Entry == b.Entry && a.Secret == b.Secret && a.WouldDeny == b.WouldDeny)
}

// insert adds the first call of a kind, if there is room.
func (t *table) insert(s *shard, of *tally, record store.UsageRecord) {
	if of != nil && len(of.records) == maxRecords {
		t.replace(of, record)
		return
	}
	if t.size.Add(1) > t.limit {
		t.size.Add(-1)
		t.noRoom.Add(record.Count)
		return
	}
	if of == nil {
		if s.keys == nil {
			s.keys = map[apikey.ID]*tally{}
		}
		of = &tally{}
		// A request's ID may be a part of the whole text that the caller sent, with its secret.
		// No reference to that text is kept.
		s.keys[apikey.ID(strings.Clone(string(record.Key)))] = of
	}
	of.records = append(of.records, fresh(record))
}

func fresh(record store.UsageRecord) store.UsageRecord {
	record.Key, record.First = "", record.Last
	return record
}

// countsOfRecord is the largest number of counts that a record is folded into: of an entry, a
// secret and a reason.
const countsOfRecord = 3

// replace puts a record in the place of that not used for longest. Its calls are folded, and
// its address counts as dropped: a store would drop it, too.
func (t *table) replace(of *tally, record store.UsageRecord) {
	oldest := 0
	for i := range of.records {
		if of.records[i].Last.Before(of.records[oldest].Last) { // taken ones come first
			oldest = i
		}
	}
	gone := &of.records[oldest]
	if gone.Count > 0 {
		if t.size.Load()+countsOfRecord > t.limit {
			t.noRoom.Add(record.Count)
			return
		}
		before := countsOf(of.rest)
		adapter.CountDropped(&of.rest, *gone)
		grown := countsOf(of.rest) - before
		of.folded += grown
		t.size.Add(grown)
	}
	*gone = fresh(record)
}

func countsOf(u store.KeyUsage) int64 {
	return int64(len(u.Entries) + len(u.Secrets) + len(u.Denials) + len(u.WouldDeny))
}

// batches takes everything out, in batches of at most *keys keys; *keys may change on the
// way. If the caller breaks off, the rest goes back. It begins at a random shard, so that
// the rest is not always the same.
func (t *table) batches(keys *int) iter.Seq[map[apikey.ID]store.KeyUsage] {
	return func(yield func(map[apikey.ID]store.KeyUsage) bool) {
		var records []store.UsageRecord
		batch := map[apikey.ID]store.KeyUsage{}
		first := rand.N(shardCount)
		for i := range shardCount {
			var taken map[apikey.ID]store.KeyUsage
			records, taken = t.shards[(first+i)%shardCount].take(records[:0])
			for _, record := range records { // without the lock
				usage := taken[record.Key]
				adapter.CountUsage(&usage, record)
				taken[record.Key] = usage
			}
			for id, usage := range taken {
				if len(batch) >= *keys {
					if !yield(batch) {
						t.restore(taken)
						return
					}
					batch = map[apikey.ID]store.KeyUsage{}
				}
				batch[id] = usage
				delete(taken, id)
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// take returns the usage since the last time: calls with a record, appended, and those
// without.
func (s *shard) take(records []store.UsageRecord) ([]store.UsageRecord, map[apikey.ID]store.KeyUsage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rests := map[apikey.ID]store.KeyUsage{}
	for id, of := range s.keys {
		if !of.rest.IsZero() {
			rests[id], of.rest = of.rest, store.KeyUsage{}
		}
		for i := range of.records {
			known := &of.records[i]
			if known.Count == 0 {
				continue
			}
			records = append(records, *known)
			records[len(records)-1].Key = id
			known.Count, known.First, known.Last = 0, time.Time{}, time.Time{}
		}
	}
	return records, rests
}

// restore puts taken usage back. It is lost if the table was discarded meanwhile. It takes no
// room: its records are still in their places.
func (t *table) restore(taken map[apikey.ID]store.KeyUsage) {
	for id, usage := range taken {
		s := t.shardOf(id)
		s.mu.Lock()
		if s.discarded {
			t.lost.Add(callsOf(usage))
		} else {
			adapter.AddUsage(&s.keys[id].rest, usage)
		}
		s.mu.Unlock()
	}
}

// callsOf returns the number of calls in usage.
func callsOf(u store.KeyUsage) uint64 {
	calls := u.Dropped.Count
	for _, used := range u.Addresses {
		calls += used.Count
	}
	for _, denied := range u.Denials {
		calls += denied.Count
	}
	return calls
}

// forget makes room: if more than half of it is taken, it removes records without calls. A key
// with usage that came back keeps its records. No batch may be out for writing.
func (t *table) forget() {
	if t.size.Load() <= t.limit/2 {
		return
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for id, of := range s.keys {
			if !of.rest.IsZero() {
				continue
			}
			before := len(of.records)
			of.records = slices.DeleteFunc(of.records, func(known store.UsageRecord) bool { return known.Count == 0 })
			t.size.Add(int64(len(of.records)-before) - of.folded)
			of.folded = 0
			if len(of.records) == 0 {
				delete(s.keys, id)
			}
		}
		s.mu.Unlock()
	}
}

// close makes all further calls count as lost.
func (t *table) close() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
}

// discard closes the table, counts its calls as lost, and returns their number.
func (t *table) discard() uint64 {
	var lost uint64
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, of := range s.keys {
			lost += callsOf(of.rest)
			for _, record := range of.records {
				lost += record.Count
			}
		}
		s.keys, s.closed, s.discarded = nil, true, true
		s.mu.Unlock()
	}
	t.lost.Add(lost)
	return lost
}
