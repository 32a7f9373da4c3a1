package postgrestest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKillEndsChildren(t *testing.T) {
	s := Start(t)
	children, err := childrenOf(s.running.Pid)
	require.NoError(t, err)
	assert.NotEmpty(t, children)
	s.Kill(t)
	require.NoError(t, gone(children))
}
