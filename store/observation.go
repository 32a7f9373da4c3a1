package store

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// A Report says how far one recorder has come. It sends one when it begins, one after each
// round of writing, and one at its end.
type Report struct {
	Recorder string    // unique name of one run of a recorder, of the form of a key's ID
	Since    time.Time // when it began to observe
	From     time.Time // Until of its last recorded report; Since in the first one
	Until    time.Time // calls observed between From and Until are recorded now, or in Lost
	At       time.Time // sending of this report, by the recorder's clock
	Lost     uint64    // calls observed since it began that will never be recorded
	Ended    bool      // it observes no further calls
}

// Validate returns nil if the report can be recorded. The times must be known and in the
// order of the fields.
func (r Report) Validate() error {
	if err := apikey.ID(r.Recorder).Validate(); err != nil {
		return fmt.Errorf("store: the name of a recorder: %w", err)
	}
	if r.Since.IsZero() || r.From.Before(r.Since) || r.Until.Before(r.From) || r.At.Before(r.Until) {
		return fmt.Errorf("store: recorder %q reports since %v, from %v, until %v, at %v: want known times in this order", r.Recorder, r.Since, r.From, r.Until, r.At)
	}
	return nil
}

const (
	// MaxSilence is the longest time between two reports of a running recorder. After a
	// longer silence it is taken for dead: calls may be missing from its last Until to
	// MaxSilence after its last report.
	MaxSilence = 10 * time.Minute

	// MaxReports is the largest number of recorders kept in an Observation, MaxGaps that of
	// gaps. Beyond them ended recorders go first, and whatever else exceeds them widens a gap.
	MaxReports, MaxGaps = 256, 100

	// forgetAfter is the silence after which a recorder becomes a gap for good. Until then
	// it may come back, and if it has lost nothing, it leaves no gap.
	forgetAfter = 24 * time.Hour
)

// An Observation says since when the usage in a store is observed, and with which gaps. So
// "not used" can be told from "not observed" (rule M16).
//
// It knows the reports and nothing else. Unknown to it are:
//
//   - a process that decides without a recorder
//   - a process that died before its first report
//   - calls after a recorder's Close
//   - the end of a process that reads the store, cannot write to it for longer than
//     MaxSilence, and is killed then: its gap ends too early
//
// The clocks of all processes should agree to the second.
type Observation struct {
	Since   time.Time // beginning of the first recorder; zero: there never was one
	Until   time.Time // latest Until of all reports
	Reports []Report  // last report of each recorder, by name; of an ended one for MaxSilence
	Gaps    []Gap     // ascending and apart
}

// A Gap is a time with calls that may be missing: from From to before To.
type Gap struct {
	From, To time.Time
	Lost     uint64 // calls known to be lost; there may be more
}

