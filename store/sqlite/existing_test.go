package sqlite

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireLeft opens a path that has no store of this version, and finds everything as it was.
func requireLeft(t *testing.T, path string) (err error) {
	t.Helper()
	before, _ := os.ReadFile(path)
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	s, refused := OpenExisting(t.Context(), path)
	require.Nil(t, s)
	require.Error(t, refused)
	after, _ := os.ReadFile(path)
	require.Equal(t, before, after)
	left, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.Equal(t, files, left)
	return refused
}

func TestOpenExisting(t *testing.T) {
	absent, empty, earlier := newPath(t), newPath(t), twoKeys(t)
	require.ErrorIs(t, requireLeft(t, absent), fs.ErrNotExist)
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	err := requireLeft(t, empty)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "the file is empty: it has no store")
	require.ErrorContains(t, requireLeft(t, ""), "the path is empty")
	require.ErrorContains(t, requireLeft(t, t.TempDir()), "is a directory: want a file")

	// A later release looks at the file of this one, before it brings it up to date.
	before := migrations
	t.Cleanup(func() { migrations = before })
	migrations = append(slices.Clone(before), migration{1, 1, "CREATE TABLE parents (id TEXT) STRICT"})
	require.ErrorContains(t, requireLeft(t, earlier), "the file is of an earlier version: it has version 1, want 2, to which Open brings it")
	require.NoError(t, open(t, earlier).Close())
	s, err := OpenExisting(t.Context(), earlier)
	require.NoError(t, err)
	_, err = s.Key(t.Context(), "first")
	require.NoError(t, err)
	putOrganization(t, s, "other")
	assert.NoError(t, s.Close())
}
