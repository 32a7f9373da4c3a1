package admin

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// Keys beyond MaxListed are counted and not listed.
func TestListsAreBounded(t *testing.T) {
	var group keyGroup
	for range MaxListed + 2 {
		group.add("k")
	}
	require.Len(t, group.keys, MaxListed)
	require.Equal(t, MaxListed+2, group.count)

	key, _, err := apikey.New("acme")
	require.NoError(t, err)
	disabled := key.Clone()
	disabled.Disabled = true
	j := &judge{before: &policy.Organization{ID: "acme"}, after: &policy.Organization{ID: "acme"}, listed: sha256.New(),
		effects: make([]KeyEffect, MaxListed-1)}
	empty := j.listed.Sum(nil)
	for range 3 {
		j.key(j.compare(&key, &disabled), store.KeyUsage{})
	}
	require.Len(t, j.effects, MaxListed)
	require.Equal(t, Totals{Unknown: 3}, j.totals)
	require.NotEqual(t, empty, j.listed.Sum(nil), "the token stands for them all the same")
}
