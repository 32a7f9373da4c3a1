package console

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// crowd stores keys with a list in acme, from one number to another.
func (s *site) crowd(from, to int) {
	s.Helper()
	key, err := s.store.Key(s.Context(), "k1")
	require.NoError(s, err)
	key.Revision = 0
	for i := from; i < to; i++ {
		key.ID = apikey.ID(fmt.Sprintf("crowd-%06d", i))
		_, err := s.store.Store.PutKey(s.Context(), key)
		require.NoError(s, err)
	}
}

// reads shows a page and returns the calls of the store for it.
func (s *site) reads(target string, texts ...string) map[string]int {
	s.Helper()
	s.store.calls = map[string]int{}
	s.shows(target, http.StatusOK, texts...)
	return s.store.calls
}

// A page about the organization as a whole reads a thousand keys or events at once, and no key
// by itself.
func TestOverviewOfManyKeys(t *testing.T) {
	s := newSite(t)
	s.apply("acme", admin.SetRequirement(policy.Required))
	s.crowd(0, 2500)
	s.describe(1100) // after the change of the requirement, so that it is searched for
	want := map[string]int{"Organization": 1, "Observation": 1, "Keys": 3, "Usage": 26, "Events": 2}
	require.Equal(t, want, s.reads("/o/acme", "2501"))
	require.Equal(t, want, s.reads("/o/acme/settings"))

	// Beyond maxSearch no key is read.
	s.crowd(2500, maxSearch+500)
	require.Equal(t, maxSearch/store.MaxPageSize, s.reads("/o/acme", fmt.Sprintf("%d+", maxSearch))["Keys"])
}

// A page of keys is one call for the keys and one for their usage, wherever it is.
func TestPagesOfManyKeys(t *testing.T) {
	s := newSite(t)
	s.crowd(0, 2500)
	want := map[string]int{"Organization": 1, "Keys": 1, "Usage": 1}
	require.Equal(t, want, s.reads("/o/acme/keys", "crowd-000049"))
	page, err := s.store.Store.Keys(t.Context(), "acme", store.PageRequest{Limit: 1000})
	require.NoError(t, err)
	page, err = s.store.Store.Keys(t.Context(), "acme", store.PageRequest{Limit: 1000, Cursor: page.Next})
	require.NoError(t, err)
	require.Equal(t, want, s.reads("/o/acme/keys?cursor="+page.Next, "crowd-002000"))
	key := s.reads("/o/acme/keys/crowd-002000")
	require.Zero(t, key["Keys"], "the page of a key reads no other")
	require.LessOrEqual(t, key["Key"], 2)
}

// Why a call was refused is known from its key and its organization: the remedies are previewed
// when one is chosen.
func TestInvestigateAmongManyKeys(t *testing.T) {
	s := newSite(t)
	s.crowd(0, 1200)
	s.key("acme", admin.NewKey{ID: "open"})
	s.apply("acme", admin.SetRequirement(policy.Required))
	require.Zero(t, s.reads("/o/acme/investigate?key=open&address=192.0.2.7", "Suspend the requirement")["Keys"])
}

// describe keeps n events of the key.
func (s *site) describe(n int) {
	s.Helper()
	key, err := s.store.Key(s.Context(), "k1")
	require.NoError(s, err)
	for from := 0; from < n; from += store.MaxEvents {
		write := store.Write{PutKey: &key}
		for range min(n-from, store.MaxEvents) {
			write.Events = append(write.Events, store.Event{
				Time: day0.Add(-time.Minute), Type: store.EventKeyDescribed, Organization: "acme", Key: "k1", Via: "test",
				Actor: store.Actor{Kind: store.ActorSystem},
			})
		}
		key.Revision, err = s.store.Store.Write(s.Context(), write)
		require.NoError(s, err)
	}
}
