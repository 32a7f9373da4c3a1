package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// synthetic returns times as a machine has them: batches that differ from each other, some
// much slower, two humps, a long tail. Each class takes so much longer than the first.
func synthetic(seed uint64, perBatch int, longer ...float64) [][]sample {
	random := rand.New(rand.NewPCG(seed, 2))
	times := make([][]sample, len(longer))
	for batch := range batches {
		drift := 150 * random.NormFloat64()
		if random.IntN(2) == 0 {
			drift += 2000
		}
		for class, more := range longer {
			for range perBatch {
				ns := 5000 + drift + more + 150*random.ExpFloat64()
				switch random.IntN(20) {
				case 0:
					ns += 10_000 * random.Float64()
				case 1, 2, 3, 4:
					ns += 400
				}
				times[class] = append(times[class], sample{int(ns), batch})
			}
		}
	}
	return times
}

func TestDifferenceIsFound(t *testing.T) {
	for seed := range uint64(5) {
		r := newResult(synthetic(seed, 200, 0, 0, 300, -300, 80, -80), seed)
		control := r.compare(0, 1)
		for class, want := range map[int]verdict{1: alike, 2: differs, 3: differs, 4: seen, 5: seen} {
			c := r.compare(0, class)
			assert.Equal(t, want, c.judge(control, 0.03), "seed %d, class %d: %+v, control %+v", seed, class, c, control)
		}
		assert.InDelta(t, 300, r.compare(0, 2).difference, 30)
		assert.InDelta(t, -300, r.compare(0, 3).difference, 30)
		assert.Greater(t, r.compare(0, 2).t, 4.5)
		assert.Less(t, r.compare(0, 3).t, -4.5)
		assert.Equal(t, differs, r.compare(0, 2).judge(control, 0))
	}
}

func TestEqualsAreLeftAlone(t *testing.T) {
	worst := 0.0
	for seed := range uint64(20) {
		r := newResult(synthetic(seed, 30, 0, 0, 0, 0), seed)
		control := r.compare(0, 1)
		for class := 1; class < 4; class++ {
			c := r.compare(0, class)
			assert.NotEqual(t, differs, c.judge(control, 0.03), "seed %d: %+v, control %+v", seed, c, control)
			assert.InDelta(t, 0, c.difference, 60)
			worst = max(worst, math.Abs(c.t))
		}
	}
	t.Logf("the largest of Welch's t is %.1f", worst)
}

// The intervals of equal classes have zero in them about as often as they say.
func TestIntervalsAreHonest(t *testing.T) {
	const runs = 100
	outside := 0
	for seed := range uint64(runs) {
		if c := newResult(synthetic(seed, 20, 0, 0), seed).compare(0, 1); c.low > 0 || c.high < 0 {
			outside++
		}
	}
	assert.LessOrEqual(t, outside, runs*3/100, "of %d; 1 %% is expected", runs)
}

func TestCropIsCommon(t *testing.T) {
	times := make([][]sample, 2)
	for batch := range batches { // they are all the same, so that whatever is drawn is the same
		for i := range 1000 {
			times[0] = append(times[0], sample{i, batch})
			times[1] = append(times[1], sample{i + 100, batch})
		}
	}
	r := newResult(times, 1)
	assert.Len(t, r.kept[0], 1000*batches)
	assert.Len(t, r.kept[1], 900*batches)
	assert.Equal(t, []float64{499, 549}, r.medians)
	c := r.compare(0, 1)
	assert.Equal(t, []float64{499, 50, 50, 50}, []float64{c.median, c.difference, c.low, c.high})
}

func TestWelch(t *testing.T) {
	of := func(ns ...int) (samples []sample) {
		for _, n := range ns {
			samples = append(samples, sample{ns: n})
		}
		return samples
	}
	// By hand: means 3 and 6, variances 2.5 and 10, so t is 3 / sqrt(0.5 + 2).
	assert.InDelta(t, 1.8974, welch(of(1, 2, 3, 4, 5), of(2, 4, 6, 8, 10)), 0.0001)
	assert.Zero(t, welch(of(1, 1), of(1, 1)))
	assert.Zero(t, welch(of(1), of(2)), "of no spread nothing is said")
	assert.Zero(t, welch(nil, nil))
}

