package etcd

import (
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
)

// maxOwners is the largest number of organizations remembered.
const maxOwners = 1 << 16

// owners remembers the organizations of keys, as a guess that saves a round trip: it is
// verified in the transaction that reads by it.
type owners struct {
	mu sync.Mutex
	of map[apikey.ID]string
}

// guess returns the organization, empty if it is not remembered.
func (o *owners) guess(id apikey.ID) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[id]
}

// remember keeps the organization of a key. When there are too many, all are forgotten:
// those in use soon come back.
func (o *owners) remember(id apikey.ID, organization string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil || len(o.of) == maxOwners {
		o.of = map[apikey.ID]string{}
	}
	o.of[id] = organization
}

func (o *owners) forget(id apikey.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.of, id)
}
