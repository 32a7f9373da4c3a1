package store_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// noon is the beginning of every timeline below, and after is some minutes later.
var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func after(minutes float64) time.Time {
	return noon.Add(time.Duration(minutes * float64(time.Minute)))
}

// A run reports as a recorder does.
type run struct{ store.Report }

func started(name string, at float64) *run {
	return &run{store.Report{Recorder: name, Since: after(at), From: after(at), Until: after(at), At: after(at)}}
}

// start is the first report.
func (r *run) start() store.Report { return r.Report }

// until is the report after a round at a time; lost are calls lost since the report before.
func (r *run) until(at float64, lost uint64) store.Report {
	r.From, r.Until, r.At, r.Lost = r.Until, after(at), after(at), r.Lost+lost
	return r.Report
}

func (r *run) ended(at float64, lost uint64) store.Report {
	report := r.until(at, lost)
	report.Ended = true
	return report
}

func gap(from, to float64, lost uint64) store.Gap {
	return store.Gap{From: after(from), To: after(to), Lost: lost}
}

// Gaps longer than a Duration together are no less missing (rule M16).
func TestM16MissingForAges(t *testing.T) {
	o := store.Observation{Since: after(0), Until: after(60), Gaps: []store.Gap{gap(10, 20, 0)},
		Reports: []store.Report{{Recorder: "a", From: after(0), Since: after(0), Until: after(60), At: after(60)}}}
	coverage := o.Coverage(time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), after(60))
	assert.Equal(t, time.Duration(math.MaxInt64), coverage.Missing)
}

