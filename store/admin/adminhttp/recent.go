package adminhttp

import (
	"maps"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// A long list is not read anew for each call: a page begins where the one before ended, and keys
// are counted once a minute. Up to exactly keys every answer is that of the store at the time.
const (
	exactly       = 1000
	remembering   = time.Minute
	maxRemembered = 1000 // values of one kind
)

// A recent keeps a bounded number of values for a minute. Its zero value is ready for use.
type recent[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]remembered[V]
}

type remembered[V any] struct {
	value V
	at    time.Time
}

// get returns the value of a key, and since when it is remembered. A value too old is the zero
// one.
func (r *recent[K, V]) get(key K, now time.Time) (V, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.values[key]
	if now.Sub(found.at) > remembering {
		return remembered[V]{}.value, now
	}
	return found.value, found.at
}

// put remembers a value since a time. Without room every other value is forgotten, the old ones
// first.
func (r *recent[K, V]) put(key K, value V, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.values) >= maxRemembered {
		maps.DeleteFunc(r.values, func(_ K, v remembered[V]) bool { return at.Sub(v.at) > remembering })
	}
	if len(r.values) >= maxRemembered || r.values == nil {
		r.values = map[K]remembered[V]{}
	}
	r.values[key] = remembered[V]{value, at}
}

// A keyPage names a page of a list of keys, for one caller: another one may have begun at another
// time.
type keyPage struct {
	caller                apikey.ID
	organization, project string
	size, number          int
}

// A bookmark is where a page of keys begins.
type bookmark struct {
	cursor string    // of the store's page with its first key
	after  apikey.ID // the last key of the page before, if that is in the store's page, too
	read   int       // keys of the organization before the store's page
	seen   int       // keys of the list before the page
	total  int       // keys of the list; 0: not known, less: too many to count
}
