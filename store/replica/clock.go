package replica

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A clock measures the age of the replica, including time in which the machine slept. Then
// the monotonic clock stands still and the wall clock goes on, so a lead that the wall
// clock gains counts as sleep. Every reading compares the two: the first one after a sleep
// knows of it. Anybody may set the wall clock.
//
// Linux has a clock that counts sleep, CLOCK_BOOTTIME. Without the C library it takes a
// system call, two or three times the time of both clocks.
type clock struct {
	began time.Time
	fake  func() (monotonic, wall time.Duration) // in tests

	lead   atomic.Int64 // of the wall clock, in nanoseconds, as last noticed
	asleep atomic.Int64 // in nanoseconds, as noticed
	mu     sync.Mutex   // serializes writes to the above
}

// jitter is a gain that is no sleep: the two clocks are read one after the other.
const jitter = time.Millisecond

func newClock() *clock {
	c := &clock{began: time.Now()}
	c.notice()
	c.asleep.Store(0)
	return c
}

func (c *clock) read() (monotonic, wall time.Duration) {
	if c.fake != nil {
		return c.fake()
	}
	now := time.Now()
	return now.Sub(c.began), time.Duration(now.UnixNano())
}

func (c *clock) now() time.Duration {
	monotonic, wall := c.read()
	if wall-monotonic > time.Duration(c.lead.Load())+jitter {
		monotonic = c.notice()
	}
	return monotonic + time.Duration(c.asleep.Load())
}

// notice takes the lead of the wall clock. One that is set back makes nothing younger.
func (c *clock) notice() (monotonic time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	monotonic, wall := c.read()
	lead := int64(wall - monotonic)
	c.asleep.Add(max(0, lead-c.lead.Load())) // before the lead: a reading without a gain counts it
	c.lead.Store(lead)
	return monotonic
}

// follow notices at intervals, until ctx ends, that the wall clock was set back. Otherwise
// a sleep afterwards would look like the way forward again.
func (c *clock) follow(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.notice()
		case <-ctx.Done():
			return
		}
	}
}
