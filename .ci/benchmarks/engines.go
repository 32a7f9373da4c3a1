package main

import (
	"fmt"

	"sallyport.test/benchmarks/internal/byhand"
	"sallyport.test/benchmarks/internal/peers"
	"sallyport.test/benchmarks/internal/sally"
	"sallyport.test/benchmarks/internal/work"
)

// A maker makes one of the engines that are compared.
type maker struct {
	name string

	// near marks engines in sallyport's own range: they are measured in turn, or their ratio
	// would mean nothing. The same engines verify a secret.
	near bool

	// hits limits the timing to requests with an answer in the engine's cache.
	hits bool

	load func(*work.World) (work.Engine, error)
}

const (
	sallyport = "sallyport"
	bounds    = "map+bounds"
)

var makers = []maker{
	{name: sallyport, near: true, load: func(w *work.World) (work.Engine, error) { return sally.New(w) }},
	{name: bounds, near: true, load: func(w *work.World) (work.Engine, error) { return byhand.New(w, byhand.NewBounds), nil }},
	{name: "map+netipx", near: true, load: func(w *work.World) (work.Engine, error) { return byhand.New(w, byhand.NewIPSet), nil }},
	{name: "map+bart.Lite", near: true, load: func(w *work.World) (work.Engine, error) { return byhand.New(w, byhand.NewLite), nil }},
	{name: "map+bart.Fast", near: true, load: func(w *work.World) (work.Engine, error) { return byhand.New(w, byhand.NewFast), nil }},
	{name: "cel-go", load: peers.NewCEL},
	{name: "casbin-cached", hits: true, load: peers.NewCachedCasbin},
	{name: "casbin-cached-strings", hits: true, load: peers.NewCachedCasbinStrings},
	{name: "casbin-attributes", load: peers.NewCasbin},
	{name: "cedar-go", load: peers.NewCedar},
	{name: "opa", load: peers.NewOPA},
}

// listSizes are the lengths of access lists that decisions are measured with.
var listSizes = []int{0, 1, 20, 200}

const (
	seed = 20260102

	// agreements is the number of random requests on which an engine must agree with the
	// oracle before it is timed.
	agreements = 2000
)

// agree compares an engine with the oracle's answers and returns the first in which they differ.
func agree(e work.Engine, requests []work.Request, answers []bool) error {
	// Twice: the second time a caching engine answers from its cache.
	for range 2 {
		for i, want := range answers {
			if r := &requests[i]; e.Decide(r) != want {
				return fmt.Errorf("key %s, client %s, organization %s, endpoint %s: the oracle says allowed=%t and the engine does not",
					r.Key, r.Client, r.Organization, r.Endpoint.Name, want)
			}
		}
	}
	return nil
}

// answers returns the oracle's answers to the first requests.
func answers(w *work.World, requests []work.Request) []bool {
	all := make([]bool, min(len(requests), agreements))
	for i := range all {
		all[i] = w.Oracle(&requests[i])
	}
	return all
}

// agreeAll compares every engine with the oracle for every size of list, and reports each size.
func agreeAll(engines []maker, tell func(string)) error {
	for _, n := range listSizes {
		for _, secrets := range []bool{false, true} {
			w := &work.World{Seed: seed + 1, Keys: 500, Entries: n, Secrets: secrets, Odd: true}
			requests := w.Requests(agreements)
			right := answers(w, requests)
			allowed, agreed := 0, 0
			for _, answer := range right {
				if answer {
					allowed++
				}
			}
			for _, m := range engines {
				if secrets && !m.near {
					continue
				}
				e, err := m.load(w)
				if err == nil {
					err = agree(e, requests, right)
				}
				if err != nil {
					return fmt.Errorf("%s, lists of %d, with secrets %t: %w", m.name, n, secrets, err)
				}
				agreed++
			}
			tell(fmt.Sprintf("lists of %d, with secrets %t: %d engines answer %d requests as the oracle does, %d of them with yes",
				n, secrets, agreed, len(right), allowed))
		}
	}
	return nil
}
