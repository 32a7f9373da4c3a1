package usage

import (
	"crypto/rand"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

// A progress has the parts of a recorder's next report. Its times never go back, though the
// clock may.
type progress struct {
	name  string
	since time.Time
	from  time.Time // Until of the last recorded report
	until time.Time // beginning of the last complete round
	at    time.Time // the last report
}

// begin gives the recorder a name of its own: another run of the same program is another
// recorder.
func begin(now time.Time) progress {
	now = now.Truncate(time.Microsecond)
	return progress{name: rand.Text(), since: now, from: now, until: now, at: now}
}

// wrote notes that all calls observed before a time are in the store, or lost.
func (p *progress) wrote(began time.Time) { p.until = later(p.until, began) }

// report returns the next report. The last one covers all observed calls.
func (p *progress) report(now time.Time, lost uint64, ended bool) store.Report {
	p.at = later(later(p.at, p.until), now)
	if ended {
		p.until = p.at
	}
	return store.Report{Recorder: p.name, Since: p.since, From: p.from, Until: p.until, At: p.at, Lost: lost, Ended: ended}
}

// reported notes that the store took a report.
func (p *progress) reported(report store.Report) { p.from = report.Until }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
