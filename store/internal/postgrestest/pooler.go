package postgrestest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/internal/freeport"
)

// NoPooler is what a test says that is skipped because there is no PgBouncer.
const NoPooler = "PgBouncer is not installed: store/postgres was not tested behind it (Debian: apt-get install pgbouncer)"

// Pooler starts PgBouncer in a mode, such as "transaction", in front of the server, for one
// test. It returns the connection string of one of the server's databases by way of it. If
// PgBouncer is not installed it skips or fails the test, as Start does without a server.
func (s *Server) Pooler(t testing.TB, mode, database string) (dsn string) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		absent(t, NoPooler)
	}
	port, release, err := freeport.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	config := filepath.Join(s.dir, fmt.Sprintf("pgbouncer-%d.ini", port))
	if err := os.WriteFile(config, fmt.Appendf(nil, `[databases]
* = host=%s port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = %s
default_pool_size = 3
ignore_startup_parameters = extra_float_digits
`, s.dir, s.port, port, mode), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, config)
	command.Dir = s.dir
	asServer(command)
	if err := command.Start(); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=%s sslmode=disable", port, database)
		}
		if time.Now().After(deadline) {
			t.Fatalf("postgrestest: PgBouncer does not answer: %v", err)
		}
	}
}
