//go:build unix && !linux

package postgrestest

import "errors"

// Killing a server with its children needs to know them, which this package finds out on
// Linux only.
func childrenOf(int) ([]int, error) {
	return nil, errors.New("servers can be killed on Linux only")
}

func gone([]int) error { return nil }
