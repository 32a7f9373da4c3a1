//go:build !race

package usage_test

const raceDetector = false
