// Command timing looks for what the time of an answer tells (rules D2 and K3): can a
// caller tell a key that does not exist from a wrong secret?
//
//	go run ./.ci/timing
//
// It asks guards in this process with classes of requests that must all get the same 401: for
// unknown keys, for stored keys with a wrong secret, with texts in no form of a secret. The
// classes take turns in random order. The times of each are compared with those of the first,
// by the difference of their medians. Each setting has a control: its first class once more,
// for the noise of the machine itself.
//
// The exit status is 1 if a pair is told apart, which takes both:
//   - the whole confidence interval of the difference is farther from zero than any of the
//     control's;
//   - the difference is more than -share of the median.
//
// A pair called "seen" meets the first condition only.
//
// It is run by hand and is not among the tests, because machines are noisy. It cannot show:
//
//   - That no difference exists. It finds differences of about 1 % of an answer; more
//     measurements (-n) find smaller ones. Over a network it takes many more than here.
//   - Rare long times. The slowest 5 % are left out for all classes together.
//   - The rest of a server: the connection, the parsing of HTTP, a database behind the store.
//     It measures a guard on a store in memory with the garbage collector off.
//   - Other processors and other versions of Go. Counting instructions, see -class, does not
//     depend on the moment.
//   - The influence of properties the caller chose, such as the length of the ID.
//
// Two kinds of pair do not count for the exit status unless -strict is set:
//
//   - "memory". A setting with "one key" asks for the same key all through a batch, so its
//     record is in the processor's cache and the difference is that of the code. With "many
//     keys" each request is for another key: a stored key has a record to read from memory,
//     an unknown one has none. No code can even that out, short of reading another record.
//     And a caller who asks for a key again has warmed its record up by that.
//   - "own knowledge". The caller can tell the two texts apart without asking: everybody can
//     compute a checksum, so the time of a refusal for it reveals nothing.
//
// results.md has the differences it found.
//
// Its statistics are its own: benchstat's assume independent samples, and times of one batch
// are not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
)

func main() {
	o := options{out: os.Stdout}
	flag.IntVar(&o.requests, "n", 400_000, "requests in all, or those of -class")
	flag.IntVar(&o.keys, "keys", 10_000, "keys in the store")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the order")
	flag.Float64Var(&o.share, "share", 0.03, "the part of the median that a pair may differ by")
	flag.BoolVar(&o.strict, "strict", false, "fail for what the memory and what callers know by themselves explain, too")
	flag.Func("only", "regular expression of the settings to measure", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flag.StringVar(&o.class, "class", "", "do not measure, but ask -n times with the requests of this class of the first setting of -only: for a\n"+
		"profile, or to count the instructions: valgrind --tool=callgrind --toggle-collect=main.askAll ...")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "timing:", err)
		os.Exit(1)
	}
}

type options struct {
	requests, keys int
	seed           uint64
	share          float64
	strict         bool
	only           *regexp.Regexp
	class          string
	out            io.Writer
}

var errToldApart = errors.New("the time of the answer tells some pairs apart")

func run(o options) error {
	settings, err := newSettings(o.keys)
	if err != nil {
		return err
	}
	if o.only != nil {
		chosen := settings[:0]
		for _, s := range settings {
			if o.only.MatchString(s.name) {
				chosen = append(chosen, s)
			}
		}
		settings = chosen
	}
	if len(settings) == 0 {
		return fmt.Errorf("no setting is called %v", o.only)
	}
	if o.class != "" {
		return askClass(settings[0], o.class, o.requests)
	}
	toldApart := false
	for _, s := range settings {
		if err := s.check(); err != nil {
			return err
		}
		times := s.measure(max(o.requests/len(settings)/len(s.classes)/batches, 1), o.seed)
		toldApart = s.report(o, times) || toldApart
	}
	if toldApart {
		return errToldApart
	}
	return nil
}

// report prints what was measured, and returns whether a pair was told apart.
func (s *setting) report(o options, times [][]sample) (toldApart bool) {
	r := newResult(times, o.seed)
	control := r.compare(0, 1)
	width := 0
	for _, p := range s.pairs() {
		width = max(width, len(s.nameOf(p)))
	}
	fmt.Fprintf(o.out, "%-*s  requests    kept  median ns  allocations  bytes\n", width, s.name)
	for i, c := range s.classes {
		allocations, bytes := s.allocations(c)
		fmt.Fprintf(o.out, "%-*s  %8d  %4.1f %%  %9.0f  %11.1f  %5.0f\n", width, c.name, len(times[i]),
			100*float64(len(r.kept[i]))/float64(len(times[i])), r.medians[i], allocations, bytes)
	}
	fmt.Fprintf(o.out, "\n%*s  difference ns  of median  %d %% interval  Welch's t  verdict\n", width, "", confidence)
	for _, p := range s.pairs() {
		c := r.compare(p[0], p[1])
		verdict, excuse := c.judge(control, o.share), s.excuse(p)
		toldApart = toldApart || verdict == differs && (o.strict || excuse == "")
		text := string(verdict) + excuse
		if p == [2]int{0, 1} {
			text = "(control)"
		}
		fmt.Fprintf(o.out, "%-*s  %+13.0f  %+7.1f %%  %13s  %+9.1f  %s\n", width, s.nameOf(p),
			c.difference, 100*c.difference/c.median, fmt.Sprintf("%+.0f to %+.0f", c.low, c.high), c.t, text)
	}
	fmt.Fprintln(o.out)
	return toldApart
}

func (s *setting) nameOf(pair [2]int) string {
	return s.classes[pair[1]].name + " / " + s.classes[pair[0]].name
}

// excuse returns why a pair may differ without a mistake in the guard.
func (s *setting) excuse(pair [2]int) string {
	a, b := s.classes[pair[0]], s.classes[pair[1]]
	switch {
	case a.form != b.form:
		return ", own knowledge"
	case !s.oneKey && a.reads != b.reads:
		return ", memory"
	}
	return ""
}

// pairs compares each class with the first, and with the first of its form.
func (s *setting) pairs() (pairs [][2]int) {
	firstOf := map[string]int{}
	for i, c := range s.classes {
		first, known := firstOf[c.form]
		if !known {
			firstOf[c.form] = i
		}
		if i > 0 {
			pairs = append(pairs, [2]int{0, i})
		}
		if known && first > 0 {
			pairs = append(pairs, [2]int{first, i})
		}
	}
	return pairs
}