// Add returns the observation with one more report, which must be valid. It shares nothing
// with o. Times are cut to the microsecond. A report from before the known one of its
// recorder changes nothing: it is late. Calls may be missing, so there is a gap:
//
//   - while no recorder ran
//   - from a recorder's Until to its next report, if that has lost more calls
//   - between the known Until and the From of the next report: the store has lost reports,
//     as by a restored backup, and probably usage, too
//   - after the last report of a dead recorder (see MaxSilence)
func (o Observation) Add(r Report) Observation {
	o = o.Clone()
	for _, t := range []*time.Time{&r.Since, &r.From, &r.Until, &r.At} {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	known := Report{Since: r.Since, Until: r.Since}
	i, found := slices.BinarySearchFunc(o.Reports, r.Recorder, byName)
	switch {
	case found && (r.At.Before(o.Reports[i].At) || o.Reports[i].Ended && r.At.Equal(o.Reports[i].At)):
		return o // it was overtaken
	case found && !o.Reports[i].Ended:
		known = o.Reports[i]
	case o.Since.IsZero():
		o.Since = r.Since
	case !slices.ContainsFunc(o.Reports, func(other Report) bool { return other.runsAt(r.Since) }):
		o.gap(Gap{From: o.Until, To: r.Since})
	}
	o.gap(Gap{From: known.Until, To: r.From})
	if r.Lost > known.Lost {
		to := r.At
		if least := known.Until.Add(time.Microsecond); to.Before(least) {
			to = least // after a clock was set back: an empty gap would be dropped, with its number
		}
		o.gap(Gap{From: known.Until, To: to, Lost: r.Lost - known.Lost})
	}
	if r.Until.After(o.Until) {
		o.Until = r.Until
	}
	if found {
		o.Reports = slices.Delete(o.Reports, i, i+1)
	}
	o.Reports = slices.Insert(o.Reports, i, r)
	o.forget(r.At)
	return o
}

// Clone returns a copy with Reports and Gaps of its own.
func (o Observation) Clone() Observation {
	o.Reports, o.Gaps = slices.Clone(o.Reports), slices.Clone(o.Gaps)
	return o
}

func byName(r Report, name string) int { return strings.Compare(r.Recorder, name) }

// runsAt reports whether the recorder runs at a time, or is late.
func (r Report) runsAt(t time.Time) bool { return !r.Ended && !r.silentAt(t) }

// silentAt reports whether the recorder is taken for dead at a time.
func (r Report) silentAt(t time.Time) bool { return t.After(r.At.Add(MaxSilence)) }

// death is the gap of a dead recorder.
func (r Report) death() Gap { return Gap{From: r.Until, To: r.At.Add(MaxSilence)} }

// keptUntil is the time until which a late report, or one of the recorder's return, is
// recognized.
func (r Report) keptUntil() time.Time {
	if r.Ended {
		return r.At.Add(MaxSilence)
	}
	return r.At.Add(forgetAfter)
}

// forget removes recorders whose time is over, and the first beyond MaxReports. Those that
// have not ended become gaps.
func (o *Observation) forget(now time.Time) {
	for len(o.Reports) > 0 {
		first := slices.MinFunc(o.Reports, func(a, b Report) int { return a.keptUntil().Compare(b.keptUntil()) })
		if len(o.Reports) <= MaxReports && now.Before(first.keptUntil()) {
			return
		}
		if !first.Ended {
			o.gap(first.death())
		}
		i, _ := slices.BinarySearchFunc(o.Reports, first.Recorder, byName)
		o.Reports = slices.Delete(o.Reports, i, i+1)
	}
}

// gap adds a gap, unless it is empty. Beyond MaxGaps the two oldest become one, with the time
// between them.
func (o *Observation) gap(g Gap) {
	if !g.From.Before(g.To) {
		return
	}
	o.Gaps = union(append(o.Gaps, g))
	if len(o.Gaps) > MaxGaps {
		o.Gaps[1].From, o.Gaps[1].Lost = o.Gaps[0].From, o.Gaps[0].Lost+o.Gaps[1].Lost
		o.Gaps = o.Gaps[1:]
	}
}

// union sorts gaps in place, and joins gaps without a time between them.
func union(gaps []Gap) []Gap {
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	var joined []Gap
	for _, g := range gaps {
		if n := len(joined); n > 0 && !g.From.After(joined[n-1].To) {
			last := &joined[n-1]
			last.Lost += g.Lost
			if g.To.After(last.To) {
				last.To = g.To
			}
			continue
		}
		joined = append(joined, g)
	}
	return joined
}

// A Coverage says how completely the usage of some time is observed.
type Coverage struct {
	// Since is the end of the last gap: usage is observed without a gap from then on. It is
	// zero if no recorder runs.
	Since time.Time

	// Until is the time up to which all observed calls are in the store: the earliest Until
	// of the running recorders. If none runs, it is the latest of all reports.
	Until time.Time

	// Missing is the length of all gaps in the time asked for. The time before the first
	// recorder is one and, if none runs now, the time after the last. While a recorder runs,
	// the time from Until on is late and not missing. It is at most the longest Duration.
	Missing time.Duration

	// Lost is the number of calls known to be lost in these gaps.
	Lost uint64
}

// Coverage returns how completely usage was observed from a time until now. A key without
// usage in that time is unused only if Missing is zero and Until is late enough.
func (o Observation) Coverage(from, now time.Time) Coverage {
	c, gaps := Coverage{Until: o.Until}, slices.Clone(o.Gaps)
	runs := false
	for _, r := range o.Reports {
		switch {
		case r.Ended:
		case r.silentAt(now):
			gaps = append(gaps, r.death())
		case !runs || r.Until.Before(c.Until):
			runs, c.Until = true, r.Until
		}
	}
	since := o.Since
	if since.IsZero() {
		since = now
	}
	gaps = append(gaps, Gap{From: from, To: since})
	if !runs {
		gaps = append(gaps, Gap{From: o.Until, To: now})
	}
	gaps = union(slices.DeleteFunc(gaps, func(g Gap) bool { return !g.From.Before(g.To) }))
	if runs {
		c.Since = o.Since
	}
	for _, g := range gaps {
		if runs && g.To.After(c.Since) {
			c.Since = g.To
		}
		begin, end := g.From, g.To
		if begin.Before(from) {
			begin = from
		}
		if end.After(now) {
			end = now
		}
		if begin.Before(end) {
			c.Missing += min(end.Sub(begin), math.MaxInt64-c.Missing)
			c.Lost += g.Lost
		}
	}
	return c
}
