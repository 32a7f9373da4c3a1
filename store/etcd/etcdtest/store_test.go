package etcdtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func TestStore(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client(t)
	var prefix string // of the case that runs
	storetest.Run(t, func(t testing.TB) (s store.Store) {
		s, prefix = opened(t, client)
		return s
	},
		storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
			require.NoError(t, s.Close())
			return openedAt(t, client, prefix)
		}),
		storetest.Damage(func(t testing.TB, s store.Store, id apikey.ID) {
			key, err := s.Key(t.Context(), id)
			require.NoError(t, err)
			name := prefix + "keys/" + key.Organization + "/" + string(id)
			_, err = client.Put(t.Context(), name, `{"id":"`+string(id)+`","organization":"`+key.Organization+`","disabled":false,"secrets":[`)
			require.NoError(t, err)
		}),
		storetest.Compact(func(t testing.TB, _ store.Store) { compact(t, client) }),
	)
}
