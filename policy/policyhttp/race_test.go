//go:build race

package policyhttp_test

// Under the race detector a sync.Pool forgets a part of what it is given, at random, so
// that memory for Basic is made now and then. Otherwise there is no allowance.
const allocsOfPool = 1
