//go:build race

package policy_test

// oracleStride is the share of the combinations that TestOracle tries. All are tried without the
// race detector, which makes them ten times as slow and finds nothing in one goroutine.
const oracleStride = 61
