package replica

import (
	"context"
	"sync/atomic"
	"time"
)

// A clock tells how long the replica has been there, the time included in which the
// machine slept. The monotonic clock stands still in that time, and the wall clock, which
// anybody may set, goes on: so one that goes further than the other is taken as sleep.
type clock struct {
	began  time.Time
	asleep atomic.Int64 // in nanoseconds, as far as it was noticed

	// both returns what the monotonic clock, since began, and the wall clock say.
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

// notice looks every so often whether the machine slept, until ctx ends.
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
