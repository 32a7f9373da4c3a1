//go:build race

package records

// The race detector makes everything ten times as slow.
const effort = 1
