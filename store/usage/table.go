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
)

// A table adds records up until they are taken out to be written. A record that was
// taken stays in its place with the count zero: the next call finds it there and nothing
// is allocated, and a batch that could not be written has where to go back to.
type table struct {
	limit  int64
	size   atomic.Int64  // records in all shards, never more than limit
	noRoom atomic.Uint64 // calls that were lost for want of room
	lost   atomic.Uint64 // calls that were lost otherwise
	seed   maphash.Seed
	shards [shardCount]shard
}

// shardCount is large enough that taking the records out of one shard holds its lock
// for some microseconds, and no two callers meet often.
const shardCount = 256

// A shard has the records of some keys.
type shard struct {
	mu      sync.Mutex
	records map[counted]*accesslist.Usage
	closed  bool
	_       [40]byte // a cache line for each
}

// counted is what calls are counted by.
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
	// A request's ID may be a piece of all that the caller sent, its secret included: not
	// even the record that has it is kept.
	by.key = apikey.ID(strings.Clone(string(by.key)))
	s.records[by] = &usage
}

// batches takes everything out, in batches of the records of so many keys, which may
// change on the way. What was taken and not yielded goes back if the caller breaks off.
// It begins anywhere, so that it is not always the same ones for which it comes to that.
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

// batchLength returns how many of the first records are of at most so many keys.
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

// take appends what calls were counted since the last time.
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

// restore puts records back that were taken and not written. They are lost if the table
// was discarded meanwhile.
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

// forget makes room: if more than half of it is taken, the records go that have no
// calls. None may be out to be written.
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

// close has all further calls counted as lost.
func (t *table) close() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
}

// discard closes the table, counts what is there as lost, and returns how many calls
// that was.
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

// merge is U1 and U2.
func merge(known *accesslist.Usage, more accesslist.Usage) {
	known.Count += more.Count
	if more.Last.After(known.Last) {
		known.Last, known.LastAddress = more.Last, more.LastAddress
	}
}
