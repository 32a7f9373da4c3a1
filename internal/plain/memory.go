package plain

import "unsafe"

// Place copies a text to the beginning of memory, and returns it as a string there and the
// rest of the memory. So texts that belong to one object need no allocations of their own.
// Nothing may write to that part of the memory again. A text that does not fit gets memory
// of its own.
func Place[Text ~string | ~[]byte](memory []byte, text Text) (placed string, rest []byte) {
	switch {
	case len(text) == 0:
		return "", memory
	case len(text) > len(memory):
		placed, _ = Place(make([]byte, len(text)), text)
		return placed, memory
	}
	n := copy(memory, text)
	return unsafe.String(&memory[0], n), memory[n:]
}
