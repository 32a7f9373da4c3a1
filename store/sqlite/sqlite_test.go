package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, filepath.Join(inMemory(t), "keys.db")) },
		storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
			require.NoError(t, s.Close())
			return open(t, s.(*Store).path)
		}),
		storetest.Damage(func(t testing.TB, s store.Store, id apikey.ID) {
			sqlTo(t, s.(*Store).path, `UPDATE keys SET record = json_remove(record, '$.accessList') WHERE id = '`+string(id)+`'`)
		}),
		storetest.Compact(func(t testing.TB, s store.Store) {
			sqlTo(t, s.(*Store).path, `DELETE FROM changes`, `UPDATE progress SET forgotten = revision`)
		}),
	)
}
