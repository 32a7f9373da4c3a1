package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/freeport"
)

// patience is how long a program may take for what takes it a moment. Nothing is
// measured by it: it ends the tests of one that hangs.
const patience = 3 * time.Minute

// notInstalled skips a test, or fails it where nothing may be skipped.
func notInstalled(t *testing.T, tool string) {
	t.Helper()
	missing(t, "not installed: "+tool+"; install.sh installs it")
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SALLYPORT_CLIENTS") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// program returns the path of a command. Debian puts servers into /usr/sbin, which only
// root's PATH has.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	notInstalled(t, name)
	return ""
}

// findPython finds a python3 that has requests: Debian's, or that of PATH.
var findPython = sync.OnceValue(func() string {
	for _, candidate := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(candidate)
		if err == nil && exec.Command(path, "-c", "import requests").Run() == nil {
			return path
		}
	}
	return ""
})

func python(t *testing.T) string {
	t.Helper()
	path := findPython()
	if path == "" {
		notInstalled(t, "a python3 with requests")
	}
	return path
}

// npmModules returns the directory that install.sh makes of the lock file.
func npmModules(t *testing.T) string {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join("testdata", "npm", "package-lock.json"))
	require.NoError(t, err)
	sum := sha256.Sum256(lock)
	cache := os.Getenv("SALLYPORT_CLIENTS_CACHE")
	if cache == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if base == "" {
			base = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		cache = filepath.Join(base, "sallyport-clients")
	}
	modules := filepath.Join(cache, "npm-"+hex.EncodeToString(sum[:])[:16])
	if _, err := os.Stat(modules); err != nil {
		notInstalled(t, "the packages of npm that testdata/npm names")
	}
	return modules
}

// command returns a command without the settings of whoever runs the tests: proxies,
// .curlrc, .netrc.
func command(ctx context.Context, t *testing.T, path string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, path, args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "NO_PROXY=*"}
	c.SysProcAttr = endsWithParent()
	c.WaitDelay = time.Minute
	return c
}

// run runs a command to its end and returns what it printed.
func run(t *testing.T, stdin string, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := command(ctx, t, path, args...)
	var out, failed bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &failed
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(path), err, out.String(), failed.String())
	}
	return out.String()
}

// start starts a server, waits until it answers at all of the addresses, and kills it at
// the end of the test. configure is given as many addresses as are wanted, at which nobody
// listens.
func start(t *testing.T, wanted int, configure func(addresses []string) *exec.Cmd) []string {
	t.Helper()
	addresses := make([]string, wanted)
	for i := range addresses {
		port, release, err := freeport.Reserve()
		require.NoError(t, err)
		t.Cleanup(release)
		addresses[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	var output bytes.Buffer
	c := configure(addresses)
	c.Stdout, c.Stderr = &output, &output
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stop := func() { _ = c.Process.Kill(); ended <- <-ended }
	t.Cleanup(stop)
	if err := answers(addresses, ended); err != nil {
		stop()
		t.Fatalf("%s did not start: %v\n%s", filepath.Base(c.Path), err, output.String())
	}
	return addresses
}

// answers waits until somebody listens at all addresses, or the server has ended.
func answers(addresses []string, ended chan error) error {
	deadline := time.Now().Add(patience)
	for _, address := range addresses {
		for {
			select {
			case err := <-ended:
				ended <- err
				return fmt.Errorf("it has ended: %v", err)
			default:
			}
			if connection, err := net.Dial("tcp", address); err == nil {
				_ = connection.Close()
				break
			}
			if time.Now().After(deadline) {
				return errors.New("it does not answer at " + address)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}
