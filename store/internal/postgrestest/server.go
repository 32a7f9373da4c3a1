package postgrestest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/internal/freeport"
)

// Password is that of the user postgres, for connections by TCP. On the Unix socket none
// is asked for.
const Password = "only-for-tests"

// patience is how long a server may take to start or to end.
const patience = time.Minute

// A Server is a PostgreSQL server with data of its own in a temporary folder. It keeps
// what was committed through anything but the loss of that folder: fsync is on.
type Server struct {
	dir      string // with the folders data and the socket
	programs string
	port     int
	release  func() // the port
	settings []string

	alive   *os.File // while it is open, whoever watches over the server lets it be
	watcher *exec.Cmd

	mu      sync.Mutex // for what follows; tests kill from other goroutines
	running *process   // nil: stopped
}

// A process is a server that runs, or did until the channel was closed.
type process struct {
	*os.Process
	ended chan struct{}
	err   error // what it ended with
}

// Start starts a server for one test, with settings such as "max_connections=20". It is
// stopped when the test ends, and its data are removed; also when the process ends
// before. It skips the test if PostgreSQL is not installed.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	return startFor(t, programs(t), settings, (*Server).make)
}

// startFor starts a server whose data are made by a function, for one test.
func startFor(t testing.TB, programs string, settings []string, make func(*Server) error) *Server {
	t.Helper()
	s, err := start(programs, settings, make)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Errorf("postgrestest: %v", err)
		}
	})
	return s
}

var (
	shared     *Server
	sharedOnce sync.Once
	errShared  error
)

// Shared returns a server that all tests of the process share, because making one takes
// seconds. Each test uses a [Server.Database] of its own and leaves the server as it is.
// It ends with the process.
func Shared(t testing.TB) *Server {
	t.Helper()
	dir := programs(t)
	sharedOnce.Do(func() { shared, errShared = start(dir, nil, (*Server).make) })
	if errShared != nil {
		t.Fatal(errShared)
	}
	return shared
}

func start(programs string, settings []string, make func(*Server) error) (*Server, error) {
	dir, err := os.MkdirTemp("", "postgrestest")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, programs: programs, settings: settings}
	if err := make(s); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("postgrestest: making the data of a server: %w", err)
	}
	if err := s.watchOver(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("postgrestest: %w", err)
	}
	if s.port, s.release, err = freeport.Reserve(); err == nil {
		err = s.run()
	}
	if err != nil {
		return nil, fmt.Errorf("postgrestest: %w", errors.Join(err, s.remove()))
	}
	return s, nil
}

// make makes the data of a new server.
func (s *Server) make() error {
	if err := giveToServer(s.dir); err != nil {
		return err
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return err
	}
	return s.do("initdb", "--pgdata="+s.Data(), "--username=postgres", "--pwfile="+password,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8")
}

// Data returns the folder of the server's data.
func (s *Server) Data() string { return filepath.Join(s.dir, "data") }

// Socket returns the folder of the server's Unix socket.
func (s *Server) Socket() string { return s.dir }

// Address returns the server's TCP address, such as "127.0.0.1:5432".
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN returns the connection string of the database "postgres", by Unix socket, as the
// user postgres, who may do everything.
func (s *Server) DSN() string { return s.dsn("postgres") }

func (s *Server) dsn(database string) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s", s.dir, s.port, database)
}

// Database creates a database of the test's own and returns its connection string. The
// options are those of CREATE DATABASE: "ENCODING LATIN1 LOCALE 'C' TEMPLATE template0".
func (s *Server) Database(t testing.TB, options ...string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", time.Now().UnixNano())
	s.SQL(t, s.DSN(), fmt.Sprintf("CREATE DATABASE %s %s", name, strings.Join(options, " ")))
	return s.dsn(name)
}

