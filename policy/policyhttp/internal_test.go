package policyhttp

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

// An ID that does not fit is kept whole: cut off, it would be another key's.
func TestLongIDIsKeptWhole(t *testing.T) {
	for n := range 100 {
		var memory keyMemory
		id := apikey.ID(strings.Repeat("k", n))
		require.Equal(t, id, memory.keep(id))
	}
}

// The memory that a secret was decoded into is wiped, whatever became of it.
func TestScratchIsWiped(t *testing.T) {
	for text, wellFormed := range map[string]bool{"user:password": true, "password without a colon": false, "not\x00allowed:x": false} {
		s := new(scratch)
		_, err := s.decode(base64.StdEncoding.EncodeToString([]byte(text)))
		require.Equal(t, wellFormed, err == nil)
		require.NotEqual(t, scratch{}, *s)
		s.release()
		require.Equal(t, scratch{}, *s)
	}
}
