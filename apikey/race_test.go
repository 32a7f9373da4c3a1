//go:build race

package apikey_test

// Under the race detector a sync.Pool forgets a part of what it is given, at random, so that a state for HMAC-SHA-256 is
// made now and then. Otherwise there is no allowance.
const allocsOfPool = 10
