//go:build !race

package policyhttp_test

const allocsOfPool = 0
