package admin

import (
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// A span is a key's usable time, from its first instant to the first one after it. A zero end
// is none.
type span struct{ from, to time.Time }

func (s span) has(at time.Time) bool {
	return !at.Before(s.from) && (s.to.IsZero() || at.Before(s.to))
}

// covers reports whether the span has every instant of another.
func (s span) covers(o span) bool {
	return !o.from.Before(s.from) && (s.to.IsZero() || !o.to.IsZero() && !o.to.After(s.to))
}

// usable returns the key's usable time from now on; nil: none. After its end the clock alone
// begins no other.
func (s side) usable(now time.Time) *span {
	if s.key == nil {
		return nil
	}
	var usable *span
	for _, at := range append([]time.Time{now}, s.turns(now)...) {
		allowed := s.decide(anyCall(s.key, home(s.key.AccessList, at)), at).Allowed()
		switch {
		case allowed && usable == nil:
			usable = &span{from: at}
		case !allowed && usable != nil:
			usable.to = at
			return usable
		}
	}
	return usable
}

// turns returns the later times, ascending, of a possible begin or end of the usable time: a
// list ends with its last entry, and the proof with the last secret.
func (s side) turns(now time.Time) []time.Time {
	var secrets, suspended time.Time
	for _, secret := range s.key.Secrets {
		secrets = later(secrets, secret.Expires)
	}
	if s.organization != nil {
		suspended = s.organization.SuspendedUntil
	}
	return upcoming(now, s.key.NotBefore, s.key.Expires, listEnd(s.key.AccessList), secrets, suspended)
}

// listEnd returns the last end of an entry; zero if none ends.
func listEnd(list accesslist.List) (end time.Time) {
	for entry := range list.All() {
		end = later(end, entry.Expires)
	}
	return end
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// upcoming returns the times after now, ascending, each once.
func upcoming(now time.Time, times ...time.Time) []time.Time {
	times = slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(now) })
	slices.SortFunc(times, time.Time.Compare)
	return slices.CompactFunc(times, time.Time.Equal)
}

// A witness is a key with its usable time.
type witness struct {
	span
	key      apikey.ID
	revision uint64 // of its record, for the conditions of the write (rule M19)
}

// witnesses show the times of managers, or of usable keys, without the change and with it.
// One covered by another's time is not kept.
type witnesses struct{ was, left []witness }

func (w *witnesses) see(before, after bool, c *comparison) {
	if before {
		w.was = outlasting(w.was, witness{span: *c.was})
	}
	if after {
		w.left = outlasting(w.left, witness{*c.left, c.after.key.ID, c.after.key.Revision})
	}
}

func outlasting(kept []witness, more witness) []witness {
	if slices.ContainsFunc(kept, func(w witness) bool { return w.covers(more.span) }) {
		return kept
	}
	kept = slices.DeleteFunc(kept, func(w witness) bool { return more.covers(w.span) })
	return append(kept, more)
}

// loss returns the first instant with a witness without the change, and none with it.
func (w *witnesses) loss() (first time.Time, lost bool) {
	try := func(at time.Time) {
		has := func(w witness) bool { return w.has(at) }
		if slices.ContainsFunc(w.was, has) && !slices.ContainsFunc(w.left, has) && (!lost || at.Before(first)) {
			first, lost = at, true
		}
	}
	for _, was := range w.was {
		try(was.from)
	}
	for _, left := range w.left {
		try(left.to)
	}
	return first, lost
}

func (w *witnesses) lost() bool {
	_, lost := w.loss()
	return lost
}

// needed returns the witnesses behind the judgement: none if there was nothing to lose.
func (w *witnesses) needed() []witness {
	if len(w.was) == 0 {
		return nil
	}
	return w.left
}
