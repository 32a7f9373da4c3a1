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

var kinds []func(source any) (records any)

// Register adds a type of sources, and a function that returns the records of one. They have the
// methods of the interface records of package policy, which this package cannot name. Only init
// functions call it.
func Register[S any](records func(source *S) any) {
	kinds = append(kinds, func(source any) any {
		if s, ok := source.(*S); ok && s != nil {
			return records(s)
		}
		return nil
	})
}

// Of returns the records of a registered source, and nil for any other and for a nil pointer.
func Of(source any) (records any) {
	for _, of := range kinds {
		if records = of(source); records != nil {
			return records
		}
	}
	return nil
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
