//go:build race

package main

// raceEnabled tells the tests of amounts to be content with less.
const raceEnabled = true
