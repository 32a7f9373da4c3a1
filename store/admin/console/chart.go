package console

import (
	"fmt"
	"time"
)

// A timeline is a chart of the window: a line for each address, from its first to its last
// served call, and a mark for the last refusal of each reason. The tables beside it have the
// same numbers.
type timeline struct {
	Height   int
	Begin    time.Time
	Middle   time.Time
	Lines    []timeLine
	Marks    []timeMark
	Baseline int
}

type timeLine struct {
	Label   string
	Y       int
	X, X2   int
	Outside bool // the address is not on the access list
	Text    string
}

type timeMark struct {
	X, Y int
	Text string
}

// Measures of the chart, in its own units.
const (
	chartLeft  = 150 // beginning of the window
	chartWidth = 470 // length of the window
	chartRow   = 22
	chartRows  = 12 // addresses at most
)

// newTimeline draws the addresses last used in the window, and the refusals.
func newTimeline(addresses []addressRow, denials []denialRow, now time.Time, window time.Duration) timeline {
	t := timeline{Begin: now.Add(-window), Middle: now.Add(-window / 2)}
	x := func(at time.Time) int {
		part := float64(at.Sub(t.Begin)) / float64(window)
		return chartLeft + int(min(max(part, 0), 1)*chartWidth)
	}
	y := chartRow / 2
	for _, a := range addresses {
		if a.Last.Before(t.Begin) || len(t.Lines) == chartRows {
			break // the latest come first
		}
		t.Lines = append(t.Lines, timeLine{
			Label: a.Address.Unmap().String(), Y: y, X: x(a.First), X2: max(x(a.Last), x(a.First)+2), Outside: !a.Listed,
			Text: fmt.Sprintf("%s, %d calls", a.Address.Unmap(), a.Count),
		})
		y += chartRow
	}
	for _, d := range denials {
		if !d.Last.Before(t.Begin) {
			t.Marks = append(t.Marks, timeMark{X: x(d.Last), Y: y, Text: why(d.Reason)})
		}
	}
	if len(t.Marks) > 0 {
		y += chartRow
	}
	t.Baseline, t.Height = y, y+chartRow
	return t
}

// Empty reports whether there is nothing to draw.
func (t timeline) Empty() bool { return len(t.Lines) == 0 && len(t.Marks) == 0 }
