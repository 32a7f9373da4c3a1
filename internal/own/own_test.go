package own_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
)

type source struct{ _ int } // not of size zero: then all pointers to one may be equal

func (s *source) Answer() string { return "its own" }

type around struct{ *source }

func (around) Answer() string { return "another" }

// Only the registered type itself is recognized, not one that embeds it.
func TestOf(t *testing.T) {
	own.Register(func(s *source) any { return s })
	s := &source{}
	require.Same(t, s, own.Of(s))
	for _, other := range []any{nil, (*source)(nil), source{}, around{s}, &around{s}, struct{ *source }{s}} {
		require.Nil(t, own.Of(other), "%T", other)
	}
}

// A decision does not look at a condition whose fact is missing.
func TestFactsOf(t *testing.T) {
	entry, err := (accesslist.Parser{}).NewEntry(netip.MustParsePrefix("203.0.113.0/24"))
	require.NoError(t, err)
	list, err := accesslist.New(entry)
	require.NoError(t, err)
	broken, err := accesslist.New()
	require.Error(t, err)

	require.Zero(t, own.FactsOf(nil))
	require.Zero(t, own.FactsOf(&apikey.Key{ID: "key-1", AccessList: list, Grants: []apikey.Grant{{Role: "reader"}}}))
	for _, c := range []struct {
		key  apikey.Key
		want own.Facts
	}{
		{apikey.Key{Disabled: true}, own.Disabled},
		{apikey.Key{NotBefore: time.Unix(0, 0)}, own.Begins},
		{apikey.Key{Expires: time.Unix(0, 1)}, own.Ends},
		{apikey.Key{TrialList: list}, own.OnTrial},
		{apikey.Key{TrialList: broken}, own.OnTrial},
		{apikey.Key{Disabled: true, NotBefore: time.Now(), Expires: time.Now(), TrialList: list}, own.Disabled | own.Begins | own.Ends | own.OnTrial},
	} {
		require.Equal(t, c.want, own.FactsOf(&c.key), "%+v", c.key)
	}
}
