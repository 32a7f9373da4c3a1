// Package teststore has the stores that the tests of storetest, crashtest, staletest and
// faulty use: a sound one that loads, and one whose methods a test replaces to break it.
package teststore
