package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// observationCases are about since when and how completely usage is observed.
var observationCases = []testCase{
	{sentence: "U13", name: "reports are added up", run: reportsAddUp},
	{sentence: "U13", name: "of reports at once none is lost", run: reportsAtOnce},
	{sentence: "U13", name: "reporting changes no record and no revision", run: reportingChangesNothing},
	{sentence: "U13", name: "the observation goes on after reopening", run: observationAfterReopening, needs: "Reopen"},
	{sentence: "U14", name: "an invalid report is refused and changes nothing", run: invalidReports},
	{sentence: "U15", name: "an observation is read as it was recorded", run: observationAsRecorded},
	{sentence: "U15", name: "the result of Observation may be changed", run: observationIsNotShared},
}

// report is the report of a recorder since and until seconds after the moment.
func report(recorder string, since, until int, lost uint64) store.Report {
	at := func(seconds int) time.Time { return fixture.Moment.Add(time.Duration(seconds) * time.Second) }
	return store.Report{Recorder: recorder, Since: at(since), From: at(since), Until: at(until), At: at(until), Lost: lost}
}

func (k *kit) report(r store.UsageRecorder, report store.Report) {
	k.Helper()
	if err := r.RecordObservation(k.ctx, report); err != nil {
		k.Fatalf("RecordObservation(%+v): %v", report, err)
	}
}

func (k *kit) observation(r store.UsageRecorder) store.Observation {
	k.Helper()
	o, err := r.Observation(k.ctx)
	if err != nil {
		k.Fatalf("Observation: %v", err)
	}
	return o
}

func (k *kit) wantObservation(r store.UsageRecorder, want store.Observation) {
	k.Helper()
	if got := k.observation(r); !sameObservation(got, want) {
		k.Errorf("Observation is\n%+v; want\n%+v", got, want)
	}
}

func sameObservation(a, b store.Observation) bool {
	return a.Since.Equal(b.Since) && a.Until.Equal(b.Until) &&
		slices.EqualFunc(a.Reports, b.Reports, func(a, b store.Report) bool {
			return a.Recorder == b.Recorder && a.Lost == b.Lost && a.Ended == b.Ended &&
				a.Since.Equal(b.Since) && a.From.Equal(b.From) && a.Until.Equal(b.Until) && a.At.Equal(b.At)
		}) &&
		slices.EqualFunc(a.Gaps, b.Gaps, func(a, b store.Gap) bool {
			return a.Lost == b.Lost && a.From.Equal(b.From) && a.To.Equal(b.To)
		})
}

// reportsAddUp has four recorders. The first ends; the second loses calls and dies; after two
// hours without an observer come the others.
func reportsAddUp(k *kit) {
	r := k.recorder()
	k.wantObservation(r, store.Observation{})
	ended, from := report("first", 0, 90, 0), report("first", 0, 60, 0)
	ended.Ended, from.From = true, report("", 30, 30, 0).From
	want := store.Observation{}
	for _, report := range []store.Report{
		report("first", 0, 0, 0), report("first", 0, 30, 0), report("second", 10, 40, 0), from, report("second", 10, 70, 3), ended,
		report("second", 10, 65, 0), report("first", 0, 60, 0), // overtaken
		report("third", 7200, 7230, 0), report("fourth", 7240, 100_000, math.MaxUint64),
	} {
		k.report(r, report)
		want = want.Add(report)
		k.wantObservation(r, want)
	}
}

func reportsAtOnce(k *kit) {
	r := k.recorder()
	each := k.rounds(10)
	together(writers, func(i int) {
		for n := range each {
			if err := r.RecordObservation(k.ctx, report(fmt.Sprint("recorder-", i), 0, n, 0)); err != nil {
				k.Errorf("RecordObservation: %v", err)
			}
		}
	})
	o := k.observation(r)
	if len(o.Reports) != writers {
		k.Fatalf("after reports of %d recorders at once, Observation is %+v; want a report of each", writers, o)
	}
	for _, got := range o.Reports {
		if want := report("", 0, each-1, 0).Until; !got.Until.Equal(want) {
			k.Errorf("recorder %s is known until %v; want %v", got.Recorder, got.Until, want)
		}
	}
}

