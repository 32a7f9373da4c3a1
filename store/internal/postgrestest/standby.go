package postgrestest

import (
	"errors"
	"fmt"
	"strings"
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

// Detach ends copying without a promotion: a standby gets nothing that is written from then
// on.
func (s *Server) Detach(t testing.TB) {
	t.Helper()
	s.Set(t, "primary_conninfo", "")
	for range 1000 {
		if s.SQL(t, s.DSN(), "SELECT count(*) FROM pg_stat_wal_receiver") == "0" {
			return
		}
	}
	t.Fatal("postgrestest: a standby goes on copying")
}

// Dump returns what pg_dump says of a database, and Load has psql restore it.
func (s *Server) Dump(t testing.TB, dsn string) string {
	t.Helper()
	out, err := s.command("pg_dump", "--dbname="+dsn).Output()
	if err != nil {
		t.Fatalf("postgrestest: pg_dump: %v", err)
	}
	return string(out)
}

func (s *Server) Load(t testing.TB, dsn, dump string) {
	t.Helper()
	command := s.command("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+dsn, "--file=-")
	command.Stdin = strings.NewReader(dump)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("postgrestest: restoring a dump: %v\n%s", err, out)
	}
}
