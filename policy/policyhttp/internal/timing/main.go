// Timing asks whether a caller can tell an unknown key from a wrong secret by how long
// the guard takes to refuse it (rules D2 and K3).
//
//	go run ./policy/policyhttp/internal/timing [-n 2000000] [-keys 10000]
//
// It calls a guarded handler with the kinds of request that must not be told apart, in
// random order, and compares each with a control: the median and the mean without the
// slowest twentieth, and Welch's t of those. The control is there twice, so that the first
// line shows what the machine's noise alone does.
//
// It is run by hand, because a machine that does other work makes any figure. With few
// keys all records are in a processor's cache, and what is left is what the code does;
// with many, a key that exists has a record to be fetched, which one that does not has not.
// Mistyped secrets take longer, for the error that says how; their caller could tell that
// they are by the checksum alone, and whether the key exists must not matter.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

func main() {
	n := flag.Int("n", 2_000_000, "requests in all")
	keys := flag.Int("keys", 10_000, "keys in the store; few stay in a processor's cache")
	flag.Parse()
	if err := run(*n, *keys); err != nil {
		fmt.Fprintln(os.Stderr, "timing:", err)
		os.Exit(1)
	}
}

// A class is requests that are to look like those of any other class.
type class struct {
	name     string
	requests []*http.Request
	took     []float64 // nanoseconds
}

func run(n, keys int) error {
	handler, classes, err := prepare(keys)
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	defer debug.SetGCPercent(100)
	random, w := rand.New(rand.NewPCG(1, 2)), discard{http.Header{}}
	for i := range n {
		c := &classes[random.IntN(len(classes))]
		r := c.requests[random.IntN(len(c.requests))]
		begin := time.Now()
		handler.ServeHTTP(w, r)
		took := time.Since(begin)
		if w.Header().Get("WWW-Authenticate") == "" {
			return fmt.Errorf("%s was not refused with a challenge", c.name)
		}
		clear(w.header)
		c.took = append(c.took, float64(took))
		if i%100_000 == 0 {
			debug.FreeOSMemory() // a collection, between requests and not in them
		}
	}
	report(classes)
	return nil
}

// prepare makes a store with keys, and as many requests of each class as there are keys.
func prepare(keys int) (http.Handler, []class, error) {
	ctx, s := context.Background(), memory.New()
	if _, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"}); err != nil {
		return nil, nil, err
	}
	classes := []class{{name: "wrong secret"}, {name: "wrong secret, again"}, {name: "unknown key"},
		{name: "mistyped secret of a key"}, {name: "mistyped secret of none"}}
	for range keys {
		key, secret, err := apikey.New("acme")
		if err == nil {
			_, err = s.PutKey(ctx, key)
		}
		if err != nil {
			return nil, nil, err
		}
		var texts [5]string
		for i := range 2 {
			_, wrong, err := apikey.Rotate(key, 0) // well-formed, and not stored
			if err != nil {
				return nil, nil, err
			}
			texts[i] = wrong.Reveal()
		}
		_, stranger, err := apikey.New("acme")
		if err != nil {
			return nil, nil, err
		}
		texts[2] = stranger.Reveal()
		texts[3], texts[4] = mistype(secret.Reveal()), mistype(stranger.Reveal())
		for i, text := range texts {
			r, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
			if err != nil {
				return nil, nil, err
			}
			r.RemoteAddr = "192.0.2.1:1234"
			r.Header.Set("Authorization", "Bearer "+text)
			classes[i].requests = append(classes[i].requests, r)
		}
	}
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(s)})
	if err != nil {
		return nil, nil, err
	}
	resource := func(*http.Request) (string, string, error) { return "acme", "", nil }
	return guard.Protect(policy.Endpoint{Name: "any"}, resource, http.NotFoundHandler()), classes, nil
}

// mistype changes the last character, which is one of the checksum.
func mistype(text string) string {
	last := "0"
	if strings.HasSuffix(text, last) {
		last = "1"
	}
	return text[:len(text)-1] + last
}

func report(classes []class) {
	var all []float64
	for _, c := range classes {
		all = append(all, c.took...)
	}
	slices.Sort(all)
	slowest := all[len(all)*19/20] // the same for all, or the crop itself would differ
	control := summarize(classes[0].took, slowest)
	fmt.Printf("%-26s %10s %10s %12s %10s\n", "", "median ns", "mean ns", "to control", "Welch's t")
	for _, c := range classes {
		s := summarize(c.took, slowest)
		t := (s.mean - control.mean) / math.Sqrt(s.variance/s.n+control.variance/control.n)
		fmt.Printf("%-26s %10.0f %10.1f %+11.2f%% %10.1f\n", c.name, s.median, s.mean, 100*(s.mean/control.mean-1), t)
	}
}

type summary struct{ n, median, mean, variance float64 }

func summarize(took []float64, slowest float64) (s summary) {
	kept := slices.DeleteFunc(slices.Sorted(slices.Values(took)), func(ns float64) bool { return ns > slowest })
	s.n, s.median = float64(len(kept)), kept[len(kept)/2]
	for _, ns := range kept {
		s.mean += ns / s.n
	}
	for _, ns := range kept {
		s.variance += (ns - s.mean) * (ns - s.mean) / (s.n - 1)
	}
	return s
}

// discard is a ResponseWriter that keeps the header only.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
