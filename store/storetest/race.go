//go:build race

package storetest

import (
	"runtime"
)

// What the watchdog counts must order nothing in the eyes of the race detector: a store
// without a lock would look as if it had one.
func raceDisable() { runtime.RaceDisable() }
func raceEnable()  { runtime.RaceEnable() }
