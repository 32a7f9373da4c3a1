// Package own lets package policy recognize this module's own sources of keys, whose answers it
// need not check again. A recognized type is registered by its package; a type that embeds it
// is another one, and is not recognized.
package own

var kinds []func(source any) bool

// Register adds a type to the recognized ones. It is called by init functions only. S is a
// pointer type, not an interface, so that only a source of exactly this type is recognized.
func Register[S any]() {
	kinds = append(kinds, func(source any) bool {
		_, ok := source.(S)
		return ok
	})
}

// Is reports whether the source is of a registered type.
func Is(source any) bool {
	for _, is := range kinds {
		if is(source) {
			return true
		}
	}
	return false
}
