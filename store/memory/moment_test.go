package memory

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// S8 at full speed, and while other writes rehash the table: the key and the
// organization that a look-up returns were stored at one moment. Storetest has the
// same for any store; here nothing but the atomics is between the readers and the
// writers.
func TestS8LookupNowDuringRehash(t *testing.T) {
	// IDs of both lengths: see records.words.
	for _, id := range []apikey.ID{"key", "key-of-a-service"} {
		t.Run(string(id), func(t *testing.T) { lookUpDuringRehash(t, id) })
	}
}

func lookUpDuringRehash(t *testing.T, id apikey.ID) {
	ctx, s := t.Context(), New()
	organization, err := s.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	require.NoError(t, err)
	key := apikey.Key{ID: id, Organization: "acme", Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
	listed, err := accesslist.Parse("192.0.2.1")
	require.NoError(t, err)
	if key, err = s.PutKey(ctx, key, store.AllowOpen); err != nil {
		t.Fatal(err)
	}

	type pair struct{ key, organization uint64 }
	keys, organizations := []uint64{key.Revision}, []uint64{organization.Revision}
	seen := make([][]pair, 2)
	var over atomic.Bool
	var wait sync.WaitGroup
	for i := range seen {
		wait.Go(func() {
			for !over.Load() {
				subject, found, err := s.LookupNow(id)
				if err != nil || !found {
					t.Errorf("found %v, error %v", found, err)
					return
				}
				key, organization := subject.Key(), subject.Organization()
				if key.AccessList.IsEmpty() && organization.Requirement == policy.NotRequired {
					t.Error("a key without entries and an organization that requires none, which never were at the same time")
					return
				}
				p := pair{key.Revision, organization.Revision}
				if n := len(seen[i]); n == 0 || seen[i][n-1] != p {
					seen[i] = append(seen[i], p)
				}
			}
		})
	}
	secrets := key.Secrets
	wait.Go(func() { // rehashes
		for n := 0; !over.Load(); n++ {
			other := apikey.Key{ID: apikey.ID(fmt.Sprint("other-", n)), Organization: "acme", Secrets: secrets}
			if _, err := s.PutKey(ctx, other, store.AllowOpen); err != nil {
				t.Error(err)
			}
			if n >= 40 {
				if err := s.DeleteKey(ctx, apikey.ID(fmt.Sprint("other-", n-40)), 0); err != nil {
					t.Error(err)
				}
			}
		}
	})
	step := func(list accesslist.List) {
		key.AccessList = list
		key, err = s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
		keys = append(keys, key.Revision)
	}
	demand := func(r policy.Requirement) {
		organization.Requirement = r
		organization, err = s.PutOrganization(ctx, organization)
		require.NoError(t, err)
		organizations = append(organizations, organization.Revision)
	}
	for range 500 * effort {
		step(listed)
		demand(policy.NotRequired)
		step(listed)
		demand(policy.Required)
		step(accesslist.List{})
	}
	over.Store(true)
	wait.Wait()

	latest := func(revisions []uint64, at uint64) uint64 {
		i, found := slices.BinarySearch(revisions, at)
		if !found {
			i--
		}
		return revisions[i]
	}
	for _, pairs := range seen {
		require.NotEmpty(t, pairs)
		for _, p := range pairs {
			at := max(p.key, p.organization)
			require.Equal(t, p, pair{latest(keys, at), latest(organizations, at)}, "never stored at the same time")
		}
	}
	t.Logf("%d and %d pairs seen", len(seen[0]), len(seen[1]))
}