// Rule M16: from reports to gaps, and what is missing from noon to a moment.
func TestM16Observation(t *testing.T) {
	dead := store.MaxSilence.Minutes() // a recorder that died is a gap of so long after its last report
	for name, test := range map[string]struct {
		reports func() []store.Report
		gaps    []store.Gap
		now     float64
		want    store.Coverage
	}{
		"nobody ever": {now: 60, want: store.Coverage{Missing: time.Hour}},
		"one that runs": {
			reports: func() []store.Report {
				a := started("a", 0)
				return []store.Report{a.start(), a.until(5, 0), a.until(10, 0)}
			},
			now: 12, want: store.Coverage{Since: after(0), Until: after(10)},
		},
		"since half an hour": {
			reports: func() []store.Report {
				a := started("a", 30)
				return []store.Report{a.start(), a.until(60, 0)}
			},
			now: 60, want: store.Coverage{Since: after(30), Until: after(60), Missing: 30 * time.Minute},
		},
		"calls lost by a recorder whose clock was set back": {
			reports: func() []store.Report {
				a := started("a", 0)
				return []store.Report{a.start(), a.until(0, 5), a.until(30, 0)}
			},
			gaps: []store.Gap{{From: after(0), To: after(0).Add(time.Microsecond), Lost: 5}},
			now:  30, want: store.Coverage{Since: after(0).Add(time.Microsecond), Until: after(30), Missing: time.Microsecond, Lost: 5},
		},
		"restarted": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 20.5)
				return []store.Report{a.start(), a.ended(20, 0), b.start(), b.until(30, 0)}
			},
			gaps: []store.Gap{gap(20, 20.5, 0)},
			now:  30, want: store.Coverage{Since: after(20.5), Until: after(30), Missing: 30 * time.Second},
		},
		"replaced without a gap": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 19)
				return []store.Report{a.start(), a.until(15, 0), b.start(), a.ended(20, 0), b.until(30, 0)}
			},
			now: 30, want: store.Coverage{Since: after(0), Until: after(30)},
		},
		"the slowest counts": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 0)
				return []store.Report{a.start(), b.start(), a.until(5, 0), b.until(9, 0)}
			},
			now: 9, want: store.Coverage{Since: after(0), Until: after(5)},
		},
		"killed, and not yet known": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 21)
				return []store.Report{a.start(), a.until(20, 0), b.start(), b.until(25, 0)}
			},
			now: 25, want: store.Coverage{Since: after(0), Until: after(20)},
		},
		"killed": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 21)
				return []store.Report{a.start(), a.until(20, 0), b.start(), b.until(60, 0)}
			},
			now: 60, want: store.Coverage{Since: after(20 + dead), Until: after(60), Missing: store.MaxSilence},
		},
		"killed, and nobody since": {
			reports: func() []store.Report {
				a := started("a", 0)
				return []store.Report{a.start(), a.until(20, 0)}
			},
			now: 60, want: store.Coverage{Until: after(20), Missing: 40 * time.Minute},
		},
		"killed, and another much later": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 50)
				return []store.Report{a.start(), a.until(20, 0), b.start()}
			},
			gaps: []store.Gap{gap(20, 50, 0)},
			now:  51, want: store.Coverage{Since: after(50), Until: after(50), Missing: 30 * time.Minute},
		},
		"silent, and back without a loss": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 0)
				return []store.Report{a.start(), b.start(), a.until(20, 0), b.until(60, 0), a.until(61, 0), b.until(62, 0)}
			},
			now: 62, want: store.Coverage{Since: after(0), Until: after(61)},
		},
		"ended": {
			reports: func() []store.Report {
				a := started("a", 0)
				return []store.Report{a.start(), a.ended(20, 0)}
			},
			now: 50, want: store.Coverage{Until: after(20), Missing: 30 * time.Minute},
		},
		"ended with a loss": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 0)
				return []store.Report{a.start(), b.start(), a.until(10, 0), a.ended(12, 3), b.until(20, 0)}
			},
			gaps: []store.Gap{gap(10, 12, 3)},
			now:  20, want: store.Coverage{Since: after(12), Until: after(20), Missing: 2 * time.Minute, Lost: 3},
		},
		"no room for some calls": {
			reports: func() []store.Report {
				a := started("a", 0)
				return []store.Report{a.start(), a.until(10, 0), a.until(11, 5), a.until(12, 0), a.until(20, 2), a.until(30, 0)}
			},
			gaps: []store.Gap{gap(10, 11, 5), gap(12, 20, 2)},
			now:  30, want: store.Coverage{Since: after(20), Until: after(30), Missing: 9 * time.Minute, Lost: 7},
		},
		"late, and it says so": {
			reports: func() []store.Report {
				a := started("a", 0)
				late := a.until(10, 0)
				again := late
				again.From, again.At = again.Until, after(25)
				return []store.Report{started("a", 0).Report, late, again}
			},
			now: 26, want: store.Coverage{Since: after(0), Until: after(10)},
		},
		"a restored backup": { // with what was known at 10
			reports: func() []store.Report {
				a := started("a", 0)
				reports := []store.Report{a.start(), a.until(10, 0)}
				a.until(30, 0)
				return append(reports, a.until(31, 0))
			},
			gaps: []store.Gap{gap(10, 30, 0)},
			now:  31, want: store.Coverage{Since: after(30), Until: after(31), Missing: 20 * time.Minute},
		},
		"a backup from before it began": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 20)
				b.until(40, 0)
				return []store.Report{a.start(), a.ended(20, 0), b.until(41, 0)}
			},
			gaps: []store.Gap{gap(20, 40, 0)},
			now:  41, want: store.Coverage{Since: after(40), Until: after(41), Missing: 20 * time.Minute},
		},
		"a report that its recorder's last one has overtaken": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 0)
				first, late, last := a.start(), a.until(10, 0), a.ended(10, 0)
				last.From = first.From // nobody has confirmed the late one
				return []store.Report{first, b.start(), last, late, first, b.until(30, 0)}
			},
			now: 30, want: store.Coverage{Since: after(0), Until: after(30)},
		},
		"a last report twice": {
			reports: func() []store.Report {
				a, b := started("a", 0), started("b", 0)
				last := a.ended(10, 2)
				return []store.Report{started("a", 0).Report, b.start(), last, last, b.until(30, 0)}
			},
			gaps: []store.Gap{gap(0, 10, 2)},
			now:  30, want: store.Coverage{Since: after(10), Until: after(30), Missing: 10 * time.Minute, Lost: 2},
		},
		"ended, and another of the same name": {
			reports: func() []store.Report {
				a, again := started("a", 0), started("a", 15)
				return []store.Report{a.start(), a.ended(10, 0), again.start(), again.until(30, 0)}
			},
			gaps: []store.Gap{gap(10, 15, 0)},
			now:  30, want: store.Coverage{Since: after(15), Until: after(30), Missing: 5 * time.Minute},
		},
		"a report that was overtaken": {
			reports: func() []store.Report {
				a := started("a", 0)
				late := a.until(5, 0)
				return []store.Report{started("a", 0).Report, a.until(10, 1), late, a.until(11, 0)}
			},
			gaps: []store.Gap{gap(0, 10, 1)},
			now:  11, want: store.Coverage{Since: after(10), Until: after(11), Missing: 10 * time.Minute, Lost: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var o store.Observation
			if test.reports != nil {
				for _, report := range test.reports() {
					require.NoError(t, report.Validate())
					o = o.Add(report)
				}
			}
			assert.Equal(t, test.gaps, o.Gaps)
			assert.Equal(t, test.want, o.Coverage(noon, after(test.now)))
		})
	}
}

