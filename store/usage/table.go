package usage

import (
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A table adds records up until they are taken for writing. A taken record stays in its place
// with the count zero: the next call finds it and allocates nothing, and a batch that could
// not be written has a place to return to.
type table struct {
	limit  int64
	size   atomic.Int64  // records in all shards, never more than limit
	noRoom atomic.Uint64 // calls lost for want of room
	lost   atomic.Uint64 // calls lost otherwise
	seed   maphash.Seed
	shards [shardCount]shard
}

// shardCount is large enough that taking the records of one shard holds its lock for some
// microseconds, and callers seldom meet.
const shardCount = 256

// A shard has the records of some keys.
type shard struct {
	mu      sync.Mutex
	records map[counted]*accesslist.Usage
	closed  bool
	_       [40]byte // a cache line for each
}

// counted is the key by which calls are counted.
type counted struct {
	key    apikey.ID
	entry  netip.Prefix
	secret string
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
	known := s.records[countedBy(record)]
	switch {
	case s.closed:
		t.lost.Add(record.Count)
	case known == nil:
		t.insert(s, record)
	default:
		merge(known, record.Usage)
	}
}

// insert adds a record that the shard does not have, if there is room.
func (t *table) insert(s *shard, record store.UsageRecord) {
	if t.size.Add(1) > t.limit {
		t.size.Add(-1)
		t.noRoom.Add(record.Count)
		return
	}
	if s.records == nil {
		s.records = map[counted]*accesslist.Usage{}
	}
	by, usage := countedBy(record), record.Usage
	// A request's ID may be a part of the whole text that the caller sent, with its secret.
	// No reference to that text is kept.
	by.key = apikey.ID(strings.Clone(string(by.key)))
	s.records[by] = &usage
}

// batches takes everything out, in batches of at most *keys keys; *keys may change on the
// way. If the caller breaks off, the rest goes back. It begins at a random shard, so that
// the rest is not always the same.
func (t *table) batches(keys *int) iter.Seq[[]store.UsageRecord] {
	return func(yield func([]store.UsageRecord) bool) {
		var taken []store.UsageRecord
		first := rand.N(shardCount)
		for i := range shardCount {
			taken = t.shards[(first+i)%shardCount].take(taken)
			for n := batchLength(taken, *keys); n < len(taken); n = batchLength(taken, *keys) {
				if !yield(taken[:n:n]) {
					t.restore(taken[n:])
					return
				}
				taken = append(taken[:0], taken[n:]...)
			}
		}
		if len(taken) > 0 {
			yield(taken)
		}
	}
}

// batchLength returns the number of first records with at most so many keys.
func batchLength(records []store.UsageRecord, keys int) int {
	if len(records) <= keys {
		return len(records)
	}
	seen := make(map[apikey.ID]struct{}, keys)
	for n, record := range records {
		seen[record.Key] = struct{}{}
		if len(seen) > keys {
			return n
		}
	}
	return len(records)
}

// take appends the records with calls since the last time.
func (s *shard) take(to []store.UsageRecord) []store.UsageRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	for by, usage := range s.records {
		if usage.Count > 0 {
			to = append(to, store.UsageRecord{Key: by.key, Entry: by.entry, Secret: by.secret, Usage: *usage})
			*usage = accesslist.Usage{}
		}
	}
	return to
}

// restore puts taken records back. They are lost if the table was discarded meanwhile.
func (t *table) restore(records []store.UsageRecord) {
	for _, record := range records {
		s := t.shardOf(record.Key)
		s.mu.Lock()
		if known := s.records[countedBy(record)]; known != nil {
			merge(known, record.Usage)
		} else {
			t.lost.Add(record.Count)
		}
		s.mu.Unlock()
	}
}

// forget makes room: if more than half of it is taken, it removes records without calls.
// No batch may be out for writing.
func (t *table) forget() {
	if t.size.Load() <= t.limit/2 {
		return
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for by, usage := range s.records {
			if usage.Count == 0 {
				delete(s.records, by)
				t.size.Add(-1)
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
		for _, usage := range s.records {
			lost += usage.Count
		}
		s.records, s.closed = nil, true
		s.mu.Unlock()
	}
	t.lost.Add(lost)
	return lost
}

func countedBy(record store.UsageRecord) counted {
	return counted{record.Key, record.Entry, record.Secret}
}

// merge adds usage to a known one.
func merge(known *accesslist.Usage, more accesslist.Usage) { *known = adapter.AddUsage(*known, more) }
