// Package own lets package policy recognize this module's own sources of keys in memory. It need
// not check their answers again, gets a key's facts with it, and can have records read ahead.
//
// A source is recognized by its type, which its package registers. A method would not do: a type
// that embeds a source and overrides its look-up has all other methods of it.
package own

import "github.com/sallyport-go/sallyport/apikey"

// AtOnce is the number of records read ahead in one call, at most. A processor has some ten
// reads of memory under way.
const AtOnce = 16

// Records are where a source looks keys up. The zero Records are none.
type Records struct {
	// Finder has the method Find(apikey.ID) (policy.Subject, Facts, error). It returns the key with
	// this ID, byte by byte, that key's organization, and the key's facts; for an unknown key the
	// zero Subject. It does not wait.
	Finder any

	// ReadAhead reads the records of up to AtOnce keys into the processor's cache.
	ReadAhead func(ids []apikey.ID)
}

var kinds []func(source any) (Records, bool)

// Register adds a type of sources, and a function that returns the records of one. Only init
// functions call it.
func Register[S any](records func(source *S) Records) {
	kinds = append(kinds, func(source any) (Records, bool) {
		if s, ok := source.(*S); ok && s != nil {
			return records(s), true
		}
		return Records{}, false
	})
}

// Of returns the records of a registered source, and none for any other and for a nil pointer.
func Of(source any) Records {
	for _, of := range kinds {
		if records, ok := of(source); ok {
			return records
		}
	}
	return Records{}
}

// Facts say which conditions a key has beyond its list and its grants: most keys have none, and
// then a decision does not read their fields. They are in force as long as the key is not changed.
type Facts uint32

// The facts.
const (
	Disabled Facts = 1 << iota // the key is switched off
	Begins                     // it has a NotBefore
	Ends                       // it has an Expires
	OnTrial                    // its TrialList has entries
)

// FactsOf returns the facts of a key. nil has none.
func FactsOf(key *apikey.Key) (facts Facts) {
	if key == nil {
		return 0
	}
	for fact, holds := range [...]bool{key.Disabled, !key.NotBefore.IsZero(), !key.Expires.IsZero(), !key.TrialList.IsEmpty()} {
		if holds {
			facts |= 1 << fact
		}
	}
	return facts
}