func TestJudge(t *testing.T) {
	control := comparison{median: 1000, low: -5, high: 4}
	for _, test := range []struct {
		difference, low, high float64
		want                  verdict
	}{
		{0, -5, 5, alike},
		{40, -1, 80, alike},
		{40, 5, 80, alike},
		{40, 6, 80, differs},
		{-40, -80, -5, alike},
		{-40, -80, -6, differs},
		{30, 20, 40, seen},
		{-30, -40, -20, seen},
		{31, 20, 40, differs},
	} {
		c := comparison{1000, test.difference, test.low, test.high, 0}
		assert.Equal(t, test.want, c.judge(control, 0.03), "%+v", c)
	}
}

// What is compared is the same to the byte, and the program runs. What it finds with so
// few requests, and on a machine that does other things, is not asked.
func TestEveryClassIsAnsweredTheSame(t *testing.T) {
	settings, err := newSettings(30)
	require.NoError(t, err)
	for _, s := range settings {
		assert.NoError(t, s.check(), s.name)
		assert.Equal(t, s.classes[0].form, s.classes[1].form)
		for _, c := range s.classes {
			assert.Len(t, c.values, 10, "%s: %s", s.name, c.name)
		}
	}
	// A class that does not belong is found.
	s := settings[0]
	s.classes = append(s.classes, class{"nothing", wellFormed, noRecord, []string{""}})
	assert.ErrorContains(t, s.check(), "nothing is answered with 400")
	s.classes[len(s.classes)-1] = class{"other", wellFormed, noRecord, []string{"Token t"}}
	assert.ErrorContains(t, s.check(), "other is answered unlike wrong secret")
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	o := options{requests: 1, keys: 30, share: 1000, out: &out}
	require.NoError(t, run(o))
	for _, want := range []string{"Bearer, one key", "Digest, many keys", "unknown key / wrong secret", "(control)", "own knowledge"} {
		assert.Contains(t, out.String(), want)
	}
	o.only = regexp.MustCompile("Basic")
	o.class = "unknown key"
	require.NoError(t, run(o))
	o.class = "none"
	assert.EqualError(t, run(o), `the setting "Basic, one key" has no class "none"`)
	o.only = regexp.MustCompile("none")
	assert.EqualError(t, run(o), "no setting is called none")
}

var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func TestReportTellsApart(t *testing.T) {
	s := &setting{name: "synthetic", handler: nothing, classes: []class{
		{"a", wellFormed, aRecord, []string{""}}, {"a again", wellFormed, aRecord, []string{""}},
		{"same", wellFormed, aRecord, []string{""}}, {"unknown", wellFormed, noRecord, []string{""}},
		{"other", noSecret, noRecord, []string{""}}, {"last", noSecret, noRecord, []string{""}},
	}}
	assert.Equal(t, [][2]int{{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {4, 5}}, s.pairs())
	for _, test := range []struct {
		name                       string
		same, unknown, other, last float64
		manyKeys, oneKey, strict   bool
	}{
		{"alike", 0, 0, 0, 0, false, false, false},
		{"the same in memory", 600, 0, 0, 0, true, true, true},
		{"memory", 0, -600, 0, 0, false, true, true},
		{"own knowledge", 0, 0, 600, 600, false, false, true},
		{"the same form", 0, 0, 600, 0, true, true, true},
	} {
		times := synthetic(1, 30, 0, 0, test.same, test.unknown, test.other, test.last)
		for _, how := range []struct{ oneKey, strict, want bool }{{false, false, test.manyKeys}, {true, false, test.oneKey}, {false, true, test.strict}} {
			var out bytes.Buffer
			s.oneKey = how.oneKey
			o := options{share: 0.03, strict: how.strict, out: &out}
			assert.Equal(t, how.want, s.report(o, times), "%s, %+v\n%s", test.name, how, &out)
		}
	}
}
