//go:build race

package usage_test

// The race detector makes everything ten times as slow, and allocates.
const raceDetector = true
