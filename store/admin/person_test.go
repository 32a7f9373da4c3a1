package admin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

func TestPersonWithoutAnIDOrAFunctionMayNothing(t *testing.T) {
	everything := func(string, admin.Access) bool { return true }
	for _, access := range []admin.Access{admin.Read, admin.Manage} {
		require.False(t, admin.Person{}.Has("acme", access))
		require.False(t, admin.Person{ID: "ann"}.Has("acme", access))
		require.False(t, admin.Person{Name: "Ann", May: everything}.Has("acme", access))
		require.True(t, admin.Person{ID: "ann", May: everything}.Has("acme", access))
	}
	reader := admin.Person{ID: "ann", May: func(organization string, access admin.Access) bool {
		return organization == "acme" && access == admin.Read
	}}
	require.True(t, reader.Has("acme", admin.Read))
	require.False(t, reader.Has("acme", admin.Manage))
	require.False(t, reader.Has("globex", admin.Read))
}

func TestPersonIsAnActor(t *testing.T) {
	person := admin.Person{ID: "ann@example.com", Name: "Ann", Address: netip.MustParseAddr("203.0.113.7")}
	require.Equal(t, admin.ByPerson("ann@example.com", "Ann", netip.MustParseAddr("203.0.113.7")), person.Actor())
	require.Equal(t, store.ActorPerson, person.Actor().Kind())
}