func reportingChangesNothing(k *kit) {
	r := k.recorder()
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment))
	before, usage := k.snapshot(), k.usage(r, "key")
	k.report(r, report("one", 0, 1, 0))
	k.wantUnchanged(before, "RecordObservation")
	k.wantKeyUsage(r, usage)
	if _, err := k.store.PutKey(k.ctx, before.Keys[0], store.AllowOpen); err != nil {
		k.Errorf("PutKey with the revision from before RecordObservation: %v", err)
	}
	o := k.observation(r)
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment))
	k.delete("key")
	k.wantObservation(r, o)
}

func observationAfterReopening(k *kit) {
	r := k.recorder()
	first, second := report("one", 0, 30, 2), report("one", 0, 60, 2)
	k.report(r, first)
	k.reopen()
	r, ok := store.As[store.UsageRecorder](k.store)
	if !ok {
		k.Fatalf("after reopening store.As finds no store.UsageRecorder")
	}
	want := store.Observation{}.Add(first)
	k.wantObservation(r, want)
	k.report(r, second)
	k.wantObservation(r, want.Add(second))
}

func invalidReports(k *kit) {
	r := k.recorder()
	want := store.Observation{}
	for range 2 { // with no observation, and with one
		for name, change := range map[string]func(*store.Report){
			"without a name":           func(r *store.Report) { r.Recorder = "" },
			"with a name too long":     func(r *store.Report) { r.Recorder = strings.Repeat("x", 41) },
			"with a space in its name": func(r *store.Report) { r.Recorder = "a b" },
			"without times":            func(r *store.Report) { *r = store.Report{Recorder: r.Recorder} },
			"from before it began":     func(r *store.Report) { r.From = r.Since.Add(-1) },
			"until before from":        func(r *store.Report) { r.From = r.Until.Add(1) },
			"of the future":            func(r *store.Report) { r.At = r.Until.Add(-1) },
		} {
			wrong := report("two", 0, 30, 0)
			change(&wrong)
			k.wantError(r.RecordObservation(k.ctx, wrong), store.ErrInvalid, "RecordObservation of a report %s", name)
			k.wantObservation(r, want)
		}
		one := report("one", 0, 30, 1)
		k.report(r, one)
		want = want.Add(one)
	}
}

// observationAsRecorded fills all that an observation can have.
func observationAsRecorded(k *kit) {
	r := k.recorder()
	want := store.Observation{}
	add := func(report store.Report) {
		k.report(r, report)
		want = want.Add(report)
	}
	early := report("early", 0, 0, 0)
	early.Since = time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)
	early.From, early.Until, early.At = early.Since, early.Since, early.Since
	add(early)
	for i := range store.MaxGaps + 3 {
		gap := report("gap", 1000*i, 1000*i+10, 0)
		gap.At = gap.At.Add(1234567 * time.Nanosecond)
		gap.Ended = true
		add(gap)
		gap.Since = gap.Since.In(time.FixedZone("", 3600))
	}
	for i := range 20 {
		add(report(strings.Repeat("x", 30)+fmt.Sprint(i), 200_000, 200_000+i, math.MaxUint64-uint64(i)))
	}
	k.wantObservation(r, want)
	if len(want.Gaps) != store.MaxGaps {
		k.Fatalf("the case has %d gaps; want %d", len(want.Gaps), store.MaxGaps)
	}
}

func observationIsNotShared(k *kit) {
	r := k.recorder()
	one, two := report("one", 0, 1000, 1), report("two", 5000, 5001, 0)
	k.report(r, one)
	k.report(r, two)
	want := store.Observation{}.Add(one).Add(two)
	got := k.observation(r)
	got.Reports[0], got.Gaps[0] = store.Report{}, store.Gap{}
	k.wantObservation(r, want)
	before := k.observation(r)
	k.report(r, report("one", 0, 6000, 2))
	if !sameObservation(before, want) {
		k.Errorf("what Observation returned before another report is %+v now; want %+v", before, want)
	}
}

func unreadableObservation(k *kit) {
	r := k.recorder()
	k.report(r, report("one", 0, 30, 0))
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment))
	k.option("Damage", func() { k.runner.damages.Observation(k.TB, k.adapter) })
	for range 2 {
		_, err := r.Observation(k.ctx)
		k.wantUnreadable(err, "Observation of what cannot be read")
		k.wantUnreadable(r.RecordObservation(k.ctx, report("two", 60, 90, 0)), "RecordObservation where it cannot be read")
	}
	k.record(r, used("key", "192.0.2.1", 1, fixture.Moment))
	if usage := k.usage(r, "key"); usage.Secrets["5ec2e700"].Count != 2 {
		k.Errorf("beside an observation that cannot be read, Usage is %+v; want the count 2", usage)
	}
}
