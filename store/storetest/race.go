//go:build race

package storetest

import (
	"runtime"
)

// The watchdog's own counting must not order the calls for the race detector: a store
// without a lock would look as if it had one.
func raceDisable() { runtime.RaceDisable() }
func raceEnable()  { runtime.RaceEnable() }
