package etcdtest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func TestStore(t *testing.T) {
	cluster := etcdtest.StartUndisturbed(t, 3)
	client := cluster.Client(t)
	var prefix string // of the case that runs
	put := func(t testing.TB, name, value string) {
		_, err := client.Put(t.Context(), prefix+name, value)
		require.NoError(t, err)
	}
	storetest.Run(t, func(t testing.TB) (s store.Store) {
		s, prefix = opened(t, client)
		return s
	},
		storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
			require.NoError(t, s.Close())
			return openedAt(t, client, prefix)
		}),
		storetest.Damage(storetest.Damages{
			Key: func(t testing.TB, s store.Store, id apikey.ID) {
				key, err := s.Key(t.Context(), id)
				require.NoError(t, err)
				put(t, "keys/"+key.Organization+"/"+string(id), `{"id":"`+string(id)+`","organization":"`+key.Organization+`","disabled":false,"secrets":[`)
			},
			AccessList: func(t testing.TB, s store.Store, id apikey.ID) {
				key, err := s.Key(t.Context(), id)
				require.NoError(t, err)
				record, err := json.Marshal(key)
				require.NoError(t, err)
				put(t, "keys/"+key.Organization+"/"+string(id), strings.Replace(string(record), `"accessList"`, `"list"`, 1))
			},
			Newer: func(t testing.TB, s store.Store, id apikey.ID) {
				key, err := s.Key(t.Context(), id)
				require.NoError(t, err)
				key.Revision = 0
				record, err := json.Marshal(key)
				require.NoError(t, err)
				put(t, "keys/"+key.Organization+"/"+string(id), strings.Replace(string(record), `"accessList"`, `"later":1,"accessList"`, 1))
			},
			Organization: func(t testing.TB, _ store.Store, id string) { put(t, "organizations/"+id, `{"id":"`+id+`"}`) },
			Usage:        func(t testing.TB, _ store.Store, id apikey.ID) { put(t, "usage/"+string(id), `{"entries":`) },
			Observation:  func(t testing.TB, _ store.Store) { put(t, "usage-observation", `{"since":`) },
			Events: func(t testing.TB, _ store.Store, revision uint64) {
				kept, err := client.Get(t.Context(), prefix+"events/all/oldest/", clientv3.WithPrefix(), clientv3.WithMinCreateRev(int64(revision)), clientv3.WithMaxCreateRev(int64(revision)))
				require.NoError(t, err)
				require.Len(t, kept.Kvs, 1)
				document := kept.Kvs[0].Value
				put(t, strings.TrimPrefix(string(kept.Kvs[0].Key), prefix), string(document[:len(document)/2]))
			},
		}),
		storetest.Migrate(func(t testing.TB, _ store.Store, mayRead, mayWrite bool) {
			switch {
			case !mayRead:
				put(t, "layout", "4 4 4")
			case !mayWrite:
				put(t, "layout", "3 1 3")
			default:
				put(t, "layout", "2 1 1")
			}
		}),
		storetest.Compact(func(t testing.TB, _ store.Store) { compact(t, client) }),
	)
}
