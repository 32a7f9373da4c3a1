package postgrestest

import (
	"errors"
	"fmt"
	"testing"
)

// Standby starts a server for one test that copies another as it is written. It connects
// under a name, which a synchronous one has in the other's synchronous_standby_names.
// [Server.Promote] has it take over.
func (s *Server) Standby(t testing.TB, name string, settings ...string) *Server {
	t.Helper()
	return startFor(t, s.programs, settings, func(standby *Server) error {
		if err := giveToServer(standby.dir); err != nil {
			return err
		}
		return standby.do("pg_basebackup", "--dbname="+s.DSN()+" application_name="+name, "--pgdata="+standby.Data(),
			"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast")
	})
}

// Copy starts a server for one test from the files of another, which was stopped: a backup
// that is restored.
func (s *Server) Copy(t testing.TB, settings ...string) *Server {
	t.Helper()
	return startFor(t, s.programs, settings, func(copied *Server) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running != nil {
			return errors.New("the server is running: want it stopped")
		}
		if err := giveToServer(copied.dir); err != nil {
			return err
		}
		command := copied.shell(`cp -a "$0" "$1" && rm -f "$1/postmaster.pid"`, s.Data(), copied.Data())
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
}

// Promote has a standby take over: it ends copying, and writes from then on.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	if err := s.do("pg_ctl", "promote", "--wait", "--pgdata="+s.Data()); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
}

// Set changes a setting of the running server, as ALTER SYSTEM does, and waits until new
// connections have it.
func (s *Server) Set(t testing.TB, name, value string) {
	t.Helper()
	s.SQL(t, s.DSN(), fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", name, value))
	s.SQL(t, s.DSN(), "SELECT pg_reload_conf()")
	for range 1000 {
		if s.SQL(t, s.DSN(), "SHOW "+name) == value {
			return
		}
	}
	t.Fatalf("postgrestest: %s is not %q after reloading", name, value)
}
