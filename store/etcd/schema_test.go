package etcd

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
)

// TestLayout is the layout that stores in use have: a change here is a new version.
func TestLayout(t *testing.T) {
	n := names{"/sallyport/"}
	require.Equal(t, "1 1 1", founding.text)
	require.Equal(t, "/sallyport/layout", n.layout())
	require.Equal(t, "/sallyport/revision", n.revision())
	require.Equal(t, "/sallyport/organizations/a/b c%", n.organization("a/b c%"))
	require.Equal(t, "/sallyport/keys/a%2Fb c%25/k1", n.key("a/b c%", "k1"))
	require.Equal(t, "/sallyport/ids/k1", n.id("k1"))
	require.Equal(t, "/sallyport/usage/k1", n.usage("k1"))
	require.Equal(t, "/sallyport/usage-observation", n.observation())
	require.Equal(t, "/sallyport/histories/H", n.history("H"))
	require.Equal(t, "/sallyport/journal", n.journal())
	k := keptEvents{place: 0x1a2b, organization: "a/b c%", key: "k1"}
	require.Equal(t, "/sallyport/events/all/oldest/0000000000001a2b/a%2Fb c%25/k1", n.oldest("").name(k))
	require.Equal(t, "/sallyport/events/all/newest/ffffffffffffe5d4/a%2Fb c%25/k1", n.newest("").name(k))
	require.Equal(t, "/sallyport/events/of/a%2Fb c%25/oldest/0000000000001a2b/k1", n.oldest("a/b c%").name(k))
	require.Equal(t, "/sallyport/events/of/a%2Fb c%25/newest/ffffffffffffe5d4/k1", n.newest("a/b c%").name(k))
	require.Equal(t, "/sallyport/events/all/oldest/0000000000001a2b//", n.oldest("").name(keptEvents{place: 0x1a2b}))
	begin, end := n.records()
	require.Equal(t, []string{"/sallyport/keys/", "/sallyport/organizations0"}, []string{begin, end})
}

func TestNamesOfNoRecord(t *testing.T) {
	n := names{"/sallyport/"}
	for _, name := range []string{
		"", "/", "/sallyport/", "/sallyport/layout", "/sallyport/revision", "/sallyport/ids/k1", "/sallyport/usage/k1", "/sallyport/usage-observation",
		"/sallyport/keys/", "/sallyport/keys//", "/sallyport/keys/acme", "/sallyport/keys/acme/", "/sallyport/keys//k1",
		"/sallyport/keys/a%2fb/k1", "/sallyport/keys/100%/k1", "/sallyport/organizations/", "/sallyport/organizations",
		"/other/keys/acme/k1", "/other/organizations/acme", "x/sallyport/keys/acme/k1", "/sallyport/notes/acme",
	} {
		organization, key, ok := n.record(name)
		require.False(t, ok, "%q is taken for organization %q, key %q", name, organization, key)
	}
}

// FuzzNames checks that names are different for what is different, that they are read
// as what they were made of, and that all that a watch tells of, and no more, is in one
// range.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"acme", "a/b", "a%2Fb", "a%b", "%", "/", "//", "a/", "\xff", "é", "a!", "a.", "a0", "k1", "keys/acme", strings.Repeat("x", 256)} {
		f.Add(s, "k1", "acme", "k2")
		f.Add("acme", s, s, "acme")
	}
	f.Fuzz(func(t *testing.T, organization, id, otherOrganization, otherID string) {
		n := names{"/sallyport/"}
		if organization == "" || apikey.ID(id).Validate() != nil {
			return
		}
		name := n.key(organization, apikey.ID(id))
		gotOrganization, gotKey, ok := n.record(name)
		require.True(t, ok)
		require.Equal(t, []string{organization, id}, []string{gotOrganization, string(gotKey)})
		gotOrganization, gotKey, ok = n.record(n.organization(organization))
		require.True(t, ok)
		require.Equal(t, []string{organization, ""}, []string{gotOrganization, string(gotKey)})

		require.Equal(t, "/sallyport/histories/H", n.history("H"))
		require.Equal(t, "/sallyport/journal", n.journal())
		k := keptEvents{place: 0x1a2b, organization: "a/b c%", key: "k1"}
		require.Equal(t, "/sallyport/events/all/oldest/0000000000001a2b/a%2Fb c%25/k1", n.oldest("").name(k))
		require.Equal(t, "/sallyport/events/all/newest/ffffffffffffe5d4/a%2Fb c%25/k1", n.newest("").name(k))
		require.Equal(t, "/sallyport/events/of/a%2Fb c%25/oldest/0000000000001a2b/k1", n.oldest("a/b c%").name(k))
		require.Equal(t, "/sallyport/events/of/a%2Fb c%25/newest/ffffffffffffe5d4/k1", n.newest("a/b c%").name(k))
		require.Equal(t, "/sallyport/events/all/oldest/0000000000001a2b//", n.oldest("").name(keptEvents{place: 0x1a2b}))
		begin, end := n.records()
		for _, name := range []string{name, n.organization(organization)} {
			require.True(t, begin <= name && name < end)
		}
		for _, name := range []string{n.id(apikey.ID(otherID)), n.usage(apikey.ID(otherID)), n.revision()} {
			require.False(t, begin <= name && name < end)
		}
		_, _, ok = n.record(n.layout()) // a watch delivers it with the records
		require.False(t, ok)
		inRange := strings.HasPrefix(name, n.keys(otherOrganization))
		require.Equal(t, organization == otherOrganization, inRange, "key %q of %q is listed for %q", id, organization, otherOrganization)
		if apikey.ID(otherID).Validate() == nil {
			require.Equal(t, organization == otherOrganization && id == otherID, name == n.key(otherOrganization, apikey.ID(otherID)))
		}
	})
}

// TestOrder checks that etcd's order of names is that of the identifiers (S20).
func TestOrder(t *testing.T) {
	n := names{"/sallyport/"}
	ids := []string{"!", "%", "-", ".", "/", "0", "A", "a", "a!", "a%", "a/", "a/b", "a0", "aa", "b", "é", "\U0001f511"}
	require.True(t, slices.IsSorted(ids))
	var stored []string
	for _, id := range ids {
		stored = append(stored, n.organization(id))
	}
	require.True(t, slices.IsSorted(stored))
	require.Equal(t, "/sallyport/organizations0", clientv3.GetPrefixRangeEnd(n.organizations()))
}