// A gap counts by its part in the time that was asked for.
func TestCoverageOfATime(t *testing.T) {
	o := store.Observation{
		Since: noon, Until: after(100), Gaps: []store.Gap{gap(10, 20, 1), gap(40, 50, 2)},
		Reports: []store.Report{started("a", 0).until(100, 0)},
	}
	for _, test := range []struct {
		from, now, missing float64
		lost               uint64
	}{{0, 100, 20, 3}, {15, 100, 15, 3}, {20, 100, 10, 2}, {45, 100, 5, 2}, {50, 100, 0, 0}, {-30, 100, 50, 3}, {0, 45, 15, 3}, {100, 100, 0, 0}, {100, 50, 0, 0}} {
		c := o.Coverage(after(test.from), after(test.now))
		assert.Equal(t, after(test.missing).Sub(noon), c.Missing, "%+v", test)
		assert.Equal(t, test.lost, c.Lost, "%+v", test)
	}
}

// However many recorders there are, and however often they end, an observation is bounded,
// and what is dropped widens a gap.
func TestObservationIsBounded(t *testing.T) {
	var o store.Observation
	for i := range store.MaxReports + 50 {
		o = o.Add(started(fmt.Sprintf("%04d", i), float64(i)/1000).Report)
	}
	assert.Len(t, o.Reports, store.MaxReports)
	assert.Equal(t, "0050", o.Reports[0].Recorder, "the most silent go first")
	assert.Equal(t, []store.Gap{{From: noon, To: after(0.049).Add(store.MaxSilence)}}, o.Gaps)

	o = store.Observation{}
	for i := range 3 * store.MaxGaps {
		r := started("a", float64(i))
		o = o.Add(r.start()).Add(r.until(float64(i)+0.1, 1)).Add(r.until(float64(i)+0.4, 0)).Add(r.ended(float64(i)+0.5, 0))
	}
	assert.Len(t, o.Gaps, store.MaxGaps)
	assert.Equal(t, noon, o.Gaps[0].From)
	lost := uint64(0)
	for i, g := range o.Gaps {
		lost += g.Lost
		assert.True(t, i == 0 || o.Gaps[i-1].To.Before(g.From))
	}
	assert.EqualValues(t, 3*store.MaxGaps, lost)

	// Ended ones are known for as long as a report may be late, and leave no gap.
	o = store.Observation{}.Add(started("running", 0).Report)
	for i := range 2 * store.MaxReports {
		r := started(fmt.Sprintf("%04d", i), 0)
		o = o.Add(r.start()).Add(r.ended(0.1, 0))
	}
	assert.Len(t, o.Reports, store.MaxReports)
	assert.Equal(t, "running", o.Reports[store.MaxReports-1].Recorder)
	o = o.Add(started("running", 0).until(0.05+store.MaxSilence.Minutes(), 0))
	assert.Len(t, o.Reports, store.MaxReports)
	o = o.Add(started("running", 0).until(0.2+store.MaxSilence.Minutes(), 0))
	assert.Len(t, o.Reports, 1)
	assert.Empty(t, o.Gaps)

	// One that is silent for a day is forgotten.
	o = store.Observation{}.Add(started("dead", 0).Report)
	o = o.Add(started("b", 1).until(23*60, 0))
	assert.Len(t, o.Reports, 2)
	o = o.Add(started("c", 1).until(24*60, 0))
	assert.Equal(t, []store.Gap{gap(0, store.MaxSilence.Minutes(), 0)}, o.Gaps)
	assert.Len(t, o.Reports, 2)
}

// Add shares nothing, and cuts times as stores do.
func TestAddIsPure(t *testing.T) {
	a, b := started("a", 0), started("b", 0)
	o := store.Observation{}.Add(a.Report).Add(b.until(10, 1))
	before := o.Clone()
	assert.Equal(t, o, before)
	o.Add(a.until(20, 5)).Add(b.ended(30, 2))
	assert.Equal(t, before, o)

	odd := a.Report
	odd.At = odd.At.Add(1999).In(time.FixedZone("", 3600))
	assert.Equal(t, a.At.Add(time.Microsecond), store.Observation{}.Add(odd).Reports[0].At)
}

