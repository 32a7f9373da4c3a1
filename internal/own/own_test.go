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
func TestOf(t *testing.T) {
	own.Register(func(s *source) own.Records {
		return own.Records{Immediate: s, ReadAhead: func(ids []apikey.ID) { s.ahead = ids }}
	})
	s := &source{}
	records := own.Of(s)
	require.Same(t, s, records.Immediate)
	records.ReadAhead([]apikey.ID{"key-1"})
	require.Equal(t, []apikey.ID{"key-1"}, s.ahead)
	for _, other := range []any{nil, (*source)(nil), source{}, around{s}, &around{s}, struct{ *source }{s}} {
		require.Zero(t, own.Of(other), "%T", other)
	}
}
