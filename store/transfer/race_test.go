//go:build race

package transfer_test

// The race detector makes everything ten times as slow.
const raceDetector = true
