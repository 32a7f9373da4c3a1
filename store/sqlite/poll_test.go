package sqlite

import (
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
)

// The longer nobody has written, the less often it is asked, and a change is never late by
// more than a hundredth of the quiet before it.
func TestPollPause(t *testing.T) {
	for quiet, want := range map[time.Duration]time.Duration{
		0: time.Millisecond, 100 * time.Millisecond: time.Millisecond, time.Second: 10 * time.Millisecond,
		2500 * time.Millisecond: 25 * time.Millisecond, time.Hour: 25 * time.Millisecond,
	} {
		assert.Equal(t, want, pollPause(quiet, 0), quiet)
		assert.Equal(t, want, pollPause(quiet, 100*time.Microsecond), quiet)
	}
	// A tenth of the time is for questions and for reading changes.
	assert.Equal(t, 20*time.Millisecond, pollPause(0, 2*time.Millisecond))
	assert.Equal(t, 50*time.Millisecond, pollPause(time.Hour, time.Minute))
}

// A watcher does not wait for the next question if the process knows of a write: its own,
// or another's that Position has returned. So a replica's bound is kept, however short.
func TestKnownWritesAreNotWaitedFor(t *testing.T) {
	path := twoKeys(t)
	s, other := open(t, path), open(t, path)
	asked := make(chan struct{}, 100)
	s.poller.pause = func(time.Duration, time.Duration) time.Duration {
		asked <- struct{}{}
		return time.Hour
	}
	next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
	defer stop()
	wantMark(t, next, 3)
	<-asked
	wantMark(t, next, putKey(t, s, newKey(t, "third", "acme")).Revision)
	<-asked
	fourth := putKey(t, other, newKey(t, "fourth", "acme")).Revision
	for range 3 { // once is enough
		_, err := s.Position(t.Context())
		require.NoError(t, err)
	}
	wantMark(t, next, fourth)
	<-asked
	require.Empty(t, asked, "it asks without a reason")
}