// An oracle that knows when each process ran: no time in which calls were lost is ever taken
// for observed, whichever processes are killed, however their reports come.
func TestNoLossIsTakenForObserved(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7))
		var o store.Observation
		type loss struct{ from, to float64 }
		var lost []loss
		runs, clock := map[string]*run{}, 0.0
		for step := range 200 {
			clock += random.Float64() * 2
			switch name := fmt.Sprint("recorder-", step); {
			case len(runs) == 0 || random.IntN(20) == 0:
				runs[name] = started(name, clock)
				o = o.Add(runs[name].Report)
				if len(runs) == 1 && step > 0 { // nobody ran until now
					lost = append(lost, loss{o.Until.Sub(noon).Minutes(), clock})
				}
			default:
				for name, r := range runs {
					last := r.Until.Sub(noon).Minutes()
					switch random.IntN(30) {
					case 0: // killed: its calls since are lost
						lost = append(lost, loss{last, min(clock, last+9)})
						delete(runs, name)
					case 1:
						o = o.Add(r.ended(clock, 0))
						delete(runs, name)
					case 2: // no room
						lost = append(lost, loss{last, clock})
						o = o.Add(r.until(clock, 1))
					default: // all report at least every step, here every two minutes
						o = o.Add(r.until(clock, 0))
					}
				}
			}
		}
		now := clock + 30 // so that the dead are known
		for _, r := range runs {
			o = o.Add(r.until(now, 0))
		}
		for _, l := range lost {
			if l.to-l.from < 0.001 {
				continue
			}
			missing := (o.Coverage(after(l.from), after(now)).Missing - o.Coverage(after(l.to), after(now)).Missing).Minutes()
			require.InDelta(t, l.to-l.from, missing, 0.001, "seed %d: lost %v to %v; %+v", seed, l.from, l.to, o)
		}
	}
}

func TestReportValidate(t *testing.T) {
	good := started("a", 0).until(10, 0)
	require.NoError(t, good.Validate())
	bad := good
	bad.Recorder = "a b"
	assert.ErrorContains(t, bad.Validate(), "store: the name of a recorder: ")
	bad = good
	bad.At = bad.Until.Add(-1)
	assert.ErrorContains(t, bad.Validate(), `store: recorder "a" reports since `)
	assert.ErrorContains(t, bad.Validate(), "want known times in this order")
	assert.Error(t, store.Report{Recorder: "a"}.Validate())
}

func TestKeyUsage(t *testing.T) {
	assert.True(t, store.KeyUsage{}.IsZero())
	assert.True(t, store.KeyUsage{}.Last().IsZero())
	calls := func(at float64) accesslist.Usage { return accesslist.Usage{Count: 1, Last: after(at)} }
	a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	for want, usage := range map[float64]store.KeyUsage{
		1: {Entries: map[netip.Prefix]accesslist.Usage{netip.PrefixFrom(a, 32): calls(1)}},
		2: {Secrets: map[string]accesslist.Usage{"a": calls(2), "b": calls(1)}},
		3: {Addresses: map[netip.Addr]store.AddressUsage{a: {Last: after(3)}}},
		4: {Dropped: calls(4), Denials: map[policy.Reason]accesslist.Usage{policy.KeyExpired: calls(9)}},
	} {
		assert.Equal(t, after(want), usage.Last())
		assert.False(t, usage.IsZero())
	}
	assert.False(t, store.KeyUsage{WouldDeny: map[policy.Reason]accesslist.Usage{policy.KeyExpired: {}}}.IsZero())

	usage := store.KeyUsage{Addresses: map[netip.Addr]store.AddressUsage{c: {Last: after(3)}, b: {Last: after(1)}, a: {}}}
	addresses, all := usage.AddressesSince(after(2))
	assert.Equal(t, []netip.Addr{a, c}, addresses, "one at an unknown time, and one since")
	assert.True(t, all)
	addresses, _ = usage.AddressesSince(after(1))
	assert.Equal(t, []netip.Addr{a, b, c}, addresses)
	for dropped, want := range map[accesslist.Usage]bool{calls(1): true, calls(2): false, calls(3): false, {Count: 1}: false} {
		usage.Dropped = dropped
		_, all = usage.AddressesSince(after(2))
		assert.Equal(t, want, all, "%+v", dropped)
	}
}
