package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// A sample is the time of one answer, in nanoseconds, and its batch.
type sample struct{ ns, batch int }

const (
	cropped    = 0.05 // share of the longest times left out: interrupts and other work than the guard's
	resamples  = 1000
	confidence = 99 // in percent
)

// A result is the measurement of one setting.
type result struct {
	kept      [][]sample // of each class, the shortest first
	sizes     [][]int    // number of kept samples of each batch
	medians   []float64
	resampled [][]float64 // medians of each class in each resample
}

// newResult leaves out the times above one bound for all classes. A bound for each class would
// hide differences; one for all makes them some percent smaller, and creates none.
func newResult(times [][]sample, seed uint64) *result {
	times = steadied(times)
	var all []int
	for _, class := range times {
		for _, s := range class {
			all = append(all, s.ns)
		}
	}
	slices.Sort(all)
	bound := all[int(float64(len(all)-1)*(1-cropped))]

	r := &result{kept: make([][]sample, len(times)), sizes: make([][]int, len(times))}
	for i, class := range times {
		r.sizes[i] = make([]int, batches)
		for _, s := range class {
			if s.ns <= bound {
				r.kept[i] = append(r.kept[i], s)
				r.sizes[i][s.batch]++
			}
		}
		slices.SortFunc(r.kept[i], func(a, b sample) int { return a.ns - b.ns })
	}
	r.medians = r.mediansOf(slices.Repeat([]int{1}, batches))
	r.resample(seed)
	return r
}

// steadied shifts the times of each batch so that its median over all classes equals that of all
// batches: other work on the machine slows all classes of a batch down.
func steadied(times [][]sample) [][]sample {
	var all []int
	ofBatch := make([][]int, batches)
	for _, class := range times {
		for _, s := range class {
			all = append(all, s.ns)
			ofBatch[s.batch] = append(ofBatch[s.batch], s.ns)
		}
	}
	slices.Sort(all)
	offsets := make([]int, batches)
	for i, batch := range ofBatch {
		slices.Sort(batch)
		offsets[i] = all[len(all)/2] - batch[len(batch)/2]
	}
	steady := make([][]sample, len(times))
	for i, class := range times {
		for _, s := range class {
			steady[i] = append(steady[i], sample{s.ns + offsets[s.batch], s.batch})
		}
	}
	return steady
}

// resample is the bootstrap: it draws batches with replacement, as many as there are, and takes
// the medians of the classes in them.
func (r *result) resample(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	for range resamples {
		drawn := make([]int, batches)
		for range drawn {
			drawn[random.IntN(batches)]++
		}
		r.resampled = append(r.resampled, r.mediansOf(drawn))
	}
}

// mediansOf returns the median of each class, with each batch counted as often as given.
func (r *result) mediansOf(drawn []int) []float64 {
	medians := make([]float64, len(r.kept))
	for i, class := range r.kept {
		total, below := 0, 0
		for batch, size := range r.sizes[i] {
			total += size * drawn[batch]
		}
		for _, s := range class {
			if below += drawn[s.batch]; 2*below >= total {
				medians[i] = float64(s.ns)
				break
			}
		}
	}
	return medians
}

// A comparison is of two classes, in nanoseconds.
type comparison struct {
	median     float64 // of the first class
	difference float64 // of the second class's median to that
	low, high  float64 // the confidence interval of the difference
	t          float64 // Welch's, of the difference of the means
}

func (r *result) compare(first, second int) comparison {
	differences := make([]float64, 0, len(r.resampled))
	for _, medians := range r.resampled {
		differences = append(differences, medians[second]-medians[first])
	}
	slices.Sort(differences)
	outside := len(differences) * (100 - confidence) / 200
	return comparison{
		median: r.medians[first], difference: r.medians[second] - r.medians[first],
		low: differences[outside], high: differences[len(differences)-1-outside],
		t: welch(r.kept[first], r.kept[second]),
	}
}

// welch returns Welch's t, positive if the second is larger. dudect takes more than 4.5
// for a leak. It is printed for comparison with dudect only: it assumes independent times, which
// these are not, and grows with their number however small the difference.
func welch(first, second []sample) float64 {
	m1, v1 := meanAndVariance(first)
	m2, v2 := meanAndVariance(second)
	if d := math.Sqrt(v1/float64(len(first)) + v2/float64(len(second))); d > 0 {
		return (m2 - m1) / d
	}
	return 0
}

func meanAndVariance(samples []sample) (mean, variance float64) {
	for _, s := range samples {
		mean += float64(s.ns)
	}
	mean /= float64(max(len(samples), 1))
	for _, s := range samples {
		variance += (float64(s.ns) - mean) * (float64(s.ns) - mean)
	}
	return mean, variance / float64(max(len(samples)-1, 1))
}

// A verdict is the outcome of a comparison.
type verdict string

const (
	alike   verdict = "alike"   // no more than the control
	seen    verdict = "seen"    // more than the control, and within the share
	differs verdict = "DIFFERS" // more than both
)

// judge compares a comparison with the control, a comparison of a class with itself.
func (c comparison) judge(control comparison, share float64) verdict {
	noise := max(math.Abs(control.low), math.Abs(control.high))
	nearest := max(c.low, -c.high) // of the interval to zero; negative if zero is in it
	switch {
	case nearest <= noise:
		return alike
	case math.Abs(c.difference) <= share*c.median:
		return seen
	}
	return differs
}