// SQL has psql do something in a database, and returns what it printed: a line for each
// row, with the columns separated by "|".
func (s *Server) SQL(t testing.TB, dsn, sql string) string {
	t.Helper()
	out, err := s.command("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname="+dsn, "--command="+sql).CombinedOutput()
	if err != nil {
		t.Fatalf("postgrestest: %s: %v\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Kill ends the server at once, as a kernel does that has run out of memory: SIGKILL for
// the first process and then all of its children. Restart starts it again.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	if err := killAll(s.running.Process); err != nil {
		t.Fatalf("postgrestest: killing the server: %v", err)
	}
	<-s.running.ended
	s.running = nil
}

// Stop ends the server and its connections, in order.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(syscall.SIGINT); err != nil {
		t.Fatalf("postgrestest: stopping the server: %v", err)
	}
}

// Restart starts the server again on the same data and the same port, and stops it first
// if it is running.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.stop(syscall.SIGINT), s.run()); err != nil {
		t.Fatalf("postgrestest: starting the server again: %v", err)
	}
}

// stop ends the server with a signal: SIGINT closes its connections, SIGQUIT leaves the
// rest to the next start.
func (s *Server) stop(signal syscall.Signal) error {
	server := s.running
	if server == nil {
		return nil
	}
	s.running = nil
	if err := server.Signal(signal); err != nil {
		return err
	}
	select {
	case <-server.ended:
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("the server did not end within %v", patience), killAll(server.Process))
	}
	if signal == syscall.SIGQUIT {
		return nil // after which the server says that it failed
	}
	return server.err
}

// run starts the server and waits until it answers.
func (s *Server) run() error {
	args := []string{"-D", s.Data(), "-k", s.dir, "-p", strconv.Itoa(s.port), "-h", "127.0.0.1"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	command := s.command("postgres", args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return err
	}
	server := &process{Process: command.Process, ended: make(chan struct{})}
	go func() {
		server.err = command.Wait()
		close(server.ended)
	}()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if s.ready(server.Pid) {
			s.running = server
			return nil
		}
		select {
		case <-server.ended:
			deadline = time.Now()
		case <-time.After(5 * time.Millisecond):
		}
	}
	said, _ := os.ReadFile(log.Name())
	return errors.Join(fmt.Errorf("the server does not answer; it said:\n%s", said), killAll(server.Process))
}

// ready reports whether the server, and not one that was killed before, says that it
// accepts connections. The file's first and eighth line are where pg_ctl looks, too.
func (s *Server) ready(pid int) bool {
	text, err := os.ReadFile(filepath.Join(s.Data(), "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	return err == nil && len(lines) > 7 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// remove stops the server, and has its data removed.
func (s *Server) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stopped := s.stop(syscall.SIGQUIT)
	if s.release != nil {
		s.release()
	}
	closed := s.alive.Close()
	_ = s.watcher.Wait() // what that user may not remove, this one does, or says why not
	return errors.Join(stopped, closed, os.RemoveAll(s.dir))
}

// watchOver has a shell wait until this process ends, in whatever way, and then end the
// server and remove its data. A test that panics runs no cleanup, and a shared server
// has none.
func (s *Server) watchOver() error {
	const script = `cat >/dev/null; "$0" stop --silent --mode=immediate --pgdata="$1/data" >/dev/null 2>&1; rm -rf "$1"`
	read, write, err := os.Pipe() // whose writing end nobody but this process has
	if err != nil {
		return err
	}
	defer func() { _ = read.Close() }()
	s.watcher = exec.Command("/bin/sh", "-c", script, filepath.Join(s.programs, "pg_ctl"), s.dir)
	s.watcher.Dir, s.watcher.Stdin = "/", read
	asServer(s.watcher)
	s.alive = write
	return s.watcher.Start()
}

// do runs one of the server's programs to its end.
func (s *Server) do(name string, args ...string) error {
	if out, err := s.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// shell returns a script of the shell, to be run as the user that may.
func (s *Server) shell(script string, args ...string) *exec.Cmd {
	command := exec.Command("/bin/sh", append([]string{"-c", script}, args...)...)
	command.Dir = s.dir
	asServer(command)
	return command
}

// command returns one of the server's programs, to be run as the user that may.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.programs, name), args...)
	command.Dir = s.dir // the test's own folder may be closed to that user
	asServer(command)
	return command
}
