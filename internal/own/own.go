// Package own lets package policy recognize this module's own sources of keys in memory. It
// need not check their answers again, and can have records read ahead.
//
// A source is recognized by its type, which its package registers. A method would not do: a type
// that embeds a source and overrides its look-up has all other methods of it.
package own

import "github.com/sallyport-go/sallyport/apikey"

// AtOnce is the number of records read ahead in one call, at most. A processor has some ten
// reads of memory under way.
const AtOnce = 16

var kinds []func(source any) func(ids []apikey.ID)

// Register adds a type of sources, and a function that reads the records of up to AtOnce keys
// into the processor's cache. Only init functions call it. S is a pointer to a struct: of an interface
// every implementation would be recognized.
//
// The LookupNow of a registered source returns the key with this ID, byte by byte, and that
// key's organization; for an unknown key the zero Subject.
func Register[S any](readAhead func(source S, ids []apikey.ID)) {
	kinds = append(kinds, func(source any) func([]apikey.ID) {
		if s, ok := source.(S); ok {
			return func(ids []apikey.ID) { readAhead(s, ids) }
		}
		return nil
	})
}

// ReadAhead returns the function of a registered source, and nil for any other.
func ReadAhead(source any) func(ids []apikey.ID) {
	for _, of := range kinds {
		if readAhead := of(source); readAhead != nil {
			return readAhead
		}
	}
	return nil
}
