package replica

import (
	"context"
	"sync/atomic"
	"time"
)

// A clock measures the age of the replica, including time in which the machine slept. Then
// the monotonic clock stands still and the wall clock goes on, so a lead of the wall clock
// counts as sleep. Anybody may set the wall clock.
type clock struct {
	began  time.Time
	asleep atomic.Int64 // in nanoseconds, as noticed

	// both reads the monotonic clock, since began, and the wall clock.
	both func() (monotonic time.Duration, wall time.Time)
}

func newClock() *clock {
	c := &clock{began: time.Now()}
	c.both = func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(c.began), now.Round(0)
	}
	return c
}

func (c *clock) now() time.Duration {
	return time.Since(c.began) + time.Duration(c.asleep.Load())
}

// notice checks at intervals whether the machine slept, until ctx ends.
func (c *clock) notice(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last, lastWall := c.both()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now, wall := c.both()
		// A clock that is set back makes nothing younger.
		c.asleep.Add(int64(max(0, wall.Sub(lastWall)-(now-last))))
		last, lastWall = now, wall
	}
}
