//go:build race

package memory

// The race detector makes everything ten times as slow.
const effort = 1
