package own_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
)

type source struct{ ahead []apikey.ID }

func (s *source) Answer() string { return "its own" }

type around struct{ *source }

func (around) Answer() string { return "another" }

// Only the registered type itself is recognized, not one that embeds it.
func TestReadAhead(t *testing.T) {
	own.Register(func(s *source, ids []apikey.ID) { s.ahead = ids })
	s := &source{}
	own.ReadAhead(s)([]apikey.ID{"key-1"})
	require.Equal(t, []apikey.ID{"key-1"}, s.ahead)
	for _, other := range []any{nil, source{}, around{s}, &around{s}, struct{ *source }{s}} {
		require.Nil(t, own.ReadAhead(other), "%T", other)
	}
}
