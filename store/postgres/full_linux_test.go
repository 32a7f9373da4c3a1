package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

// TestDiskFull has the server unable to make its files longer, as on a disk that is
// full.
func TestDiskFull(t *testing.T) {
	ctx, server := t.Context(), postgrestest.Start(t)
	pool := newPool(t, server.DSN())
	s := newStore(t, pool)
	_, key := acme(t, s)
	limitFiles(t, server, fmt.Sprint(17<<20)) // more than a file of the log, which is made whole
	pool.Reset()                              // a connection has the limit that there was when it began

	var entries []accesslist.Entry
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		entry, err := accesslist.ParseEntry(fmt.Sprintf("198.51.100.%d", i))
		require.NoError(t, err)
		entry.Comment = incompressible(random, accesslist.MaxComment)
		entries = append(entries, entry)
	}
	list, err := accesslist.New(entries...)
	require.NoError(t, err)
	long := func(id string) apikey.Key {
		key := newKey(t, id, "acme")
		key.AccessList = list
		return key
	}
	var failed error
	loaded := 0
	for n := 0; failed == nil && n < 100; n++ {
		var keys []apikey.Key
		for i := range 100 {
			keys = append(keys, long(fmt.Sprintf("key-%d-%d", n, i)))
		}
		if failed = s.Load(ctx, nil, keys); failed == nil {
			loaded += len(keys)
		}
	}
	require.ErrorContains(t, failed, "could not extend file")

	// Nothing of it is there, and everything else; it can be read, and told.
	_, keys := everything(t, s)
	assert.Len(t, keys, loaded+1)
	told, _ := first(t, s)
	assert.Equal(t, loaded+2, told)
	assert.NotEqual(t, policy.Unavailable, decidedWithin(s, key.ID, patience))

	limitFiles(t, server, "unlimited")
	pool.Reset()
	require.NoError(t, s.Load(ctx, nil, []apikey.Key{long("at-last")}))
	_, err = s.PutKey(ctx, key)
	require.NoError(t, err)
	_, err = s.Keys(ctx, "acme", store.PageRequest{})
	require.NoError(t, err)
}

// incompressible returns a text of n letters and digits that the server cannot shorten
// much before it stores it.
func incompressible(random *rand.Rand, n int) string {
	const characters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	text := make([]byte, n)
	for i := range text {
		text[i] = characters[random.IntN(len(characters))]
	}
	return string(text)
}

// limitFiles sets how long the server, and the processes that it makes from now on, may
// make a file, in bytes or "unlimited". Only its own user may do that.
func limitFiles(t *testing.T, server *postgrestest.Server, size string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(server.Data(), "postmaster.pid"))
	require.NoError(t, err)
	pid, _, _ := strings.Cut(string(text), "\n")
	limit := osexec.Command("prlimit", "--pid="+pid, "--fsize="+size+":")
	owner, err := os.Stat(server.Data())
	require.NoError(t, err)
	if stat := owner.Sys().(*syscall.Stat_t); int(stat.Uid) != os.Getuid() {
		limit.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}}
	}
	out, err := limit.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
