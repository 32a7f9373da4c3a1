package records

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

func TestOrdered(t *testing.T) {
	o := NewOrdered()
	assert.Nil(t, o.Key("key-of-a-service"))
	assert.Nil(t, o.Organization("acme"))
	assert.Empty(t, o.Keys("acme", "", 10))
	assert.Empty(t, o.Organizations("", 10))

	first := o.PutOrganization(policy.Organization{ID: "acme", Revision: 1})
	o.PutOrganization(policy.Organization{ID: "beta", Revision: 2})
	second := o.PutOrganization(policy.Organization{ID: "acme", Requirement: policy.Required, Revision: 3})
	assert.EqualValues(t, 1, first.Revision, "a record that was kept does not change")
	assert.Same(t, second, o.Organization("acme"))
	assert.Len(t, o.Organizations("", math.MaxInt), 2)
	assert.Equal(t, "beta", o.Organizations("acme", 1)[0].ID)

	given := *aKey("key-of-a-service", "acme", 4, apikey.Grant{Role: "reader"})
	kept := o.PutKey(given)
	given.Grants[0].Role, given.Secrets[0].ServerKey = "spoilt", "spoilt"
	assert.Equal(t, "reader", o.Key("key-of-a-service").Grants[0].Role)
	assert.Empty(t, o.Key("key-of-a-service").Secrets[0].ServerKey)
	assert.Same(t, kept, o.Key("key-of-a-service"))
	for n := range 5 {
		o.PutKey(*aKey(apikey.ID(fmt.Sprint("other-", n)), "acme", uint64(5+n)))
	}
	assert.Len(t, o.Keys("acme", "", 3), 3)
	assert.Len(t, o.Keys("acme", "key-of-a-service", math.MaxInt), 5)
	assert.Empty(t, o.Keys("beta", "", 3))

	subject, found, err := o.LookupNow("key-of-a-service")
	require.NoError(t, err)
	require.True(t, found)
	assert.Equal(t, policy.Required, subject.Organization().Requirement)

	o.RemoveKey("key-of-a-service")
	assert.Nil(t, o.Key("key-of-a-service"))
	assert.Len(t, o.Keys("acme", "", 10), 5)
	o.RemoveOrganization("beta")
	assert.Nil(t, o.Organization("beta"))
	assert.Len(t, o.Organizations("", 10), 1)
}

// Only the very ID is found, though others have its tag (one in 128 by chance), its length or its
// words.
func TestLookupFindsNoOtherKey(t *testing.T) {
	for range 2000 {
		o := NewOrdered()
		o.PutOrganization(policy.Organization{ID: "acme"})
		o.PutKey(*aKey("aaaaaaaaaaaa", "acme", 1))
		for _, other := range []apikey.ID{"aaaaaaaaaaa", "aaaaaaaaaaaaa", "baaaaaaaaaaa", "aaaaaabaaaaa", "aaaaaaaaaaab"} {
			_, found, err := o.LookupNow(other)
			require.NoError(t, err)
			require.False(t, found, other)
		}
		subject, found, err := o.LookupNow("aaaaaaaaaaaa")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, apikey.ID("aaaaaaaaaaaa"), subject.Key().ID)
	}
}

// Of a closed store nothing is found, and nothing is absent.
func TestClose(t *testing.T) {
	o, closed := NewOrdered(), errors.New("closed")
	o.PutOrganization(policy.Organization{ID: "acme"})
	o.PutKey(*aKey("key-of-a-service", "acme", 1))
	assert.NoError(t, o.Closed())
	o.Close(closed)
	assert.Equal(t, closed, o.Closed())
	for _, id := range []apikey.ID{"key-of-a-service", "absent"} {
		subject, found, err := o.LookupNow(id)
		assert.Equal(t, closed, err)
		assert.False(t, found)
		assert.Equal(t, policy.Subject{}, subject)
	}
}
