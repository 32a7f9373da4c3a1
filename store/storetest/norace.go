//go:build !race

package storetest

func raceDisable() {}
func raceEnable()  {}
