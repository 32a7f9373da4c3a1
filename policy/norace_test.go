//go:build !race

package policy_test

const oracleStride = 1
