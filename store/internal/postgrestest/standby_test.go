package postgrestest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStandby(t *testing.T) {
	s := Start(t)
	s.SQL(t, s.DSN(), "CREATE TABLE kept (n int)")
	standby := s.Standby(t, "second")
	s.Set(t, "synchronous_standby_names", "second")
	s.SQL(t, s.DSN(), "INSERT INTO kept VALUES (1)")
	assert.Equal(t, "t", standby.SQL(t, standby.DSN(), "SELECT pg_is_in_recovery()"))
	standby.Promote(t)
	assert.Equal(t, "f", standby.SQL(t, standby.DSN(), "SELECT pg_is_in_recovery()"))
	assert.Equal(t, "1", standby.SQL(t, standby.DSN(), "SELECT n FROM kept"))

	s.Set(t, "synchronous_standby_names", "")
	s.Stop(t)
	copied := s.Copy(t)
	s.Restart(t)
	copied.SQL(t, copied.DSN(), "INSERT INTO kept VALUES (2)")
	assert.Equal(t, "1", s.SQL(t, s.DSN(), "SELECT n FROM kept"))
}
