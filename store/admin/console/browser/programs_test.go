package browser_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/freeport"
)

// patience is a time after which a program hangs. Nothing is measured by it.
const patience = 2 * time.Minute

// notInstalled skips a test, or fails it where nothing may be skipped.
func notInstalled(t *testing.T, tool string) {
	t.Helper()
	text := "not installed: " + tool + "; install.sh installs it"
	if os.Getenv("SALLYPORT_CLIENTS") == "required" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// program returns the path of a command. Debian puts servers into /usr/sbin, which only root's
// PATH has.
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

// axeSource returns the text of axe-core, from the directory that install.sh makes of the
// lock file.
func axeSource(t *testing.T) string {
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
	source, err := os.ReadFile(filepath.Join(cache, "npm-"+hex.EncodeToString(sum[:])[:16], "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		notInstalled(t, "axe-core")
	}
	return string(source)
}

// startNginx starts nginx as one process, and returns the address that it listens at.
func startNginx(t *testing.T, server string) string {
	t.Helper()
	path := program(t, "nginx")
	port, release, err := freeport.Reserve()
	require.NoError(t, err)
	t.Cleanup(release)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))

	// One process without a master has no other user and leaves no child behind.
	directory := t.TempDir()
	config := "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {}\nhttp {\n access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		config += " " + kind + "_temp_path " + kind + ";\n"
	}
	config += "server {\n listen " + address + ";\n" + server + "}\n}\n"
	file := filepath.Join(directory, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	var output bytes.Buffer
	c := exec.Command(path, "-p", directory, "-c", file, "-e", "stderr")
	c.SysProcAttr = endsWithParent()
	c.Stdout, c.Stderr = &output, &output
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	stop := func() { _ = c.Process.Kill(); ended <- <-ended }
	t.Cleanup(stop)
	if err := answers(address, ended); err != nil {
		stop()
		t.Fatalf("nginx did not start: %v\n%s", err, output.String())
	}
	return address
}

// answers waits until somebody listens at the address, or the server has ended.
func answers(address string, ended chan error) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it has ended: %v", err)
		default:
		}
		if connection, err := net.Dial("tcp", address); err == nil {
			return connection.Close()
		}
	}
	return errors.New("it does not answer at " + address)
}
