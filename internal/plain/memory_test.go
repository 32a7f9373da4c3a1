package plain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/internal/plain"
)

func TestPlace(t *testing.T) {
	memory := make([]byte, 10)
	source := []byte("abcd")
	first, rest := plain.Place(memory, source)
	second, rest := plain.Place(rest, "efghij")
	empty, rest := plain.Place(rest, "")
	more, rest := plain.Place(rest, source)
	assert.Empty(t, rest)
	assert.Equal(t, "abcdefghij", string(memory))
	copy(source, "xxxx")
	assert.Equal(t, []string{"abcd", "efghij", "", "abcd"}, []string{first, second, empty, more})

	// What does not fit is whole, and leaves the memory to others.
	long := strings.Repeat("k", 11)
	placed, rest := plain.Place(memory, long)
	assert.Equal(t, long, placed)
	assert.Len(t, rest, 10)
	assert.Equal(t, "abcdefghij", string(memory))
}
