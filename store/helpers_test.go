package store_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
)

// newKey returns a key that can be stored.
func newKey(t testing.TB, id apikey.ID, organization string, addresses ...string) apikey.Key {
	key := apikey.Key{ID: id, Organization: organization, Secrets: []apikey.StoredSecret{{Sum: sha256.Sum256([]byte(id))}}}
	if len(addresses) > 0 {
		list, err := accesslist.Parse(addresses...)
		require.NoError(t, err)
		key.AccessList = list
	}
	require.NoError(t, key.Validate())
	return key
}
