package upgrade_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/kept"
)

// programs is the folder of the built workers.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "upgrade"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

// The versions of the worker, each built when it is first started.
var (
	olderVersion = sync.OnceValues(func() (string, error) {
		folder, program := filepath.Join(programs, "older"), filepath.Join(programs, "older-worker")
		if err := kept.Copy(folder, filepath.Join(kept.Required, "go.mod"), filepath.Join(kept.Required, "go.sum")); err != nil {
			return "", err
		}
		return program, kept.Go(folder, "build", "-ldflags=-w", "-o", program, "./worker")
	})
	newerVersion = sync.OnceValues(func() (string, error) {
		program := filepath.Join(programs, "newer-worker")
		_, err := kept.Run(".", nil, "go", "build", "-buildvcs=false", "-ldflags=-w", "-o", program, "./worker")
		return program, err
	})
)

// startOlder and startNewer start a worker for one test.
func startOlder(t *testing.T, name string) *process { return startVersion(t, name, olderVersion) }
func startNewer(t *testing.T, name string) *process { return startVersion(t, name, newerVersion) }

func startVersion(t *testing.T, name string, version func() (string, error)) *process {
	t.Helper()
	program, err := version()
	require.NoError(t, err, "building the worker %s", name)
	return start(t, name, program)
}
