package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A file with two names would have two logs. It is refused by each of them, and as it was
// before once it has one name. A process that has it open goes on.
func TestHardLinks(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	linked := filepath.Join(t.TempDir(), "other.db")
	require.NoError(t, os.Link(path, linked))
	for _, name := range []string{linked, path} {
		_, err := Open(t.Context(), name)
		assert.EqualError(t, err, fmt.Sprintf("store/sqlite: open %s: %s is one of 2 names of the file (hard links), each of which would have a log of its own: want one name, the others removed", name, name))
		assert.NoFileExists(t, linked+"-wal")
	}
	putKey(t, s, newKey(t, "third", "acme"))
	require.NoError(t, os.Remove(linked))
	_, found, err := open(t, path).Lookup(context.Background(), "third")
	require.NoError(t, err)
	assert.True(t, found)
}

// Symbolic links lead to one name, and so to one log.
func TestSymbolicLinksShareTheLog(t *testing.T) {
	path := twoKeys(t)
	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(path, link))
	s, other := open(t, path), open(t, link)
	putKey(t, s, newKey(t, "third", "acme"))
	putKey(t, other, newKey(t, "fourth", "acme"))
	assert.True(t, contentsOf(t, s).equal(contentsOf(t, other)))
	assert.Len(t, contentsOf(t, s).keys, 4)
	assert.NoFileExists(t, link+"-wal")
}

// A bind mount of the file alone is refused, one of its directory is not.
func TestBindMounts(t *testing.T) {
	path := twoKeys(t)
	file := filepath.Join(t.TempDir(), "key s.db")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	if err := unix.Mount(path, file, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("mounting takes the rights of root: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(file, 0)) })
	_, err := Open(t.Context(), file)
	assert.EqualError(t, err, fmt.Sprintf("store/sqlite: open %s: %s is a mount of the file alone, so its log would be in another directory than other processes look for it: want the directory of the file mounted", file, file))
	assert.NoFileExists(t, file+"-wal")

	directory := t.TempDir()
	require.NoError(t, unix.Mount(filepath.Dir(path), directory, "", unix.MS_BIND, ""))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(directory, 0)) })
	s := open(t, path)
	other, err := Open(t.Context(), filepath.Join(directory, filepath.Base(path)))
	require.NoError(t, err)
	putKey(t, s, newKey(t, "third", "acme"))
	putKey(t, other, newKey(t, "fourth", "acme"))
	assert.True(t, contentsOf(t, s).equal(contentsOf(t, other)))
	assert.Len(t, contentsOf(t, s).keys, 4)
	require.NoError(t, other.Close())
}

func TestIsMounted(t *testing.T) {
	const mounts = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n" +
		"42 27 254:0 /host/keys.db /data/keys.db rw,relatime shared:1 - ext4 /dev/vda rw\n" +
		"43 27 254:0 /host/a /data/a\\040b\\134c rw - ext4 /dev/vda rw\nshort line\n"
	for path, want := range map[string]bool{
		"/data/keys.db": true, `/data/a b\c`: true, "/data": false, "/data/keys.db2": false, "/host/keys.db": false, "": false, "line": false,
	} {
		assert.Equal(t, want, isMounted(path, mounts), path)
	}
}
