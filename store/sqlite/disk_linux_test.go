package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

func init() {
	children["disk"] = putOnFailingDisk
	children["diskAtOnce"] = openOnFailingDisk
}

const faultVariable = "SALLYPORT_SQLITE_FAULT"

// diskFaults have system calls of the process fail from some moment on.
var diskFaults = map[string]func() error{
	"full":   func() error { return failSystemCall(unix.SYS_PWRITE64, unix.ENOSPC) },
	"broken": func() error { return failSystemCall(unix.SYS_PWRITE64, unix.EIO) },
	"unsure": func() error { return failSystemCall(unix.SYS_FSYNC, unix.EIO) },
}

// failSystemCall has the kernel answer a system call with an error, for ever.
func failSystemCall(number uint32, errno syscall.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // what follows is of one thread, until it is made that of all
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if failed != 0 {
		return fmt.Errorf("seccomp: %w", failed)
	}
	return nil
}

// putOnFailingDisk is a child whose disk fails after its first write. It checks what it
// sees itself.
func putOnFailingDisk(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	key := apikey.Key{ID: "before", Organization: "acme", Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
	if _, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"}); err != nil {
		return err
	}
	if _, err := s.PutKey(ctx, key, store.AllowOpen); err != nil {
		return err
	}
	if err := diskFaults[os.Getenv(faultVariable)](); err != nil {
		return err
	}
	key.ID = "during"
	for range 3 {
		_, err = s.PutKey(ctx, key, store.AllowOpen)
		if err == nil {
			return errors.New("PutKey returned no error")
		}
		fmt.Println(err)
		if _, err := s.Key(ctx, "during"); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("Key, after PutKey has failed: %v", err)
		}
		if _, found, err := s.Lookup(ctx, "before"); !found || err != nil {
			return fmt.Errorf("Lookup of a key from before: %v, %v", found, err)
		}
		if revision, err := revisionOf(ctx, s); revision != 2 || err != nil {
			return fmt.Errorf("Revision: %d, %v", revision, err)
		}
	}
	fmt.Println("Close:", s.Close())
	return nil
}

// A write that the disk does not take is an error, and what was there is.
func TestFailingDisk(t *testing.T) {
	for fault, want := range map[string]string{
		"full": "database or disk is full", "broken": "disk I/O error (778)", "unsure": "disk I/O error (1034)",
	} {
		t.Run(fault, func(t *testing.T) {
			path := newPath(t)
			child := command(t, "disk", path)
			child.Env = append(child.Env, faultVariable+"="+fault)
			output, err := child.Output()
			require.NoError(t, err)
			lines := strings.Split(strings.TrimSpace(string(output)), "\n")
			require.Len(t, lines, 4, "%s", output)
			for _, line := range lines[:3] {
				assert.Contains(t, line, "store/sqlite: put a key: ")
				assert.Contains(t, line, want)
			}
			t.Log(lines[3])
			s := open(t, path)
			checkIntegrity(t, s)
			_, err = s.Key(t.Context(), "before")
			require.NoError(t, err)
			// What was written to a disk that would not say that it is there may be there.
			if _, err = s.Key(t.Context(), "during"); fault != "unsure" || err != nil {
				require.ErrorIs(t, err, store.ErrNotFound)
			}
			putKey(t, s, newKey(t, "after", "acme"))
		})
	}
}

// openOnFailingDisk is a child whose disk fails before it opens the file.
func openOnFailingDisk(path string) error {
	if err := diskFaults[os.Getenv(faultVariable)](); err != nil {
		return err
	}
	return withStore(path, func(s *Store) error {
		ctx := context.Background()
		if _, found, err := s.Lookup(ctx, "first"); !found || err != nil {
			return fmt.Errorf("Lookup: %v, %v", found, err)
		}
		if _, err := s.PutOrganization(ctx, policy.Organization{ID: "other"}); err == nil {
			return errors.New("PutOrganization returned no error")
		}
		return nil
	})
}

// A disk that takes nothing more refuses the first who opens a file, and says what it is
// that is missing. Those who come later read.
func TestOpenOnFailingDisk(t *testing.T) {
	for _, fault := range []string{"full", "broken"} {
		t.Run(fault, func(t *testing.T) {
			path := twoKeys(t)
			run := func() ([]byte, error) {
				child := command(t, "diskAtOnce", path)
				child.Env = append(child.Env, faultVariable+"="+fault)
				child.Stderr = nil
				return child.CombinedOutput()
			}
			output, err := run()
			require.Error(t, err)
			assert.Contains(t, string(output), "store/sqlite: open "+path+": "+path+"-shm cannot be made as large as it has to be: want 32 kB of free space on the disk: disk I/O error (4874)")
			s := open(t, path)
			output, err = run()
			require.NoError(t, err, "while another process has it open: %s", output)
			_, err = s.Organization(t.Context(), "other")
			require.ErrorIs(t, err, store.ErrNotFound)
		})
	}
}

// What may not be written is an error when it is opened, and it is not changed. Another
// user runs this, if need be, because the system's administrator may write everything.
func TestReadOnly(t *testing.T) {
	dir, err := os.MkdirTemp("", "readonly") // that other users can get to
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	program := filepath.Join(dir, "program")
	self, err := os.Executable()
	require.NoError(t, err)
	data, err := os.ReadFile(self)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, data, 0o755))

	for name, c := range map[string]struct {
		file, directory fs.FileMode
		want            string
	}{
		"file":      {0o444, 0o777, "the file may not be written by this process"},
		"directory": {0o666, 0o555, "directory: want a directory in which this process may make files: attempt to write a readonly database"},
		"both":      {0o444, 0o555, "the file may not be written by this process"},
		"secret":    {0o000, 0o777, "unable to open database file"},
	} {
		t.Run(name, func(t *testing.T) {
			place := filepath.Join(dir, name)
			require.NoError(t, os.Mkdir(place, 0o777))
			path := filepath.Join(place, "keys.db")
			data, err := os.ReadFile(twoKeys(t))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, data, 0o600))
			require.NoError(t, os.Chmod(path, c.file))
			require.NoError(t, os.Chmod(place, c.directory))
			t.Cleanup(func() { _ = os.Chmod(place, 0o700) })

			child := command(t, "open", path)
			child.Path, child.Args = program, []string{program}
			child.Stderr = nil
			if os.Geteuid() == 0 {
				child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			output, err := child.CombinedOutput()
			require.Error(t, err, "it opened: %s", output)
			assert.Contains(t, string(output), "store/sqlite: ")
			assert.Contains(t, string(output), c.want)
			t.Log(string(output))
			require.NoError(t, os.Chmod(path, 0o600))
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, data, after)
		})
	}
}
