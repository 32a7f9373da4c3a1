package memory

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/records"
)

// keptChanges is the number of changes kept for watchers, at least, within
// adapter.MaxLogBytes.
const keptChanges = 16384

// A Store is a store.Store in memory. It is also a store.Watcher, a store.UsageRecorder, a
// store.Journal and a policy.ImmediateSource. Make one with [New].
type Store struct {
	records *records.Ordered
	waker   adapter.Waker

	mu          sync.RWMutex // guards the fields below and serializes writes to records
	log         *adapter.Log
	usage       map[apikey.ID]*store.KeyUsage
	observation store.Observation
	journal     journal
}

var (
	_ store.Store            = (*Store)(nil)
	_ store.Watcher          = (*Store)(nil)
	_ store.UsageRecorder    = (*Store)(nil)
	_ store.Journal          = (*Store)(nil)
	_ policy.ImmediateSource = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{records: records.NewOrdered(), log: adapter.NewLog(keptChanges, store.Position{History: rand.Text()}), usage: map[apikey.ID]*store.KeyUsage{}}
}

// Close implements [store.Store]. It ends every watch.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records.Close(errClosed)
	s.waker.Wake()
	return nil
}

// ready returns why a call cannot be served: S23 and S2.
func (s *Store) ready(ctx context.Context) error {
	if err := s.records.Closed(); err != nil {
		return err
	}
	return ctx.Err()
}

var errClosed = fmt.Errorf("store/memory: %w", store.ErrClosed)

func init() {
	own.Register(func(s *Store) any { return s.records })
}
