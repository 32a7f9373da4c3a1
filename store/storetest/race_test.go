//go:build race

package storetest

// stride is the share of the broken and hanging stores that are tried. All are tried without
// the race detector. It makes them five times as slow, and looks at the same cases in
// package memory's TestStore, on a store that is sound.
const stride = 6
